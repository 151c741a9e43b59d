"""Credentials for Git endpoints: rows whose secrets are encrypted, and the builders that use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from entrepot.core.urls import shown
from entrepot.db.schema import git_builders, git_credentials, sources


@dataclass(frozen=True, slots=True)
class Credential:
    """What may be known of a credential: never its secret.

    `kind` is ssh or https; `username` is None for ssh, `fingerprint`, of the public key as OpenSSH tells it, for
    https.
    """

    id: int
    kind: str
    name: str
    username: str | None
    fingerprint: str | None
    created: datetime
    changed: datetime


@dataclass(frozen=True, slots=True)
class Use:
    """A live builder that uses a credential: its source, its package's name if that is known, and where it builds from
    as that may be shown."""

    source: str
    name: str | None
    url: str


_SHOWN = [git_credentials.c[name] for name in Credential.__slots__]


def every(connection: Connection) -> list[Credential]:
    """All credentials, by name."""
    rows = [Credential(*row) for row in connection.execute(select(*_SHOWN))]
    return sorted(rows, key=lambda row: (row.name, row.kind))


def named(connection: Connection, name: str) -> list[Credential]:
    """The credentials of that name: at most one of each kind."""
    asked = select(*_SHOWN).where(git_credentials.c.name == name).order_by(git_credentials.c.kind)
    return [Credential(*row) for row in connection.execute(asked)]


def secret_of(connection: Connection, credential_id: int) -> tuple[Credential, str] | None:
    """A credential with its encrypted secret."""
    asked = select(*_SHOWN, git_credentials.c.secret).where(git_credentials.c.id == credential_id)
    row = connection.execute(asked).one_or_none()
    return None if row is None else (Credential(*row[:-1]), row[-1])


def add(
    connection: Connection,
    *,
    kind: str,
    name: str,
    username: str | None,
    fingerprint: str | None,
    secret: str,
    now: datetime,
) -> int:
    """A new credential; `secret` is encrypted. Its id."""
    values = {"kind": kind, "name": name, "username": username, "fingerprint": fingerprint, "secret": secret}
    made = insert(git_credentials).values(**values, created=now, changed=now).returning(git_credentials.c.id)
    id_: int = connection.execute(made).scalar_one()
    return id_


def change(connection: Connection, credential_id: int, *, now: datetime, **values: str) -> None:
    """Change `name`, `username`, `fingerprint` or the encrypted `secret`."""
    row = git_credentials.c.id == credential_id
    connection.execute(update(git_credentials).where(row).values(**values, changed=now))


def remove(connection: Connection, credential_id: int) -> None:
    """Remove a credential that no live builder uses; deleted ones forget it."""
    is_past = (git_builders.c.credential_id == credential_id) & git_builders.c.deleted.is_not(None)
    connection.execute(update(git_builders).where(is_past).values(credential_id=None))
    connection.execute(delete(git_credentials).where(git_credentials.c.id == credential_id))


def uses(connection: Connection, credential_id: int | None = None) -> dict[int, list[Use]]:
    """Id of a credential -> the live builders that use it, of all or of one."""
    builder = git_builders.c
    asked = (
        select(builder.credential_id, sources.c.name, builder.name, builder.url)
        .join(sources, sources.c.id == builder.source_id)
        .where(builder.credential_id.is_not(None), builder.deleted.is_(None))
        .order_by(builder.id)
    )
    if credential_id is not None:
        asked = asked.where(builder.credential_id == credential_id)
    found: dict[int, list[Use]] = {}
    for id_, source, name, url in connection.execute(asked):
        found.setdefault(id_, []).append(Use(source, name, shown(url)))
    return found


def secrets(connection: Connection) -> list[tuple[Credential, str]]:
    """All credentials with their encrypted secrets."""
    rows = connection.execute(select(*_SHOWN, git_credentials.c.secret).order_by(git_credentials.c.id))
    return [(Credential(*row[:-1]), row[-1]) for row in rows]


def renew(connection: Connection, renewed: Mapping[int, str]) -> None:
    """Write encrypted secrets, by the ids of their credentials; to people the credentials stay unchanged."""
    if renewed:
        row = git_credentials.c.id == bindparam("credential")
        values = [{"credential": id_, "sealed": secret} for id_, secret in renewed.items()]
        connection.execute(update(git_credentials).where(row).values(secret=bindparam("sealed")), values)
