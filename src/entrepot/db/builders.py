"""Rows of Git builders, of what was found at their endpoints, and of each attempt to build it."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, String, case, cast, func, insert, literal, select, update

from entrepot.core.errors import BuilderNotFound
from entrepot.core.gitbuilds import Builder, Trigger, Update, UpdateState
from entrepot.core.model import PackageName, Source, TransactionId
from entrepot.db.schema import files, git_attempts, git_builders, git_updates

_BUILDER_COLUMNS = [column for column in git_builders.c if column.name != "deleted"]
_ATTEMPT_COLUMNS = [column for column in git_attempts.c if column.name != "log"]
_LIVE = git_builders.c.deleted.is_(None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to build something, or one look at an endpoint that failed (then without a sha).

    `status` is `succeeded` or `failed`; `name` the package, as far as it was known.
    """

    transaction_id: TransactionId
    builder_id: int
    name: str | None
    tag: str | None
    sha: str | None
    status: str
    started: datetime
    finished: datetime
    error: str | None


# --- builders ------------------------------------------------------------------------------------------------------


def add(connection: Connection, **values: Any) -> int:
    (id_,) = connection.execute(insert(git_builders).values(**values)).inserted_primary_key or (0,)
    return int(id_)


def change(connection: Connection, id_: int, **values: Any) -> None:
    connection.execute(update(git_builders).where(git_builders.c.id == id_).values(**values))


def find(connection: Connection, source_id: int, name_or_id: str) -> Builder | None:
    """A live builder of a source by its package's name, else by its id."""
    live = select(*_BUILDER_COLUMNS).where(_LIVE, git_builders.c.source_id == source_id)
    if "\0" in name_or_id:
        return None
    row = connection.execute(live.where(git_builders.c.name == name_or_id)).mappings().one_or_none()
    number = name_or_id.removeprefix("#")
    if row is None and number.isascii() and number.isdigit() and len(number) <= 18:
        row = connection.execute(live.where(git_builders.c.id == int(number))).mappings().one_or_none()
    return _builder(row) if row else None


def get(connection: Connection, source: Source, name_or_id: str) -> Builder:
    """As `find`. Raises BuilderNotFound."""
    builder = find(connection, source.id, name_or_id)
    if builder is None:
        raise BuilderNotFound(
            f"source {source.name!r} has no git builder {name_or_id!r}", hint="`entrepot list git-builders` shows them"
        )
    return builder


def by_id(connection: Connection, id_: int) -> Builder | None:
    """A live builder; None if it was deleted."""
    query = select(*_BUILDER_COLUMNS).where(_LIVE, git_builders.c.id == id_)
    row = connection.execute(query).mappings().one_or_none()
    return _builder(row) if row else None


def live(connection: Connection, *, source_id: int | None = None) -> list[Builder]:
    """All live builders (of a source), in the order in which they were made."""
    query = select(*_BUILDER_COLUMNS).where(_LIVE).order_by(git_builders.c.id)
    if source_id is not None:
        query = query.where(git_builders.c.source_id == source_id)
    return [_builder(row) for row in connection.execute(query).mappings()]


def _builder(row: RowMapping) -> Builder:
    values: dict[str, Any] = {**row, "trigger": Trigger(row["trigger"])}
    return Builder(**values)


# --- updates -------------------------------------------------------------------------------------------------------


def add_update(connection: Connection, builder_id: int, *, tag: str | None, sha: str, seen: datetime) -> None:
    row = {"builder_id": builder_id, "tag": tag, "sha": sha, "seen": seen, "attempts": 0}
    connection.execute(insert(git_updates).values(state=UpdateState.WAITING.value, **row))


def change_update(connection: Connection, id_: int, **values: Any) -> None:
    if "state" in values:
        values["state"] = values["state"].value
    connection.execute(update(git_updates).where(git_updates.c.id == id_).values(**values))


