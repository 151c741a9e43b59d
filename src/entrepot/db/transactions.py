"""Rows of the one sequence of transactions, and the look-ups by which snapshots are resolved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import cached_property

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, or_, select

from entrepot.core.model import Source, Transaction, TransactionId
from entrepot.db import sources as db_sources
from entrepot.db.engine import chunks
from entrepot.db.schema import transactions


def newest(connection: Connection) -> TransactionId:
    """The newest transaction of all; 0 if there is none."""
    return TransactionId(connection.execute(select(func.max(transactions.c.id))).scalar() or 0)


def add(
    connection: Connection,
    *,
    time: datetime,
    day: date,
    actor: str,
    message: str,
    source_id: int | None = None,
    repository_id: int | None = None,
) -> TransactionId:
    """Record a transaction as the newest one. Only inside `Database.write`."""
    (id_,) = add_many(
        connection, [(day, message)], time=time, actor=actor, source_id=source_id, repository_id=repository_id
    )
    return id_


def add_many(
    connection: Connection,
    days: Iterable[tuple[date, str]],
    *,
    time: datetime,
    actor: str,
    source_id: int | None = None,
    repository_id: int | None = None,
) -> list[TransactionId]:
    """Record one transaction for each (day, message), in order. Only inside `Database.write`."""
    start = newest(connection) + 1
    rows = [
        {
            "id": start + i,
            "time": time,
            "day": day,
            "source_id": source_id,
            "repository_id": repository_id,
            "actor": actor,
            "message": message,
        }
        for i, (day, message) in enumerate(days)
    ]
    for chunk in chunks(rows):
        connection.execute(insert(transactions), chunk)
    return [TransactionId(start + i) for i in range(len(rows))]


def day_for_source(connection: Connection, source_id: int, today: date) -> date:
    """The day of a change to a source of our own: today, and never before that of an earlier change."""
    return _not_before(connection, transactions.c.source_id == source_id, today)


def day_for_repository(connection: Connection, repository_id: int, today: date) -> date:
    """The day of a change to a repository's subscriptions; as `day_for_source`."""
    return _not_before(connection, transactions.c.repository_id == repository_id, today)


def _not_before(connection: Connection, whose: ColumnElement[bool], today: date) -> date:
    last: date | None = connection.execute(select(func.max(transactions.c.day)).where(whose)).scalar()
    return max(today, last or today)


def get(connection: Connection, id_: int) -> Transaction | None:
    row = connection.execute(select(transactions).where(transactions.c.id == id_)).mappings().one_or_none()
    return _transaction(row) if row else None


def page(
    connection: Connection,
    *,
    source_ids: Iterable[int] = (),
    repository_id: int | None = None,
    newest_first: bool = True,
    limit: int,
    offset: int,
) -> tuple[list[Transaction], int]:
    """Transactions of any of these sources or of that repository, and how many there are in all."""
    wanted: ColumnElement[bool] = transactions.c.source_id.in_(list(source_ids))
    if repository_id is not None:  # compared with None it would be true of every source
        wanted = or_(wanted, transactions.c.repository_id == repository_id)
    total = connection.execute(select(func.count()).select_from(transactions).where(wanted)).scalar_one()
    order = transactions.c.id.desc() if newest_first else transactions.c.id
    rows = connection.execute(select(transactions).where(wanted).order_by(order).limit(limit).offset(offset))
    return [_transaction(row) for row in rows.mappings()], total


def days_with_changes(connection: Connection, source_ids: Iterable[int], through: date) -> list[tuple[date, int]]:
    """(day, newest transaction of that day) of these sources, ascending, not after `through`."""
    query = (
        select(transactions.c.day, func.max(transactions.c.id))
        .where(transactions.c.source_id.in_(list(source_ids)), transactions.c.day <= through)
        .group_by(transactions.c.day)
        .order_by(transactions.c.day)
    )
    return [(day, id_) for day, id_ in connection.execute(query)]


def times(connection: Connection, ids: Iterable[TransactionId]) -> dict[TransactionId, datetime]:
    """When each of these was recorded."""
    query = select(transactions.c.id, transactions.c.time).where(transactions.c.id.in_(set(ids)))
    return {TransactionId(row.id): row.time for row in connection.execute(query)}


def newest_of(connection: Connection, *, source_id: int | None = None, repository_id: int | None = None) -> int | None:
    """The newest transaction of a source or repository; None before the first."""
    column = transactions.c.source_id if source_id is not None else transactions.c.repository_id
    wanted = source_id if source_id is not None else repository_id
    return connection.execute(select(func.max(transactions.c.id)).where(column == wanted)).scalar()


class DatabaseHistory:
    """`core.snapshots.History` over one connection: each look-up is one step in an index."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sources: dict[int, Source] = {}

    def newest(self) -> TransactionId:
        return self._newest

    @cached_property
    def _newest(self) -> TransactionId:
        return newest(self._connection)

    def source(self, source_id: int) -> Source:
        if source_id not in self._sources:
            self._sources[source_id] = db_sources.by_id(self._connection, source_id)
        return self._sources[source_id]

    def first_of(self, source_id: int) -> tuple[TransactionId, date] | None:
        row = self._connection.execute(
            select(transactions.c.id, transactions.c.day)
            .where(transactions.c.source_id == source_id)
            .order_by(transactions.c.id)
            .limit(1)
        ).one_or_none()
        return (TransactionId(row.id), row.day) if row else None

    def last_upto(self, source_id: int, upto: TransactionId) -> TransactionId:
        query = select(func.max(transactions.c.id)).where(
            and_(transactions.c.source_id == source_id, transactions.c.id <= upto)
        )
        return TransactionId(self._connection.execute(query).scalar() or 0)

    def last_by_day(self, source_id: int, day: date) -> TransactionId:
        query = (
            select(transactions.c.id)
            .where(transactions.c.source_id == source_id, transactions.c.day <= day)
            .order_by(transactions.c.day.desc(), transactions.c.id.desc())
            .limit(1)
        )
        return TransactionId(self._connection.execute(query).scalar() or 0)

    def day_of(self, transaction: TransactionId) -> date:
        day: date = self._connection.execute(
            select(transactions.c.day).where(transactions.c.id == transaction)
        ).scalar_one()
        return day


def _transaction(row: RowMapping) -> Transaction:
    return Transaction(
        id=TransactionId(row["id"]),
        time=row["time"],
        day=row["day"],
        source_id=row["source_id"],
        repository_id=row["repository_id"],
        actor=row["actor"],
        message=row["message"],
    )
