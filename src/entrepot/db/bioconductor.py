"""Rows of Bioconductor: its configuration through time, and the parts that stand for a version of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, select

from entrepot.core.bioconductor import PARTS, part_path
from entrepot.core.model import Source, SourceType, Subscription, TransactionId
from entrepot.db import sources as db_sources
from entrepot.db.schema import bioconductor_configs, parts, sources


def meta_source(connection: Connection) -> Source | None:
    """The predefined source of all versions, to which the parts belong; None in an installation that lacks it yet."""
    query = select(sources.c.id).where(sources.c.type == SourceType.BIOCONDUCTOR.value, sources.c.version.is_(None))
    id_ = connection.execute(query.where(sources.c.deleted.is_(None)).order_by(sources.c.id).limit(1)).scalar()
    return db_sources.by_id(connection, id_) if id_ is not None else None


def config_at(connection: Connection, source_id: int, upto: TransactionId | None = None) -> bytes | None:
    """The configuration in force after a transaction (None: now), as upstream wrote it; None before the first."""
    query = select(bioconductor_configs.c.body).where(bioconductor_configs.c.source_id == source_id)
    if upto is not None:
        query = query.where(bioconductor_configs.c.since <= upto)
    packed = connection.execute(query.order_by(bioconductor_configs.c.since.desc()).limit(1)).scalar()
    return zlib.decompress(packed) if packed is not None else None


def config_transactions(connection: Connection, source_id: int) -> list[TransactionId]:
    """The transactions from which on there was another configuration, ascending."""
    query = select(bioconductor_configs.c.since).where(bioconductor_configs.c.source_id == source_id)
    return [
        TransactionId(since) for since in connection.execute(query.order_by(bioconductor_configs.c.since)).scalars()
    ]


def add_config(connection: Connection, source_id: int, body: bytes, at: TransactionId) -> None:
    values = {"since": at, "source_id": source_id, "body": zlib.compress(body)}
    connection.execute(insert(bioconductor_configs).values(values))


def part_ids(connection: Connection, versions: Iterable[str]) -> dict[str, int]:
    """Path -> id of the parts that there are of these versions."""
    paths = [part_path(version, part) for version in set(versions) for part in PARTS]
    if not paths:
        return {}
    query = select(parts.c.path, parts.c.source_id).join(sources, sources.c.id == parts.c.source_id)
    query = query.where(parts.c.path.in_(paths), sources.c.type == SourceType.BIOCONDUCTOR_PART.value)
    return {row.path: row.source_id for row in connection.execute(query)}


def part_ids_of(connection: Connection, some: Iterable[Source]) -> dict[int, list[int]]:
    """Source id -> ids of the parts that it shows, of the sources of Bioconductor among these."""
    wanted = [source for source in some if source.type is SourceType.BIOCONDUCTOR]
    if not wanted:
        return {}
    query = select(parts.c.path, parts.c.source_id).join(sources, sources.c.id == parts.c.source_id)
    rows = connection.execute(query.where(sources.c.type == SourceType.BIOCONDUCTOR_PART.value)).all()
    return {
        source.id: [id_ for path, id_ in rows if source.version in (None, path.partition("/")[0])] for source in wanted
    }


def expand(
    connection: Connection, subscriptions: Sequence[Subscription], versions: dict[int, str | None]
) -> list[Subscription]:
    """Subscriptions with the parts of a version in the place of a source of Bioconductor.

    Args:
        versions: of the sources of Bioconductor among them, the version that each is of; None for all, and such a
            source stays as it is unless its subscription wants a version.
    """
    if not versions:
        return list(subscriptions)
    ids = part_ids(connection, (v for s in subscriptions if (v := s.version or versions.get(s.source_id))))
    expanded: list[Subscription] = []
    for subscription in subscriptions:
        version = subscription.version or versions.get(subscription.source_id)
        first = subscription.position * len(PARTS)
        if subscription.source_id not in versions or version is None:
            expanded.append(replace(subscription, position=first))
            continue
        for place, part in enumerate(PARTS, first):
            id_ = ids.get(part_path(version, part))
            if id_ is not None:
                expanded.append(replace(subscription, source_id=id_, position=place, version=version))
    return expanded
