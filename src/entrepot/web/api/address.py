"""The server's own address, as clients are to use it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from entrepot.web.api.deps import AppDep


def address(app: AppDep, request: Request) -> str:
    """`[server] address`, else the one by which the client came; without a slash at its end."""
    configured = app.settings.server.address
    return (configured or f"{request.url.scheme}://{request.headers.get('host', '')}").rstrip("/")


Address = Annotated[str, Depends(address)]
