"""Sign-in of programs without a browser (RFC 8628), as the product's clients speak it."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from entrepot.operations import devices as operations
from entrepot.operations.devices import Refused
from entrepot.web.api.deps import AppDep
from entrepot.web.api.oauth import FAULTS, NOT_STORED, OAuthError, OAuthFault, OAuthRoute, form, form_schema
from entrepot.web.origin import address_of, base_of
from entrepot.web.ui.paths import DEVICE

router = APIRouter(route_class=OAuthRoute)
_WORDS = {
    Refused.PENDING: "nobody allowed or denied it yet",
    Refused.SLOW_DOWN: f"ask less often: {operations.SLOWER_BY} seconds more between two questions",
    Refused.DENIED: "the person denied it",
    Refused.EXPIRED: "nobody allowed it in time; begin again",
    Refused.INVALID: "there is no such device code, its verifier is wrong, or it was used already",
}


class DeviceAnswer(BaseModel):
    """RFC 8628, 3.2; times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class IdentityAnswer(BaseModel):
    """An identity to be exchanged at `/token`, once and at once."""

    id_token: str
    token_type: str = "N_A"
    expires_in: int


@router.post(
    "/device",
    response_model=DeviceAnswer,
    responses={**FAULTS, 429: {"model": OAuthFault, "description": "too many wait already"}},
    openapi_extra=form_schema(
        code_challenge_method="*S256", code_challenge="*SHA-256 of the verifier in base64url without padding"
    ),
)
async def begin_device_login(request: Request, app: AppDep) -> JSONResponse:
    """Let a program wait for a person who allows it to sign in, on the page `verification_uri`."""
    fields = await form(request)
    begun = await run_in_threadpool(
        operations.begin,
        app,
        method=fields.get("code_challenge_method", ""),
        challenge=fields.get("code_challenge", ""),
        address=address_of(request.scope, app.settings),
    )
    page = base_of(request.scope, app.settings) + DEVICE
    answer = DeviceAnswer(
        device_code=begun.device_code,
        user_code=begun.user_code,
        verification_uri=page,
        verification_uri_complete=f"{page}?user_code={quote(begun.user_code)}",
        expires_in=begun.expires_in,
        interval=begun.interval,
    )
    return JSONResponse(answer.model_dump(), headers=NOT_STORED)


@router.post(
    "/device_access",
    response_model=IdentityAnswer,
    responses=FAULTS,
    openapi_extra=form_schema(device_code="*of `/device`", code_verifier="*what the challenge was made of"),
)
async def finish_device_login(request: Request, app: AppDep) -> JSONResponse:
    """What a program gets that waits, given once. Until then 400 with `error` `authorization_pending` or `slow_down`,
    and at the end `access_denied`, `expired_token` or `invalid_grant`."""
    fields = await form(request)
    for name in ("device_code", "code_verifier"):
        if name not in fields:
            raise OAuthError("invalid_request", f"{name} is missing")
    found = await run_in_threadpool(operations.poll, app, fields["device_code"], fields["code_verifier"])
    if isinstance(found, Refused):
        raise OAuthError(found.value, _WORDS[found])
    seconds = int(operations.REDEEMED_WITHIN.total_seconds())
    return JSONResponse(IdentityAnswer(id_token=found, expires_in=seconds).model_dump(), headers=NOT_STORED)
