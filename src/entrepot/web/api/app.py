"""The FastAPI application of the JSON API."""

from __future__ import annotations

import logging
import math
import uuid
from tempfile import gettempdir

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrepot import __version__
from entrepot.core.access import ANONYMOUS
from entrepot.core.errors import EntrepotError, Invalid, TooLarge, TooMany, Unauthenticated
from entrepot.core.room import is_no_room, out_of_space
from entrepot.web.api import (
    aboutpackages,
    activity,
    audit,
    binaries,
    bioconductor,
    bootstrap,
    builders,
    checking,
    clients,
    comparing,
    credentials,
    days,
    devices,
    exchange,
    handover,
    jobs,
    metrics,
    proposals,
    repos,
    search,
    service,
    setup,
    sources,
    sysreqs,
    targets,
    tokens,
    upkeep,
)
from entrepot.web.audit import Audited, note_guarded
from entrepot.web.context import PREFIX, Context
from entrepot.web.door import Entrant, check_from_page
from entrepot.web.errors import INTERNAL, status_of
from entrepot.web.policy import POLICY, Need, asked, check, is_quick
from entrepot.web.streams import in_thread

_log = logging.getLogger(__name__)
SMALL_BODY = 1024**2
LISTS = ("/proposals", "/check")
"""Ends of paths that take lists of packages: lock files have some megabytes. Those of callers who are known: what
anybody may send costs less."""
LIST_BODY = 32 * 1024**2


def make_api(context: Context) -> FastAPI:
    """The API over an open application."""
    api = FastAPI(
        title="Entrepot", version=__version__, openapi_url=f"{PREFIX}/openapi.json", docs_url=None, redoc_url=None
    )
    api.state.context = context
    # A redirect would lead a client with its token to the scheme and host that stand in its request.
    api.router.redirect_slashes = False
    for router in (
        repos.router,
        aboutpackages.router,
        search.router,
        activity.router,
        days.router,
        handover.router,
        sources.router,
        binaries.router,
        bioconductor.router,
        proposals.router,
        comparing.router,
        checking.router,
        clients.router,
        jobs.router,
        credentials.router,
        builders.every,
        builders.router,
        targets.router,
        sysreqs.router,
        service.router,
        upkeep.router,
        setup.router,
        tokens.router,
        bootstrap.router,
        devices.router,
        exchange.router,
        audit.router,
        metrics.router,
    ):
        api.include_router(router, prefix=PREFIX)
    api.add_exception_handler(EntrepotError, _known_error)
    api.add_exception_handler(RequestValidationError, _invalid_request)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(Exception, _bug)
    api.add_middleware(Audited, entrepot=context.app)
    api.add_middleware(Guard, context=context)
    _check_all_have_rules(api)
    return api


def _check_all_have_rules(api: FastAPI) -> None:
    """A route that nobody wrote a rule for would be open."""
    for route in api.routes:
        for method in getattr(route, "methods", None) or ():
            rule = method, getattr(route, "path", "").removeprefix(PREFIX)
            if method not in ("HEAD", "OPTIONS") and rule not in POLICY:
                raise RuntimeError(f"web.policy has no rule for {' '.join(rule)}")


