"""Requests and errors in the shape that clients of OAuth expect (RFC 6749, 5.2): forms in, `error` out.

router = APIRouter(route_class=OAuthRoute)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from entrepot.core.errors import (
    EntrepotError,
    Forbidden,
    IdentityRefused,
    Invalid,
    ScopeRefused,
    TooMany,
    Unavailable,
    UpstreamInvalid,
    UpstreamUnavailable,
)
from entrepot.web.errors import status_of

LARGEST_FORM = 64 * 1024
MOST_FIELDS = 50
FORM_TYPE = "application/x-www-form-urlencoded"
NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_ERRORS: Mapping[type[EntrepotError], str] = {
    IdentityRefused: "invalid_grant",
    ScopeRefused: "invalid_scope",
    Forbidden: "access_denied",
    Invalid: "invalid_request",
    TooMany: "slow_down",
    UpstreamUnavailable: "temporarily_unavailable",
    UpstreamInvalid: "temporarily_unavailable",
    Unavailable: "temporarily_unavailable",
}
"""Kind of error -> `error`, the first that fits; clients of OAuth know these words alone."""
_OF_CLIENT = (IdentityRefused, Forbidden, Invalid)
"""What is answered with 400, whatever it is elsewhere: clients read the body of that status."""


class OAuthFault(BaseModel):
    """What such a route answers if it refuses."""

    error: str
    error_description: str


class OAuthError(Exception):
    """A refusal: `error` is one of the words that the protocol knows."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status


class OAuthRoute(APIRoute):
    """A route that answers errors as OAuth writes them, and lets nobody keep its answers."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except OAuthError as error:
                return refusal(error.error, error.description, error.status)
            except EntrepotError as error:
                return _translated(error)

        return handled


def refusal(error: str, description: str, status: int = 400, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """RFC 6749, 5.2."""
    body = {"error": error, "error_description": description}
    return JSONResponse(body, status, {**NOT_STORED, **(headers or {})})


def _translated(error: EntrepotError) -> JSONResponse:
    word = next((word for kind, word in _ERRORS.items() if isinstance(error, kind)), None)
    if word is None:
        raise error
    status = 400 if isinstance(error, _OF_CLIENT) else status_of(error)
    wait = error.payload.get("seconds", 10)
    headers = {"Retry-After": str(wait)} if word in ("temporarily_unavailable", "slow_down") else None
    return refusal(word, error.message + (f" ({error.hint})" if error.hint else ""), status, headers)


async def form(request: Request) -> dict[str, str]:
    """The fields of a form; one without a value is as good as none (RFC 6749, 3.2).

    Raises:
        OAuthError: it is no form, larger than 64 KiB, or has a field twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM_TYPE:
        raise OAuthError("invalid_request", f"send a form: Content-Type: {FORM_TYPE}")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            raise OAuthError("invalid_request", f"the form is larger than {LARGEST_FORM} bytes")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise OAuthError("invalid_request", "the form can't be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "the form has a field twice")
    return {name: value for name, value in fields.items() if value}


def form_schema(**fields: str) -> dict[str, Any]:
    """`openapi_extra` of a route that takes a form: field -> what it is; those that begin with `*` have to be there."""
    properties = {name: {"type": "string", "description": text.lstrip("*")} for name, text in fields.items()}
    required = [name for name, text in fields.items() if text.startswith("*")]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {FORM_TYPE: {"schema": schema}}}}


FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthFault, "description": "refused"},
    503: {"model": OAuthFault, "description": "what it depends on is away"},
}
"""`responses` of such a route."""
