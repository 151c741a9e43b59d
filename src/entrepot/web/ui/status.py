"""`/status`: how the installation is: its mirrors, what it holds, what waits to be done."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from entrepot.core.access import Scope
from entrepot.web.ui.turns import Turn, get

LOOKS = {"ok": "good", "failed": "bad", "running": "info", "never": "warn"}


async def show(turn: Turn) -> Response:
    """`GET /status`"""
    status, sources, queue, rules = await asyncio.gather(
        turn.api.get("status"), turn.api.get("sources"), turn.api.get("queue"), _rules(turn)
    )
    mirrors = [source for source in sources if source["sync"] is not None]
    return turn.page(
        "status.html",
        place="status",
        told=status,
        mirrors=mirrors,
        failed=[source for source in mirrors if source["sync"]["state"] == "failed"],
        others=len(sources) - len(mirrors),
        storage=await _storage(turn, is_open=not status["auth_enabled"]),
        queue=queue,
        rules=rules,
        looks=LOOKS,
    )


async def _storage(turn: Turn, *, is_open: bool) -> dict[str, Any] | None:
    """What is held; None for those who are told nothing of it. For them nobody asks: refusals are written down."""
    if not is_open and not turn.visit.access.has_all_of(Scope.REPOS_READ):
        return None
    found: dict[str, Any] = await turn.api.get("storage")
    return found


async def _rules(turn: Turn) -> dict[str, Any]:
    found: dict[str, Any] = await turn.api.get("sysreqs", "rules")
    return found


ROUTES = [get("/status", show)]
