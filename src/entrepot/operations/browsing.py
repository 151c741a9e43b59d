"""What is there: packages, records, transactions and days, of a repository or of a source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import Change, describe
from entrepot.core.errors import Invalid, NotFound, PackageNotFound
from entrepot.core.model import FileStatus, Listed, PackageName, Transaction, TransactionId
from entrepot.core.snapshots import AsOfDay, AsOfTransaction, Cut, Latest, closed_through, servable_days
from entrepot.db import files as db_files
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r import dcf, versions
from entrepot.operations.serving import DatabaseView, open_view, snapshot_of


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list are wanted: `number` counts from 1."""

    limit: int = 100
    number: int = 1

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """A package at a snapshot: its current version, or the newest archived one if it has none."""

    listed: Listed
    source: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A package version with its whole DESCRIPTION as far as it is known, and all versions visible beside it."""

    summary: PackageSummary
    description: dict[str, str]
    versions: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class TransactionInfo:
    transaction: Transaction
    source: str | None
    repository: str | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A view with the names of its sources."""

    view: DatabaseView
    names: dict[int, str]


def open_repository(app: App, repo: str, snapshot: str) -> Opened:
    """A repository (by name or id) at a snapshot."""
    with app.db.read() as connection:
        name = db_repositories.get(connection, repo).name
    opened = open_view(app, name, snapshot)
    with app.db.read() as connection:
        return Opened(opened.view, db_sources.names(connection, [cut.source_id for cut in opened.cuts]))


def open_source(app: App, source: str, snapshot: str) -> Opened:
    """One source at a snapshot, as a repository of it alone would show it."""
    wanted = snapshot_of(app, snapshot)
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        history = DatabaseHistory(connection)
        match wanted:
            case Latest():
                upto = history.last_upto(found.id, history.newest())
            case AsOfTransaction(id=id_):
                if not 0 < id_ <= history.newest():
                    raise NotFound(f"transaction {id_} does not exist; this installation has 1 to {history.newest()}")
                upto = history.last_upto(found.id, id_)
            case AsOfDay(day=day):
                closed = closed_through(found, today=app.today())
                upto = history.last_by_day(found.id, day)
                if closed is None or day > closed or not upto:
                    raise NotFound(f"{day} can't be served from source {found.name!r}: its newest day is {closed}")
    return Opened(DatabaseView(app, [Cut(found.id, upto)]), {found.id: found.name})


def list_packages(
    opened: Opened, *, name: str | None = None, name_like: str | None = None, descending: bool = False, page: Page
) -> tuple[list[PackageSummary], int]:
    """Current packages by name, and how many there are in all; `name_like` is a part of the name in any case."""
    if name is not None:
        rows = [row for row in opened.view.of_package(PackageName(name)) if row.status is FileStatus.CURRENT]
    else:
        rows = list(opened.view.current())
    if name_like:
        wanted = name_like.lower()
        rows = [row for row in rows if wanted in row.file.package.lower()]
    if descending:
        rows.reverse()
    return [_summary(opened, row) for row in rows[page.offset : page.offset + page.limit]], len(rows)


def package_record(app: App, opened: Opened, name: str, *, version: str | None = None) -> PackageRecord:
    """One package: its current version (else the newest archived one), or `version`.

    Raises:
        PackageNotFound: the snapshot has no such package or version.
    """
    rows = opened.view.of_package(PackageName(name))
    if not rows:
        raise PackageNotFound(f"there is no package {name!r} at this snapshot", name=name)
    chosen = _choose(rows, version)
    if chosen is None:
        have = ", ".join(row.file.version for row in rows)
        raise PackageNotFound(f"{name!r} has no version {version} at this snapshot", hint=f"it has {have}")
    with app.db.read() as connection:
        text = db_files.description(connection, chosen.file.id)
    summary = _summary(opened, chosen)
    described = dcf.parse_one(text) if text else summary.fields
    newest_first = sorted(rows, key=lambda row: versions.version_key(row.file.version), reverse=True)
    return PackageRecord(summary, dict(described), tuple(newest_first))


