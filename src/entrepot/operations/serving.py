"""A repository at a snapshot: opened as a view, answered by its ecosystem, files found or fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.answers import Answer, Ask, Document, View
from entrepot.core.compose import compose
from entrepot.core.errors import FileLost, FileNotListed, NeverSynced, RepositoryNotFound
from entrepot.core.model import File, FileStatus, Listed, PackageName, Repository, RepositoryType, TransactionId
from entrepot.core.snapshots import Cut, Latest, parse_snapshot, resolve
from entrepot.db import files as db_files
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.db.transactions import DatabaseHistory
from entrepot.documents import Draft, Rendered
from entrepot.ecosystems.r import cran
from entrepot.flights import Flight
from entrepot.sources.kinds import KINDS
from entrepot.storage import Key


class Answerer(Protocol):
    def __call__(self, ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """How a type of repository answers; `incomplete` counts index entries with unknown fields.

    `by_path`: the path alone decides the answer, not what else the client says of itself.
    """

    answer: Answerer
    incomplete: Callable[[View], int]
    by_path: bool


ECOSYSTEMS: dict[RepositoryType, Ecosystem] = {RepositoryType.R: Ecosystem(cran.answer, cran.incomplete, by_path=True)}


@dataclass(frozen=True, slots=True)
class OpenView:
    """A repository at a snapshot. `is_fixed` if what it shows can never change; `changed` is when it last did.

    `version` is the catalogue's when the view was opened: at another one the same URL may have other answers.
    """

    repository: Repository
    version: int
    cuts: tuple[Cut, ...]
    is_fixed: bool
    changed: datetime | None
    times: Mapping[TransactionId, datetime]
    filled: int
    view: DatabaseView

    @property
    def key(self) -> str:
        """Names what the view shows: two snapshots with one key have the same answers.

        The times are in it because the cache outlives the database: after a backup was restored, ids are given anew.
        """
        cuts = (
            f"{cut.source_id}@{cut.upto}@{self.times[cut.upto].timestamp() if cut.upto in self.times else 0}"
            for cut in self.cuts
        )
        return f"{self.repository.type.value}:" + ",".join(cuts)


class DatabaseView:
    """`core.answers.View` over the catalogue."""

    def __init__(self, app: App, cuts: Sequence[Cut]) -> None:
        self._app = app
        self._cuts = cuts
        self._upto = {cut.source_id: cut.upto for cut in cuts}
        self._current: list[Listed] | None = None

    def current(self) -> Iterable[Listed]:
        # Kept for the life of the view, which is one request: an index is rendered and counted from the same rows.
        if self._current is None:
            self._current = self._composed(status=FileStatus.CURRENT)
        return self._current

    def archived(self) -> Iterable[Listed]:
        return self._composed(status=FileStatus.ARCHIVED)

    def of_package(self, package: PackageName) -> list[Listed]:
        return self._composed(package=package)

    def tells_sha256(self, file: File) -> bool:
        """Whether indexes of this snapshot tell a file's SHA-256: only if it was known when the snapshot was made."""
        return file.sha256_since is not None and file.sha256_since <= self._upto[file.source_id]

    def _composed(self, *, status: FileStatus | None = None, package: PackageName | None = None) -> list[Listed]:
        with self._app.db.read() as connection:
            return compose([_CutLayer(connection, cut, status, package) for cut in self._cuts])


class _CutLayer:
    """`core.compose.Layer` of one source at its cut."""

    def __init__(
        self, connection: Connection, cut: Cut, status: FileStatus | None, package: PackageName | None
    ) -> None:
        self._connection = connection
        self._cut = cut
        self._status = status
        self._package = package
        self._rows: list[Listed] | None = None

    def listed(self) -> list[Listed]:
        if self._rows is None:
            self._rows = db_files.visible(self._connection, self._cut, status=self._status, package=self._package)
        return self._rows

    def names(self) -> Iterable[PackageName]:
        if self._package is not None:
            return {row.file.package for row in self.listed()}
        return db_files.names(self._connection, self._cut)


