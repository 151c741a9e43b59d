"""The record of changes, searched: transactions of sources and repositories by what they did.

What each transaction did to packages never changes, so it is counted once (`change_counts`), soon after it was written
and in the order of ids. What wasn't counted yet is counted when it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, insert, or_, select

from entrepot.core.activity import CHANGES, ActivityKind, Wanted
from entrepot.core.changes import ChangeKind
from entrepot.core.model import PackageName, SourceType, Transaction, TransactionId
from entrepot.db import bulk
from entrepot.db import changes as db_changes
from entrepot.db import transactions as db_transactions
from entrepot.db.schema import (
    binary_builds,
    change_counts,
    git_attempts,
    git_builders,
    repositories,
    sources,
    transactions,
)

Counts = Mapping[ChangeKind, int]
_AT_ONCE = 1000
"""Transactions that are counted by one statement."""
_COLUMNS = {kind: change_counts.c[kind.value] for kind in ChangeKind}


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose transactions: those of any of these sources, and those of a repository itself.

    `until` has for some of the sources the transaction before which they count.
    """

    source_ids: Collection[int] = ()
    until: Mapping[int, TransactionId] = field(default_factory=dict)
    repository_id: int | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        of = transactions.c
        wanted: list[ColumnElement[bool]] = [
            of.source_id.in_([id_ for id_ in self.source_ids if id_ not in self.until])
        ]
        wanted += [and_(of.source_id == id_, of.id < self.until[id_]) for id_ in self.source_ids if id_ in self.until]
        if self.repository_id is not None:  # compared with None it would be true of every source
            wanted.append(of.repository_id == self.repository_id)
        return or_(false(), *wanted)


@dataclass(frozen=True, slots=True)
class Row:
    """A transaction with the name of its repository, what it did to packages, and whether it records an attempt at a
    build from Git, or shows a binary package of a build target."""

    transaction: Transaction
    repository: str | None
    counts: Counts
    is_attempt: bool
    is_binary: bool


def page(
    connection: Connection,
    scope: Scope,
    wanted: Wanted,
    *,
    newest_first: bool = True,
    limit: int,
    offset: int,
    among: Collection[TransactionId] | None = None,
) -> tuple[list[Row], int]:
    """Transactions of a scope, and how many there are in all.

    Args:
        wanted: a package isn't looked at here; `among` has the transactions that are about it.
    """
    condition = scope.condition
    if wanted.start is not None:
        condition &= transactions.c.day >= wanted.start
    if wanted.end is not None:
        condition &= transactions.c.day <= wanted.end
    if among is not None:
        condition &= bulk.among_ids(connection, transactions.c.id, among)
    elif wanted.kinds:
        condition &= _any_kind(connection, condition, wanted.kinds)
    total = connection.execute(select(func.count()).select_from(transactions).where(condition)).scalar_one()
    order = transactions.c.id.desc() if newest_first else transactions.c.id
    # Else SQLite would look up everything of all that it puts in order.
    ids = select(transactions.c.id).where(condition).order_by(order).limit(limit).offset(offset)
    return _rows(connection, _ROWS.where(transactions.c.id.in_(ids)).order_by(order)), total


def of_id(connection: Connection, id_: TransactionId) -> Row:
    """A transaction that there is."""
    return _rows(connection, _ROWS.where(transactions.c.id == id_))[0]


_ATTEMPT = exists().where(git_attempts.c.transaction_id == transactions.c.id).correlate(transactions)
_BINARY = exists().where(binary_builds.c.transaction_id == transactions.c.id).correlate(transactions)
_UPTO = select(func.max(change_counts.c.transaction_id)).scalar_subquery()
_ROWS = select(
    *transactions.c,
    *_COLUMNS.values(),
    sources.c.type,
    repositories.c.name.label("repository"),
    (transactions.c.id > func.coalesce(_UPTO, 0)).label("is_new"),
    _ATTEMPT.label("is_attempt"),
    _BINARY.label("is_binary"),
).select_from(
    transactions.outerjoin(change_counts, change_counts.c.transaction_id == transactions.c.id)
    .outerjoin(sources, sources.c.id == transactions.c.source_id)
    .outerjoin(repositories, repositories.c.id == transactions.c.repository_id)
)


def _rows(connection: Connection, query: Select[Any]) -> list[Row]:
    rows = connection.execute(query).mappings().all()
    new = [(TransactionId(row["id"]), SourceType(row["type"])) for row in rows if row["is_new"] and row["type"]]
    fresh = _count(connection, new)
    return [
        Row(
            db_transactions.transaction(row),
            row["repository"],
            {kind: row[kind.value] or 0 for kind in ChangeKind} | dict(fresh.get(row["id"], {})),
            row["is_attempt"],
            row["is_binary"],
        )
        for row in rows
    ]


