"""What is there: snapshots of repositories and sources, their transactions and days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.bioconductor import RELEASE
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.errors import NotFound
from entrepot.core.model import (
    FOREVER,
    File,
    RepositoryType,
    Source,
    SourceType,
    Subscription,
    Transaction,
    TransactionId,
)
from entrepot.core.snapshots import (
    AsOfDay,
    AsOfTransaction,
    Cut,
    Latest,
    Snapshot,
    closed_through,
    cut_of,
    end_of,
    parse_snapshot,
    servable_days,
    time_of,
)
from entrepot.db import changes as db_changes
from entrepot.db import parts as db_parts
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.operations import bioconductor, dialects
from entrepot.operations.access import Sight, sight
from entrepot.operations.dialects import Dialect
from entrepot.operations.serving import inside, open_view
from entrepot.operations.view import DatabaseView


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list are wanted: `number` counts from 1."""

    limit: int = 100
    number: int = 1

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


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
    """A view with its cuts and their sources in order, opened at a version of the catalogue."""

    version: int
    view: DatabaseView
    cuts: tuple[Cut, ...]
    sources: Mapping[int, Source]
    dialect: Dialect

    @property
    def names(self) -> dict[int, str]:
        """Of the sources, by id."""
        return {id_: source.name for id_, source in self.sources.items()}

    @property
    def upto(self) -> dict[int, TransactionId]:
        """Source id -> the last transaction that counts."""
        return {cut.source_id: cut.upto for cut in self.cuts}

    def cut_of(self, file: File) -> Cut:
        """That of the source which lists a file."""
        return next(cut for cut in self.cuts if cut.source_id == file.source_id)

    @property
    def has_archive(self) -> bool:
        return all(source.has_archive for source in self.sources.values())

    @property
    def read_by_project(self) -> list[Cut]:
        return [cut for cut in self.cuts if self.sources[cut.source_id].is_read_by_project]


def open_repository(app: App, repo: str, snapshot: str, *, bioc_version: str | None = None) -> Opened:
    """A repository (by name or id) at a snapshot; one of Bioconductor at a version, if nothing else is said the
    release."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
    is_bioconductor = repository.type is RepositoryType.BIOCONDUCTOR
    asked = Asked(bioc_version or RELEASE) if is_bioconductor else None
    opened = open_view(app, repository.name, snapshot, asked=asked, who=inside)
    with app.db.read() as connection:
        sources = db_sources.by_ids(connection, [cut.source_id for cut in opened.cuts])
    return Opened(opened.version, opened.view, opened.cuts, sources, dialects.of_repository(opened.repository.type))


def open_source(app: App, source: str, snapshot: str, *, bioc_version: str | None = None) -> Opened:
    """One source at a snapshot, as a repository of it alone would show it; of Bioconductor one version."""
    wanted = parse_snapshot(snapshot)
    with app.db.read() as connection:
        version = catalogue_version(connection)
        found = db_sources.get(connection, source)
        history = DatabaseHistory(connection)
        if found.type is SourceType.BIOCONDUCTOR:
            shown = bioconductor.version_shown(connection, found, bioc_version)
            parts = bioconductor.parts_of(connection, found, shown)
            cuts = tuple(_cut(app, part, wanted, history, may_be_empty=True) for part in parts)
            by_id = {part.id: part for part in parts}
            return Opened(version, DatabaseView(app, cuts, by_id), cuts, by_id, dialects.of_source(found))
        cut = _cut(app, found, wanted, history)
    view = DatabaseView(app, [cut], {found.id: found})
    return Opened(version, view, (cut,), {found.id: found}, dialects.of_source(found))


def _cut(app: App, source: Source, wanted: Snapshot, history: DatabaseHistory, *, may_be_empty: bool = False) -> Cut:
    match wanted:
        case Latest():
            return cut_of(source, history.last_upto(source.id, history.newest()), None, history)
        case AsOfTransaction(id=id_):
            if not 0 < id_ <= history.newest():
                raise NotFound(f"transaction {id_} does not exist; this installation has 1 to {history.newest()}")
            return cut_of(source, history.last_upto(source.id, id_), time_of(history, id_), history)
        case AsOfDay(day=day):
            closed = closed_through(source, today=app.today())
            cut = cut_of(source, history.last_by_day(source.id, day), end_of(day), history)
            if closed is None or day > closed:
                raise NotFound(f"{day} can't be served from source {source.name!r}: its newest day is {closed}")
            if cut.is_empty and not may_be_empty:
                raise NotFound(f"{day} can't be served from source {source.name!r}: nothing was there yet")
            return cut


def list_transactions(
    app: App,
    *,
    repo: str | None = None,
    source: str | None = None,
    ascending: bool = False,
    page: Page,
    access: Access = INSIDE,
) -> tuple[list[TransactionInfo], int]:
    """Transactions of a source, or of a repository and all sources that it ever had; newest first unless `ascending`.

    Their changes are counted and not loaded. Of a source that the repository has no more, and that somebody doesn't
    see elsewhere, they are told what was until then.
    """
    with app.db.read() as connection:
        repository_id, until = None, dict[int, TransactionId]()
        if source is not None:
            wanted = [db_sources.get(connection, source).id]
        else:
            repository_id = db_repositories.get(connection, repo or "").id
            had = db_repositories.all_subscriptions(connection, repository_id)
            wanted = [s.source_id for s in had]
            until = _ended(connection, had, sight(connection, access))
        rows, total = db_transactions.page(
            connection,
            source_ids=db_parts.with_parts(connection, set(wanted)),
            until=until,
            repository_id=repository_id,
            newest_first=not ascending,
            limit=page.limit,
            offset=page.offset,
        )
        sources = db_sources.by_ids(connection, _ids(row.source_id for row in rows))
        types = {row.id: sources[row.source_id].type for row in rows if row.source_id is not None}
        return _infos(connection, rows, sources, db_changes.count(connection, types)), total


def _ended(connection: Connection, had: Sequence[Subscription], seen: Sight) -> dict[int, TransactionId]:
    """Source id -> the transaction with which a repository lost it, of what it has no more and they don't see; with
    the parts of these sources."""
    last: dict[int, TransactionId] = {}
    for each in had:
        last[each.source_id] = max(each.until, last.get(each.source_id, each.until))
    hidden = {id_: at for id_, at in last.items() if at != FOREVER and not seen.sees_source(id_)}
    return {part: at for id_, at in hidden.items() for part in db_parts.with_parts(connection, [id_])}


def transaction(app: App, id_: int, *, access: Access = INSIDE) -> TransactionInfo:
    """Raises NotFound: there is none, or it is of what they don't see."""
    with app.db.read() as connection:
        seen = sight(connection, access)
        found = db_transactions.get(connection, id_)
        if found is None or not sees_transaction(seen, found):
            # What they don't see has numbers as well.
            have = f"; this installation has 1 to {db_transactions.newest(connection)}" if seen.sees_all else ""
            raise NotFound(f"transaction {id_} does not exist{have}")
        changes: list[Change] = []
        sources = db_sources.by_ids(connection, _ids([found.source_id]))
        if found.source_id is not None:
            changes = db_changes.of_transaction(connection, sources[found.source_id], found.id)
        (info,) = _infos(connection, [found], sources, {id_: Counter(change.kind for change in changes)})
        return replace(info, changes=tuple(changes))


