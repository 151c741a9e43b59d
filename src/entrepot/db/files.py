"""Rows of files, and of when each was visible. Every statement here is for many rows at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, or_, select, update

from entrepot.core.changes import Seen
from entrepot.core.model import FOREVER, File, FileStatus, Listed, PackageName, Sha256, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.db.engine import chunks
from entrepot.db.schema import STATUS_CODES, STATUSES, descriptions, files, visibility

_NEVER = datetime.fromtimestamp(0, UTC)
_FILE_COLUMNS = (
    files.c.id,
    files.c.source_id,
    files.c.package,
    files.c.version,
    files.c.name,
    files.c.size,
    files.c.md5,
    files.c.sha256,
    files.c.sha256_since,
    files.c.published,
    files.c.fields,
)


def next_id(connection: Connection) -> int:
    """The first unused id. Only inside `Database.write`, whose lock keeps it unused."""
    return (connection.execute(select(func.max(files.c.id))).scalar() or 0) + 1


def add(connection: Connection, rows: Sequence[File]) -> None:
    for chunk in chunks([_row(file) for file in rows]):
        connection.execute(insert(files), chunk)


def show(connection: Connection, rows: Iterable[tuple[int, int, FileStatus, TransactionId, TransactionId]]) -> None:
    """Add visibility rows (file id, source id, status, since, until)."""
    values = [
        {"file_id": f, "source_id": s, "status": STATUS_CODES[status], "since": since, "until": until}
        for f, s, status, since, until in rows
    ]
    for chunk in chunks(values):
        connection.execute(insert(visibility), chunk)


def hide(connection: Connection, ends: Iterable[tuple[int, TransactionId]]) -> None:
    """End the visible row of each (file id, transaction)."""
    statement = (
        update(visibility)
        .where(visibility.c.file_id == bindparam("file"), visibility.c.until == FOREVER)
        .values(until=bindparam("at"))
    )
    for chunk in chunks([{"file": file_id, "at": at} for file_id, at in ends]):
        connection.execute(statement, chunk)


def visible(
    connection: Connection, cut: Cut, *, status: FileStatus | None = None, package: PackageName | None = None
) -> list[Listed]:
    """What a source shows at a cut, ordered by package and publication."""
    query = select(*_FILE_COLUMNS, visibility.c.status).join(files, files.c.id == visibility.c.file_id)
    query = query.where(visibility.c.until > cut.upto, visibility.c.since <= cut.upto)
    if package is not None:
        # By the package's few files: nothing here may lead a planner to the index of all that is visible.
        query = query.where(files.c.source_id == cut.source_id, files.c.package == package)
        if status is not None:
            query = query.where(visibility.c.status + 0 == STATUS_CODES[status])
    else:
        wanted = list(STATUSES) if status is None else [STATUS_CODES[status]]
        query = query.where(visibility.c.source_id == cut.source_id, visibility.c.status.in_(wanted))
    rows = [Listed(_file(row), STATUSES[row.status]) for row in connection.execute(query)]
    # Ordered here: collations of databases differ, and R expects the order of the C locale.
    rows.sort(key=lambda row: (row.file.package, row.file.published or _NEVER, row.file.id))
    return rows


def names(connection: Connection, cut: Cut) -> list[PackageName]:
    """All package names that a source has at a cut, in any order."""
    query = _at(cut, select(files.c.package).join(visibility, files.c.id == visibility.c.file_id))
    query = query.where(visibility.c.status.in_(list(STATUSES))).distinct()
    return [PackageName(name) for (name,) in connection.execute(query)]


def count_current(connection: Connection, source_id: int) -> int:
    """How many packages a source has now, not counting those with archived versions alone."""
    query = select(func.count()).where(
        visibility.c.source_id == source_id, visibility.c.status == 0, visibility.c.until == FOREVER
    )
    return connection.execute(query).scalar_one()


def get(connection: Connection, file_id: int) -> File | None:
    row = connection.execute(select(*_FILE_COLUMNS).where(files.c.id == file_id)).one_or_none()
    return _file(row) if row else None


def with_hash(connection: Connection, sha256: str, limit: int = 1) -> list[int]:
    """Ids of files with these bytes."""
    return list(connection.execute(select(files.c.id).where(files.c.sha256 == sha256).limit(limit)).scalars())


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
    body = connection.execute(select(descriptions.c.body).where(descriptions.c.file_id == file_id)).scalar()
    return zlib.decompress(body).decode() if body is not None else None


def seen_at(connection: Connection, source_id: int, ids: Sequence[int]) -> dict[int, tuple[list[Seen], list[Seen]]]:
    """For each of these transactions of a source: the rows that it began and those that it ended."""
    result: dict[int, tuple[list[Seen], list[Seen]]] = {id_: ([], []) for id_ in ids}
    if not ids:
        return result
    query = (
        select(files.c.package, files.c.version, visibility.c.status, visibility.c.since, visibility.c.until)
        .join(files, files.c.id == visibility.c.file_id)
        .where(
            visibility.c.source_id == source_id,
            or_(
                visibility.c.since.in_(list(ids)),
                visibility.c.status.in_(list(STATUSES)) & visibility.c.until.in_(list(ids)),
            ),
        )
        .order_by(files.c.package, files.c.id)
    )
    for row in connection.execute(query):
        seen = Seen(PackageName(row.package), row.version, STATUSES[row.status])
        if row.since in result:
            result[row.since][0].append(seen)
        if row.until in result:
            result[row.until][1].append(seen)
    return result


def history(connection: Connection, source_id: int, package: PackageName) -> list[tuple[str, FileStatus, int, int]]:
    """(version, status, since, until) of all that a source ever showed of a package, oldest first."""
    query = (
        select(files.c.version, visibility.c.status, visibility.c.since, visibility.c.until)
        .join(files, files.c.id == visibility.c.file_id)
        .where(files.c.source_id == source_id, files.c.package == package)
        .order_by(visibility.c.since)
    )
    return [(version, STATUSES[status], since, until) for version, status, since, until in connection.execute(query)]


def _at(cut: Cut, query: Select[Any]) -> Select[Any]:
    return query.where(
        visibility.c.source_id == cut.source_id, visibility.c.until > cut.upto, visibility.c.since <= cut.upto
    )


def _file(row: Any) -> File:
    return File(
        row.id,
        row.source_id,
        row.package,
        row.version,
        row.name,
        row.size,
        row.md5,
        Sha256(row.sha256) if row.sha256 else None,
        row.sha256_since,
        datetime.fromtimestamp(row.published, UTC) if row.published is not None else None,
        row.fields,
    )


def _row(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "source_id": file.source_id,
        "package": file.package,
        "version": file.version,
        "name": file.name,
        "size": file.size,
        "md5": file.md5,
        "sha256": file.sha256,
        "sha256_since": file.sha256_since,
        "published": int(file.published.timestamp()) if file.published else None,
        "fields": file.fields,
    }


def seen(row: Listed) -> Seen:
    """What `core.changes.describe` wants to know of a row."""
    return Seen(row.file.package, row.file.version, row.status)
