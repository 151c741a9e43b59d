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
from starlette.types import Receive, Scope, Send

from entrepot.core.access import ANONYMOUS
from entrepot.core.errors import EntrepotError, Invalid, NotFound
from entrepot.web.context import Context
from entrepot.web.errors import INTERNAL, status_of
from entrepot.web.origin import base_of, is_secure
from entrepot.web.ui import device, home, login
from entrepot.web.ui.paths import CALLBACK, DEVICE, LOGIN, LOGOUT, SSO
from entrepot.web.ui.rendering import page
from entrepot.web.ui.visits import Visit

_log = logging.getLogger(__name__)


class Pages:
    """The ASGI application of `/`, the sign-in and the device page."""

    def __init__(self, context: Context) -> None:
        self._pages = Starlette(
            routes=[
                Route("/", home.show, methods=["GET"]),
                Route(LOGIN, login.show, methods=["GET"]),
                Route(LOGIN, login.with_token, methods=["POST"]),
                Route(SSO, login.go_to_provider, methods=["GET"]),
                Route(CALLBACK, login.come_back, methods=["GET"]),
                Route(LOGOUT, login.out, methods=["POST"]),
                Route(DEVICE, device.show, methods=["GET"]),
                Route(DEVICE, device.decide, methods=["POST"]),
            ],
            exception_handlers={
                EntrepotError: _known_error,
                HTTPException: _http_error,
                Exception: _bug,
            },
        )
        self._pages.router.redirect_slashes = False
        self._pages.state.context = context
        self._pages.state.tries = device.Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._pages({**scope, "path": scope["path"] or "/"}, receive, send)


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EntrepotError)
    return _told(request, error, status_of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        answer = _told(request, Invalid("this page is not asked for in that way", hint="use its buttons"), 405)
        answer.headers.update(error.headers or {})
        return answer
    kind = NotFound if error.status_code == 404 else Invalid
    return _told(request, kind("there is no such page"), error.status_code)


async def _bug(request: Request, error: Exception) -> Response:
    id_ = uuid.uuid4().hex[:12]
    _log.error("request %s: %s %s", id_, request.method, request.url.path, exc_info=error)
    return _told(request, EntrepotError(str(INTERNAL["error"]), hint=f"the request was {id_}"), 500)


def _told(request: Request, error: EntrepotError, status: int) -> Response:
    """An error as a page. It shows nobody's name: whoever asks may not be who they say."""
    settings = request.app.state.context.app.settings
    base = base_of(request.scope, settings)
    visit = Visit(ANONYMOUS, None, None, base, urlsplit(base).path, is_secure(request.scope, settings), "")
    answer = page("message.html", visit, status=status, title=_TITLES.get(status, "That did not work"), error=error)
    if status == 401 and "authorization" in request.headers:
        # For programs; a browser that sent nothing would ask for a password of which nobody knows anything.
        answer.headers["WWW-Authenticate"] = 'Basic realm="entrepot", charset="UTF-8"'
    if status == 429:
        answer.headers["Retry-After"] = str(math.ceil(float(str(error.payload.get("seconds", 1)))))
    return answer


_TITLES = {
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    429: "Too many tries",
    502: "The sign-in did not work",
    503: "Not available just now",
}
