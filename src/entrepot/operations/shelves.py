"""The binary packages of a repository's sources at a snapshot.

A *shelf* is a part of a source with the binary packages of one platform, at its cut. A binary package counts for a
listed source package if it has the same name and version, in the source that lists it, or in the mirror whose files
that source shows. Binaries of our own count only if they came after the source package: when a version is replaced by
other bytes, what was compiled of the old ones is of no use any more. File ids tell that, as they only grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from entrepot.core.model import BINARIES, FileStatus, Listed, PackageName, Source, TransactionId
from entrepot.core.platforms import Platform
from entrepot.core.snapshots import AsOfDay, Cut, History, Snapshot, closed_through
from entrepot.db import listings as db_listings
from entrepot.db import shelved as db_shelved
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r.versions import version_key


@dataclass(frozen=True, slots=True)
class Shelf:
    """The binary packages that a source has for one platform, at a cut; `key` names what they are, in all snapshots."""

    owner_id: int
    platform: Platform
    cut: Cut
    is_mirror: bool
    key: str


def at_snapshot(
    connection: Connection, cuts: Iterable[Cut], wanted: Snapshot, history: History, *, upto: TransactionId, today: date
) -> tuple[Shelf, ...]:
    """The shelves of these sources, and of the mirrors whose files they show, at a snapshot; by platform.

    A mirrored shelf for which a day isn't closed has no place in that day's snapshot, as it could still change; nor has
    one that had nothing yet, so that what is told of a past day stays the same when it is first filled.

    Args:
        upto: the transaction that the snapshot is; of `latest` the newest one.
    """
    owners = {id_ for cut in cuts for id_ in (cut.source_id, cut.files_of)}
    found: list[tuple[Source, Cut]] = []
    for part in db_sources.parts_of(connection, owners):
        if part.type not in BINARIES:
            continue
        if isinstance(wanted, AsOfDay):
            closed = closed_through(part, today=today)
            if closed is not None and wanted.day <= closed:
                found.append((part, Cut(part.id, history.last_by_day(part.id, wanted.day))))
        else:
            found.append((part, Cut(part.id, history.last_upto(part.id, upto))))
    found = [(part, cut) for part, cut in found if not cut.is_empty]
    if not found:
        return ()
    times = db_transactions.times(connection, [cut.upto for _, cut in found])
    shelves = [_shelf(part, cut, times) for part, cut in found]
    return tuple(sorted(shelves, key=lambda shelf: shelf.platform))


def _shelf(part: Source, cut: Cut, times: Mapping[TransactionId, datetime]) -> Shelf:
    assert part.owner_id is not None
    assert part.part is not None
    # With the time, since ids are given anew after a backup was restored.
    time = times[cut.upto].timestamp() if cut.upto in times else 0
    return Shelf(part.owner_id, Platform.of_path(part.part), cut, part.is_mirror, f"{part.id}@{cut.upto}@{time}")


def of_source(shelves: Sequence[Shelf], cut: Cut, platforms: Sequence[Platform]) -> list[Shelf]:
    """Those that hold binaries of what a source shows: its own before its mirror's, the closest platform first."""
    owners = dict.fromkeys((cut.source_id, cut.files_of))
    return [
        shelf
        for platform in platforms
        for owner in owners
        for shelf in shelves
        if shelf.owner_id == owner and shelf.platform == platform
    ]


def binary_of(connection: Connection, shelves: Sequence[Shelf], listed: Listed) -> tuple[Listed, Platform] | None:
    """The binary of a listed source package, of the first of these shelves that has it."""
    ids = {shelf.cut.source_id for shelf in shelves}
    rows = db_shelved.of_version(connection, ids, listed.file.package, listed.file.version)
    for shelf in shelves if rows else ():
        for file, since, until in reversed(rows):
            # A mirrored one also if upstream replaced it.
            is_there = since <= shelf.cut.upto and (shelf.is_mirror or shelf.cut.upto < until)
            row = Listed(file, FileStatus.CURRENT)
            if file.source_id == shelf.cut.source_id and is_there and _is_of(row, listed.file.id, shelf):
                return row, shelf.platform
    return None


