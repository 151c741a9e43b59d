"""The server's own address, as clients are to use it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from entrepot.web.api.deps import AppDep
from entrepot.web.origin import base_of


async def address(app: AppDep, request: Request) -> str:
    return base_of(request.scope, app.settings)


Address = Annotated[str, Depends(address)]
