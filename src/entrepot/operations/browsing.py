"""What is there: snapshots of repositories and sources, their transactions and days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from entrepot.app import App
from entrepot.core.bioconductor import RELEASE
from entrepot.core.errors import NotFound
from entrepot.core.model import (
    File,
    RepositoryType,
    Source,
    SourceType,
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
    time_of,
)
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db.engine import catalogue_version
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.operations import bioconductor, dialects
from entrepot.operations.dialects import Dialect
from entrepot.operations.serving import OpenView, inside, open_view
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
    return of_view(open_view(app, repository.name, snapshot, asked=asked, who=inside))


def of_view(opened: OpenView) -> Opened:
    """A repository that was opened for its clients, as people are shown it."""
    dialect = dialects.of_repository(opened.repository.type)
    return Opened(opened.version, opened.view, opened.cuts, opened.sources, dialect)


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
