"""What a source shows at a cut: all of it in full or in brief, and which names it has. One statement each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import repeat
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Select, func, select

from entrepot.core.model import Brief, File, FileStatus, Listed, PackageName
from entrepot.core.snapshots import Cut
from entrepot.db import bulk
from entrepot.db.schema import STATUS_CODES, STATUSES, files, visibility

T = TypeVar("T")
Row = TypeVar("Row", File, Brief)

FILE_COLUMNS = (
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
"""Those of `File`, in its order."""
_BRIEF_COLUMNS = (files.c.id, files.c.package, files.c.version, files.c.name, files.c.size, files.c.published)


def _maker(shape: type[T]) -> Callable[[Iterable[Any]], T]:
    """What a named tuple's `_make` does, but for the check of the length and a call of Python for each row."""
    return cast(Callable[[Iterable[Any]], T], partial(tuple.__new__, shape))


as_file = _maker(File)
"""A row of `FILE_COLUMNS` as the file that it is."""
_as_brief = _maker(Brief)
_as_listed = _maker(Listed)


def visible(connection: Connection, cut: Cut, *, status: FileStatus | None = None) -> list[Listed]:
    """What a source shows at a cut, ordered by package and publication."""
    query = _by_source(cut, _seen(cut, select(*FILE_COLUMNS)), status)
    if status is None:
        return _listed(connection, query)
    ordered = in_order(map(as_file, bulk.rows(connection, query)))
    return list(map(_as_listed, zip(ordered, repeat(status))))


def visible_of(connection: Connection, cut: Cut, packages: Collection[PackageName]) -> list[Listed]:
    """As `visible`, of some packages."""
    # By the packages' few files: nothing here may lead a planner to the index of all that is visible.
    query = _seen(cut, select(*FILE_COLUMNS)).where(files.c.source_id == cut.source_id)
    return _listed(connection, query.where(bulk.among(connection, files.c.package, packages)))


def count_visible(connection: Connection, cut: Cut) -> tuple[int, int]:
    """How many packages are current at a cut, and how many versions there are in all."""
    query = _by_source(cut, select(visibility.c.status, func.count()), None).group_by(visibility.c.status)
    query = query.where(visibility.c.until > cut.upto, visibility.c.since <= cut.upto)
    counts = {STATUSES[code]: rows for code, rows in connection.execute(query)}
    return counts.get(FileStatus.CURRENT, 0), sum(counts.values())


def briefs(connection: Connection, cut: Cut, status: FileStatus) -> list[Brief]:
    """As `visible` with a status, in brief."""
    query = _by_source(cut, _seen(cut, select(*_BRIEF_COLUMNS)), status)
    return in_order(map(_as_brief, bulk.rows(connection, query)))


def names_among(connection: Connection, cut: Cut, names: Collection[PackageName]) -> set[PackageName]:
    """Those of some package names that a source has at a cut, be it in its archive alone."""
    query = _seen(cut, select(files.c.package)).where(files.c.source_id == cut.source_id)
    query = query.where(bulk.among(connection, files.c.package, names)).distinct()
    return {PackageName(name) for (name,) in connection.execute(query)}


def in_order(rows: Iterable[Row]) -> list[Row]:
    """By package, its versions oldest first.

    Not by the database: collations differ, and R expects the order of the C locale.
    """
    by_package: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_package[row.package].append(row)
    ordered: list[Row] = []
    for package in sorted(by_package):
        versions = by_package[package]
        if len(versions) > 1:
            versions.sort(key=_age)
        ordered += versions
    return ordered


def _listed(connection: Connection, query: Select[Any]) -> list[Listed]:
    """The files of a query for `FILE_COLUMNS` with their status."""
    rows = bulk.rows(connection, query.add_columns(visibility.c.status))
    statuses = {row[0]: STATUSES[row[-1]] for row in rows}
    return [Listed(file, statuses[file.id]) for file in in_order(as_file(row[:-1]) for row in rows)]


def _age(row: File | Brief) -> tuple[int, int]:
    return row.published_at or 0, row.id


def _seen(cut: Cut, query: Select[Any]) -> Select[Any]:
    query = query.join(visibility, files.c.id == visibility.c.file_id)
    return query.where(visibility.c.until > cut.upto, visibility.c.since <= cut.upto)


def _by_source(cut: Cut, query: Select[Any], status: FileStatus | None) -> Select[Any]:
    wanted = list(STATUSES) if status is None else [STATUS_CODES[status]]
    return query.where(visibility.c.source_id == cut.source_id, visibility.c.status.in_(wanted))
