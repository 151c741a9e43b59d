"""A repository at a snapshot: opened as a view, answered by its ecosystem, files found or fetched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter, itemgetter
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.answers import Answer, Ask, Document, View
from entrepot.core.compose import compose
from entrepot.core.errors import FileLost, FileNotListed, NeverSynced, RepositoryNotFound
from entrepot.core.model import Brief, File, FileStatus, Listed, PackageName, Repository, RepositoryType, TransactionId
from entrepot.core.snapshots import Cut, Latest, parse_snapshot, resolve
from entrepot.db import listings as db_listings
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.db.sources import MirrorState
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
    """How a type of repository answers.

    `by_path`: the path alone decides the answer, not what else the client says of itself.
    """

    answer: Answerer
    by_path: bool


ECOSYSTEMS: dict[RepositoryType, Ecosystem] = {RepositoryType.R: Ecosystem(cran.answer, by_path=True)}


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


Row = TypeVar("Row")
_name_of_listed: Callable[[Listed], PackageName] = attrgetter("file.package")
_name_of_brief: Callable[[Brief], PackageName] = attrgetter("package")


class DatabaseView:
    """`core.answers.View` over the catalogue."""

    def __init__(self, app: App, cuts: Sequence[Cut]) -> None:
        self._app = app
        self._cuts = cuts
        self._upto = {cut.source_id: cut.upto for cut in cuts}

    def current(self) -> list[Listed]:
        return self._composed(partial(db_listings.visible, status=FileStatus.CURRENT), _name_of_listed)

    def in_brief(self, status: FileStatus) -> list[Brief]:
        return self._composed(partial(db_listings.briefs, status=status), _name_of_brief)

    def current_keys(self, fact: db_listings.Fact, package: PackageName | None = None) -> list[db_listings.Key]:
        """(file id, package, that fact) of all current files, or of that of one package, ordered by package name."""
        return self._composed(partial(db_listings.current_keys, fact=fact, package=package), itemgetter(1))

    def of_package(self, package: PackageName) -> list[Listed]:
        return self._composed(partial(db_listings.visible_of, packages=[package]), _name_of_listed, are_all=True)

    def tells_sha256(self, file: File) -> bool:
        """Whether indexes of this snapshot tell a file's SHA-256: only if it was known when the snapshot was made."""
        return file.sha256_since is not None and file.sha256_since <= self._upto[file.source_id]

    def _composed(
        self, rows_of: Callable[[Connection, Cut], list[Row]], name: Callable[[Row], PackageName], are_all: bool = False
    ) -> list[Row]:
        """The rows of each source at its cut as one listing; `are_all` if they are all that it has of their names."""
        with self._app.db.read() as connection:
            rows = [rows_of(connection, cut) for cut in self._cuts]
            layers = zip(self._cuts, rows, strict=True)
            return compose([_CutLayer(connection, cut, its, name, are_all) for cut, its in layers], name)


class _CutLayer(Generic[Row]):
    """`core.compose.Layer` of one source at its cut, with the rows that are wanted of it."""

    def __init__(
        self, connection: Connection, cut: Cut, rows: list[Row], name: Callable[[Row], PackageName], are_all: bool
    ) -> None:
        self._connection = connection
        self._cut = cut
        self._rows = rows
        self._name = name
        self._are_all = are_all

    def listed(self) -> list[Row]:
        return self._rows

    def names_among(self, names: Collection[PackageName]) -> set[PackageName]:
        # Almost always all of them are in the rows at hand.
        found = {self._name(row) for row in self._rows}.intersection(names)
        missing = set(names) - found
        if missing and not self._are_all:
            found |= db_listings.names_among(self._connection, self._cut, missing)
        return found


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
        history = DatabaseHistory(connection, subscriptions)
        cuts = resolve(
            wanted,
            subscriptions,
            history,
            today=app.today(),
            reaches_back=not db_repositories.had_owner(connection, repository.name),
        )
        mirrors = db_sources.mirror_states(connection, [cut.source_id for cut in cuts])
        if isinstance(wanted, Latest):
            _check_any_synced(repository, cuts, mirrors)
        times = db_transactions.times(connection, [cut.upto for cut in cuts])
    app.db.saw(version)
    return OpenView(
        repository,
        version,
        cuts,
        is_fixed=not isinstance(wanted, Latest),
        changed=max(times.values(), default=None),
        times=times,
        filled=sum(mirror.filled for mirror in mirrors),
        view=DatabaseView(app, cuts),
    )


def _check_any_synced(repository: Repository, cuts: Sequence[Cut], mirrors: Sequence[MirrorState]) -> None:
    """An index without packages would tell clients that there are none; they have to hear that it isn't known yet."""
    if not cuts or len(mirrors) < len(cuts) or any(mirror.synced_from is not None for mirror in mirrors):
        return
    reasons = "; ".join(mirror.error for mirror in mirrors if mirror.error)
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
        index = document.render()
        return Draft(index.body, document.compress, index.incomplete)

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
