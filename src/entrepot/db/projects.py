"""Sources that are read by the project: what was read when, the list of all names, where files are to be had, and
metadata that was read out of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, not_, select, update

from entrepot.core.answers import About
from entrepot.core.model import FOREVER, PackageName, Sha256, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.db import bulk
from entrepot.db.engine import Database, chunks
from entrepot.db.schema import files, metadata_files, name_lists, names, origins, projects, visibility

PAGE = 20_000
"""Names that are read at once."""


@dataclass(frozen=True, slots=True)
class ProjectState:
    """What the newest reading of a project left; `checked` is when it began, in seconds since 1970.

    `is_dated`: upstream gave the time of some file; `is_there`: it has a page of the project.
    """

    about: About
    etag: str | None
    last_modified: str | None
    serial: int | None
    checked: int
    is_dated: bool
    is_there: bool


def state(connection: Connection, source_id: int, package: PackageName) -> ProjectState | None:
    """None: the project was never read, or upstream never had it."""
    query = select(projects).where(projects.c.source_id == source_id, projects.c.package == package)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    name, status, reason, tracks, alternates = row["about"]
    about = About(name, status, reason, tuple(tracks), tuple(alternates))
    return ProjectState(
        about,
        row["etag"],
        row["last_modified"],
        row["serial"],
        row["checked"],
        is_dated=row["is_dated"],
        is_there=row["is_there"],
    )


def save(connection: Connection, source_id: int, package: PackageName, new: ProjectState) -> None:
    """Keep what a reading left, instead of what the one before did."""
    key = projects.c.source_id == source_id, projects.c.package == package
    connection.execute(delete(projects).where(*key))
    values = {name: getattr(new, name) for name in ProjectState.__slots__}
    connection.execute(insert(projects).values(source_id=source_id, package=package, **values))


def touch(connection: Connection, source_id: int, package: PackageName, checked: int) -> None:
    """A reading that began then found nothing new."""
    key = projects.c.source_id == source_id, projects.c.package == package
    connection.execute(update(projects).where(*key, projects.c.checked < checked).values(checked=checked))


def read_ones(connection: Connection, source_id: int) -> list[tuple[PackageName, int]]:
    """(package, when its newest reading began) of all projects that were read, the oldest reading first."""
    query = select(projects.c.package, projects.c.checked).where(projects.c.source_id == source_id)
    return [(PackageName(name), checked) for name, checked in connection.execute(query.order_by(projects.c.checked))]


def names_state(connection: Connection, cut: Cut) -> tuple[TransactionId, int] | None:
    """The transaction of the list of names that a cut shows, and how many there are; None if it was never read.

    Before the first list the first one counts: which names there were then nobody told.
    """
    of_source = name_lists.c.source_id == cut.source_id
    query = select(name_lists.c.since, name_lists.c.total)
    last = query.where(of_source, name_lists.c.since <= cut.upto).order_by(name_lists.c.since.desc()).limit(1)
    first = query.where(of_source).order_by(name_lists.c.since).limit(1)
    row = connection.execute(last).one_or_none() or connection.execute(first).one_or_none()
    return None if row is None else (TransactionId(row.since), row.total)


def all_names(db: Database, source_id: int, at: TransactionId) -> Iterator[PackageName]:
    """The names of the list of that transaction, in order; read some at a time, so that nothing waits for all."""
    after = ""
    while True:
        with db.read() as connection:
            piece = _some_names(connection, source_id, at, after)
        yield from piece
        if len(piece) < PAGE:
            return
        after = piece[-1]


@dataclass(frozen=True, slots=True)
class NameList:
    """`core.namelists.Names`: the list of a transaction, or those names of it that have `part` in them.

    `without` are names of it that are left out; they don't count in `total`.
    """

    db: Database
    source_id: int
    at: TransactionId
    total: int
    part: str = ""
    without: frozenset[PackageName] = frozenset()

    def piece(self, start: int, count: int) -> list[PackageName]:
        wanted = _names_query(self.source_id, self.at, self.part)
        with self.db.read() as connection:
            if self.without:
                wanted = wanted.where(not_(bulk.among(connection, names.c.package, self.without)))
            query = wanted.offset(start).limit(count).subquery()
            return [PackageName(name) for (name,) in bulk.rows(connection, select(query.c.package))]


def names_like(db: Database, source_id: int, at: TransactionId, part: str) -> NameList:
    """The names with `part` in them."""
    query = _names_query(source_id, at, part).order_by(None).with_only_columns(func.count())
    with db.read() as connection:
        return NameList(db, source_id, at, connection.execute(query).scalar_one(), part)


def names_among(
    connection: Connection, source_id: int, at: TransactionId, wanted: Collection[PackageName]
) -> set[PackageName]:
    """Those of some names that the list has."""
    query = _names_query(source_id, at).where(bulk.among(connection, names.c.package, wanted))
    return {PackageName(name) for (name,) in bulk.rows(connection, query)}


def count_read(connection: Connection, source_ids: Collection[int]) -> dict[int, int]:
    """Source id -> how many projects were read of it, of those that have some."""
    query = select(projects.c.source_id, func.count()).where(projects.c.source_id.in_(list(source_ids)))
    return {row[0]: row[1] for row in connection.execute(query.group_by(projects.c.source_id))}


def count_names(connection: Connection, source_ids: Collection[int]) -> dict[int, int]:
    """Source id -> how many names its newest list has, of those whose list was read."""
    newest = select(name_lists.c.source_id, func.max(name_lists.c.since).label("since"))
    last = newest.where(name_lists.c.source_id.in_(list(source_ids))).group_by(name_lists.c.source_id).subquery()
    same = (name_lists.c.source_id == last.c.source_id) & (name_lists.c.since == last.c.since)
    query = select(name_lists.c.source_id, name_lists.c.total).join(last, same)
    return {row[0]: row[1] for row in connection.execute(query)}


def _some_names(connection: Connection, source_id: int, at: TransactionId, after: str) -> list[PackageName]:
    query = _names_query(source_id, at).where(names.c.package > after).limit(PAGE).subquery()
    return [PackageName(name) for (name,) in bulk.rows(connection, select(query.c.package))]


def _names_query(source_id: int, at: TransactionId, part: str = "") -> Select[Any]:
    query = select(names.c.package).where(names.c.source_id == source_id, names.c.since <= at, names.c.until > at)
    if part:
        query = query.where(names.c.package.contains(part, autoescape=True))
    return query.order_by(names.c.package)


def change_names(
    connection: Connection,
    source_id: int,
    *,
    added: Iterable[PackageName],
    removed: Sequence[PackageName],
    total: int,
    at: TransactionId,
) -> None:
    """The list of names from transaction `at` on."""
    connection.execute(insert(name_lists).values(source_id=source_id, since=at, total=total))
    names_left = iter(added)
    while rows := [(source_id, name, at, FOREVER) for name in islice(names_left, PAGE)]:
        bulk.insert(connection, names, ["source_id", "package", "since", "until"], rows)
    gone = (
        update(names)
        .where(names.c.source_id == source_id, names.c.package == bindparam("name"), names.c.until == FOREVER)
        .values(until=at)
    )
    for chunk in chunks([{"name": name} for name in removed]):
        connection.execute(gone, chunk)


def origin(connection: Connection, file_id: int) -> str | None:
    """Where upstream has a file."""
    url: str | None = connection.execute(select(origins.c.url).where(origins.c.file_id == file_id)).scalar()
    return url


def origins_of(connection: Connection, file_ids: Collection[int]) -> dict[int, str]:
    query = select(origins.c.file_id, origins.c.url).where(origins.c.file_id.in_(list(file_ids)))
    return dict(bulk.rows(connection, query))


def add_origins(connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Where upstream has each (file id, URL)."""
    if rows:
        bulk.insert(connection, origins, ["file_id", "url"], rows)


