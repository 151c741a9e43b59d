"""`/repos/{repo}/usage`: what is downloaded most from a repository, and how much on each day."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from entrepot.web.ui.asking import Listed, Refused
from entrepot.web.ui.turns import Turn, get

SPANS = (7, 30, 90, 365)
USUAL = 30
ROWS = 50
OFF = "usage-off"


async def show(turn: Turn) -> Response:
    """`GET /repos/{repo}/usage?days=&page=`."""
    repo = await turn.api.get("repos", turn.path["repo"])
    days = turn.number("days", USUAL)
    days = days if days in SPANS else USUAL
    number = turn.number("page")
    try:
        found, by_day = await _counted(turn, repo["name"], days, number)
    except Refused as error:
        if error.kind != OFF:
            raise
        found, by_day = None, []
    return turn.page(
        "usage.html",
        repo=repo,
        snapshot="latest",
        active="usage",
        spans=SPANS,
        days=days,
        found=found,
        by_day=by_day,
        page_number=number,
        rows=ROWS,
    )


async def _counted(turn: Turn, repo: str, days: int, number: int) -> tuple[Listed, list[dict[str, Any]]]:
    """The packages of a page of the list, and the days."""
    # One after the other: both are read off the same sums, which the first one makes where there are none.
    found = await turn.api.listed("metrics", "packages", repo=repo, _days=days, _limit=ROWS, _page=number)
    return found, await turn.api.get("metrics", "days", repo=repo, _days=days)


ROUTES = [get("/repos/{repo}/usage", show)]
