"""Rows of the one sequence of transactions, and the look-ups by which snapshots are resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cached_property

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, insert, or_, select

from entrepot.core.model import FOREVER, Source, Subscription, Transaction, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.db import curations as db_curations
from entrepot.db import sources as db_sources
from entrepot.db.engine import chunks
from entrepot.db.schema import sources, transactions


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
    return transaction(row) if row else None


def days_with_changes(
    connection: Connection, source_ids: Iterable[int], *, until: Mapping[int, TransactionId], start: date, end: date
) -> list[tuple[date, int]]:
    """(day, newest transaction of that day) of these sources, ascending, from `start` through `end`; `until` as in
    `page`."""
    query = (
        select(transactions.c.day, func.max(transactions.c.id))
        .where(_of(source_ids, until), transactions.c.day >= start, transactions.c.day <= end)
        .group_by(transactions.c.day)
        .order_by(transactions.c.day)
    )
    return [(day, id_) for day, id_ in connection.execute(query)]


def of_days(
    connection: Connection,
    source_ids: Iterable[int],
    *,
    until: Mapping[int, TransactionId],
    start: date,
    end: date,
    most: int,
) -> list[tuple[TransactionId, int, date]]:
    """(id, source, day) of at most so many transactions, of those that `days_with_changes` looks at."""
    query = select(transactions.c.id, transactions.c.source_id, transactions.c.day)
    query = query.where(_of(source_ids, until), transactions.c.day >= start, transactions.c.day <= end).limit(most)
    return [(TransactionId(id_), source_id, day) for id_, source_id, day in connection.execute(query)]


def _of(source_ids: Iterable[int], until: Mapping[int, TransactionId]) -> ColumnElement[bool]:
    """Whether a row is of one of these sources, of those in `until` before that transaction."""
    for_good: ColumnElement[bool] = transactions.c.source_id.in_([id_ for id_ in source_ids if id_ not in until])
    before = [and_(transactions.c.source_id == id_, transactions.c.id < at) for id_, at in until.items()]
    return or_(for_good, *before)


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
    """`core.snapshots.History` over one connection.

    Each thing that is asked is looked up for all sources and changes of these subscriptions at once, each by steps in
    an index, so that a snapshot takes the same few statements however much there is.
    """

    def __init__(self, connection: Connection, subscriptions: Iterable[Subscription] = ()) -> None:
        self._connection = connection
        every = list(subscriptions)
        self._source_ids = {s.source_id for s in every}
        self._changes = {s.since for s in every} | {s.until for s in every if s.until != FOREVER}
        self._sources: dict[int, Source] = {}
        self._days: dict[TransactionId, date] = {}
        self._firsts: dict[int, tuple[TransactionId, date] | None] = {}
        self._lasts: dict[TransactionId | date, dict[int, TransactionId]] = {}

    def newest(self) -> TransactionId:
        return self._newest

    @cached_property
    def _newest(self) -> TransactionId:
        return newest(self._connection)

    def source(self, source_id: int) -> Source:
        if source_id not in self._sources:
            self._sources |= db_sources.by_ids(self._connection, self._source_ids | {source_id})
        return self._sources[source_id]

    def first_of(self, source_id: int) -> tuple[TransactionId, date] | None:
        if source_id not in self._firsts:
            wanted = self._source_ids | {source_id}
            own = transactions.alias()
            first = select(func.min(own.c.id)).where(own.c.source_id == sources.c.id).scalar_subquery()
            query = select(sources.c.id, transactions.c.id, transactions.c.day)
            query = query.select_from(sources.join(transactions, transactions.c.id == first))
            self._firsts |= dict.fromkeys(wanted)
            self._firsts |= {
                of: (id_, day) for of, id_, day in self._connection.execute(query.where(sources.c.id.in_(wanted)))
            }
        return self._firsts[source_id]

    def last_upto(self, source_id: int, upto: TransactionId) -> TransactionId:
        last = select(func.max(transactions.c.id)).where(transactions.c.id <= upto)
        return self._last(source_id, upto, last)

    def last_by_day(self, source_id: int, day: date) -> TransactionId:
        last = select(transactions.c.id).where(transactions.c.day <= day)
        return self._last(source_id, day, last.order_by(transactions.c.day.desc(), transactions.c.id.desc()).limit(1))

    def _last(self, source_id: int, point: TransactionId | date, last: Select[tuple[int]]) -> TransactionId:
        known = self._lasts.setdefault(point, {})
        if source_id not in known:
            of_source = last.where(transactions.c.source_id == sources.c.id).scalar_subquery()
            query = select(sources.c.id, of_source).where(sources.c.id.in_(self._source_ids | {source_id}))
            known |= {of: TransactionId(id_ or 0) for of, id_ in self._connection.execute(query)}
        return known[source_id]

    def pin_of(self, source_id: int, upto: TransactionId) -> Cut | None:
        return db_curations.cut_pinned(self._connection, self.source(source_id), upto)

    def time_of(self, transaction: TransactionId) -> datetime:
        return times(self._connection, [transaction])[transaction]

    def day_of(self, transaction: TransactionId) -> date:
        if transaction not in self._days:
            wanted = self._changes | {transaction}
            query = select(transactions.c.id, transactions.c.day).where(transactions.c.id.in_(wanted))
            self._days |= {TransactionId(id_): day for id_, day in self._connection.execute(query)}
        return self._days[transaction]


def transaction(row: RowMapping) -> Transaction:
    """A transaction as a value."""
    return Transaction(
        id=TransactionId(row["id"]),
        time=row["time"],
        day=row["day"],
        source_id=row["source_id"],
        repository_id=row["repository_id"],
        actor=row["actor"],
        message=row["message"],
    )
