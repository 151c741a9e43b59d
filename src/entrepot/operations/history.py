"""The history of a package in a repository: every transaction, or time, that changed what is given of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from entrepot.app import App
from entrepot.core.availability import Entry, Move, Rows
from entrepot.core.changes import ChangeKind, Seen, describe
from entrepot.core.errors import PackageNotFound
from entrepot.core.model import RepositoryType, TransactionId
from entrepot.core.releases import Standing
from entrepot.db import repositories as db_repositories
from entrepot.operations import dialects
from entrepot.operations.browsing import Page, open_repository
from entrepot.operations.pasts import Told, history_of
from entrepot.operations.serving import patiently


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """What happened: `kind` is that of a change to a package, or yanked, unyanked, subscribed, unsubscribed, reordered.

    `source` is where; the one that wins thereafter if sources were reordered, None if none does. `version` and
    `previous` are of changes to packages.
    """

    kind: str
    source: str | None
    version: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class HistorySource:
    """A source that has the package; `version` is the current one, None where it has but archived ones."""

    name: str
    version: str | None
    is_winning: bool


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A point at which what the repository gives of a package became something else.

    `snapshot` is what to put into a URL to be given what was given from then on. `sources` are those in force there
    that have the package, in order. `time` is when it was recorded; where nothing but the time is known at which it
    happened, that, and `transaction` is None.
    """

    transaction: TransactionId | None
    day: date
    time: datetime
    snapshot: str
    changes: tuple[HistoryChange, ...]
    sources: tuple[HistorySource, ...]
    message: str
    actor: str

    @property
    def winner(self) -> HistorySource | None:
        return next((source for source in self.sources if source.is_winning), None)


def package_history(
    app: App, repo: str, name: str, *, bioc_version: str | None = None, page: Page
) -> tuple[list[HistoryEntry], int]:
    """A page of the entries, the newest first, and how many there are in all.

    Of a repository of Bioconductor that of one version, if nothing else is said of the release. A project that nobody
    asked for yet is asked of its upstream.

    Raises:
        PackageNotFound: the repository never had such a package.
        RepositoryNotFound, BioconductorVersionNotFound, NeverSynced
        UpstreamUnavailable, UpstreamInvalid: a project that isn't known yet can't be read.
    """
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
    dialect = dialects.of_repository(repository.type)
    package = dialect.name(name)
    if package is not None and repository.type is RepositoryType.PYTHON:
        wanted = package
        patiently(lambda: open_repository(app, repo, "latest").view.of_package(wanted))
    with app.db.read() as connection:
        told = history_of(app, connection, repository, package, bioc_version=bioc_version) if package else None
    if told is None or not told.entries:
        raise PackageNotFound(f"repository {repository.name!r} never had a package {name[:100]!r}", name=name[:100])
    teller = _Teller(told, dialect.standing(told.files))
    return [teller.tell(entry) for entry in told.entries[page.offset : page.offset + page.limit]], len(told.entries)


class _Teller:
    """Tells of entries; what it found out of one state of the files it remembers for all entries with that state."""

    def __init__(self, told: Told, standing: Standing) -> None:
        self._told = told
        self._standing = standing
        self._versions: dict[Rows, str | None] = {}

    def tell(self, entry: Entry) -> HistoryEntry:
        row = self._told.transactions[entry.transaction] if entry.transaction is not None else None
        time = row.time if row is not None else datetime.fromtimestamp(entry.time or 0, UTC)
        winner = entry.served.winner
        return HistoryEntry(
            entry.transaction,
            entry.day,
            time,
            entry.snapshot,
            tuple(self._changes(entry)),
            tuple(
                HistorySource(self._name(id_), self._version(rows), id_ == winner)
                for id_, rows in entry.served.has.items()
            ),
            row.message if row is not None else "",
            row.actor if row is not None else "",
        )

    def _name(self, source_id: int) -> str:
        return self._told.sources[source_id].name

    def _version(self, rows: Rows) -> str | None:
        if rows not in self._versions:
            self._versions[rows] = self._standing.version(rows)
        return self._versions[rows]

    def _changes(self, entry: Entry) -> Iterator[HistoryChange]:
        row = self._told.transactions[entry.transaction] if entry.transaction is not None else None
        if entry.transaction == self._told.begins:
            # What was given before is what these, or later, subscriptions give of that time.
            yield from (HistoryChange("subscribed", self._name(id_)) for id_ in entry.shown.has)
        elif entry.before.order or (row is not None and row.repository_id is not None):
            for kind, ids in (("subscribed", entry.joined), ("unsubscribed", entry.left)):
                yield from (HistoryChange(kind, self._name(id_)) for id_ in ids)
            if entry.is_reordered:
                winner = entry.shown.winner
                yield HistoryChange("reordered", self._name(winner) if winner is not None else None)
        for move in entry.moved:
            yield from self._of_move(move)

    def _of_move(self, move: Move) -> Iterator[HistoryChange]:
        source = self._told.sources[move.source_id]
        begun, ended = self._seen(move.after - move.before), self._seen(move.before - move.after)
        stayed = self._seen(move.before & move.after)
        beside = None if source.has_archive else {(seen.package, seen.version) for seen in stayed}
        was, is_ = (set(self._standing.yanked(rows)) for rows in (move.before, move.after))
        for change in describe(begun, ended, beside=beside):
            kind = change.kind.value
            if change.kind is ChangeKind.UPDATED and (change.version in was) != (change.version in is_):
                kind = "yanked" if change.version in is_ else "unyanked"
            yield HistoryChange(kind, source.name, change.version, change.previous)

    def _seen(self, rows: Rows) -> list[Seen]:
        files = self._told.files
        return [Seen(files[id_].package, files[id_].version, status) for id_, status in rows]
