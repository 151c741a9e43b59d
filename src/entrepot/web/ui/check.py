"""`/repos/{repo}/check`: a pasted lock file or list of requirements against a repository."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.setup import versions_of
from entrepot.web.ui.showing import LONGEST as LONGEST_SHOWN
from entrepot.web.ui.turns import Turn, get, post

LARGEST = 4 * 1024**2
"""Bytes of the form: line ends and signs of a list are three bytes each in it. Larger lists are for the API."""
ROWS = 500
"""Entries that are shown of those that are wanted first, and of all others."""
_FIRST = ("missing", "unknown", "partial")


class Entries(NamedTuple):
    """Some of the entries of a list, and how many are left out."""

    rows: list[Mapping[str, Any]]
    left_out: int


async def ask(turn: Turn) -> Response:
    """`GET /repos/{repo}/check?snapshot=&bioc_version=`: the form."""
    return await _page(turn, snapshot=turn.asked("snapshot", "latest"), version=turn.asked("bioc_version"))


async def check(turn: Turn) -> Response:
    """`POST /repos/{repo}/check`: what came of it. Nothing is changed, so that the form may come from anywhere."""
    fields = await turn.question(largest=LARGEST)
    snapshot, version = fields.get("snapshot", "").strip() or "latest", fields.get("bioc_version", "")
    asked = {"list": fields.get("list", ""), "snapshot": snapshot}
    if fields.get("constraints", "").strip():
        asked["constraints"] = fields["constraints"]
    if version:
        asked["bioc_version"] = version
    try:
        found = await turn.api.send("POST", "repos", turn.path["repo"], "check", body=asked)
    except Refused as error:
        return await _page(turn, snapshot=snapshot, version=version, given=asked, refused=error)
    return await _page(turn, snapshot=snapshot, version=version, given=asked, found=found)


async def _page(
    turn: Turn,
    *,
    snapshot: str,
    version: str,
    given: Mapping[str, str] | None = None,
    found: Mapping[str, Any] | None = None,
    refused: Refused | None = None,
) -> Response:
    repo = await turn.api.get("repos", turn.path["repo"])
    written = {name: text for name, text in (given or {}).items() if len(text) <= LONGEST_SHOWN}
    return turn.page(
        "check.html",
        repo=repo,
        snapshot=snapshot,
        active="check",
        bioc_version=version,
        versions=await versions_of(turn, repo),
        given=written,
        is_left_out=len(written) < len(given or {}),
        found=found,
        wanting=_entries(found, is_wanting=True),
        served=_entries(found, is_wanting=False),
        refused=refused,
    )


def _entries(found: Mapping[str, Any] | None, *, is_wanting: bool) -> Entries:
    """The entries that can't be served as they stand there, the worst first; or the others."""
    every = found["entries"] if found is not None else []
    some = [entry for entry in every if (entry["verdict"] in _FIRST) is is_wanting]
    if is_wanting:
        some.sort(key=lambda entry: _FIRST.index(entry["verdict"]))
    return Entries(list(islice(some, ROWS)), max(0, len(some) - ROWS))


ROUTES = [get("/repos/{repo}/check", ask), post("/repos/{repo}/check", check)]