def move_origins(connection: Connection, rows: Iterable[tuple[int, str]]) -> None:
    """Files that upstream has elsewhere now."""
    statement = update(origins).where(origins.c.file_id == bindparam("file")).values(url=bindparam("to"))
    for chunk in chunks([{"file": file_id, "to": url} for file_id, url in rows]):
        connection.execute(statement, chunk)


def metadata_hashes(connection: Connection, file_ids: Collection[int]) -> dict[int, tuple[Sha256, int]]:
    """File id -> (SHA-256 of the metadata document that was read out of it, first transaction that tells it)."""
    query = select(metadata_files.c.file_id, metadata_files.c.sha256, metadata_files.c.since)
    rows = bulk.rows(connection, query.where(metadata_files.c.file_id.in_(list(file_ids))))
    return {file_id: (Sha256(sha256), since) for file_id, sha256, since in rows if sha256}


def add_metadata(connection: Connection, rows: Mapping[int, str], since: int) -> None:
    """Record the metadata documents of files, by SHA-256; empty for a file out of which none can be read."""
    known = select(metadata_files.c.file_id).where(metadata_files.c.file_id.in_(list(rows)))
    there = {file_id for (file_id,) in connection.execute(known)}
    values = [{"file_id": i, "sha256": sha, "since": since} for i, sha in rows.items() if i not in there]
    if values:
        connection.execute(insert(metadata_files), values)


@dataclass(frozen=True, slots=True)
class WithoutMetadata:
    """A wheel of which nobody has the metadata document."""

    file_id: int
    name: str
    package: PackageName
    version: str
    size: int | None
    url: str


def without_metadata(connection: Connection, source_id: int, limit: int) -> list[WithoutMetadata]:
    """The wheels that are visible now and have no metadata document, the newest first."""
    query = (
        select(files.c.id, files.c.name, files.c.package, files.c.version, files.c.size, origins.c.url)
        .join(visibility, visibility.c.file_id == files.c.id)
        .join(origins, origins.c.file_id == files.c.id)
        .outerjoin(metadata_files, metadata_files.c.file_id == files.c.id)
        .where(
            visibility.c.source_id == source_id,
            visibility.c.status == 0,
            visibility.c.until == FOREVER,
            files.c.name.like("%.whl"),
            files.c.fields.not_like('%"core-metadata":%'),
            metadata_files.c.file_id.is_(None),
        )
        .order_by(files.c.published.desc(), files.c.id.desc())
        .limit(limit)
    )
    return [WithoutMetadata(*row) for row in connection.execute(query)]
