"""The FastAPI application of the JSON API."""

from __future__ import annotations

import logging
import uuid
from tempfile import gettempdir

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrepot import __version__
from entrepot.core.errors import EntrepotError, Invalid, TooLarge
from entrepot.core.room import is_no_room, out_of_space
from entrepot.web.api import (
    binaries,
    bioconductor,
    builders,
    checking,
    clients,
    comparing,
    credentials,
    jobs,
    proposals,
    repos,
    service,
    setup,
    sources,
    sysreqs,
    targets,
)
from entrepot.web.auth import actor_of
from entrepot.web.context import PREFIX, Context
from entrepot.web.errors import INTERNAL, status_of

_log = logging.getLogger(__name__)
SMALL_BODY = 1024**2
LISTS = ("/proposals", "/check")
"""Ends of paths that take lists of packages: lock files have some megabytes."""
READS = ("/filter/packages", "/sysreqs")
"""Ends of paths that are asked with POST and change nothing."""
LIST_BODY = 32 * 1024**2


def make_api(context: Context) -> FastAPI:
    """The API over an open application."""
    api = FastAPI(
        title="Entrepot", version=__version__, openapi_url=f"{PREFIX}/openapi.json", docs_url=None, redoc_url=None
    )
    api.state.context = context
    for router in (
        repos.router,
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
        setup.router,
    ):
        api.include_router(router, prefix=PREFIX)
    api.add_exception_handler(EntrepotError, _known_error)
    api.add_exception_handler(RequestValidationError, _invalid_request)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(Exception, _bug)
    api.add_middleware(Guard, token=context.token, max_upload=context.app.settings.local.max_upload)
    return api


class Guard:
    """Before a body is read: who may write, and how much may come (`max_upload` of files, 32 MiB of lists of packages,
    else 1 MiB)."""

    def __init__(self, app: ASGIApp, *, token: str, max_upload: int) -> None:
        self._app = app
        self._token = token
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = LIST_BODY if scope["path"].endswith(LISTS) else SMALL_BODY
        if headers.get("content-type", "").startswith("multipart/"):
            limit = self._max_upload
        came = 0

        async def bounded() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                raise _too_large(limit)
            return message

        async def checked(message: Message) -> None:
            # The framework takes whatever reading a body raises for a malformed one; this is what was wrong.
            if came > limit and message["type"] == "http.response.start":
                raise _too_large(limit)
            await send(message)

        try:
            if not (scope["method"] == "POST" and scope["path"].endswith(READS)):
                actor_of(headers.get("authorization"), self._token)
            length = headers.get("content-length", "0")
            if not (length.isascii() and length.isdigit()):
                raise Invalid("Content-Length is not a number")
            if int(length) > limit:
                raise _too_large(limit)
            await self._app(scope, bounded, checked)
        except EntrepotError as error:
            await _answer(error)(scope, receive, send)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the request is larger than {limit} bytes", hint="[local] max_upload is the limit of uploads")


def _known_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EntrepotError)
    return _answer(error)


def _answer(error: EntrepotError) -> JSONResponse:
    status = status_of(error)
    headers = {"WWW-Authenticate": 'Bearer realm="entrepot"'} if status == 401 else None
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