def of_package(
    connection: Connection, shelves: Sequence[Shelf], cut: Cut, package: PackageName, listed: Sequence[Listed]
) -> list[Listed]:
    """The binaries of a package that a source shows, the newest last; each file name once, of the first shelf.

    Those are the binaries of versions that are `listed`, its files at the cut; of a mirror itself all that it ever had.
    """
    ids = {row.file.version: row.file.id for row in listed}
    found: dict[str, Listed] = {}
    for shelf in shelves:
        mine: dict[str, Listed] = {}
        for row in _kept_of(connection, shelf, package):
            if _is_own_mirror(shelf, cut) or _is_of(row, ids.get(row.file.version), shelf):
                mine[row.file.name] = row
        found = {**mine, **found}
    return list(found.values())


def of_all(connection: Connection, shelves: Sequence[Shelf], cut: Cut) -> list[Listed]:
    """One binary of each package that a source shows, ordered by name.

    That is the one of its current version. A source that is a mirror itself lags behind, as its upstream does: there
    the highest version will do, and of other sources the highest one that they have and that is listed in the archive.
    """
    current = {key[1]: key for key in db_listings.current_keys(connection, cut, "version")}
    best: dict[PackageName, tuple[tuple[bool, object], Listed]] = {}
    for shelf in shelves:
        mine: dict[PackageName, tuple[tuple[bool, object], Listed]] = {}
        rows = _rows(connection, shelf, exact=not _is_own_mirror(shelf, cut))
        others = [row.file.package for row in rows if _version(current, row) != row.file.version]
        archived = _archived(connection, cut, others) if not shelf.is_mirror else {}
        for row in rows:
            package, version = row.file.package, row.file.version
            is_current = _version(current, row) == version
            id_ = current[package][0] if is_current else archived.get((package, version))
            if not (_is_own_mirror(shelf, cut) and package in current) and not _is_of(row, id_, shelf):
                continue
            rank = is_current, version_key(version)
            if package not in mine or rank >= mine[package][0]:  # of equal ones the newest
                mine[package] = rank, _as_then(row, shelf)
        for package, found in mine.items():
            if package not in best or found[0] > best[package][0]:  # of equal ones the first shelf's
                best[package] = found
    return [best[package][1] for package in sorted(best)]


def _version(current: Mapping[PackageName, db_listings.Key], row: Listed) -> str | None:
    key = current.get(row.file.package)
    return key[2] if key is not None else None


def _archived(connection: Connection, cut: Cut, packages: Sequence[PackageName]) -> dict[tuple[PackageName, str], int]:
    """(package, version) -> file id of what a source has archived of some packages."""
    if not packages or not cut.shows_archive:
        return {}
    keys = db_listings.keys_of(connection, cut, packages, FileStatus.ARCHIVED)
    return {(package, version): id_ for id_, package, version in keys}


def _is_own_mirror(shelf: Shelf, cut: Cut) -> bool:
    return shelf.is_mirror and shelf.owner_id == cut.source_id


def _is_of(row: Listed, source_file: int | None, shelf: Shelf) -> bool:
    """Whether a binary was made of a source package of its version, by that one's file id; None if there is none."""
    return source_file is not None and (shelf.is_mirror or row.file.id > source_file)


def _kept_of(connection: Connection, shelf: Shelf, package: PackageName) -> list[Listed]:
    """All binaries that a shelf has of a package, the newest last; a mirrored one also those that upstream replaced."""
    if shelf.is_mirror:
        return db_listings.ever(connection, shelf.cut, [package])
    return db_listings.visible_of(connection, shelf.cut, [package])


def _rows(connection: Connection, shelf: Shelf, *, exact: bool) -> list[Listed]:
    """What a shelf has; of a mirrored one also what upstream replaced, where exactly one version is wanted."""
    if shelf.is_mirror and exact:
        return db_listings.ever(connection, shelf.cut)
    return db_listings.visible(connection, shelf.cut, status=FileStatus.CURRENT)


def _as_then(row: Listed, shelf: Shelf) -> Listed:
    """As an index tells it: the SHA-256 of a mirrored file only if it was known then."""
    since = row.file.sha256_since
    is_told = since is not None and since <= shelf.cut.upto
    return row if is_told else row._replace(file=row.file._replace(sha256=None))