def open_view(app: App, repo: str, snapshot: str) -> OpenView:
    """The repository `repo` (by name) at `latest`, a date or a transaction id.

    Raises:
        RepositoryNotFound, SnapshotNotFound
    """
    wanted = parse_snapshot(snapshot)
    with app.db.read() as connection:
        version = catalogue_version(connection)
        repository = db_repositories.named(connection, repo)
        if repository is None:
            raise RepositoryNotFound(f"there is no repository named {repo[:100]!r}")
        subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        history = DatabaseHistory(connection)
        cuts = resolve(
            wanted,
            subscriptions,
            history,
            today=app.today(),
            reaches_back=not db_repositories.had_owner(connection, repository.name),
        )
        if isinstance(wanted, Latest):
            _check_any_synced(connection, repository, cuts)
        times = db_transactions.times(connection, [cut.upto for cut in cuts])
        mirrors = (db_sources.mirror_state(connection, cut.source_id) for cut in cuts)
        filled = sum(mirror.filled for mirror in mirrors if mirror is not None)
    app.db.saw(version)
    return OpenView(
        repository,
        version,
        cuts,
        is_fixed=not isinstance(wanted, Latest),
        changed=max(times.values(), default=None),
        times=times,
        filled=filled,
        view=DatabaseView(app, cuts),
    )


def _check_any_synced(connection: Connection, repository: Repository, cuts: Sequence[Cut]) -> None:
    """An index without packages would tell clients that there are none; they have to hear that it isn't known yet."""
    states = [db_sources.mirror_state(connection, cut.source_id) for cut in cuts]
    if not states or any(state is None or state.synced_from is not None for state in states):
        return
    reasons = "; ".join(state.error for state in states if state is not None and state.error)
    raise NeverSynced(
        f"repository {repository.name!r} has no packages yet: its mirror was never synced"
        + (f", the last try failed: {reasons}" if reasons else ""),
        hint="`entrepot info` shows the state and the next try, `entrepot sync` tries now",
    )


def answer(opened: OpenView, ask: Ask) -> Answer:
    """What the repository's ecosystem answers.

    Raises:
        FileNotListed: nothing of that name is visible there.
    """
    ecosystem = ECOSYSTEMS.get(opened.repository.type)
    if ecosystem is None:
        raise FileNotListed(f"repositories of type {opened.repository.type.value} serve nothing in this version")
    return ecosystem.answer(ask, opened.view, told=opened.view.tells_sha256)


def answers_by_path(opened: OpenView) -> bool:
    """Whether the path alone decides what the repository answers."""
    ecosystem = ECOSYSTEMS.get(opened.repository.type)
    return ecosystem is not None and ecosystem.by_path


def document_key(opened: OpenView, document: Document) -> str:
    """What an index is kept under: what its view shows, and its own name."""
    return f"{opened.key}/{document.key}"


def render(app: App, opened: OpenView, document: Document) -> Rendered:
    """The bytes of an index: kept ones if nothing of what it shows has changed."""

    def make() -> Draft:
        incomplete = ECOSYSTEMS[opened.repository.type].incomplete(opened.view)
        return Draft(document.render(), document.compress, incomplete)

    return app.documents.get(document_key(opened, document), filled=opened.filled, make=make)


def stored_size(app: App, file: File) -> int | None:
    """How many bytes of a file the store has; None if it doesn't have it."""
    return app.storage.size(Key.blob(file.sha256)) if file.sha256 else None


def fetch(app: App, listed: Listed) -> Flight[File]:
    """The download of a listed file that the store doesn't have.

    Raises:
        FileLost: it is a file of our own, and there is nowhere to fetch it from.
    """
    with app.db.read() as connection:
        source = db_sources.by_id(connection, listed.file.source_id)
    kind = KINDS[source.type]
    if kind.fetch_file is None:
        raise FileLost(
            f"{listed.file.name} is listed, but the store has lost it",
            hint="restore the store from its backup, or add the same file again",
        )
    return kind.fetch_file(app, listed)
