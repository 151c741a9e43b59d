"""Rows of tokens. The text of a token is never written down, only its hash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, func, insert, or_, select, update

from entrepot.core.access import Grants, Scope, TokenKind
from entrepot.db.accessschema import device_logins, tokens

DEEPEST = 5
"""Tokens of which each depends on the next; none that we make has more than two."""


@dataclass(frozen=True, slots=True)
class Token:
    """What may be known of a token. `start` are its first characters; `via` is where it comes from, if not from here.

    `parent_id` is the token without which this one is not good any more.
    """

    id: int
    guid: str
    start: str
    kind: TokenKind
    via: str | None
    actor: str
    description: str
    grants: Grants
    created: datetime
    created_by: str
    expires: datetime | None
    revoked: datetime | None
    revoked_by: str | None
    last_used: datetime | None
    last_address: str | None
    parent_id: int | None

    def is_good(self, now: datetime) -> bool:
        """Whether it may be used at that time, as far as itself goes."""
        return self.revoked is None and (self.expires is None or now < self.expires)


_SHOWN = [tokens.c[name] for name in Token.__slots__]


def add(
    connection: Connection,
    *,
    guid: str,
    digest: str,
    start: str,
    kind: TokenKind,
    actor: str,
    description: str,
    grants: Grants,
    now: datetime,
    created_by: str,
    expires: datetime | None,
    via: str | None = None,
    parent_id: int | None = None,
) -> Token:
    values: dict[str, Any] = {
        "guid": guid,
        "digest": digest,
        "start": start,
        "kind": kind.value,
        "via": via,
        "actor": actor,
        "description": description,
        "grants": {scope.value: None if ids is None else sorted(ids) for scope, ids in grants.items()},
        "created": now,
        "created_by": created_by,
        "expires": expires,
        "parent_id": parent_id,
    }
    return _token(connection.execute(insert(tokens).values(values).returning(*_SHOWN)).mappings().one())


def of_digest(connection: Connection, digest: str) -> tuple[Token, ...]:
    """The token with that hash and then those that it depends on; nothing if not all of them are there."""
    found: list[Token] = []
    asked: Select[Any] = select(*_SHOWN).where(tokens.c.digest == digest)
    while len(found) < DEEPEST and (row := connection.execute(asked).mappings().one_or_none()) is not None:
        found.append(_token(row))
        if found[-1].parent_id is None:
            return tuple(found)
        asked = select(*_SHOWN).where(tokens.c.id == found[-1].parent_id)
    return ()


def by_guid(connection: Connection, guid: str) -> Token | None:
    row = connection.execute(select(*_SHOWN).where(tokens.c.guid == guid)).mappings().one_or_none()
    return _token(row) if row else None


def by_id(connection: Connection, id_: int) -> Token | None:
    row = connection.execute(select(*_SHOWN).where(tokens.c.id == id_)).mappings().one_or_none()
    return _token(row) if row else None


def guid_of(connection: Connection, digest: str) -> str | None:
    found: str | None = connection.execute(select(tokens.c.guid).where(tokens.c.digest == digest)).scalar_one_or_none()
    return found


def every(
    connection: Connection,
    now: datetime,
    *,
    kinds: Sequence[TokenKind] | None,
    expired: bool,
    revoked: bool,
    limit: int,
    offset: int,
) -> tuple[list[Token], int]:
    """Tokens, the newest first, and how many there are: those that are good, and with `expired` and `revoked` also
    those that aren't any more."""
    wanted: list[ColumnElement[bool]] = []
    if kinds is not None:
        wanted.append(tokens.c.kind.in_([kind.value for kind in kinds]))
    if not expired:
        wanted.append(or_(tokens.c.expires.is_(None), tokens.c.expires > now))
    if not revoked:
        wanted.append(tokens.c.revoked.is_(None))
    total: int = connection.execute(select(func.count()).select_from(tokens).where(*wanted)).scalar_one()
    query = select(*_SHOWN).where(*wanted).order_by(tokens.c.id.desc()).limit(limit).offset(offset)
    return [_token(row) for row in connection.execute(query).mappings()], total


def any_admin(connection: Connection, now: datetime) -> bool:
    """Whether anybody has a token that may do everything."""
    query = select(tokens.c.grants).where(
        tokens.c.kind == TokenKind.API.value,
        tokens.c.revoked.is_(None),
        or_(tokens.c.expires.is_(None), tokens.c.expires > now),
    )
    return any(Scope.GLOBAL_ADMIN.value in grants for (grants,) in connection.execute(query))


def revoke(connection: Connection, id_: int, *, by: str, now: datetime) -> None:
    """Say that a token isn't good any more from now on; what depends on it isn't either then."""
    query = update(tokens).where(tokens.c.id == id_, tokens.c.revoked.is_(None))
    connection.execute(query.values(revoked=now, revoked_by=by))


def set_used(connection: Connection, uses: Iterable[tuple[str, datetime, str]]) -> None:
    """Write down last uses: guid, time, and where from."""
    for guid, when, address in uses:
        connection.execute(
            update(tokens).where(tokens.c.guid == guid).values(last_used=when, last_address=address[:64])
        )


def drop_ended(connection: Connection, before: datetime) -> None:
    """Forget sessions and short-lived tokens that ended before that time, unless something else names them."""
    children = select(tokens.c.parent_id).where(tokens.c.parent_id.is_not(None))
    approved = select(device_logins.c.token_id).where(device_logins.c.token_id.is_not(None))
    gone = tokens.c.kind != TokenKind.API.value, tokens.c.expires < before
    connection.execute(delete(tokens).where(*gone, tokens.c.id.not_in(children), tokens.c.id.not_in(approved)))


def _token(row: RowMapping) -> Token:
    values = dict(row)
    values["kind"] = TokenKind(row["kind"])
    values["grants"] = {
        Scope(scope): None if ids is None else frozenset(ids) for scope, ids in (row["grants"] or {}).items()
    }
    return Token(**values)
