"""`/tokens`: tokens for people and programs, whose texts are shown once; `/whoami`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response, status
from pydantic import BaseModel, Field

from entrepot.core.access import Access, Scope, TokenKind, parse_names
from entrepot.core.errors import Forbidden, Invalid, TokenNotFound
from entrepot.core.lifetimes import NEVER, parse_lifetime
from entrepot.operations import tokens
from entrepot.operations.tokens import TokenInfo
from entrepot.web.api import schemas
from entrepot.web.api.credentials import Secret
from entrepot.web.api.deps import AppDep, Caller, ContextDep, PageDep
from entrepot.web.audit import Told, tell
from entrepot.web.context import Context

Names = list[Annotated[str, Field(max_length=200)]]


async def _not_kept(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(tags=["tokens"], dependencies=[Depends(_not_kept)])


class NewToken(schemas.In):
    """`repos` and `sources` are names, or "*" for all, that `repos:read` and `sources:write` are given for; `expires`
    is a time such as `30s`, `15m`, `5h` or `20d`, or `never`; `user` is whose token it is, else whoever makes it."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)]
    repos: Names = Field(default=[], max_length=1000)
    sources: Names = Field(default=[], max_length=1000)
    description: schemas.Text
    user: Annotated[str, Field(max_length=tokens.LONGEST_USER)] | None = None
    expires: Annotated[str, Field(max_length=20)] = NEVER


class Revocation(schemas.In):
    """Which token: by its guid, or by its text."""

    guid: Annotated[str, Field(max_length=100)] | None = None
    token: Secret | None = None


class TokenShape(BaseModel):
    """`start` are the first characters of its secret; `via` is the federation or sign-in that it comes from."""

    guid: str
    start: str
    kind: TokenKind
    via: str | None
    user: str
    description: str
    scopes: list[str]
    state: Literal["good", "expired", "revoked"]
    created: datetime
    created_by: str
    expires: datetime | None
    revoked: datetime | None
    revoked_by: str | None
    last_used: datetime | None
    last_address: str | None

    @classmethod
    def of(cls, info: TokenInfo, now: datetime) -> TokenShape:
        token = info.token
        return cls(
            guid=token.guid,
            start=token.start,
            kind=token.kind,
            via=token.via,
            user=token.actor,
            description=token.description,
            scopes=list(info.scopes),
            state="revoked" if token.revoked else "good" if token.is_good(now) else "expired",
            created=token.created,
            created_by=token.created_by,
            expires=token.expires,
            revoked=token.revoked,
            revoked_by=token.revoked_by,
            last_used=token.last_used,
            last_address=token.last_address,
        )


class CreatedToken(TokenShape):
    """With its text, which is shown this once."""

    token: str


class Who(BaseModel):
    """Who asks. `kind`, `via`, `guid` and `expires` are those of the token that was sent; the administrator's token of
    the server's data folder has none of them."""

    actor: str
    scopes: list[str]
    guid: str | None
    kind: TokenKind | None
    via: str | None
    expires: datetime | None
    is_session: bool


@router.post("/tokens", status_code=status.HTTP_201_CREATED)
def create_token(request: Request, app: AppDep, caller: Caller, body: NewToken) -> CreatedToken:
    issued = tokens.create_token(
        app,
        scopes=body.scopes,
        repos=_names(body.repos),
        sources=_names(body.sources),
        description=body.description,
        by=caller,
        user=body.user,
        lifetime=parse_lifetime(body.expires),
    )
    shape = TokenShape.of(tokens.token_info(app, issued.token.guid), app.clock())
    tell(request.scope, Told(detail=f"guid={shape.guid} {' '.join(shape.scopes)}"))
    return CreatedToken(**shape.model_dump(), token=issued.text)


@router.get("/tokens")
def list_tokens(
    app: AppDep,
    page: PageDep,
    response: Response,
    expired: Annotated[bool, Query(description="also those that ended by themselves")] = False,
    revoked: Annotated[bool, Query(description="also those that were ended")] = False,
    kind: Annotated[TokenKind | Literal["all"], Query(description="api: made here")] = TokenKind.API,
) -> list[TokenShape]:
    """The newest first."""
    infos, total = tokens.list_tokens(
        app,
        kinds=None if kind == "all" else (kind,),
        expired=expired,
        revoked=revoked,
        limit=page.limit,
        offset=page.offset,
    )
    response.headers["X-Total-Count"] = str(total)
    now = app.clock()
    return [TokenShape.of(info, now) for info in infos]


@router.get("/tokens/{guid}")
def get_token(app: AppDep, guid: str) -> TokenShape:
    return TokenShape.of(tokens.token_info(app, guid), app.clock())


@router.delete("/tokens/{guid}", status_code=status.HTTP_204_NO_CONTENT)
def delete_token(context: ContextDep, caller: Caller, guid: str) -> None:
    _revoke(context, guid, caller)


@router.post("/tokens/revoke")
def revoke_token(request: Request, context: ContextDep, caller: Caller, body: Revocation) -> TokenShape:
    """End a token. Whoever may not do everything can end the one that they send with this request alone."""
    if (body.guid is None) == (body.token is None):
        raise Invalid("name the token by its guid or by its text", hint="give one of guid and token")
    try:
        guid = body.guid if body.token is None else tokens.guid_of(context.app, body.token.get_secret_value())
    except TokenNotFound:
        if caller.is_admin:
            raise
        guid = None
    if guid is None or not (caller.is_admin or guid == caller.guid):
        raise Forbidden(
            "this token may end itself alone", hint="a token with the scope global:admin can end every other one"
        )
    tell(request.scope, Told(subject=f"guid={guid}"))
    return TokenShape.of(_revoke(context, guid, caller), context.app.clock())


@router.get("/whoami")
def whoami(app: AppDep, caller: Caller) -> Who:
    return Who(
        actor=caller.actor,
        scopes=list(tokens.scopes_of(app, caller)),
        guid=caller.guid,
        kind=caller.kind,
        via=caller.via,
        expires=caller.expires,
        is_session=caller.is_session,
    )


def _revoke(context: Context, guid: str, caller: Access) -> TokenInfo:
    """Raises TokenNotFound."""
    info = tokens.revoke_token(context.app, guid, by=caller.actor)
    context.door.forget()
    return info


def _names(names: list[str]) -> frozenset[str] | None:
    """Raises Invalid."""
    return parse_names(",".join(names)) if names else frozenset()
