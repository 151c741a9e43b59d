"""`/sources`: where packages come from, how they stand, and what goes with each."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.turns import Turn, get, post

CURATED = frozenset({"curated-cran", "curated-pypi", "cran-snapshot"})
"""Types of sources that change by proposals."""
BUILT = frozenset({"git", "git-python"})
"""Types of sources that are built from Git."""
LAST = 8
"""Transactions on the page of a source."""


async def show_all(turn: Turn) -> Response:
    """`GET /sources?type=`"""
    every, repos = await asyncio.gather(turn.api.get("sources"), turn.api.get("repos"))
    types = sorted({source["type"] for source in every})
    chosen = turn.asked("type")
    chosen = chosen if chosen in types else ""
    return turn.page(
        "sources.html",
        place="sources",
        sources=[source for source in every if chosen in ("", source["type"])],
        shown_by={source["name"]: _shown_by(source, repos) for source in every},
        types=types,
        chosen=chosen,
        total=len(every),
    )


async def show(turn: Turn) -> Response:
    """`GET /sources/{source}`"""
    return await shown(turn)


async def sync(turn: Turn) -> Response:
    """`POST /sources/{source}/sync`: goes on to the job."""
    await turn.form()
    try:
        job = await turn.api.send("POST", "sources", turn.path["source"], "sync")
    except Refused as refused:
        if refused.status in (401, 403, 404):
            raise
        return await shown(turn, refused)
    return turn.moved("jobs", job["id"])


async def shown(turn: Turn, refused: Refused | None = None) -> Response:
    """The page of a source, with what was refused on it."""
    source = await turn.api.get("sources", turn.path["source"])
    repos, activity, builders = await asyncio.gather(
        turn.api.get("repos"),
        turn.api.listed("sources", source["name"], "transactions", _limit=LAST),
        _builders(turn, source),
    )
    return turn.page(
        "source.html",
        place="sources",
        source=source,
        active="overview",
        shown_by=_shown_by(source, repos),
        activity=activity.rows,
        transactions=activity.total,
        builders=builders,
        may_write=turn.visit.access.may_write(source["id"]),
        refused=refused,
    )


def _shown_by(source: dict[str, Any], repos: list[dict[str, Any]]) -> list[str]:
    """The repositories that have a source."""
    return [repo["name"] for repo in repos if source["name"] in repo["sources"]]


async def _builders(turn: Turn, source: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What a source builds from Git; None where nothing is built."""
    if source["type"] not in BUILT:
        return None
    found: list[dict[str, Any]] = await turn.api.get("sources", source["name"], "git-builders")
    return found


ROUTES = [
    get("/sources", show_all),
    get("/sources/{source}", show),
    post("/sources/{source}/sync", sync),
]
