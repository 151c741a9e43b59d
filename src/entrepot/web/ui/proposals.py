"""`/sources/{source}/proposals`: what a change to a curated source would bring, for those who review and commit it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.turns import Turn, get, post

ROWS = 100
IN_LIST = 50
CHANGED = ("added", "updated", "downgraded", "changed")
LEAVING = ("archived", "removed")
DONE = frozenset({"committed"})


class Choice(NamedTuple):
    """Rows of a proposal that one may look at: their name in the query, and how many there are."""

    name: str
    number: int


async def show_all(turn: Turn) -> Response:
    """`GET /sources/{source}/proposals?page=`"""
    source = turn.path["source"]
    page = turn.number("page")
    found, listed = await asyncio.gather(
        turn.api.get("sources", source),
        turn.api.listed("sources", source, "proposals", _limit=IN_LIST, _page=page),
    )
    return turn.page(
        "proposals.html",
        place="sources",
        active="proposals",
        source=found,
        proposals=[{**each, "changes": _changes(each["counts"])} for each in listed.rows],
        total=listed.total,
        page_number=page,
        rows=IN_LIST,
    )


async def show(turn: Turn) -> Response:
    """`GET /sources/{source}/proposals/{id}?show=&licence=other&page=`"""
    return await _shown(turn)


async def commit(turn: Turn) -> Response:
    """`POST /sources/{source}/proposals/{id}`: the button."""
    fields, path = await turn.form(), ("sources", turn.path["source"], "proposals", turn.path["id"])
    body = {"comment": fields.get("comment", "").strip(), "snapshot": fields.get("snapshot") or None}
    try:
        await turn.api.send("POST", *path, "commit", body=body)
    except Refused as error:
        return await _shown(turn, refused=error, comment=body["comment"] or "")
    return turn.moved(*path, done="committed")


async def _shown(turn: Turn, *, refused: Refused | None = None, comment: str = "") -> Response:
    """The page of a proposal; `refused` is why it could not be committed."""
    wish, page = turn.asked("show"), turn.number("page")
    other_license = turn.asked("licence") == "other" and wish not in ("leaving", "missing")
    part = wish if wish in ("leaving", "missing") else "items"
    changes = (wish,) if wish in (*CHANGED, "unchanged") else CHANGED if part == "items" else ()
    source, (found, total) = await asyncio.gather(
        turn.api.get("sources", turn.path["source"]),
        _part(turn, part, change=changes, other_license=other_license, page=page),
    )
    return turn.page(
        "proposal.html",
        place="sources",
        active="proposals",
        source=source,
        proposal=found,
        part=part,
        wish=wish if part != "items" or changes == (wish,) else "",
        choices=_choices(found["counts"]),
        other_license=other_license,
        listed=found[part],
        total=total,
        page_number=page,
        rows=ROWS,
        command=_command(found),
        may_commit=turn.visit.access.may_write(source["id"]),
        refused=refused,
        comment=comment,
        done=turn.asked("done") if turn.asked("done") in DONE else "",
    )


async def _part(
    turn: Turn, part: str, *, change: Sequence[str], other_license: bool, page: int
) -> tuple[dict[str, Any], int]:
    """A proposal with a page of one of its lists, and how many rows that has."""
    answer = await turn.api.listed(
        "sources",
        turn.path["source"],
        "proposals",
        turn.path["id"],
        part=part,
        change=change,
        other_license=other_license,
        _limit=ROWS,
        _page=page,
    )
    found: Any = answer.rows
    return found, answer.total


def _choices(counts: Mapping[str, int]) -> list[Choice]:
    """What there is to look at: all that changes, each kind of which there is some, what leaves and what is missing."""
    found = [Choice("", sum(counts[kind] for kind in CHANGED))]
    found += [Choice(kind, counts[kind]) for kind in (*CHANGED, "unchanged") if counts[kind]]
    leaving = sum(counts[kind] for kind in LEAVING)
    found += [Choice("leaving", leaving)] if leaving else []
    return found + ([Choice("missing", counts["missing"])] if counts["missing"] else [])


def _changes(counts: Mapping[str, int]) -> list[Choice]:
    """The kinds of change of which there are some."""
    return [Choice(kind, counts[kind]) for kind in (*CHANGED, *LEAVING, "missing") if counts[kind]]


def _command(proposal: Mapping[str, Any]) -> str:
    """The command that commits a proposal, as `entrepot update` ends with."""
    verb = "add" if proposal["action"] == "add" else "update"
    where = f"--source={shlex.quote(proposal['source'])} --snapshot={shlex.quote(proposal['snapshot'])}"
    return f"entrepot {verb} {where} --proposal={proposal['id']} --commit"


ROUTES = [
    get("/sources/{source}/proposals", show_all),
    get("/sources/{source}/proposals/{id}", show),
    post("/sources/{source}/proposals/{id}", commit),
]
