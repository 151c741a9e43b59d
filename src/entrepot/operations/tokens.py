"""Tokens: made, given out, listed, revoked. Nobody makes one that may do more than they may."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core import tokens as texts
from entrepot.core.access import OF_NAMED, Access, Grants, Scope, ScopeText, TokenKind, is_within, merge
from entrepot.core.errors import Forbidden, Invalid, RepositoryNotFound, SourceNotFound, TokenNotFound, WrongType
from entrepot.core.model import SOURCE_TYPES_OF, SourceType
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import tokens as db_tokens
from entrepot.db.tokens import Token

LONGEST_DESCRIPTION = 500
LONGEST_USER = 200
KEPT_FOR = timedelta(days=30)
"""How long sessions and short-lived tokens stay in lists after they ended."""
MIRRORS = frozenset({SourceType.CRAN, SourceType.PYPI, SourceType.BIOCONDUCTOR})
WRITABLE = frozenset().union(*SOURCE_TYPES_OF.values()) - MIRRORS
"""Types of sources that somebody may be given to write to."""


class Issued(NamedTuple):
    """A new token: its text, which is shown this once, and what is kept of it."""

    text: str
    token: Token


class TokenInfo(NamedTuple):
    """A token with its scopes as they are written now: names of repositories and sources as they are today."""

    token: Token
    scopes: tuple[str, ...]


def create_token(
    app: App,
    *,
    scopes: Sequence[Scope],
    repos: frozenset[str] | None = frozenset(),
    sources: frozenset[str] | None = frozenset(),
    description: str,
    by: Access,
    user: str | None = None,
    lifetime: float | None = None,
) -> Issued:
    """A token for a person or a program.

    Args:
        repos, sources: names or ids that `repos:read` and `sources:write` are given for; None: all of them.
        user: whose it is, as transactions will call them; else whoever makes it.
        lifetime: seconds; None: it doesn't end by itself.

    Raises:
        Invalid: no scope, no description, or names without the scope that they are for.
        RepositoryNotFound, SourceNotFound, WrongType
        Forbidden: `by` may not do all that it would allow.
    """
    description, user = description.strip(), (user or "").strip() or by.actor
    if not description or len(description) > LONGEST_DESCRIPTION:
        raise Invalid(
            f"a token needs a description of 1 to {LONGEST_DESCRIPTION} characters",
            hint="say who or what will use it: --description='CI of team x'",
        )
    if len(user) > LONGEST_USER or not user.isprintable():
        raise Invalid(f"a token's user is at most {LONGEST_USER} printable characters")
    if not scopes:
        raise Invalid("a token needs a scope", hint=f"scopes are {', '.join(scope.value for scope in Scope)}")
    if lifetime is not None and not 1 <= lifetime <= 100 * 366 * 86400:
        raise Invalid("a token's time is between a second and a hundred years", hint="--expires=20d, or never")
    for scope, names, flag in ((Scope.REPOS_READ, repos, "repos"), (Scope.SOURCES_WRITE, sources, "sources")):
        if scope in scopes and names == frozenset():
            raise Invalid(f"{scope.value} needs to know for which", hint=f"--{flag}=NAME,NAME or --{flag}='*'")
        if scope not in scopes and names != frozenset():
            raise Invalid(f"--{flag} goes with the scope {scope.value}", hint=f"--scope={scope.value}")
    wanted = [ScopeText(s, {Scope.REPOS_READ: repos, Scope.SOURCES_WRITE: sources}.get(s)) for s in scopes]
    with app.db.read() as connection:
        grants = resolve_scopes(connection, wanted, strict=True)
    if not is_within(grants, by):
        raise Forbidden(
            "a token can't be given more than its maker may do", hint="`entrepot whoami` shows what that is"
        )
    return issue(
        app,
        kind=TokenKind.API,
        actor=user,
        grants=grants,
        description=description,
        created_by=by.actor,
        lifetime=lifetime,
    )


def issue(
    app: App,
    *,
    kind: TokenKind,
    actor: str,
    grants: Grants,
    created_by: str,
    lifetime: float | None,
    description: str = "",
    via: str | None = None,
    parent_id: int | None = None,
    is_dated: bool = False,
    within: Connection | None = None,
) -> Issued:
    """Make a token and write down what is kept of it.

    Args:
        lifetime: seconds; None: it doesn't end by itself.
        via: name of the federation or sign-in that it comes from.
        parent_id: the token without which it isn't good any more.
        is_dated: whether its text tells when it ends.
        within: the write transaction that it belongs to; else it gets one of its own.
    """
    now = app.clock()
    end = None if lifetime is None else now + timedelta(seconds=lifetime)
    text = texts.make_token(end if is_dated else None)
    with app.db.write(shows=False) if within is None else nullcontext(within) as connection:
        db_tokens.drop_ended(connection, now - KEPT_FOR)
        token = db_tokens.add(
            connection,
            guid=str(uuid.uuid4()),
            digest=texts.digest(text),
            start=texts.start_of(text),
            kind=kind,
            actor=actor,
            description=description,
            grants=grants,
            now=now,
            created_by=created_by,
            expires=end,
            via=via,
            parent_id=parent_id,
        )
    return Issued(text, token)


def resolve_scopes(connection: Connection, scopes: Iterable[ScopeText], *, strict: bool) -> Grants:
    """Scopes with the ids of what they name, so that a token stays one for the same repository whatever its name is.

    Args:
        strict: whether a name that nothing has is an error; else it is passed over.

    Raises:
        RepositoryNotFound, SourceNotFound, WrongType: with `strict`.
    """
    found: list[Grants] = []
    for each in scopes:
        if each.names is None or each.scope not in OF_NAMED:
            found.append({each.scope: None})
            continue
        ids = {_id_of(connection, each.scope, name, strict=strict) for name in each.names}
        found.append({each.scope: frozenset(id_ for id_ in ids if id_ is not None)})
    return merge(found)


def _id_of(connection: Connection, scope: Scope, name: str, *, strict: bool) -> int | None:
    try:
        if scope is Scope.REPOS_READ:
            return db_repositories.get(connection, name).id
        source = db_sources.get(connection, name)
        if source.type not in WRITABLE:
            raise WrongType(
                f"nobody writes to source {source.name!r}: it is of type {source.type.value}",
                hint="sources:write is for local, git, curated and pinned sources",
            )
    except (RepositoryNotFound, SourceNotFound, WrongType):
        if strict:
            raise
        return None
    return source.id


def list_tokens(
    app: App,
    *,
    kinds: Sequence[TokenKind] | None = (TokenKind.API,),
    expired: bool = False,
    revoked: bool = False,
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[TokenInfo], int]:
    """Tokens, the newest first, and how many there are; None for `kinds` is every kind."""
    with app.db.read() as connection:
        rows, total = db_tokens.every(
            connection, app.clock(), kinds=kinds, expired=expired, revoked=revoked, limit=limit, offset=offset
        )
        return _infos(connection, rows), total


def token_info(app: App, guid: str) -> TokenInfo:
    """Raises TokenNotFound."""
    with app.db.read() as connection:
        return _infos(connection, [_get(connection, guid)])[0]


def revoke_token(app: App, guid: str, *, by: str) -> TokenInfo:
    """End a token, and with it all that was made from it. One that ended already stays as it is.

    Raises:
        TokenNotFound
    """
    with app.db.write(shows=False) as connection:
        db_tokens.revoke(connection, _get(connection, guid).id, by=by, now=app.clock())
        return _infos(connection, [_get(connection, guid)])[0]


def scopes_of(app: App, access: Access) -> tuple[str, ...]:
    """What somebody may do, as people write it, with the names of today."""
    with app.db.read() as connection:
        return written_scopes(connection, access.grants)


def guid_of(app: App, text: str) -> str:
    """The guid of a token, whose text somebody has. Raises TokenNotFound."""
    with app.db.read() as connection:
        guid = db_tokens.guid_of(connection, texts.digest(text.strip()))
    if guid is None:
        raise TokenNotFound("there is no such token here", hint="`entrepot list tokens` shows those that there are")
    return guid


def written_scopes(connection: Connection, grants: Grants) -> tuple[str, ...]:
    """Scopes as people write them, with the names of today; what is there no more is left out."""
    repos = frozenset().union(*(ids or () for s, ids in grants.items() if s is Scope.REPOS_READ))
    sources = frozenset().union(*(ids or () for s, ids in grants.items() if s is Scope.SOURCES_WRITE))
    names = {
        Scope.REPOS_READ: {r.id: r.name for r in db_repositories.live(connection) if r.id in repos} if repos else {},
        Scope.SOURCES_WRITE: {s.id: s.name for s in db_sources.live(connection, sources)} if sources else {},
    }
    result = []
    for scope in Scope:
        if scope in grants:
            ids = grants[scope]
            given = None if ids is None else frozenset(n for i, n in names.get(scope, {}).items() if i in ids)
            result.append(str(ScopeText(scope, given)))
    return tuple(result)


def _get(connection: Connection, guid: str) -> Token:
    token = db_tokens.by_guid(connection, guid) if len(guid) <= 36 and "\0" not in guid else None
    if token is None:
        raise TokenNotFound(f"there is no token {guid[:40]!r}", hint="`entrepot list tokens` shows their guids")
    return token


def _infos(connection: Connection, rows: Sequence[Token]) -> list[TokenInfo]:
    return [TokenInfo(token, written_scopes(connection, token.grants)) for token in rows]
