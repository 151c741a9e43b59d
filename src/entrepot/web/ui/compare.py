"""`/repos/{repo}/compare`: what differs between two snapshots of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.paths import link
from entrepot.web.ui.setup import versions_of
from entrepot.web.ui.snapshots import NO_SNAPSHOT, Range, range_of
from entrepot.web.ui.texts import text
from entrepot.web.ui.turns import Turn, get

ROWS = 100
"""Changes on a page: there are 25,000 of them between two snapshots of CRAN that are ten years apart."""
KINDS = ("added", "updated", "downgraded", "changed", "archived", "removed")
MATTERS = ("major", "license", "source")
_SPANS = (("week", 7), ("month", 30), ("year", 365))


class Wrong(NamedTuple):
    """What can be used in place of one of the two snapshots, `field`."""

    field: str
    servable: Range


async def show(turn: Turn) -> Response:
    """`GET /repos/{repo}/compare?from=&to=&change=&only=&bioc_version=&page=`. Without `from` nothing is compared yet;
    the snapshot that other pages were of is then the one to begin with."""
    repo = await turn.api.get("repos", turn.path["repo"])
    start, end = turn.asked("from"), turn.asked("to", "latest")
    version = turn.asked("bioc_version")
    chosen = {"change": turn.asked("change"), "only": turn.asked("only")}
    days = await turn.api.get("repos", repo["name"], "days")
    found, total, refused = None, 0, None
    if start:
        try:
            found, total = await _difference(turn, repo["name"], start, end, version, chosen)
        except Refused as error:
            refused = error
    snapshot = turn.asked("snapshot", "latest")
    return turn.page(
        "compare.html",
        repo=repo,
        snapshot=end if found is not None else snapshot,
        active="compare",
        start=start or (snapshot if snapshot != "latest" else ""),
        end=end,
        chosen=chosen,
        bioc_version=version,
        versions=await versions_of(turn, repo),
        spans=_spans(days, repo["name"], version),
        found=found,
        total=total,
        page_number=turn.number("page"),
        rows=ROWS,
        kinds=KINDS,
        matters=MATTERS,
        refused=refused,
        wrong=await _wrong(turn, repo["name"], start, refused),
    )


async def _difference(
    turn: Turn, repo: str, start: str, end: str, version: str, chosen: Mapping[str, str]
) -> tuple[Mapping[str, Any], int]:
    """A page of what differs, and how many changes there are of those that were chosen."""
    query = {"from": start, "to": end, "bioc_version": version, **chosen}
    page = {"_limit": ROWS, "_page": turn.number("page")}
    found: Any = await turn.api.listed("repos", repo, "diff", **query, **page)
    return found.rows, found.total


def _spans(days: Mapping[str, Any], repo: str, version: str) -> list[tuple[object, str]]:
    """What people often compare: (text, path) of the last days."""
    if days["last"] is None:
        return []
    first, last = date.fromisoformat(days["first"]), date.fromisoformat(days["last"])
    starts = {name: last - timedelta(days=length) for name, length in _SPANS}
    return [
        (text(f"compare.span.{name}"), link("repos", repo, "compare", from_=start.isoformat(), bioc_version=version))
        for name, start in starts.items()
        if start >= first
    ]


async def _wrong(turn: Turn, repo: str, start: str, refused: Refused | None) -> Wrong | None:
    if refused is None or refused.kind != NO_SNAPSHOT:
        return None
    told = {str(refused.payload.get(name)) for name in ("day", "transaction", "snapshot")}
    return Wrong("from" if start in told else "to", await range_of(turn, repo, refused))


ROUTES = [get("/repos/{repo}/compare", show)]
