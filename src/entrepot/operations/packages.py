"""Packages of one's own: added, archived, removed; each whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import Change, describe
from entrepot.core.errors import (
    EntrepotError,
    FileExists,
    Invalid,
    InvalidArchive,
    InvalidBatch,
    PackageNotFound,
    WrongType,
)
from entrepot.core.model import FOREVER, File, FileStatus, Listed, PackageName, Sha256, Source, TransactionId, seconds
from entrepot.core.snapshots import Cut
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r import packages as r_packages
from entrepot.ecosystems.r import paths, tarball, versions
from entrepot.sources.kinds import KINDS
from entrepot.storage import Key


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was received: the name it was sent under and where it lies."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation did: its transaction (None if there was nothing to do) and the changes."""

    transaction: TransactionId | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """An upload whose contents were checked."""

    upload: Upload
    package: PackageName
    version: str
    size: int
    md5: str
    sha256: Sha256
    fields: str
    description: str


def add_files(
    app: App, source: str, uploads: Sequence[Upload], *, actor: str, replace: bool = False, comment: str = ""
) -> Outcome:
    """Add source packages to a source of our own: all of them in one transaction, or none.

    The highest version becomes current and the one it replaces goes to the archive; an older version goes to the
    archive directly. The same bytes again are no change.

    Raises:
        InvalidArchive: a file is not a whole, well-formed source package (the faults of several come together).
        FileExists: the version exists with other bytes and `replace` is not set.
        WrongType: the source doesn't take files.
    """
    with app.db.read() as connection:
        _check_takes_files(db_sources.get(connection, source))
    read = _read_all(uploads)
    for item in read:
        # Stored before the row that names it: a crash in between leaves a blob that nothing shows.
        app.storage.put_file(Key.blob(item.sha256), item.upload.path)
    with app.db.write() as connection:
        found = db_sources.get(connection, source)
        _check_takes_files(found)
        message = comment or "added " + ", ".join(item.upload.name for item in read)
        return _Adding(app, connection, found, read, replace=replace).record(actor=actor, message=message)


def archive_package(app: App, source: str, package: str, *, actor: str, comment: str = "") -> Outcome:
    """Move the current version of a package to the archive: still to be had, not installed by default."""
    with app.db.write() as connection:
        found, rows = _rows_of(connection, source, package)
        current = [row for row in rows if row.status is FileStatus.CURRENT]
        if not current:
            raise PackageNotFound(
                f"{package!r} has no current version in source {found.name!r}; its versions are archived already"
            )
        message = comment or f"archived {package} {current[0].file.version}"
        state = _State(rows)
        state.rows[current[0].file.id] = FileStatus.ARCHIVED
        return _record(app, connection, found, state, actor=actor, message=message)


def remove_package(app: App, source: str, package: str, *, scope: str, actor: str, comment: str = "") -> Outcome:
    """Remove versions of a package from a source: `all`, `current` or one version. Older snapshots keep them.

    When the current version is removed, the highest one that is left becomes current: a retracted release gives way
    to the one before it.

    Raises:
        PackageNotFound: there is nothing of that name or scope.
    """
    with app.db.write() as connection:
        found, rows = _rows_of(connection, source, package)
        gone = [row for row in rows if _in_scope(row, scope)]
        if not gone:
            have = ", ".join(row.file.version for row in rows)
            raise PackageNotFound(
                f"{package!r} has no {'current version' if scope == 'current' else f'version {scope}'} "
                f"in source {found.name!r}",
                hint=f"it has {have}; scopes are all, current or a version",
            )
        message = comment or f"removed {package} ({scope})"
        state = _State(rows)
        for row in gone:
            del state.rows[row.file.id]
        left = [row.file for row in rows if row.file.id in state.rows]
        if left and any(row.status is FileStatus.CURRENT for row in gone):
            highest = max(left, key=lambda file: versions.version_key(file.version))
            state.rows[highest.id] = FileStatus.CURRENT
        return _record(app, connection, found, state, actor=actor, message=message)


def _in_scope(row: Listed, scope: str) -> bool:
    return scope == "all" or (row.status is FileStatus.CURRENT if scope == "current" else row.file.version == scope)


def _check_takes_files(source: Source) -> None:
    kind = KINDS.get(source.type)
    if kind is None or not kind.takes_files:
        raise WrongType(
            f"source {source.name!r} is of type {source.type.value}, which takes no files",
            hint="packages are added to, archived in and removed from local sources",
        )


def _rows_of(connection: Connection, source: str, package: str) -> tuple[Source, list[Listed]]:
    found = db_sources.get(connection, source)
    _check_takes_files(found)
    rows = _visible_now(connection, found, PackageName(package))
    if not rows:
        raise PackageNotFound(
            f"source {found.name!r} has no package {package!r}", hint=f"`entrepot list packages --source={found.name}`"
        )
    return found, rows


def _visible_now(connection: Connection, source: Source, package: PackageName) -> list[Listed]:
    now = Cut(source.id, db_transactions.newest(connection))
    return db_listings.visible_of(connection, now, [package])


def _read_all(uploads: Sequence[Upload]) -> list[_Read]:
    """Check every upload; all faults together."""
    read: list[_Read] = []
    faults: list[tuple[str, EntrepotError]] = []
    names: set[str] = set()
    if not uploads:
        raise Invalid("there is no file to add", hint="send one or more source packages NAME_VERSION.tar.gz")
    for upload in uploads:
        try:
            if upload.name in names:
                raise Invalid(f"{upload.name} is given twice")
            names.add(upload.name)
            read.append(_read(upload))
        except EntrepotError as error:
            faults.append((upload.name, error))
    if faults:
        raise InvalidBatch.of(faults)
    return read


