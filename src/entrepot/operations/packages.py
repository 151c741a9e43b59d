"""Packages of one's own: added, archived, removed, yanked; each whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from entrepot.app import App
from entrepot.core.errors import PackageNotFound, WrongType
from entrepot.core.model import FileStatus
from entrepot.db import files as db_files
from entrepot.db import sources as db_sources
from entrepot.ecosystems.python.entry import pack, unpack
from entrepot.operations import curating
from entrepot.operations.adding import Adding
from entrepot.operations.changing import Outcome, State, check_takes_files, owned, rules_of
from entrepot.operations.uploads import Digests, Upload, check, store
from entrepot.sources.kinds import KINDS

__all__ = [
    "Digests",
    "Outcome",
    "Upload",
    "add_files",
    "archive_package",
    "check_takes_python",
    "remove_package",
    "unyank_package",
    "yank_package",
]


def add_files(
    app: App, source: str, uploads: Sequence[Upload], *, actor: str, replace: bool = False, comment: str = ""
) -> Outcome:
    """Add packages to a source of our own: all of them in one transaction, or none.

    R: the highest version becomes current and the one it replaces goes to the archive; an older version goes to the
    archive directly. Python: all versions are current. The same bytes again are no change.

    Raises:
        InvalidArchive: a file is not a whole, well-formed package (the faults of several come together).
        FileExists: the version (Python: the file) exists with other bytes and `replace` is not set.
        WrongType: the source doesn't take files.
    """
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        check_takes_files(found)
        rules = rules_of(found)
    checked = check(uploads, rules)
    store(app, checked)
    with app.db.write() as connection:
        message = comment or "added " + ", ".join(item.upload.name for item in checked)
        adding = Adding(app, connection, db_sources.get(connection, source), checked, replace=replace)
        return adding.record(actor=actor, message=message)


def check_takes_python(app: App, source: str) -> None:
    """See that a source takes Python packages, before any are sent to it.

    Raises:
        SourceNotFound, WrongType
    """
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        check_takes_files(found)
        if found.has_archive:
            raise WrongType(
                f"source {found.name!r} is of type {found.type.value}, which takes no Python packages",
                hint="upload to a source of type local-python",
            )


def archive_package(app: App, source: str, package: str, *, actor: str, comment: str = "") -> Outcome:
    """Move the current version of a package to the archive: still to be had, not installed by default.

    Raises:
        WrongType: the ecosystem of the source has no archive.
    """
    with app.db.write() as connection:
        found = owned(connection, source, package)
        if not found.rules.has_archive:
            raise WrongType(
                f"source {found.source.name!r} is of type {found.source.type.value}, which has no archive",
                hint="yank the version, so that it is installed only where it is asked for exactly, or remove it",
            )
        current = [row for row in found.rows if row.status is FileStatus.CURRENT]
        if not current:
            raise PackageNotFound(
                f"{package!r} has no current version in source {found.source.name!r}; its versions are archived already"
            )
        message = comment or f"archived {package} {current[0].file.version}"
        state = State(found.rows)
        state.rows[current[0].file.id] = FileStatus.ARCHIVED
        return state.record(app, connection, found.source, actor=actor, message=message)


def remove_package(app: App, source: str, package: str, *, scope: str, actor: str, comment: str = "") -> Outcome:
    """Remove files of a package from a source: `all`, `current`, one version or one file's name.

    Older snapshots keep them. When the current version is removed, the highest one that is left becomes current: a
    retracted release gives way to the one before it. Where there is no archive, `current` is the highest version, a
    final one before a pre-release.

    Raises:
        PackageNotFound: there is nothing of that name or scope.
    """
    with app.db.read() as connection:
        curated = db_sources.get(connection, source)
    if KINDS[curated.type].base is not None:
        return curating.take_out(app, curated, package, scope=scope, actor=actor, comment=comment)
    with app.db.write() as connection:
        found = owned(connection, source, package)
        gone = found.within(scope)
        message = comment or f"removed {gone[0].file.package} ({scope})"
        state = State(found.rows)
        for row in gone:
            del state.rows[row.file.id]
        state.promote(found.rules)
        return state.record(app, connection, found.source, actor=actor, message=message)


def yank_package(
    app: App, source: str, package: str, *, scope: str, reason: str = "", actor: str, comment: str = ""
) -> Outcome:
    """Yank files of a Python package: installers take them only where the version is asked for exactly (PEP 592).

    `scope` as for `remove_package`; a file that is yanked already gets the new reason.

    Raises:
        PackageNotFound: there is nothing of that name or scope.
        WrongType: the packages of the source can't be yanked.
    """
    message = f"yanked {package} ({scope})" + (f": {reason}" if reason else "")
    return _mark(app, source, package, scope, reason=reason, actor=actor, message=comment or message)


def unyank_package(app: App, source: str, package: str, *, scope: str, actor: str, comment: str = "") -> Outcome:
    """Take the mark of `yank_package` off again."""
    message = comment or f"unyanked {package} ({scope})"
    return _mark(app, source, package, scope, reason=None, actor=actor, message=message)


def _mark(app: App, source: str, package: str, scope: str, *, reason: str | None, actor: str, message: str) -> Outcome:
    """What an index says of a file is part of its row, so another mark is a new row of the same file."""
    with app.db.write() as connection:
        found = owned(connection, source, package)
        if found.rules.has_archive:
            raise WrongType(
                f"source {found.source.name!r} is of type {found.source.type.value}, whose packages can't be yanked",
                hint="archive the package, or remove the version",
            )
        state = State(found.rows)
        next_id = db_files.next_id(connection)
        for row in found.within(scope):
            fields = pack(unpack(row.file.fields)._replace(yanked=reason))
            if fields != row.file.fields:
                del state.rows[row.file.id]
                state.begin(row.file._replace(id=next_id, fields=fields), row.status)
                next_id += 1
        return state.record(app, connection, found.source, actor=actor, message=message)
