"""Rows of parts: sources that are part of another one, by what names them within it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, insert, select

from entrepot.core.model import BINARIES, PARTS, Source, SourceType
from entrepot.db import sources as db_sources
from entrepot.db.schema import parts, sources


def ensure(connection: Connection, owner: Source, path: str, type_: SourceType, *, now: datetime) -> Source:
    """The part of that path, made if there is none yet. Only inside `Database.write`."""
    assert type_ in PARTS
    query = select(parts.c.source_id).where(parts.c.owner_id == owner.id, parts.c.path == path)
    id_ = connection.execute(query).scalar()
    if id_ is None:
        # No source that people name has a slash in its name. By id, as the owner may be renamed.
        id_ = db_sources.add(connection, name=f"{owner.id}/{path}", type_=type_, now=now)
        connection.execute(insert(parts).values(source_id=id_, owner_id=owner.id, path=path))
    return db_sources.by_id(connection, id_)


def with_parts(connection: Connection, source_ids: Iterable[int]) -> list[int]:
    """These sources and their parts, and the parts of these."""
    every = list(source_ids)
    new = every
    while new:
        query = select(parts.c.source_id).where(parts.c.owner_id.in_(new))
        new = [id_ for id_ in connection.execute(query).scalars() if id_ not in every]
        every += new
    return sorted(every)


def owners(connection: Connection) -> dict[int, int]:
    """Id of each part -> the source to which it belongs."""
    return {row.source_id: row.owner_id for row in connection.execute(select(parts.c.source_id, parts.c.owner_id))}


def binary_paths(connection: Connection) -> list[str]:
    """The platforms for which some live source has binary packages, as `Platform.path`; sorted, each once."""
    owners = sources.alias()
    query = select(parts.c.path).join(sources, sources.c.id == parts.c.source_id)
    query = query.join(owners, owners.c.id == parts.c.owner_id).where(owners.c.deleted.is_(None))
    query = query.where(sources.c.type.in_([type_.value for type_ in BINARIES])).distinct()
    return sorted(connection.execute(query).scalars())
