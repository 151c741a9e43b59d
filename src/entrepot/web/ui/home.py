"""The home page: repositories with the lines to use them, and how the mirrors are doing."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, Template, select_autoescape
from starlette.datastructures import URL
from starlette.types import Receive, Scope, Send

from entrepot import __version__
from entrepot.app import App
from entrepot.operations import repositories, sources, syncing
from entrepot.web.api import schemas

_TEMPLATES = Path(__file__).parent / "templates"


class Home:
    """The ASGI application of `/`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        base = self._app.settings.server.address or str(URL(scope=scope).replace(path="", query="")).rstrip("/")
        body = await asyncio.to_thread(self._render, base)
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-cache"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    @cached_property
    def _template(self) -> Template:
        environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=select_autoescape(default=True))
        return environment.get_template("home.html")

    def _render(self, base: str) -> bytes:
        repos = [schemas.Repository.of(info) for info in repositories.list_repositories(self._app)]
        found = sources.list_sources(self._app)
        shown: list[dict[str, Any]] = []
        for info in found:
            next_sync = syncing.next_sync(self._app, info.source, info.mirror) if info.mirror else None
            shown.append(schemas.Source.of(info, next_sync=next_sync).model_dump())
        return self._template.render(base=base, repos=repos, sources=shown, version=__version__).encode()
