"""Rows of files, and of when each was visible. Every statement here is for many rows at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from entrepot.core.model import FOREVER, File, FileStatus, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.db import bulk
from entrepot.db.engine import chunks
from entrepot.db.listings import FILE_COLUMNS
from entrepot.db.schema import STATUS_CODES, descriptions, files, transactions, visibility


def next_id(connection: Connection) -> int:
    """The first unused id. Only inside `Database.write`, whose lock keeps it unused."""
    return (connection.execute(select(func.max(files.c.id))).scalar() or 0) + 1


def add(connection: Connection, rows: Sequence[File]) -> None:
    bulk.insert(connection, files, [column.name for column in FILE_COLUMNS], rows)


def show(
    connection: Connection,
    rows: Sequence[tuple[int, int, FileStatus, TransactionId, TransactionId]],
    begins: Sequence[int | None] | None = None,
) -> None:
    """Add visibility rows (file id, source id, status, since, until); `begins` are their times, of sources that have
    such."""
    names = ["file_id", "source_id", "status", "since", "until"]
    values: list[tuple[Any, ...]] = [(f, s, STATUS_CODES[status], since, until) for f, s, status, since, until in rows]
    if begins is not None:
        names.append("begins")
        values = [(*row, time) for row, time in zip(values, begins, strict=True)]
    bulk.insert(connection, visibility, names, values)


def hide(
    connection: Connection, source_id: int, ends: Iterable[tuple[int, TransactionId]], *, time: int | None = None
) -> None:
    """End the visible row that a source has of each (file id, transaction); `time` is when, of sources that have times.

    Other sources may go on showing the same file.
    """
    values: dict[str, Any] = {"until": bindparam("at")}
    if time is not None:
        values["ends"] = time
    statement = (
        update(visibility)
        .where(
            visibility.c.file_id == bindparam("file"),
            visibility.c.source_id + 0 == source_id,
            visibility.c.until == FOREVER,
        )
        .values(**values)
    )
    for chunk in chunks([{"file": file_id, "at": at} for file_id, at in ends]):
        connection.execute(statement, chunk)


def counts_current(connection: Connection, source_ids: Iterable[int], *, has_archive: bool) -> dict[int, int]:
    """How many packages each source has now, not counting those with archived versions alone; those with none are
    left out.

    With an archive there is one current file a package; else each may have many.
    """
    current = visibility.c.source_id.in_(list(source_ids)), visibility.c.status == 0, visibility.c.until == FOREVER
    number = func.count() if has_archive else func.count(files.c.package.distinct())
    query = select(visibility.c.source_id, number.label("packages")).where(*current).group_by(visibility.c.source_id)
    if not has_archive:
        query = query.join(files, files.c.id == visibility.c.file_id)
    return {row.source_id: row.packages for row in connection.execute(query)}


def get(connection: Connection, file_id: int) -> File | None:
    return by_ids(connection, [file_id]).get(file_id)


def by_ids(connection: Connection, file_ids: Iterable[int]) -> dict[int, File]:
    """Files by their ids, however many: id -> file, of those that there are."""
    query = select(*FILE_COLUMNS).where(bulk.among_ids(connection, files.c.id, list(file_ids)))
    return {row[0]: File._make(row) for row in bulk.rows(connection, query)}


def learn(connection: Connection, file_id: int, **facts: Any) -> None:
    """Fill in facts about a file that nobody knew when it was listed: sha256, sha256_since, size, md5, fields."""
    if facts:
        connection.execute(update(files).where(files.c.id == file_id).values(**facts))


def add_descriptions(connection: Connection, rows: Iterable[tuple[int, str]]) -> None:
    """Keep the metadata document of each (file id, text)."""
    values = [{"file_id": id_, "body": zlib.compress(text.encode(), 9)} for id_, text in rows]
    for chunk in chunks(values, 500):
        connection.execute(insert(descriptions), chunk)


def description(connection: Connection, file_id: int) -> str | None:
    """The metadata document of a file; None while nobody has read it."""
    return documents(connection, [file_id]).get(file_id)


def documents(connection: Connection, file_ids: Iterable[int]) -> dict[int, str]:
    """As `description`, for the files of one page at once: file id -> text, of those that were read."""
    query = select(descriptions.c.file_id, descriptions.c.body).where(descriptions.c.file_id.in_(list(file_ids)))
    return {file_id: zlib.decompress(body).decode() for file_id, body in connection.execute(query)}


def shown_since(connection: Connection, file_id: int, cut: Cut) -> datetime | None:
    """When the transaction was recorded that gave a file the status that it has at a cut."""
    upto = cut.rows.upto
    query = (
        select(transactions.c.time)
        .join(visibility, visibility.c.since == transactions.c.id)
        .where(visibility.c.file_id == file_id, visibility.c.source_id + 0 == cut.rows.source_id)
        .where(visibility.c.since <= upto, visibility.c.until > upto)
    )
    time: datetime | None = connection.execute(query).scalar()
    return time
