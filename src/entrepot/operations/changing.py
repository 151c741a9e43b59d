"""One change of a source of our own: what is visible before and after it, and the transaction that leads there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import Change
from entrepot.core.errors import PackageNotFound, WrongType
from entrepot.core.model import FOREVER, File, FileStatus, Listed, Source, TransactionId
from entrepot.db import changes as db_changes
from entrepot.db import files as db_files
from entrepot.db import owned as db_owned
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.operations.uploads import RULES, Rules
from entrepot.sources.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation did: its transaction (None if there was nothing to do) and the changes."""

    transaction: TransactionId | None
    changes: tuple[Change, ...]


class State:
    """The visible files of one or more packages of a source, before and after an operation."""

    def __init__(self, rows: Sequence[Listed]) -> None:
        self.before = {row.file.id: row.status for row in rows}
        self.rows = dict(self.before)
        self.files: dict[int, File] = {row.file.id: row.file for row in rows}
        self.new: list[File] = []

    def begin(self, file: File, status: FileStatus) -> None:
        """Show a file that has no row yet."""
        self.files[file.id] = file
        self.new.append(file)
        self.rows[file.id] = status

    def promote(self, rules: Rules) -> None:
        """Make the highest version current where the current one went and others are left: a retracted release gives
        way to the one before it."""
        if not rules.has_archive:
            return
        for package in {self.files[id_].package for id_, status in self.before.items() if status is FileStatus.CURRENT}:
            left = [id_ for id_ in self.rows if self.files[id_].package == package]
            if left and all(self.rows[id_] is not FileStatus.CURRENT for id_ in left):
                self.rows[max(left, key=lambda id_: rules.newest(self.files[id_].version))] = FileStatus.CURRENT

    def steps(self) -> tuple[list[Listed], list[Listed]]:
        """(rows that begin, rows that end)."""
        begins = [Listed(self.files[i], s) for i, s in self.rows.items() if self.before.get(i) is not s]
        ends = [Listed(self.files[i], s) for i, s in self.before.items() if self.rows.get(i) is not s]
        return begins, ends

    def record(
        self, app: App, connection: Connection, source: Source, *, actor: str, message: str, always: bool = False
    ) -> Outcome:
        """Write what changed as one transaction; nothing if nothing did, unless it is to be told `always`."""
        begins, ends = self.steps()
        if not begins and not ends and not always:
            return Outcome(None, ())
        now = app.clock()
        day = db_transactions.day_for_source(connection, source.id, now.date())
        at = db_transactions.add(connection, time=now, day=day, actor=actor, message=message, source_id=source.id)
        db_files.add(connection, self.new)
        db_files.hide(connection, source.id, [(row.file.id, at) for row in ends])
        db_files.show(connection, [(row.file.id, source.id, row.status, at, FOREVER) for row in begins])
        return Outcome(at, tuple(db_changes.of_transaction(connection, source, at)))


@dataclass(frozen=True, slots=True)
class Owned:
    """What a source of our own has of one package now."""

    source: Source
    rules: Rules
    rows: list[Listed]

    def within(self, scope: str) -> list[Listed]:
        """The files of `all`, `current`, a version or of one file's name.

        Raises:
            PackageNotFound: there is none.
        """
        found = [row for row in self.rows if self._is_within(row, scope)]
        if not found:
            have = ", ".join(dict.fromkeys(row.file.version for row in self.rows))
            what = (
                "current version"
                if scope == "current"
                else f"version or file {scope}"
                if "-" in scope
                else f"version {scope}"
            )
            raise PackageNotFound(
                f"{self.rows[0].file.package!r} has no {what} in source {self.source.name!r}",
                hint=f"it has {have}; scopes are all, current, a version or the name of a file",
            )
        return found

    def _is_within(self, row: Listed, scope: str) -> bool:
        file, rules = row.file, self.rules
        if scope == "all":
            return True
        if scope == "current":
            if rules.has_archive:
                return row.status is FileStatus.CURRENT
            scope = max((other.file.version for other in self.rows), key=rules.newest)
        return file.name == scope or rules.order(file.version) == rules.order(scope)


def owned(connection: Connection, source: str, package: str) -> Owned:
    """Raises SourceNotFound, WrongType (the source has no files of its own), PackageNotFound."""
    found = db_sources.get(connection, source)
    rules = rules_of(found)
    rows = db_owned.visible_now(connection, found, [rules.package(package)])
    if not rows:
        raise PackageNotFound(
            f"source {found.name!r} has no package {package!r}", hint=f"`entrepot list packages --source={found.name}`"
        )
    return Owned(found, rules, rows)


def rules_of(source: Source) -> Rules:
    """Raises WrongType: the source has no files of its own."""
    kind = KINDS.get(source.type)
    if kind is None or not kind.owns_files:
        raise WrongType(
            f"source {source.name!r} is of type {source.type.value}, which takes no files",
            hint="packages are added to, archived in and removed from local sources",
        )
    return RULES[source.type]


def check_takes_files(source: Source) -> None:
    """Raises WrongType for a source to which nobody adds files."""
    rules_of(source)
    if not KINDS[source.type].takes_files:
        raise WrongType(
            f"source {source.name!r} is of type {source.type.value}: its packages are built from Git alone",
            hint="make a git builder for the package, or add the file to a local source",
        )
