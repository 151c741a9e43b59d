"""What is there: packages, records, transactions and days, of a repository or of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.errors import NotFound, PackageNotFound
from entrepot.core.model import FileStatus, Listed, PackageName, Transaction, TransactionId
from entrepot.core.snapshots import (
    AsOfDay,
    AsOfTransaction,
    Latest,
    closed_through,
    cut_of,
    end_of,
    parse_snapshot,
    servable_days,
    time_of,
)
from entrepot.db import changes as db_changes
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r import dcf, dependencies, versions
from entrepot.ecosystems.r.dependencies import Dependency
from entrepot.operations.serving import DatabaseView, open_view

PackageSort = Literal["name", "version", "package_date", "package_size"]

_FACTS: dict[PackageSort, db_listings.Fact] = {
    "name": "package",
    "version": "version",
    "package_date": "published",
    "package_size": "size",
}


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
    """A package at a snapshot: its current version, or the newest archived one if it has none.

    `title` is None as long as nobody has read the DESCRIPTION.
    """

    listed: Listed
    source: str
    fields: dict[str, str]
    title: str | None


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A package version with its whole DESCRIPTION as far as it is known, and all versions visible beside it.

    `occurred` is when it was recorded that this version is current, or archived, as it is at this snapshot.
    """

    summary: PackageSummary
    description: dict[str, str]
    dependencies: dict[str, list[Dependency]]
    occurred: datetime | None
    versions: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class TransactionInfo:
    """A transaction with how many changes of each kind it has; in a list without the changes themselves."""

    transaction: Transaction
    source: str | None
    repository: str | None
    counts: dict[ChangeKind, int]
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A view with the names and the cuts of its sources, opened at a version of the catalogue."""

    version: int
    view: DatabaseView
    names: dict[int, str]
    upto: dict[int, TransactionId]


def open_repository(app: App, repo: str, snapshot: str) -> Opened:
    """A repository (by name or id) at a snapshot."""
    with app.db.read() as connection:
        name = db_repositories.get(connection, repo).name
    opened = open_view(app, name, snapshot)
    upto = {cut.source_id: cut.upto for cut in opened.cuts}
    with app.db.read() as connection:
        return Opened(opened.version, opened.view, db_sources.names(connection, upto), upto)


def open_source(app: App, source: str, snapshot: str) -> Opened:
    """One source at a snapshot, as a repository of it alone would show it."""
    wanted = parse_snapshot(snapshot)
    with app.db.read() as connection:
        version = catalogue_version(connection)
        found = db_sources.get(connection, source)
        history = DatabaseHistory(connection)
        match wanted:
            case Latest():
                cut = cut_of(found, history.last_upto(found.id, history.newest()), None)
            case AsOfTransaction(id=id_):
                if not 0 < id_ <= history.newest():
                    raise NotFound(f"transaction {id_} does not exist; this installation has 1 to {history.newest()}")
                cut = cut_of(found, history.last_upto(found.id, id_), time_of(history, id_))
            case AsOfDay(day=day):
                closed = closed_through(found, today=app.today())
                cut = cut_of(found, history.last_by_day(found.id, day), end_of(day))
                if closed is None or day > closed or cut.is_empty:
                    raise NotFound(f"{day} can't be served from source {found.name!r}: its newest day is {closed}")
    view = DatabaseView(app, [cut], {found.id: found})
    return Opened(version, view, {found.id: found.name}, {found.id: cut.upto})


def list_packages(
    app: App,
    opened: Opened,
    *,
    name: str | None = None,
    name_like: str | None = None,
    sort: PackageSort = "name",
    descending: bool = False,
    page: Page,
) -> tuple[list[PackageSummary], int]:
    """A page of the current packages, and how many there are in all; `name_like` is a part of the name in any case.

    Packages that are equal by `sort` stay in the order of their names; what isn't known comes before all that is.
    All names are looked at, and what else is told only of those on the page.
    """
    if name is None:
        all_of_it = (opened.version, tuple(opened.upto.items()), sort, descending)
        keys = app.listings.get(all_of_it, lambda: _sorted_keys(opened, sort, descending))
    else:
        keys = opened.view.current_keys(_FACTS[sort], PackageName(name))
    if name_like:
        wanted = name_like.lower()
        keys = [key for key in keys if wanted in key[1].lower()]
    ids = [key[0] for key in keys[page.offset : page.offset + page.limit]]
    with app.db.read() as connection:
        files = db_files.by_ids(connection, ids)
        texts = db_files.documents(connection, ids)
    rows = [Listed(files[id_], FileStatus.CURRENT) for id_ in ids]
    return [_summary(opened, row, _fields(texts.get(row.file.id))) for row in rows], len(keys)


def _sorted_keys(opened: Opened, sort: PackageSort, descending: bool) -> list[db_listings.Key]:
    keys = opened.view.current_keys(_FACTS[sort])
    return sorted(keys, key=_order(sort, keys), reverse=descending) if descending or sort != "name" else keys


def _order(sort: PackageSort, keys: Iterable[db_listings.Key]) -> Callable[[db_listings.Key], Any]:
    match sort:
        case "name":
            return itemgetter(1)
        case "version":
            rank = versions.ranks(key[2] for key in keys)
            return lambda key: rank[key[2]]
        case _:
            return lambda key: float("-inf") if key[2] is None else key[2]


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
        occurred = db_files.shown_since(connection, chosen.file.id, opened.upto[chosen.file.source_id])
    described = _fields(text)
    summary = _summary(opened, chosen, described)
    described = described or summary.fields
    newest_first = sorted(rows, key=lambda row: versions.version_key(row.file.version), reverse=True)
    needed = dependencies.of_description(described)
    return PackageRecord(summary, described, needed, occurred, tuple(newest_first))


def list_transactions(
    app: App, *, repo: str | None = None, source: str | None = None, ascending: bool = False, page: Page
) -> tuple[list[TransactionInfo], int]:
    """Transactions of a source, or of a repository and all sources that it ever had; newest first unless `ascending`.

    Their changes are counted and not loaded.
    """
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
        return _infos(connection, rows, db_changes.count(connection, [row.id for row in rows])), total


def transaction(app: App, id_: int) -> TransactionInfo:
    """Raises NotFound."""
    with app.db.read() as connection:
        found = db_transactions.get(connection, id_)
        if found is None:
            raise NotFound(
                f"transaction {id_} does not exist; this installation has 1 to {db_transactions.newest(connection)}"
            )
        changes: list[Change] = []
        if found.source_id is not None:
            changes = db_changes.of_transaction(connection, db_sources.by_id(connection, found.source_id), found.id)
        (info,) = _infos(connection, [found], {id_: Counter(change.kind for change in changes)})
        return replace(info, changes=tuple(changes))


def transaction_dates(app: App, repo: str) -> list[tuple[date, TransactionId]]:
    """The days with changes that a repository can be used as of, ascending, each with its newest transaction."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        days = servable_days(subscriptions, DatabaseHistory(connection, subscriptions), today=app.today())
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


