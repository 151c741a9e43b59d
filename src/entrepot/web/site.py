"""The whole site as one ASGI application: package clients first, then the API and the pages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp, Receive, Scope, Send

from entrepot.web.api.app import PREFIX, make_api
from entrepot.web.api.deps import Context
from entrepot.web.serve import Reply, Request, Serve
from entrepot.web.ui.home import Home

THREADS = 32
"""For what blocks: the database and the store. More than SQLite or two cores can use, enough to hide a slow store."""


def make_site(context: Context) -> ASGIApp:
    """The application over an open `App`."""
    api, serve, home = make_api(context), Serve(context.app), Home(context.app)
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="web")
    prepared: set[int] = set()

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        loop = asyncio.get_running_loop()
        if id(loop) not in prepared:
            loop.set_default_executor(threads)
            prepared.add(id(loop))
        path: str = scope["path"]
        if path.startswith(PREFIX + "/") or path == PREFIX:
            await api(scope, receive, send)
        elif path == "/__ping__":
            await Reply(Request.of(scope), send).text(200, "pong\n", [(b"cache-control", b"no-store")])
        elif path in ("", "/"):
            await home(scope, receive, send)
        else:
            await serve(scope, receive, send)

    return site
