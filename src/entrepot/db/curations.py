"""Curated and pinned sources: which mirror's files they show, the snapshots that they are pinned to, and proposals."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from entrepot.core.model import FOREVER, FileStatus, Source, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.db import bulk
from entrepot.db.schema import STATUS_CODES, STATUSES, curations, pins, proposals, visibility

Target = Mapping[int, FileStatus]
"""File id -> how a curated source shows it."""


@dataclass(frozen=True, slots=True)
class Pin:
    """To which snapshot of its mirror a source is pinned from transaction `since` on.

    `snapshot` is its name; `upto` and, of mirrors read by the project, `at` are what it stands for. `request` is what
    is asked for: JSON values.
    """

    since: TransactionId
    snapshot: str
    upto: TransactionId
    at: int | None
    request: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A proposal without what it would show: see `core.curation` for what `report` and `counts` tell."""

    id: int
    source_id: int
    created: datetime
    actor: str
    action: str
    base: TransactionId
    snapshot: str
    upto: TransactionId
    at: int | None
    asked: str
    digest: str
    counts: dict[str, int]
    committed: TransactionId | None


@dataclass(frozen=True, slots=True)
class NewProposal:
    """A proposal to be kept; `asked` and `digest` are SHA-256 of what was asked for and of what would be shown."""

    source_id: int
    created: datetime
    actor: str
    action: str
    base: int
    snapshot: str
    upto: TransactionId
    at: int | None
    asked: str
    digest: str
    request: Mapping[str, Any]
    target: Target
    report: Mapping[str, Any]
    counts: Mapping[str, int]


_BRIEF = [proposals.c[name] for name in ProposalRow.__slots__]


def add(connection: Connection, source_id: int, *, base_id: int, include: Sequence[str], shows_archive: bool) -> None:
    values = {"source_id": source_id, "base_id": base_id, "include": list(include), "shows_archive": shows_archive}
    connection.execute(insert(curations).values(**values))


def include_of(connection: Connection, source_id: int) -> tuple[str, ...]:
    """The kinds of dependencies that every package of a source brings."""
    return tuple(connection.execute(select(curations.c.include).where(curations.c.source_id == source_id)).scalar_one())


def pin(connection: Connection, source_id: int, upto: TransactionId = FOREVER) -> Pin | None:
    """The pin of a source after transaction `upto`; None before the first."""
    row = connection.execute(_last_pin(source_id, upto)).mappings().one_or_none()
    return None if row is None else _pin(row)


def told(connection: Connection) -> dict[int, tuple[tuple[str, ...], str | None]]:
    """Of all curated and pinned sources: source id -> (kinds of dependencies as of `include_of`, name of the snapshot
    that it is pinned to now, None before the first pin)."""
    last = select(pins.c.snapshot).where(pins.c.source_id == curations.c.source_id)
    snapshot = last.order_by(pins.c.since.desc()).limit(1).scalar_subquery()
    query = select(curations.c.source_id, curations.c.include, snapshot)
    return {id_: (tuple(kinds), name) for id_, kinds, name in connection.execute(query)}


def add_pin(connection: Connection, source_id: int, new: Pin) -> None:
    values = {"since": new.since, "snapshot": new.snapshot, "upto": new.upto, "at": new.at}
    connection.execute(insert(pins).values(source_id=source_id, request=_pack(new.request), **values))


def cut_pinned(connection: Connection, source: Source, upto: TransactionId) -> Cut | None:
    """The cut of its mirror that a source was pinned to after `upto`; None before the first pin."""
    query = _last_pin(source.id, upto).with_only_columns(pins.c.upto, pins.c.at)
    row = connection.execute(query).one_or_none()
    return None if row is None else Cut(source.files_of, TransactionId(row.upto), row.at)


def shown_now(connection: Connection, source_id: int) -> dict[int, FileStatus]:
    """What a curated source shows now: file id -> status."""
    query = select(visibility.c.file_id, visibility.c.status).where(
        visibility.c.source_id == source_id,
        visibility.c.status.in_(list(STATUSES)),
        visibility.c.until == FOREVER,
    )
    return {file_id: STATUSES[status] for file_id, status in bulk.rows(connection, query)}