def _read(upload: Upload) -> _Read:
    if Path(upload.name).name != upload.name or "\\" in upload.name:
        raise InvalidArchive(f"{upload.name!r} is not a file name", hint="name it NAME_VERSION.tar.gz")
    size = upload.path.stat().st_size
    with upload.path.open("rb") as stream:
        package = tarball.read_source_package(stream, file_name=upload.name, compressed_size=size)
        stream.seek(0)
        md5, sha256 = _digests(stream)
    return _Read(
        upload,
        PackageName(package.name),
        package.version,
        size,
        md5,
        sha256,
        r_packages.fields_of_description(package.description, has_src_folder=package.has_src_folder),
        package.description_text,
    )


def _digests(stream: BinaryIO) -> tuple[str, Sha256]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    while chunk := stream.read(1024 * 1024):
        md5.update(chunk)
        sha256.update(chunk)
    return md5.hexdigest(), Sha256(sha256.hexdigest())


class _State:
    """The visible files of one or more packages of a source, before and after an operation."""

    def __init__(self, rows: Sequence[Listed]) -> None:
        self.before = {row.file.id: row.status for row in rows}
        self.rows = dict(self.before)
        self.files: dict[int, File] = {row.file.id: row.file for row in rows}
        self.new: list[File] = []

    def steps(self) -> tuple[list[Listed], list[Listed]]:
        """(rows that begin, rows that end)."""
        begins = [Listed(self.files[i], s) for i, s in self.rows.items() if self.before.get(i) is not s]
        ends = [Listed(self.files[i], s) for i, s in self.before.items() if self.rows.get(i) is not s]
        return begins, ends


class _Adding:
    """Several checked uploads into one source."""

    def __init__(
        self, app: App, connection: Connection, source: Source, read: Sequence[_Read], *, replace: bool
    ) -> None:
        self.app, self.connection, self.source, self.replace = app, connection, source, replace
        self.read = read
        self.state = _State([row for item in read for row in _visible_now(connection, source, item.package)])
        self.next_id = db_files.next_id(connection)
        self.since = TransactionId(db_transactions.newest(connection) + 1)
        self.descriptions: list[tuple[int, str]] = []

    def record(self, *, actor: str, message: str) -> Outcome:
        faults: list[tuple[str, EntrepotError]] = []
        for item in self.read:
            try:
                self._add(item)
            except EntrepotError as error:
                faults.append((item.upload.name, error))
        if faults:
            raise InvalidBatch.of(faults)
        outcome = _record(self.app, self.connection, self.source, self.state, actor=actor, message=message)
        if outcome.transaction is not None:
            db_files.add_descriptions(self.connection, self.descriptions)
        return outcome

    def _add(self, item: _Read) -> None:
        mine = {id_: self.state.files[id_] for id_ in self.state.rows if self.state.files[id_].package == item.package}
        for id_, file in mine.items():
            if file.version != item.version:
                continue
            if file.sha256 == item.sha256:
                self._bring_back(file, mine)
                return
            if not self.replace:
                raise FileExists(
                    f"{item.package} {item.version} exists in source {self.source.name!r} with other bytes",
                    hint="raise its version, or use --replace",
                )
            del self.state.rows[id_]
        new = self._file(item)
        others = {id_: file for id_, file in mine.items() if file.version != item.version}
        highest = max((versions.version_key(file.version) for file in others.values()), default=None)
        is_highest = highest is None or versions.version_key(item.version) >= highest
        if is_highest:
            for id_ in others:
                self.state.rows[id_] = FileStatus.ARCHIVED
        self.state.files[new.id] = new
        self.state.new.append(new)
        self.state.rows[new.id] = FileStatus.CURRENT if is_highest else FileStatus.ARCHIVED

    def _bring_back(self, file: File, mine: Mapping[int, File]) -> None:
        """The same bytes again: nothing to do, unless the package was archived and this is its highest version."""
        keys = {id_: versions.version_key(other.version) for id_, other in mine.items()}
        if FileStatus.CURRENT not in (self.state.rows[id_] for id_ in mine) and keys[file.id] == max(keys.values()):
            self.state.rows[file.id] = FileStatus.CURRENT

    def _file(self, item: _Read) -> File:
        file = File(
            id=self.next_id,
            source_id=self.source.id,
            package=item.package,
            version=item.version,
            name=paths.file_name(item.package, item.version),
            size=item.size,
            md5=item.md5,
            sha256=item.sha256,
            sha256_since=self.since,
            published_at=seconds(self.app.clock()),
            fields=item.fields,
        )
        self.next_id += 1
        self.descriptions.append((file.id, item.description))
        return file


def _record(app: App, connection: Connection, source: Source, state: _State, *, actor: str, message: str) -> Outcome:
    """Write what changed as one transaction; nothing if nothing did."""
    begins, ends = state.steps()
    if not begins and not ends:
        return Outcome(None, ())
    now = app.clock()
    day = db_transactions.day_for_source(connection, source.id, now.date())
    at = db_transactions.add(connection, time=now, day=day, actor=actor, message=message, source_id=source.id)
    db_files.add(connection, state.new)
    db_files.hide(connection, [(row.file.id, at) for row in ends])
    db_files.show(connection, [(row.file.id, source.id, row.status, at, FOREVER) for row in begins])
    return Outcome(at, tuple(describe([db_files.seen(row) for row in begins], [db_files.seen(row) for row in ends])))
