"""The whole site: finished answers on the wire, behind them one ASGI application for clients, API and pages."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from entrepot.web.context import PREFIX, Context
from entrepot.web.metrics import CONTENT_TYPE
from entrepot.web.reply import Reply, Request, pieces
from entrepot.web.serve import Serve
from entrepot.web.ui.paths import is_page
from entrepot.web.upload import PREFIX as UPLOAD
from entrepot.web.upload import Uploads
from entrepot.web.wire import wire_for

THREADS = 32
"""For what blocks: the database and the store. More than SQLite or two cores can use, enough to hide a slow store."""
LOAD_PAGES_AFTER = 3.0
"""Seconds after the start."""


def configure(context: Context, **options: Any) -> uvicorn.Config:
    """The site over an open `App` as uvicorn runs it; `options` are more of `uvicorn.Config`."""
    serve = Serve(context.app, context.door)
    return uvicorn.Config(
        _site(context, serve),
        http=wire_for(serve.hot, context.door, context.app.usage),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **options,
    )


class _Pages:
    """The API and the pages for people, loaded a little after the start or when somebody asks for them.

    Loading them takes a third of the start, and package clients need neither.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self.made: tuple[ASGIApp, ASGIApp] | None = None
        timer = threading.Timer(LOAD_PAGES_AFTER, self.get)
        timer.daemon = True
        timer.start()

    async def ready(self) -> tuple[ASGIApp, ASGIApp]:
        """Both as ASGI applications."""
        if self.made is not None:
            return self.made
        return await asyncio.get_running_loop().run_in_executor(None, self.get)

    def get(self) -> tuple[ASGIApp, ASGIApp]:
        """As `ready`; blocks for a second the first time."""
        with self._lock:
            if self.made is None:
                from entrepot.web.api.app import make_api
                from entrepot.web.ui.pages import Pages

                api = make_api(self._context)
                self.made = api, Pages(self._context, api)
            return self.made


def _site(context: Context, serve: Serve) -> ASGIApp:
    pages = _Pages(context)
    uploads = Uploads(context)
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
            api, _ = await pages.ready()
            await api(scope, receive, send)
        elif path.startswith(UPLOAD + "/"):
            await uploads(scope, receive, send)
        elif path == "/__ping__":
            await Reply(Request.of(scope), receive, send).text(200, "pong\n", [(b"cache-control", b"no-store")])
        elif path == "/metrics":
            headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
            body = serve.metrics.text()
            await Reply(Request.of(scope), receive, send).entity(headers, None, len(body), pieces(body))
        elif is_page(path):
            _, shown = await pages.ready()
            await shown(scope, receive, send)
        else:
            await serve(scope, receive, send)

    return site