def updates(connection: Connection, builder_ids: Iterable[int]) -> dict[int, list[Update]]:
    """Of each builder what was found at its endpoint, in that order."""
    wanted = list(builder_ids)
    found: dict[int, list[Update]] = {id_: [] for id_ in wanted}
    query = select(git_updates).where(git_updates.c.builder_id.in_(wanted)).order_by(git_updates.c.id)
    for row in connection.execute(query).mappings():
        found[row["builder_id"]].append(_update(row))
    return found


def get_update(connection: Connection, id_: int) -> Update:
    return _update(connection.execute(select(git_updates).where(git_updates.c.id == id_)).mappings().one())


def builders_due(connection: Connection, now: datetime) -> set[int]:
    """Live builders of which something waits that may be tried now."""
    query = select(git_updates.c.builder_id, git_updates.c.due).join(git_builders).where(_LIVE)
    query = query.where(git_updates.c.state == UpdateState.WAITING.value)
    return {builder_id for builder_id, due in connection.execute(query) if due is None or due <= now}


def _update(row: RowMapping) -> Update:
    values: dict[str, Any] = {**row, "state": UpdateState(row["state"])}
    return Update(**values)


# --- attempts ------------------------------------------------------------------------------------------------------


def add_attempt(connection: Connection, attempt: Attempt, log: str) -> None:
    values = {column.name: getattr(attempt, column.name) for column in _ATTEMPT_COLUMNS}
    connection.execute(insert(git_attempts).values(log=zlib.compress(log.encode(), 6), **values))


def attempts(
    connection: Connection, *, source_id: int, name: str | None, newest_only: bool, limit: int, offset: int
) -> tuple[list[Attempt], int]:
    """Attempts at packages of a source (of one package), newest first, and how many there are in all.

    Args:
        newest_only: of each builder the last alone, also of deleted ones.
    """
    query = _of_source(select(*_ATTEMPT_COLUMNS), source_id, name)
    if newest_only:
        newest = _of_source(select(func.max(git_attempts.c.transaction_id)), source_id, name)
        query = query.where(git_attempts.c.transaction_id.in_(newest.group_by(git_attempts.c.builder_id)))
    total: int = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    query = query.order_by(git_attempts.c.transaction_id.desc()).limit(limit).offset(offset)
    return [Attempt(**row) for row in connection.execute(query).mappings()], total


def attempts_of(
    connection: Connection, ids: Collection[TransactionId]
) -> dict[TransactionId, tuple[Attempt, str | None]]:
    """The attempts that these transactions record, each with what its builder is called; None if that was deleted."""
    label = case((_LIVE, func.coalesce(git_builders.c.name, literal("#") + cast(git_builders.c.id, String))))
    query = select(*_ATTEMPT_COLUMNS, label.label("label"), git_builders.c.name.label("known"))
    query = query.join(git_builders, git_builders.c.id == git_attempts.c.builder_id)
    found: dict[TransactionId, tuple[Attempt, str | None]] = {}
    for row in connection.execute(query.where(git_attempts.c.transaction_id.in_(ids))).mappings():
        values: dict[str, Any] = {**row}
        builder, known = values.pop("label"), values.pop("known")
        attempt = Attempt(**values)
        found[attempt.transaction_id] = replace(attempt, name=attempt.name or known), builder
    return found


def log_of(connection: Connection, transaction_id: int) -> str | None:
    """The log of an attempt; None if no attempt has that transaction."""
    query = select(git_attempts.c.log).where(git_attempts.c.transaction_id == transaction_id)
    packed: bytes | None = connection.execute(query).scalar()
    return None if packed is None else zlib.decompress(packed).decode()


def _of_source(query: Select[Any], source_id: int, name: str | None) -> Select[Any]:
    query = query.join(git_builders, git_builders.c.id == git_attempts.c.builder_id)
    query = query.where(git_builders.c.source_id == source_id)
    return query if name is None else query.where(func.coalesce(git_attempts.c.name, git_builders.c.name) == name)


def versions_ever(connection: Connection, source: Source, package: PackageName) -> Sequence[str]:
    """Every version of a package that a source ever had."""
    query = select(files.c.version).where(files.c.source_id == source.id, files.c.package == package).distinct()
    return list(connection.execute(query).scalars())