def _any_kind(
    connection: Connection, condition: ColumnElement[bool], kinds: Collection[ActivityKind]
) -> ColumnElement[bool]:
    """That a transaction that `condition` is true of is of any of these kinds."""
    some: list[ColumnElement[bool]] = []
    changes = {CHANGES[kind] for kind in kinds if kind in CHANGES}
    if changes:
        counted = select(change_counts.c.transaction_id).where(or_(*(_COLUMNS[kind] > 0 for kind in changes)))
        some.append(transactions.c.id.in_(counted))
        fresh = _count(connection, _uncounted(connection, condition))
        some.append(
            bulk.among_ids(connection, transactions.c.id, [at for at, of in fresh.items() if changes & of.keys()])
        )
    if ActivityKind.BUILD in kinds:
        some += [_ATTEMPT, _BINARY]
    elif ActivityKind.FAILED_BUILD in kinds:
        some.append(_ATTEMPT.where(git_attempts.c.status == "failed"))
    if ActivityKind.SUBSCRIPTION in kinds:
        some.append(transactions.c.repository_id.is_not(None))
    return or_(*some)


# --- one package ---------------------------------------------------------------------------------------------------


def attempts_at(
    connection: Connection, source_ids: Collection[int], package: PackageName
) -> dict[TransactionId, set[ActivityKind]]:
    """The transactions of these sources that tell of attempts at builds of a package, and what they are."""
    name = func.coalesce(git_attempts.c.name, git_builders.c.name)
    query = select(git_attempts.c.transaction_id, git_attempts.c.status)
    query = query.join(git_builders, git_builders.c.id == git_attempts.c.builder_id)
    query = query.where(git_builders.c.source_id.in_(source_ids), name == package)
    found = {
        TransactionId(at): {ActivityKind.BUILD} | ({ActivityKind.FAILED_BUILD} if status == "failed" else set())
        for at, status in connection.execute(query)
    }
    of = binary_builds.c
    binary = select(of.transaction_id).where(of.source_id.in_(source_ids), of.package == package)
    for at in connection.execute(binary.where(of.transaction_id.is_not(None))).scalars():
        found.setdefault(TransactionId(at), set()).add(ActivityKind.BUILD)
    return found


# --- counts --------------------------------------------------------------------------------------------------------


def next_uncounted(connection: Connection) -> tuple[TransactionId, dict[TransactionId, Counts]] | None:
    """The next transactions that were not counted yet: the last of them, and what each did. None: there are none."""
    query = select(transactions.c.id).where(transactions.c.id > _upto(connection)).order_by(transactions.c.id)
    ids = list(connection.execute(query.limit(_AT_ONCE)).scalars())
    if not ids:
        return None
    return TransactionId(ids[-1]), _count(connection, _uncounted(connection, transactions.c.id <= ids[-1]))


def keep_counts(connection: Connection, last: TransactionId, told: Mapping[TransactionId, Counts]) -> None:
    """Keep what `next_uncounted` told, unless somebody else did. Only inside `Database.write`."""
    upto = _upto(connection)
    # The last one has a row whatever it did: up to there all are counted.
    rows = [(id_, told.get(id_, {})) for id_ in sorted(told.keys() | {last}) if id_ > upto]
    values = [{"transaction_id": id_} | {kind.value: of.get(kind, 0) for kind in ChangeKind} for id_, of in rows]
    if values:
        connection.execute(insert(change_counts), values)


def _upto(connection: Connection) -> int:
    return connection.execute(select(_UPTO)).scalar() or 0


def _uncounted(connection: Connection, condition: ColumnElement[bool]) -> list[tuple[TransactionId, SourceType]]:
    """The transactions of sources that `condition` is true of and that were not counted yet, with the source's type."""
    query = select(transactions.c.id, sources.c.type).join(sources, sources.c.id == transactions.c.source_id)
    query = query.where(condition, transactions.c.id > _upto(connection)).order_by(transactions.c.id)
    return [(TransactionId(id_), SourceType(type_)) for id_, type_ in connection.execute(query)]


def _count(connection: Connection, types: Sequence[tuple[TransactionId, SourceType]]) -> dict[TransactionId, Counts]:
    """What some transactions did, with zeros left out, of those that did anything."""
    found: dict[TransactionId, Counts] = {}
    for start in range(0, len(types), _AT_ONCE):
        for at, of in db_changes.count(connection, dict(types[start : start + _AT_ONCE])).items():
            found[TransactionId(at)] = {kind: number for kind, number in of.items() if number}
    return found
