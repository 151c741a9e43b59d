"""Files whose metadata nobody has read yet: which they are, how many, and what was read of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from entrepot.core.model import FileStatus, TransactionId
from entrepot.db import files as db_files
from entrepot.db.schema import STATUS_CODES, descriptions, files, mirrors, visibility


class Span(NamedTuple):
    """Part of a source's history: as it stood after transaction `after`, and all that followed up to `upto`."""

    source_id: int
    after: TransactionId
    upto: TransactionId


class Undescribed(NamedTuple):
    """A file that nobody has read; `size` in bytes, None if nobody told it."""

    id: int
    package: str
    version: str
    name: str
    size: int | None


class Description(NamedTuple):
    """What was read of a file: its index entry, and its metadata document as it stands."""

    file_id: int
    fields: str
    text: str


def count(connection: Connection, span: Span) -> tuple[int, int]:
    """(files that nobody has read, all files) of those that were current at some time in the span."""
    query = select(func.count() - func.count(files.c.fields), func.count()).where(_current_in(span))
    lacking, total = connection.execute(query).one()
    return lacking, total


def undescribed(connection: Connection, span: Span) -> list[int]:
    """The ids of those that nobody has read, the newest first."""
    query = (
        select(files.c.id)
        .where(_current_in(span), files.c.fields.is_(None))
        .order_by(files.c.published.desc().nulls_last(), files.c.id.desc())
    )
    return list(connection.execute(query).scalars())


def still_undescribed(connection: Connection, file_ids: Sequence[int]) -> list[Undescribed]:
    """Those of some files that nobody has read meanwhile, in the same order."""
    columns = (files.c.id, files.c.package, files.c.version, files.c.name, files.c.size)
    query = select(*columns).where(files.c.id.in_(file_ids), files.c.fields.is_(None))
    found = {row.id: Undescribed(*row) for row in connection.execute(query)}
    return [found[id_] for id_ in file_ids if id_ in found]


def describe(connection: Connection, source_id: int, read: Iterable[Description]) -> int:
    """Keep what was read of some files of a mirror; how many of them were filled by it.

    What somebody filled meanwhile is left as it is: an entry that was served whole never changes.
    """
    by_id = {one.file_id: one for one in read}
    query = select(files.c.id).where(files.c.id.in_(by_id), files.c.fields.is_(None))
    ids = list(connection.execute(query).scalars())
    if not ids:
        return 0
    statement = update(files).where(files.c.id == bindparam("file")).values(fields=bindparam("entry"))
    connection.execute(statement, [{"file": id_, "entry": by_id[id_].fields} for id_ in ids])
    kept = set(connection.execute(select(descriptions.c.file_id).where(descriptions.c.file_id.in_(ids))).scalars())
    db_files.add_descriptions(connection, [(id_, by_id[id_].text) for id_ in ids if id_ not in kept])
    grown = update(mirrors).where(mirrors.c.source_id == source_id).values(filled=mirrors.c.filled + 1)
    connection.execute(grown)
    return len(ids)


def _current_in(span: Span) -> ColumnElement[bool]:
    was_current = select(visibility.c.file_id).where(
        visibility.c.source_id == span.source_id,
        visibility.c.status == STATUS_CODES[FileStatus.CURRENT],
        visibility.c.since <= span.upto,
        visibility.c.until > span.after,
    )
    return files.c.id.in_(was_current)