class Guard:
    """Before a body is read: who asks, whether they may, and how much may come (`max_upload` of files, 32 MiB of lists
    of packages of those who are known, else 1 MiB)."""

    def __init__(self, app: ASGIApp, *, context: Context) -> None:
        self._app = app
        self._context = context
        self._max_upload = context.app.settings.local.max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._guarded(scope)
            if scope["state"]["access"].is_known:
                send = _for_them_alone(send)
            if scope["method"] in ("GET", "HEAD", "OPTIONS"):
                await self._app(scope, receive, send)
            else:
                await self._bounded(scope, receive, send)
        except EntrepotError as error:
            await _answer(error)(scope, receive, send)

    async def _guarded(self, scope: Scope) -> None:
        """As `_admit`; a refusal is written down."""
        try:
            await self._admit(scope)
        except EntrepotError as error:
            note_guarded(self._context.app, scope, error)
            raise

    async def _admit(self, scope: Scope) -> None:
        """Raises Unauthenticated, Forbidden, TooMany."""
        context = self._context
        wanted = asked(scope["method"], scope["path"].removeprefix(PREFIX))
        try:
            entrant = await context.door.entrant(scope)
        except (Unauthenticated, TooMany):
            # Clients send what a ~/.netrc has with everything, also where they ask for a token in the place of that.
            if wanted is None or wanted.need is not Need.OPEN:
                raise
            entrant = Entrant(ANONYMOUS)
        scope.setdefault("state", {})["access"] = entrant.access
        scope["state"]["session"] = entrant.session
        if wanted is None:
            return
        scope["state"]["asked"] = wanted
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            check_from_page(entrant, scope, context.app)
        if is_quick(wanted.need, entrant.access):
            check(context.app, entrant.access, wanted)
        else:
            await in_thread(check, context.app, entrant.access, wanted)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises TooLarge, Invalid."""
        headers = Headers(scope=scope)
        is_list, is_known = scope["path"].endswith(LISTS), scope["state"]["access"].is_known
        limit = LIST_BODY if is_list and is_known else SMALL_BODY
        for_all = is_list and not is_known
        wanted = scope["state"].get("asked")
        takes_files = wanted is not None and wanted.need is Need.WRITE_SOURCE
        if takes_files and headers.get("content-type", "").startswith("multipart/"):
            limit = self._max_upload
        came = 0

        async def bounded() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                raise _too_large(limit, for_all=for_all)
            return message

        async def checked(message: Message) -> None:
            # The framework takes whatever reading a body raises for a malformed one; this is what was wrong.
            if came > limit and message["type"] == "http.response.start":
                raise _too_large(limit, for_all=for_all)
            await send(message)

        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Invalid("Content-Length is not a number")
        if int(length) > limit:
            raise _too_large(limit, for_all=for_all)
        await self._app(scope, bounded, checked)


def _for_them_alone(send: Send) -> Send:
    """`send` of answers that no cache keeps, if they don't say more: a session's cookie says to no cache, as an
    Authorization header does, that others are told something else (RFC 9111, 3.5)."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(name == b"cache-control" for name, _ in headers):
                message = {**message, "headers": [*headers, (b"cache-control", b"no-store")]}
        await send(message)

    return sending


def _too_large(limit: int, *, for_all: bool) -> TooLarge:
    hint = "[local] max_upload is the limit of uploads"
    if for_all:
        hint = "with a token, or signed in, a list of packages may be larger; or check it in parts"
    return TooLarge(f"the request is larger than {limit} bytes", hint=hint)


def _known_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EntrepotError)
    return _answer(error)


def _answer(error: EntrepotError) -> JSONResponse:
    status = status_of(error)
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="entrepot"'
    if status == 429:
        headers["Retry-After"] = str(math.ceil(float(str(error.payload.get("seconds", 1)))))
    return JSONResponse(error.as_json(), status, headers)


def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in error.errors()]
    body = {"code": "invalid", "error": "; ".join(faults), "hint": "see /__api__/openapi.json", "payload": None}
    return JSONResponse(body, 422)


def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if is_no_room(error.__cause__):
        # The framework takes it for a malformed body; it is its temporary file that could not grow.
        return _answer(out_of_space(f"the upload could not be received in {gettempdir()}"))
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid")
    body = {"code": code, "error": str(error.detail), "hint": "see /__api__/openapi.json", "payload": None}
    return JSONResponse(body, error.status_code, error.headers)


def _bug(request: Request, error: Exception) -> JSONResponse:
    id_ = uuid.uuid4().hex[:12]
    _log.error("request %s: %s %s", id_, request.method, request.url.path, exc_info=error)
    return JSONResponse({**INTERNAL, "payload": {"request": id_}}, 500)
