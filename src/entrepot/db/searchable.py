"""What a search looks at of a source at a cut: its current packages in brief, titles, binary packages. Plain rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from entrepot.core.model import PackageName
from entrepot.core.snapshots import Cut
from entrepot.db import bulk
from entrepot.db import listings as db_listings
from entrepot.db.schema import files, mirrors, package_facts, visibility


class Current(NamedTuple):
    """The current file of a package; `published` in seconds since 1970, `entry` as `File.fields`."""

    package: PackageName
    id: int
    version: str
    published: int | None
    entry: str | None


class Newest(NamedTuple):
    """A file of those that were published last of a package which has many; `has_wheel`: some file of it is one."""

    package: PackageName
    id: int
    published: int | None
    has_wheel: bool
    entry: str | None


def current(connection: Connection, cut: Cut) -> list[Current]:
    """The current file of each package, ordered by package; of a source that has one of each."""
    columns = (files.c.package, files.c.id, files.c.version, files.c.published, files.c.fields)
    query = db_listings.current_query(cut, *columns)
    return sorted(map(Current._make, bulk.rows(connection, query)))


def newest(connection: Connection, cut: Cut) -> list[Newest]:
    """Of each package the files that were published last, ordered by package; of a source with many files of each."""
    time = func.coalesce(files.c.published, -1)
    is_wheel = case((files.c.name.like("%.whl"), 1), else_=0)
    packages = db_listings.current_query(
        cut, files.c.package, func.max(time).label("newest"), func.max(is_wheel).label("has_wheel")
    )
    of = packages.group_by(files.c.package).subquery()
    columns = (files.c.package, files.c.id, files.c.published, of.c.has_wheel, files.c.fields)
    query = db_listings.current_query(cut, *columns)
    query = query.join(of, (of.c.package == files.c.package) & (of.c.newest == time))
    found = sorted(bulk.rows(connection, query), key=lambda row: (row[0], row[1]))
    return [Newest(PackageName(row[0]), row[1], row[2], bool(row[3]), row[4]) for row in found]


def titles(connection: Connection, source_id: int) -> dict[tuple[str, str], str]:
    """(package, version) -> title, of what an upstream tells beside its index."""
    columns = (package_facts.c.package, package_facts.c.version, package_facts.c.title)
    query = select(*columns).where(package_facts.c.source_id == source_id, package_facts.c.title.is_not(None))
    return {(package, version): title for package, version, title in bulk.rows(connection, query)}


def filled(connection: Connection, source_ids: Iterable[int] | None = None) -> dict[int, int]:
    """Source id -> how often more was learnt of its packages, of all mirrors or of those among these sources."""
    query = select(mirrors.c.source_id, mirrors.c.filled)
    if source_ids is not None:
        query = query.where(mirrors.c.source_id.in_(list(source_ids)))
    return {row[0]: row[1] for row in connection.execute(query)}


def ever_binary(connection: Connection, cut: Cut) -> list[tuple[PackageName, str]]:
    """(package, version) of the binary packages that a mirrored part had up to a cut, be it that they were replaced."""
    query = select(files.c.package, files.c.version).join(visibility, files.c.id == visibility.c.file_id)
    query = query.where(visibility.c.source_id == cut.source_id, visibility.c.since <= cut.upto).distinct()
    some = query.subquery()
    return list(bulk.rows(connection, select(some.c.package, some.c.version)))


def binary_now(connection: Connection, cut: Cut) -> list[tuple[PackageName, str, int]]:
    """(package, version, newest file id) of the binary packages that a part of our own shows at a cut."""
    query = db_listings.current_query(cut, files.c.package, files.c.version, func.max(files.c.id).label("newest"))
    some = query.group_by(files.c.package, files.c.version).subquery()
    return list(bulk.rows(connection, select(some.c.package, some.c.version, some.c.newest)))