def list_transactions(
    app: App, *, repo: str | None = None, source: str | None = None, ascending: bool = False, page: Page
) -> tuple[list[TransactionInfo], int]:
    """Transactions of a source, or of a repository and its sources; newest first unless `ascending`."""
    with app.db.read() as connection:
        repository_id = None
        if source is not None:
            source_ids = [db_sources.get(connection, source).id]
        else:
            repository_id = db_repositories.get(connection, repo or "").id
            source_ids = sorted({s.source_id for s in db_repositories.all_subscriptions(connection, repository_id)})
        rows, total = db_transactions.page(
            connection,
            source_ids=source_ids,
            repository_id=repository_id,
            newest_first=not ascending,
            limit=page.limit,
            offset=page.offset,
        )
        return _with_changes(connection, rows), total


def transaction(app: App, id_: int) -> TransactionInfo:
    """Raises NotFound."""
    with app.db.read() as connection:
        found = db_transactions.get(connection, id_)
        if found is None:
            raise NotFound(
                f"transaction {id_} does not exist; this installation has 1 to {db_transactions.newest(connection)}"
            )
        return _with_changes(connection, [found])[0]


def transaction_dates(app: App, repo: str) -> list[tuple[date, TransactionId]]:
    """The days with changes that a repository can be used as of, ascending, each with its newest transaction."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        days = servable_days(subscriptions, DatabaseHistory(connection), today=app.today())
        if days is None:
            return []
        ids = {s.source_id for s in subscriptions}
        return [(day, TransactionId(id_)) for day, id_ in db_transactions.days_with_changes(connection, ids, days[1])]


def first_day(app: App, repo: str) -> date:
    """The first day that a repository can be used as of. Raises NotFound if there is none yet."""
    dates = transaction_dates(app, repo)
    if not dates:
        raise NotFound(f"repository {repo!r} has no day yet that can be used", hint="use 'latest' or a transaction id")
    return dates[0][0]


def parse_page(limit: int, number: int) -> Page:
    if not 1 <= limit <= 1000 or number < 1:
        raise Invalid("a page has 1 to 1000 rows and a number from 1", hint="_limit=100&_page=1")
    return Page(limit, number)


def _choose(rows: Sequence[Listed], version: str | None) -> Listed | None:
    if version is not None:
        return next((row for row in rows if row.file.version == version), None)
    current = [row for row in rows if row.status is FileStatus.CURRENT]
    return current[0] if current else max(rows, key=lambda row: versions.version_key(row.file.version))


def _summary(opened: Opened, row: Listed) -> PackageSummary:
    fields = dcf.parse_one(row.file.fields) if row.file.fields else {}
    return PackageSummary(row, opened.names[row.file.source_id], dict(fields))


def _with_changes(connection: Connection, rows: Sequence[Transaction]) -> list[TransactionInfo]:
    by_source: dict[int, list[int]] = {}
    for row in rows:
        if row.source_id is not None:
            by_source.setdefault(row.source_id, []).append(row.id)
    changes: dict[int, tuple[Change, ...]] = {}
    for source_id, ids in by_source.items():
        for id_, (begun, ended) in db_files.seen_at(connection, source_id, ids).items():
            changes[id_] = tuple(describe(begun, ended))
    sources = db_sources.names(connection, _ids(row.source_id for row in rows))
    repositories = db_repositories.names(connection, _ids(row.repository_id for row in rows))
    return [
        TransactionInfo(
            row,
            sources.get(row.source_id or 0),
            repositories.get(row.repository_id or 0),
            changes.get(row.id, ()),
        )
        for row in rows
    ]


def _ids(ids: Iterable[int | None]) -> set[int]:
    return {id_ for id_ in ids if id_ is not None}
