"""`/repos/{repo}/packages`: the packages of a repository at a snapshot, searched, filtered, in pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.finding import Hits, answered, hits
from entrepot.web.ui.setup import versions_of
from entrepot.web.ui.turns import Turn, get

ROWS = 25
FILTERS = ("license", "source", "updated_since", "has_binaries")
LONGEST = 200
"""Characters that the API takes."""


async def show(turn: Turn) -> Response:
    """`GET /repos/{repo}/packages?search=&license=&source=&updated_since=&has_binaries=&sort=&snapshot=&page=`."""
    repo = await turn.api.get("repos", turn.path["repo"])
    at = {"snapshot": turn.asked("snapshot", "latest"), "bioc_version": turn.asked("bioc_version")}
    wish = {name: turn.asked(name) for name in ("search", *FILTERS, "sort")}
    query = {"q": wish["search"][:LONGEST], **{name: wish[name] for name in FILTERS}, **at}
    page = turn.number("page")
    found, choices, versions = await asyncio.gather(
        hits(turn, repo["name"], **query, _sort=wish["sort"], _limit=ROWS, _page=page),
        _choices(turn, repo["name"], query),
        versions_of(turn, repo),
    )
    values = {
        "repo": repo,
        "snapshot": at["snapshot"],
        "bioc_version": at["bioc_version"],
        "versions": versions,
        "active": "packages",
        "wish": wish,
        "found": found,
        "near": await _near(turn, repo["name"], wish, found, at),
        "choices": choices,
        "licenses": _options(choices["licenses"], wish["license"]),
        "sources": _options(choices["sources"], wish["source"]),
        "filtered": sum(bool(wish[name]) for name in FILTERS),
        "page_number": page,
        "rows": ROWS,
        "longest": LONGEST,
    }
    return answered(turn, "packages.html", "_packages.html", found.status, values)


async def _choices(turn: Turn, repo: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    """What one may filter by; nothing where the query is none."""
    try:
        choices: Mapping[str, Any] = await turn.api.get("repos", repo, "search", "facets", **query)
    except Refused as refused:
        if refused.status in (422, 503):
            return {"licenses": [], "sources": [], "with_binaries": 0}
        raise
    return choices


def _options(choices: Sequence[Mapping[str, Any]], chosen: str) -> list[tuple[str, int | None]]:
    """(name, how many packages) to choose from; what is chosen is among them."""
    found: list[tuple[str, int | None]] = [(each["name"], each["packages"]) for each in choices]
    return found if not chosen or chosen in [name for name, _ in found] else [(chosen, None), *found]


async def _near(turn: Turn, repo: str, wish: Mapping[str, str], found: Hits, at: Mapping[str, str]) -> Sequence[str]:
    """Names that may have been meant, where nothing was found."""
    if found.total or found.refused is not None or not wish["search"]:
        return []
    names: Sequence[str] = await turn.api.get("repos", repo, "near", name=wish["search"], **at)
    return names


ROUTES = [get("/repos/{repo}/packages", show)]
