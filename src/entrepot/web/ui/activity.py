"""`/repos/{repo}/activity`, `/sources/{source}/activity`: what happened; `/transactions/{id}`: what one of it did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from entrepot.core.activity import ActivityKind
from entrepot.core.changes import ChangeKind
from entrepot.web.ui.asking import Listed, Refused
from entrepot.web.ui.turns import Turn, get

ROWS = 50
CHANGES = 200
"""Changes of a transaction on one page."""
TAIL = 60_000
"""Characters of a log that a page shows; the whole is a link away."""
LOOKS = {"added": "good", "updated": "info", "archived": "warn", "removed": "bad"}
"""Of badges, by what they say."""
KINDS = tuple(kind.value for kind in ActivityKind)
OF_CHANGES = tuple(kind.value for kind in ChangeKind)


async def of_repository(turn: Turn) -> Response:
    """`GET /repos/{repo}/activity?kind=&package=&source=&from=&to=&page=`."""
    wish = _wish(turn)
    repo, (found, refused) = await asyncio.gather(
        turn.api.get("repos", turn.path["repo"]), _found(turn, "repos", turn.path["repo"], wish)
    )
    return turn.page(
        "activity.html",
        repo=repo,
        snapshot="latest",
        active="activity",
        sources=[(name, name) for name in repo["sources"]],
        **_shown(turn, wish, found, refused),
    )


async def of_source(turn: Turn) -> Response:
    """`GET /sources/{source}/activity?kind=&package=&from=&to=&page=`."""
    wish = {**_wish(turn), "source": ""}
    source, (found, refused) = await asyncio.gather(
        turn.api.get("sources", turn.path["source"]), _found(turn, "sources", turn.path["source"], wish)
    )
    return turn.page(
        "source_activity.html",
        place="sources",
        source=source,
        active="activity",
        **_shown(turn, wish, found, refused),
    )


async def transaction(turn: Turn) -> Response:
    """`GET /transactions/{id}?change=&package=&page=&repo=`."""
    id_ = turn.path["id"]
    change, package = turn.asked("change"), turn.asked("package")
    if change not in OF_CHANGES:
        change = ""
    page = turn.number("page")
    row, found, repos = await asyncio.gather(
        turn.api.get("transactions", id_, changes=False),
        turn.api.listed("transactions", id_, "changes", change=change, package=package, _limit=CHANGES, _page=page),
        turn.api.get("repos"),
    )
    source = (row["source"] or "").partition("/")[0]
    # Where its packages can be looked at: repositories that have the source now.
    shown_by = [repo["name"] for repo in repos if source and source in repo["sources"]]
    asked_for = turn.asked("repo")
    return turn.page(
        "transaction.html",
        place="",
        row=row,
        owner=source,
        changes=found.rows,
        total=found.total,
        rows=CHANGES,
        page_number=page,
        wish={"change": change, "package": package},
        kinds=OF_CHANGES,
        looks=LOOKS,
        shown_by=shown_by,
        of_repo=asked_for if asked_for in shown_by else next(iter(shown_by), None),
        log=await log_of(turn, row["build"]) if row["build"] is not None else None,
        log_path=log_path(row),
    )


async def log_of(turn: Turn, build: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The end of a build's log; None if there is none any more."""
    found: Mapping[str, Any] | None
    if build["kind"] == "git":
        found = await turn.api.find("transactions", turn.path["id"], "log", tail=TAIL)
    else:
        found = await turn.api.find("binary-builds", build["number"], "log", tail=TAIL)
    return found


def log_path(row: Mapping[str, Any]) -> str:
    """Where a build's log is as text."""
    if row["build"] is None or row["build"]["kind"] == "git":
        return f"/__api__/transactions/{row['id']}/log.txt"
    return f"/__api__/binary-builds/{row['build']['number']}/log.txt"


def _wish(turn: Turn) -> dict[str, Any]:
    """What is looked for; what no page of ours asks for is left out."""
    kinds = turn.request.query_params.getlist("kind")
    return {
        "kind": [kind for kind in KINDS if kind in kinds],
        "package": turn.asked("package"),
        "source": turn.asked("source"),
        "from": turn.asked("from"),
        "to": turn.asked("to"),
    }


async def _found(turn: Turn, kind: str, name: str, wish: Mapping[str, Any]) -> tuple[Listed, Refused | None]:
    """The page of transactions that is wanted; none, and why, if it can't be meant."""
    page = {"_limit": ROWS, "_page": turn.number("page")}
    try:
        return await turn.api.listed(kind, name, "transactions", **wish, **page), None
    except Refused as refused:
        if refused.status not in (404, 422):
            raise
        return Listed([], 0), refused


def _shown(turn: Turn, wish: Mapping[str, Any], found: Listed, refused: Refused | None) -> dict[str, Any]:
    return {
        "wish": wish,
        "is_narrowed": any(wish.values()),
        "kinds": KINDS,
        "looks": LOOKS,
        "found": found.rows,
        "total": found.total,
        "rows": ROWS,
        "page_number": turn.number("page"),
        "refused": refused,
    }


ROUTES = [
    get("/repos/{repo}/activity", of_repository),
    get("/sources/{source}/activity", of_source),
    get("/transactions/{id}", transaction),
]
