"""The FastAPI application of the JSON API."""

from __future__ import annotations

import logging
import uuid

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from entrepot import __version__
from entrepot.core.errors import EntrepotError
from entrepot.web.api import repos, service, sources
from entrepot.web.api.deps import Context
from entrepot.web.errors import INTERNAL, status_of

_log = logging.getLogger(__name__)
PREFIX = "/__api__"


def make_api(context: Context) -> FastAPI:
    """The API over an open application."""
    api = FastAPI(
        title="Entrepot", version=__version__, openapi_url=f"{PREFIX}/openapi.json", docs_url=None, redoc_url=None
    )
    api.state.context = context
    for router in (repos.router, sources.router, service.router):
        api.include_router(router, prefix=PREFIX)
    api.add_exception_handler(EntrepotError, _known_error)
    api.add_exception_handler(RequestValidationError, _invalid_request)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(Exception, _bug)
    return api


def _known_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EntrepotError)
    status = status_of(error)
    headers = {"WWW-Authenticate": 'Bearer realm="entrepot"'} if status == 401 else None
    return JSONResponse(error.as_json(), status, headers)


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in error.errors()]
    body = {"code": "invalid", "error": "; ".join(faults), "hint": "see /__api__/openapi.json", "payload": None}
    return JSONResponse(body, 422)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid")
    body = {"code": code, "error": str(error.detail), "hint": "see /__api__/openapi.json", "payload": None}
    return JSONResponse(body, error.status_code, error.headers)


def _bug(request: Request, error: Exception) -> JSONResponse:
    id_ = uuid.uuid4().hex[:12]
    _log.error("request %s: %s %s", id_, request.method, request.url.path, exc_info=error)
    return JSONResponse({**INTERNAL, "payload": {"request": id_}}, 500)

