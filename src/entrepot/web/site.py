"""The whole site: finished answers on the wire, behind them one ASGI application for clients, API and pages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from entrepot.web.api.app import PREFIX, make_api
from entrepot.web.api.deps import Context
from entrepot.web.reply import Reply, Request
from entrepot.web.serve import Serve
from entrepot.web.ui.home import Home
from entrepot.web.wire import wire_for

THREADS = 32
"""For what blocks: the database and the store. More than SQLite or two cores can use, enough to hide a slow store."""


def configure(context: Context, **options: Any) -> uvicorn.Config:
    """The site over an open `App` as uvicorn runs it; `options` are more of `uvicorn.Config`."""
    serve = Serve(context.app)
    return uvicorn.Config(
        _site(context, serve),
        http=wire_for(serve.hot),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **options,
    )


def _site(context: Context, serve: Serve) -> ASGIApp:
    api, home = make_api(context), Home(context.app)
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
            await Reply(Request.of(scope), receive, send).text(200, "pong\n", [(b"cache-control", b"no-store")])
        elif path in ("", "/"):
            await home(scope, receive, send)
        else:
            await serve(scope, receive, send)

    return site