def _choose(rows: Sequence[Listed], version: str | None) -> Listed | None:
    if version is not None:
        return next((row for row in rows if row.file.version == version), None)
    current = [row for row in rows if row.status is FileStatus.CURRENT]
    return current[0] if current else max(rows, key=lambda row: versions.version_key(row.file.version))


def _summary(opened: Opened, row: Listed, description: Mapping[str, str]) -> PackageSummary:
    return PackageSummary(
        row, opened.names[row.file.source_id], _fields(row.file.fields), title=description.get("Title")
    )


def _fields(text: str | None) -> dict[str, str]:
    return dcf.parse_one(text) if text else {}


def _infos(
    connection: Connection, rows: Sequence[Transaction], counts: Mapping[int, Mapping[ChangeKind, int]]
) -> list[TransactionInfo]:
    sources = db_sources.names(connection, _ids(row.source_id for row in rows))
    repositories = db_repositories.names(connection, _ids(row.repository_id for row in rows))
    return [
        TransactionInfo(
            row,
            sources.get(row.source_id or 0),
            repositories.get(row.repository_id or 0),
            {kind: counts.get(row.id, {}).get(kind, 0) for kind in ChangeKind},
        )
        for row in rows
    ]


def _ids(ids: Iterable[int | None]) -> set[int]:
    return {id_ for id_ in ids if id_ is not None}