def add_proposal(connection: Connection, new: NewProposal) -> int:
    """Keep a proposal; its id."""
    values = {name: getattr(new, name) for name in NewProposal.__slots__}
    target = [[file_id, STATUS_CODES[status]] for file_id, status in new.target.items()]
    values |= {"request": _pack(new.request), "target": _pack(target), "report": _pack(new.report)}
    (id_,) = connection.execute(insert(proposals).values(**values)).inserted_primary_key or (0,)
    return int(id_)


def proposal(connection: Connection, source_id: int, id_: int) -> ProposalRow | None:
    row = connection.execute(_of(source_id).where(proposals.c.id == id_)).mappings().one_or_none()
    return None if row is None else ProposalRow(**row)


def newest_proposal(
    connection: Connection, source_id: int, *, asked: str, base: int | None = None
) -> ProposalRow | None:
    """The newest proposal for the same question that was not committed; if `base` is given, about that state alone."""
    query = _of(source_id).where(proposals.c.asked == asked, proposals.c.committed.is_(None))
    if base is not None:
        query = query.where(proposals.c.base == base)
    row = connection.execute(query.order_by(proposals.c.id.desc()).limit(1)).mappings().one_or_none()
    return None if row is None else ProposalRow(**row)


def page(connection: Connection, source_id: int, *, limit: int, offset: int) -> tuple[list[ProposalRow], int]:
    """Proposals of a source, the newest first, and how many there are in all."""
    total = connection.execute(select(func.count()).where(proposals.c.source_id == source_id)).scalar_one()
    query = _of(source_id).order_by(proposals.c.id.desc()).limit(limit).offset(offset)
    return [ProposalRow(**row) for row in connection.execute(query).mappings()], total


def report(connection: Connection, id_: int) -> dict[str, Any]:
    """What people are told of a proposal."""
    told: dict[str, Any] = _unpack(_blob(connection, id_, "report"))
    return told


def reports(
    connection: Connection, transactions: Collection[int], *, naming: str | None = None
) -> Iterator[tuple[TransactionId, dict[str, Any]]]:
    """What was told of the proposals that these transactions applied (and that may name a package); one at a time, as
    each may be of all of CRAN."""
    query = select(proposals.c.committed, proposals.c.report).where(
        bulk.among_ids(connection, proposals.c.committed, transactions)
    )
    name = None if naming is None else json.dumps(naming).encode()
    for at, packed in connection.execute(query).all():
        text = zlib.decompress(packed)
        if name is None or name in text:
            yield TransactionId(at), json.loads(text)


def request(connection: Connection, id_: int) -> dict[str, Any]:
    """What a proposal asks for."""
    asked: dict[str, Any] = _unpack(_blob(connection, id_, "request"))
    return asked


def target(connection: Connection, id_: int) -> dict[int, FileStatus]:
    """What the source would show."""
    return {file_id: STATUSES[code] for file_id, code in _unpack(_blob(connection, id_, "target"))}


def mark_committed(connection: Connection, id_: int, at: TransactionId) -> None:
    connection.execute(update(proposals).where(proposals.c.id == id_).values(committed=at))


def _of(source_id: int) -> Select[Any]:
    return select(*_BRIEF).where(proposals.c.source_id == source_id)


def _blob(connection: Connection, id_: int, column: str) -> bytes:
    packed: bytes = connection.execute(select(proposals.c[column]).where(proposals.c.id == id_)).scalar_one()
    return packed


def _last_pin(source_id: int, upto: TransactionId) -> Select[Any]:
    query = select(pins).where(pins.c.source_id == source_id, pins.c.since <= upto)
    return query.order_by(pins.c.since.desc()).limit(1)


def _pin(row: RowMapping) -> Pin:
    return Pin(TransactionId(row["since"]), row["snapshot"], row["upto"], row["at"], _unpack(row["request"]))


def _pack(told: Any) -> bytes:
    return zlib.compress(json.dumps(told, separators=(",", ":")).encode(), 6)


def _unpack(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))
