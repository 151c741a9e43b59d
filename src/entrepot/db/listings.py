"""What a source shows at a cut: all of it in full or in brief, and which names it has. One statement each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, func, literal, or_, select

from entrepot.core.model import Brief, File, FileStatus, Listed, PackageName
from entrepot.core.snapshots import Cut
from entrepot.db import bulk
from entrepot.db.schema import STATUS_CODES, STATUSES, files, visibility

Row = TypeVar("Row", File, Brief)
_package: Callable[[File | Brief], PackageName] = attrgetter("package")

Fact = Literal["package", "version", "published", "size", "fields"]
Key = tuple[int, PackageName, Any]
"""(file id, package, the fact that was asked for); plain, as they are made for all packages to show a few."""

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
"""Those of `File`, in its order; the source is the one that a file came with."""
_BRIEF_COLUMNS = (files.c.id, files.c.package, files.c.version, files.c.name, files.c.size, files.c.published)


def visible(connection: Connection, cut: Cut, *, status: FileStatus | None = None) -> list[Listed]:
    """What a source shows at a cut, ordered by package and publication."""
    query = _by_source(cut, _seen(cut, select(*_file_columns(cut))), status)
    if status is None:
        return _listed(connection, query)
    ordered = in_order(list(map(File._make, bulk.rows(connection, query))))
    return list(map(Listed._make, zip(ordered, repeat(status))))


def visible_of(
    connection: Connection, cut: Cut, packages: Collection[PackageName], *, status: FileStatus | None = None
) -> list[Listed]:
    """As `visible`, of some packages."""
    query = _by_package(connection, cut, _seen(cut, select(*_file_columns(cut))), packages)
    if status is not None:
        query = query.where(visibility.c.status + 0 == STATUS_CODES[status])
    return _listed(connection, query)


def ever(connection: Connection, cut: Cut, packages: Collection[PackageName] | None = None) -> list[Listed]:
    """All that a source showed at a cut or before, of some packages or of all; by package, the newest last."""
    query = select(*_file_columns(cut)).join(visibility, files.c.id == visibility.c.file_id)
    query = query.where(visibility.c.source_id == cut.source_id, visibility.c.since <= cut.upto).distinct()
    if packages is not None:
        query = query.where(files.c.source_id == cut.files_of, bulk.among(connection, files.c.package, packages))
    found = in_order(list(map(File._make, bulk.rows(connection, query))))
    return [Listed(file, FileStatus.CURRENT) for file in found]


def count_visible(connection: Connection, cut: Cut) -> tuple[int, int]:
    """How many packages are current at a cut, and how many versions there are in all."""
    query = _by_source(cut, select(visibility.c.status, func.count()), None).group_by(visibility.c.status)
    query = query.where(*_at(cut))
    counts = {STATUSES[code]: rows for code, rows in connection.execute(query)}
    return counts.get(FileStatus.CURRENT, 0), sum(counts.values())


def count_current(connection: Connection, cut: Cut) -> int:
    """How many packages are current at a cut."""
    query = _by_source(cut, select(func.count()).select_from(visibility), FileStatus.CURRENT)
    return int(connection.execute(query.where(*_at(cut))).scalar_one())


def briefs(connection: Connection, cut: Cut, status: FileStatus) -> list[Brief]:
    """As `visible` with a status, in brief."""
    query = _by_source(cut, _seen(cut, select(*_BRIEF_COLUMNS)), status)
    return in_order(list(map(Brief._make, bulk.rows(connection, query))))


def current_keys(connection: Connection, cut: Cut, fact: Fact, *, package: PackageName | None = None) -> list[Key]:
    """Of the current files, or that of one package, the least by which they are sorted; ordered by package."""
    query = _seen(cut, select(files.c.id, files.c.package, files.c[fact]))
    if package is None:
        return sorted(bulk.rows(connection, _by_source(cut, query, FileStatus.CURRENT)), key=itemgetter(1))
    query = _by_package(connection, cut, query, [package])
    return list(bulk.rows(connection, query.where(visibility.c.status + 0 == STATUS_CODES[FileStatus.CURRENT])))


def current_query(cut: Cut, *columns: ColumnElement[Any]) -> Select[Any]:
    """These columns of all current files, in no order."""
    return _by_source(cut, _seen(cut, select(*columns)), FileStatus.CURRENT)


def names_among(connection: Connection, cut: Cut, names: Collection[PackageName]) -> set[PackageName]:
    """Those of some package names that a source has at a cut, be it in its archive alone."""
    query = _by_package(connection, cut, _seen(cut, select(files.c.package)), names).distinct()
    return {PackageName(name) for (name,) in connection.execute(query)}


def names(connection: Connection, cut: Cut) -> set[PackageName]:
    """All package names that a source has at a cut, be it in its archive alone."""
    if cut.base_id is not None:
        # It shows few of its mirror's packages.
        some = _by_source(cut, _seen(cut, select(files.c.package)), None).distinct().subquery()
        return {PackageName(name) for (name,) in bulk.rows(connection, select(some.c.package))}
    found = {key[1] for key in current_keys(connection, cut, "package")}
    # Of ten archived versions one tells that the name is there; names that it ever had are read from an index.
    ever = select(files.c.package).where(files.c.source_id == cut.files_of).distinct().subquery()
    rest = {PackageName(name) for (name,) in bulk.rows(connection, select(ever.c.package))} - found
    return found | (names_among(connection, cut, rest) if rest and cut.shows_archive else set())


def keys_of(
    connection: Connection, cut: Cut, packages: Collection[PackageName], status: FileStatus
) -> list[tuple[int, PackageName, str]]:
    """(file id, package, version) of the files of some packages with a status, in no order."""
    columns = (files.c.id, files.c.package, files.c.version)
    query = _by_package(connection, cut, _seen(cut, select(*columns)), packages)
    return list(bulk.rows(connection, query.where(visibility.c.status + 0 == STATUS_CODES[status])))


def in_order(rows: list[Row]) -> list[Row]:
    """By package, its versions oldest first.

    Not by the database: collations differ, and R expects the order of the C locale.
    """
    if len({row.package for row in rows}) == len(rows):
        return sorted(rows, key=_package)
    by_package: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_package[row.package].append(row)
    ordered: list[Row] = []
    for package in sorted(by_package):
        ordered += sorted(by_package[package], key=_age)
    return ordered


def _listed(connection: Connection, query: Select[Any]) -> list[Listed]:
    """The files of a query for `FILE_COLUMNS` with their status."""
    rows = list(bulk.rows(connection, query.add_columns(visibility.c.status)))
    statuses = {row[0]: STATUSES[row[-1]] for row in rows}
    return [Listed(file, statuses[file.id]) for file in in_order([File._make(row[:-1]) for row in rows])]


def _age(row: File | Brief) -> tuple[int, int]:
    return row.published_at or 0, row.id


def _file_columns(cut: Cut) -> tuple[ColumnElement[Any], ...]:
    """Those of `File`; the source is the one that lists it."""
    source = literal(cut.source_id).label("source_id")
    return tuple(source if column is files.c.source_id else column for column in FILE_COLUMNS)


def _seen(cut: Cut, query: Select[Any]) -> Select[Any]:
    query = query.join(visibility, files.c.id == visibility.c.file_id)
    return query.where(*_at(cut))


def _at(cut: Cut) -> tuple[ColumnElement[bool], ...]:
    """Whether a row is visible at a cut."""
    rows = cut.rows
    if rows.at is None:
        return visibility.c.until > rows.upto, visibility.c.since <= rows.upto
    return visibility.c.begins <= rows.at, or_(visibility.c.ends.is_(None), visibility.c.ends > rows.at)


def _by_source(cut: Cut, query: Select[Any], status: FileStatus | None) -> Select[Any]:
    wanted = [STATUS_CODES[each] for each in ((status,) if status is not None else FileStatus) if _shows(cut, each)]
    return query.where(visibility.c.source_id == cut.rows.source_id, visibility.c.status.in_(wanted))


def _by_package(connection: Connection, cut: Cut, query: Select[Any], packages: Collection[PackageName]) -> Select[Any]:
    """By the packages' few files: nothing here may lead a planner to the index of all that is visible."""
    if not cut.shows_archive:
        query = query.where(visibility.c.status + 0 == STATUS_CODES[FileStatus.CURRENT])
    return query.where(
        files.c.source_id == cut.files_of,
        bulk.among(connection, files.c.package, packages),
        visibility.c.source_id + 0 == cut.rows.source_id,
    )


def _shows(cut: Cut, status: FileStatus) -> bool:
    return cut.shows_archive or status is FileStatus.CURRENT