def sees_transaction(seen: Sight, row: Transaction) -> bool:
    """Whether somebody sees what a transaction changed."""
    if row.repository_id is not None:
        return seen.sees_repository(row.repository_id)
    return row.source_id is None or seen.sees_source(row.source_id)


def transaction_dates(app: App, repo: str) -> list[tuple[date, TransactionId]]:
    """The days with changes that a repository can be used as of, ascending, each with its newest transaction."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        days = servable_days(subscriptions, DatabaseHistory(connection, subscriptions), today=app.today())
        if days is None:
            return []
        ids = {s.source_id for s in subscriptions}
        if repository.type is RepositoryType.BIOCONDUCTOR:
            ids = set(db_parts.with_parts(connection, ids))
        return [(day, TransactionId(id_)) for day, id_ in db_transactions.days_with_changes(connection, ids, days[1])]


def first_day(app: App, repo: str) -> date:
    """The first day that a repository can be used as of. Raises NotFound if there is none yet."""
    with app.db.read() as connection:
        subscriptions = db_repositories.all_subscriptions(connection, db_repositories.get(connection, repo).id)
        days = servable_days(subscriptions, DatabaseHistory(connection, subscriptions), today=app.today())
    if days is None:
        raise NotFound(f"repository {repo!r} has no day yet that can be used", hint="use 'latest' or a transaction id")
    return days[0]


def _infos(
    connection: Connection,
    rows: Sequence[Transaction],
    sources: Mapping[int, Source],
    counts: Mapping[int, Mapping[ChangeKind, int]],
) -> list[TransactionInfo]:
    repositories = db_repositories.names(connection, _ids(row.repository_id for row in rows))
    return [
        TransactionInfo(
            row,
            sources[row.source_id].name if row.source_id is not None else None,
            repositories.get(row.repository_id or 0),
            {kind: counts.get(row.id, {}).get(kind, 0) for kind in ChangeKind},
        )
        for row in rows
    ]


def _ids(ids: Iterable[int | None]) -> set[int]:
    return {id_ for id_ in ids if id_ is not None}
