"""Rows of sources and of the state of mirrors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from entrepot.core.errors import SourceNotFound
from entrepot.core.model import Source, SourceType
from entrepot.db.named import find_live
from entrepot.db.schema import curations, mirrors, parts, sources, transactions


@dataclass(frozen=True, slots=True)
class MirrorState:
    """What the newest sync of a mirror left: validators for conditional requests, and its outcome.

    `facts` are the validators of what else upstream tells of its packages.
    """

    source_id: int
    upstream: str
    validators: dict[str, list[str | None]]
    filled: int
    synced_from: datetime | None
    failures: int
    error_code: str | None
    error: str | None
    next_try: datetime | None
    facts: dict[str, list[str | None]] | None = None


_OWNERS = sources.alias()
_QUERY = (
    select(
        sources,
        mirrors.c.source_id.label("mirror"),
        mirrors.c.synced_from,
        curations.c.base_id,
        curations.c.shows_archive,
        parts.c.owner_id,
        parts.c.path,
        _OWNERS.c.name.label("owner"),
    )
    .outerjoin(mirrors, mirrors.c.source_id == sources.c.id)
    .outerjoin(curations, curations.c.source_id == sources.c.id)
    .outerjoin(parts, parts.c.source_id == sources.c.id)
    .outerjoin(_OWNERS, _OWNERS.c.id == parts.c.owner_id)
)
_WHOLE = _QUERY.where(parts.c.source_id.is_(None))


def add(connection: Connection, *, name: str, type_: SourceType, now: datetime, version: str | None = None) -> int:
    result = connection.execute(insert(sources).values(name=name, type=type_.value, created=now, version=version))
    (id_,) = result.inserted_primary_key or (0,)
    return int(id_)


def find(connection: Connection, name_or_id: str | int) -> Source | None:
    """A live source by its name, else by its id; parts of sources are not found by either."""
    row = find_live(connection, _WHOLE, sources, name_or_id)
    return _source(row) if row else None


def get(connection: Connection, name_or_id: str | int) -> Source:
    """As `find`. Raises SourceNotFound."""
    source = find(connection, name_or_id)
    if source is None:
        raise SourceNotFound(f"there is no source named {str(name_or_id)!r}", hint="`entrepot list sources` shows them")
    return source


def by_id(connection: Connection, id_: int) -> Source:
    """A source by id, a deleted one too: old snapshots go on showing it."""
    return by_ids(connection, [id_])[id_]


def by_ids(connection: Connection, ids: Iterable[int]) -> dict[int, Source]:
    """As `by_id`, for several at once."""
    rows = connection.execute(_QUERY.where(sources.c.id.in_(list(ids)))).mappings()
    return {row["id"]: _source(row) for row in rows}


def parts_of(connection: Connection, owner_ids: Iterable[int]) -> list[Source]:
    """The parts of these sources, by id."""
    query = _QUERY.where(parts.c.owner_id.in_(list(owner_ids))).order_by(sources.c.id)
    return [_source(row) for row in connection.execute(query).mappings()]


def live(connection: Connection, ids: Iterable[int] | None = None) -> list[Source]:
    """All live sources (or those of `ids`), by id; but for parts of others."""
    query = _WHOLE.where(sources.c.deleted.is_(None)).order_by(sources.c.id)
    if ids is not None:
        query = query.where(sources.c.id.in_(list(ids)))
    return [_source(row) for row in connection.execute(query).mappings()]


def newest_transactions(connection: Connection, ids: Iterable[int]) -> dict[int, int]:
    """Source id -> newest transaction of it, of these that have one."""
    # One step in an index for each, where a grouped maximum would read all transactions.
    newest = select(func.max(transactions.c.id)).where(transactions.c.source_id == sources.c.id)
    query = select(sources.c.id, newest.scalar_subquery()).where(sources.c.id.in_(list(ids)))
    return {id_: transaction for id_, transaction in connection.execute(query) if transaction is not None}


def names(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Source id -> name; a part's is that of its owner and what names it within that."""
    owners = sources.alias()
    query = select(sources.c.id, sources.c.name, owners.c.name.label("owner"), parts.c.path)
    query = query.outerjoin(parts, parts.c.source_id == sources.c.id).outerjoin(owners, owners.c.id == parts.c.owner_id)
    rows = connection.execute(query.where(sources.c.id.in_(list(ids))))
    return {row.id: row.name if row.owner is None else f"{row.owner}/{row.path}" for row in rows}


def rename(connection: Connection, id_: int, name: str) -> None:
    connection.execute(update(sources).where(sources.c.id == id_).values(name=name))


def mark_deleted(connection: Connection, id_: int, now: datetime) -> None:
    connection.execute(update(sources).where(sources.c.id == id_).values(deleted=now))


def add_mirror(connection: Connection, source_id: int, upstream: str) -> None:
    connection.execute(insert(mirrors).values(source_id=source_id, upstream=upstream, validators={}))


def mirror_state(connection: Connection, source_id: int) -> MirrorState | None:
    row = connection.execute(select(mirrors).where(mirrors.c.source_id == source_id)).mappings().one_or_none()
    return MirrorState(**row) if row else None


def mirror_states(connection: Connection, source_ids: Iterable[int] | None = None) -> list[MirrorState]:
    """Of all mirrors, or of those among these sources."""
    query = select(mirrors) if source_ids is None else select(mirrors).where(mirrors.c.source_id.in_(list(source_ids)))
    return [MirrorState(**row) for row in connection.execute(query.order_by(mirrors.c.source_id)).mappings()]


def update_mirror(connection: Connection, source_id: int, **values: Any) -> None:
    connection.execute(update(mirrors).where(mirrors.c.source_id == source_id).values(**values))


def note_filled(connection: Connection, source_ids: Iterable[int]) -> None:
    """Metadata of packages of these sources was filled in that nobody knew when they were listed."""
    grown = update(mirrors).where(mirrors.c.source_id.in_(list(source_ids))).values(filled=mirrors.c.filled + 1)
    connection.execute(grown)


def _source(row: RowMapping) -> Source:
    return Source(
        id=row["id"],
        name=row["name"] if row["owner"] is None else f"{row['owner']}/{row['path']}",
        type=SourceType(row["type"]),
        created=row["created"],
        is_mirror=row["mirror"] is not None,
        synced_from=row["synced_from"],
        base_id=row["base_id"],
        shows_archive=row["shows_archive"] is not False,
        version=row["version"],
        owner_id=row["owner_id"],
        part=row["path"],
    )
