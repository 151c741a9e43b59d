"""All pages as one ASGI application: routes, forms, and errors as people read them."""

from __future__ import annotations

import logging
import math
import uuid
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from entrepot.core.access import ANONYMOUS
from entrepot.core.errors import EntrepotError, Invalid, NotFound
from entrepot.web.context import Context
from entrepot.web.errors import INTERNAL, status_of
from entrepot.web.origin import base_of, is_secure
from entrepot.web.ui import (
    activity,
    admin,
    adminorder,
    adminrepos,
    adminsources,
    admintokens,
    assets,
    builds,
    calendar,
    check,
    compare,
    device,
    home,
    jobs,
    login,
    package,
    packagelists,
    packages,
    proposals,
    setup,
    sources,
    status,
    usage,
)
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.helping import ways_on
from entrepot.web.ui.paths import STATIC, UI
from entrepot.web.ui.rendering import moved, page
from entrepot.web.ui.texts import all_texts, text
from entrepot.web.ui.turns import SignInFirst, Turn
from entrepot.web.ui.visits import Visit

_log = logging.getLogger(__name__)


PAGES = (
    home,
    packages,
    packagelists,
    package,
    login,
    device,
    setup,
    calendar,
    compare,
    check,
    activity,
    sources,
    proposals,
    builds,
    jobs,
    status,
    admin,
    adminrepos,
    adminorder,
    adminsources,
    admintokens,
    usage,
)
"""All modules with pages; each has `ROUTES`."""
ROUTES = [route for module in PAGES for route in module.ROUTES]


class Pages:
    """The ASGI application of all pages, and of what they are made with; `api` is the API that they ask."""

    def __init__(self, context: Context, api: ASGIApp) -> None:
        self._pages = Starlette(
            routes=[
                *ROUTES,
                Route(UI, to_home, methods=["GET"]),
                Route(f"{UI}/", to_home, methods=["GET"]),
                Route(STATIC + "/{digest}/{name}", assets.give, methods=["GET"]),
            ],
            exception_handlers={
                SignInFirst: _sign_in_first,
                EntrepotError: _known_error,
                HTTPException: _http_error,
                Exception: _bug,
            },
        )
        self._pages.router.redirect_slashes = False
        self._pages.state.context = context
        self._pages.state.api = api
        self._pages.state.tries = device.Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._pages({**scope, "path": scope["path"] or "/"}, receive, send)


async def to_home(request: Request) -> Response:
    context: Context = request.app.state.context
    return moved(urlsplit(base_of(request.scope, context.app.settings)).path + "/")


async def _sign_in_first(_: Request, error: Exception) -> Response:
    assert isinstance(error, SignInFirst)
    return moved(error.url)


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EntrepotError)
    return await _told(request, error, error.status if isinstance(error, Refused) else status_of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        answer = await _told(request, Invalid("this page is not asked for in that way", hint="use its buttons"), 405)
        answer.headers.update(error.headers or {})
        return answer
    kind = NotFound if error.status_code == 404 else Invalid
    return await _told(request, kind("there is no such page"), error.status_code)


async def _bug(request: Request, error: Exception) -> Response:
    id_ = uuid.uuid4().hex[:12]
    _log.error("request %s: %s %s", id_, request.method, request.url.path, exc_info=error)
    return await _told(request, EntrepotError(str(INTERNAL["error"]), hint=f"the request was {id_}"), 500)


async def _told(request: Request, error: EntrepotError, status: int) -> Response:
    """An error as a page. Where it came up before it was known who asks, it shows nobody's name."""
    settings = request.app.state.context.app.settings
    turn: Turn | None = getattr(request.state, "turn", None)
    ways = await ways_on(turn, error) if turn is not None and status < 500 else []
    if turn is not None:
        visit = turn.visit
    else:
        base = base_of(request.scope, settings)
        visit = Visit(ANONYMOUS, None, None, base, urlsplit(base).path, is_secure(request.scope, settings), "")
    title = text(f"message.title.{status}" if f"message.title.{status}" in all_texts() else "message.title.other")
    answer = page("message.html", visit, status=status, turn=turn, title=title, error=error, ways=ways)
    if status == 401 and "authorization" in request.headers:
        # For programs; a browser that sent nothing would ask for a password of which nobody knows anything.
        answer.headers["WWW-Authenticate"] = 'Basic realm="entrepot", charset="UTF-8"'
    if status == 429:
        answer.headers["Retry-After"] = str(math.ceil(float(str(error.payload.get("seconds", 1)))))
    return answer
