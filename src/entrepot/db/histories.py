"""One package in some sources through all time: its files, when each was visible, and what transactions did it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, select

from entrepot.core.model import FOREVER, File, FileStatus, PackageName, Transaction, TransactionId
from entrepot.db import bulk
from entrepot.db.listings import FILE_COLUMNS
from entrepot.db.schema import STATUSES, files, pins, transactions, visibility


class Visible(NamedTuple):
    """A row of `visibility`; `until` is None while it goes on."""

    source_id: int
    file_id: int
    status: FileStatus
    since: TransactionId
    until: TransactionId | None
    begins: int | None
    ends: int | None


def visible(
    connection: Connection, package: PackageName, *, source_ids: Collection[int], files_of: Collection[int]
) -> list[Visible]:
    """When which files of a package were visible in these sources, which show files of `files_of`."""
    columns = ("source_id", "file_id", "status", "since", "until", "begins", "ends")
    query = select(*(visibility.c[name] for name in columns)).join(files, files.c.id == visibility.c.file_id)
    query = query.where(files.c.source_id.in_(list(files_of)), bulk.among(connection, files.c.package, [package]))
    # By the package's few files, not by the index of all that is visible.
    rows = bulk.rows(connection, query.where((visibility.c.source_id + 0).in_(list(source_ids))))
    return [
        Visible(source_id, file_id, STATUSES[status], since, None if until == FOREVER else until, begins, ends)
        for source_id, file_id, status, since, until, begins, ends in rows
    ]


def of_package(connection: Connection, package: PackageName, files_of: Collection[int]) -> dict[int, File]:
    """All files of a package that came with these sources, visible or not; by id."""
    query = select(*FILE_COLUMNS).where(files.c.source_id.in_(list(files_of)))
    rows = bulk.rows(connection, query.where(bulk.among(connection, files.c.package, [package])))
    return {row[0]: File._make(row) for row in rows}


def pinned(connection: Connection, source_ids: Iterable[int]) -> list[tuple[int, TransactionId, TransactionId]]:
    """(source, transaction, the mirror's transaction that it shows from then on) of pinned sources, in order."""
    query = select(pins.c.source_id, pins.c.since, pins.c.upto).where(pins.c.source_id.in_(list(source_ids)))
    return [tuple(row) for row in connection.execute(query.order_by(pins.c.since))]


def transactions_of(connection: Connection, ids: Collection[int]) -> dict[TransactionId, Transaction]:
    """Transactions by their ids, however many."""
    columns = [transactions.c[name] for name in Transaction.__slots__]
    query = select(*columns).where(bulk.among_ids(connection, transactions.c.id, ids))
    return {row.id: Transaction(*row) for row in connection.execute(query)}
