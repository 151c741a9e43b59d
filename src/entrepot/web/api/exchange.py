"""Token exchange (RFC 8693): an identity in, a token for a short time out."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from entrepot.operations import exchange as operations
from entrepot.web.api.deps import AppDep
from entrepot.web.api.oauth import FAULTS, NOT_STORED, OAuthError, OAuthFault, OAuthRoute, form, form_schema
from entrepot.web.audit import Told, tell

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPE = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN = f"{_TYPE}access_token"
SUBJECTS = frozenset({f"{_TYPE}id_token", f"{_TYPE}jwt"})

router = APIRouter(route_class=OAuthRoute)


class TokenAnswer(BaseModel):
    """RFC 8693, 2.2.1; `scope` are our scopes with spaces between them."""

    access_token: str
    issued_token_type: str = ACCESS_TOKEN
    token_type: str = "Bearer"
    expires_in: int
    scope: str


@router.post(
    "/token",
    response_model=TokenAnswer,
    responses={**FAULTS, 502: {"model": OAuthFault, "description": "what the issuer publishes can't be used"}},
    openapi_extra=form_schema(
        grant_type=f"*{GRANT}",
        subject_token="*the ID token",
        subject_token_type=f"*{_TYPE}id_token or {_TYPE}jwt",
        requested_token_type=f"{ACCESS_TOKEN}, which is what one gets anyway",
        scope="scopes with spaces between them: what to be given of all that would be; nothing: all",
        audience="not looked at: tokens are for this server",
    ),
)
async def exchange_token(request: Request, app: AppDep) -> JSONResponse:
    """A token for whoever an identity is of: the ID token of a trusted issuer, or what a device was given."""
    fields = await form(request)
    grant = fields.get("grant_type")
    if grant is None:
        raise OAuthError("invalid_request", "grant_type is missing")
    if grant != GRANT:
        raise OAuthError("unsupported_grant_type", f"grant_type is {GRANT}")
    subject_token = fields.get("subject_token", "").strip()  # some files of tokens end with a line
    if not subject_token:
        raise OAuthError("invalid_request", "subject_token is missing")
    if fields.get("subject_token_type") not in SUBJECTS:
        raise OAuthError("invalid_request", f"subject_token_type is {' or '.join(sorted(SUBJECTS))}")
    if fields.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise OAuthError("invalid_request", f"requested_token_type is {ACCESS_TOKEN}")
    if "actor_token" in fields:
        raise OAuthError("invalid_request", "actor_token is not taken: nobody acts for somebody else here")
    await operations.prepare(app, subject_token)
    found = await run_in_threadpool(operations.exchange, app, subject_token, fields.get("scope"))
    token = found.issued.token
    tell(request.scope, Told(token.actor, token.guid, token.via or "device login", " ".join(found.scopes)))
    answer = TokenAnswer(access_token=found.issued.text, expires_in=found.expires_in, scope=" ".join(found.scopes))
    return JSONResponse(answer.model_dump(), headers=NOT_STORED)
