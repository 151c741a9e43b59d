"""The home page: repositories with the lines to use them, as far as the visitor sees."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.routing import Route

from entrepot.web.ui.turns import Turn, handles


async def show(turn: Turn) -> Response:
    """`GET /`. Programs ask for it with a token to see whether that is good still."""
    repos, sources = await asyncio.gather(turn.api.get("repos"), turn.api.get("sources"))
    return turn.page("home.html", repos=repos, sources=sources)


ROUTES = [Route("/", handles(show), methods=["GET"])]
