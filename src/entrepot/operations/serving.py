"""A repository at a snapshot: opened as a view, answered by its ecosystem, files found or fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from heapq import merge
from operator import attrgetter, itemgetter
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.answers import About, Answer, Ask, Document, LargeDocument, Unlearned, View
from entrepot.core.compose import compose
from entrepot.core.errors import FileLost, FileNotListed, NeverSynced, RepositoryNotFound, UpstreamUnavailable
from entrepot.core.model import (
    Brief,
    File,
    FileStatus,
    Listed,
    PackageName,
    Repository,
    RepositoryType,
    Sha256,
    Source,
    TransactionId,
)
from entrepot.core.snapshots import PRESENT, Cut, Latest, Snapshot, parse_snapshot, resolve
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.db.sources import MirrorState
from entrepot.db.transactions import DatabaseHistory
from entrepot.documents import Draft, Rendered
from entrepot.ecosystems.python import pypi
from entrepot.ecosystems.r import cran
from entrepot.flights import Flight
from entrepot.sources.kinds import KINDS
from entrepot.sources.projects import topic
from entrepot.storage import Key


class Answerer(Protocol):
    def __call__(self, ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """How a type of repository answers.

    `choose` tells which of the forms of an index an Accept header takes; None where the path alone decides.
    """

    answer: Answerer
    choose: Callable[[str], str] | None = None


ECOSYSTEMS: dict[RepositoryType, Ecosystem] = {
    RepositoryType.R: Ecosystem(cran.answer),
    RepositoryType.PYTHON: Ecosystem(pypi.answer, choose=pypi.choose),
}


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
            + (f"@{cut.at}" if cut.at is not None else "")
            for cut in self.cuts
        )
        return f"{self.repository.type.value}:" + ",".join(cuts)


ROUNDS = 8
"""How many things one question may have to wait for, one after the other."""
Row = TypeVar("Row")
T = TypeVar("T")
_name_of_listed: Callable[[Listed], PackageName] = attrgetter("file.package")
_name_of_brief: Callable[[Brief], PackageName] = attrgetter("package")


class DatabaseView:
    """`core.answers.View` over the catalogue.

    `expires` is when an answer has to be made anew because upstream may tell something else by then: in seconds since
    1970; None if nothing that was looked at is read by the project, or only as of a past time. `topics` are the
    projects of such sources that were looked at (`Database.is_fresh`).
    """

    def __init__(self, app: App, cuts: Sequence[Cut], sources: Mapping[int, Source]) -> None:
        self._app = app
        self._cuts = cuts
        self._sources = sources
        self._upto = {cut.source_id: cut.upto for cut in cuts}
        self._won: dict[PackageName, tuple[Cut | None, list[Listed]]] = {}
        self.expires: float | None = None
        self.topics: set[str] = set()

    def current(self) -> list[Listed]:
        return self._composed(partial(db_listings.visible, status=FileStatus.CURRENT), _name_of_listed)

    def in_brief(self, status: FileStatus) -> list[Brief]:
        return self._composed(partial(db_listings.briefs, status=status), _name_of_brief)

    def current_keys(self, fact: db_listings.Fact, package: PackageName | None = None) -> list[db_listings.Key]:
        """(file id, package, that fact) of all current files, or of that of one package, ordered by package name."""
        return self._composed(partial(db_listings.current_keys, fact=fact, package=package), itemgetter(1))

    def current_of(self, packages: Collection[PackageName]) -> list[Listed]:
        """The current files of some packages as far as they are known: nothing is learnt for that."""
        rows_of = partial(db_listings.visible_of, packages=packages, status=FileStatus.CURRENT)
        return self._composed(rows_of, _name_of_listed)

    def of_package(self, package: PackageName) -> list[Listed]:
        return self._winner(package)[1]

    def _winner(self, package: PackageName) -> tuple[Cut | None, list[Listed]]:
        """The first source that has the package, at its cut, and all that it shows of it.

        A source that is read by the project is asked only for names that none before it has: its upstream never hears
        of packages of our own.
        """
        if package not in self._won:
            with self._app.db.read() as connection:
                self._won[package] = self._look_up(connection, package)
        return self._won[package]

    def _look_up(self, connection: Connection, package: PackageName) -> tuple[Cut | None, list[Listed]]:
        for cut in self._cuts:
            source = self._sources[cut.source_id]
            learn = KINDS[source.type].learn
            if learn is not None:
                self.topics.add(topic(source.id, package))
                expires = learn(self._app, connection, source, cut, package)
                if expires is not None:
                    self.expires = min(expires, self.expires or expires)
            rows = self._written(cut, package) or db_listings.visible_of(connection, cut, [package])
            if rows or self._has_empty(connection, cut, package):
                return cut, rows
        return None, []

    def _written(self, cut: Cut, package: PackageName) -> list[Listed] | None:
        """The rows that a project's first reading wrote, if nothing was written of it since."""
        name = topic(cut.source_id, package)
        just = self._app.just_read.find(name) if cut.upto == PRESENT else None
        if just is None or not self._app.db.is_fresh(just.version, [name]):
            return None
        return [Listed(file, FileStatus.CURRENT) for file in just.files]

    def _has_empty(self, connection: Connection, cut: Cut, package: PackageName) -> bool:
        """Whether upstream has a page of the project without any file, as of one in quarantine (PEP 792)."""
        if cut.upto != PRESENT:
            return False
        state = db_projects.state(connection, cut.source_id, package)
        return state is not None and state.is_there

    def names(self) -> Iterator[PackageName]:
        """Raises NeverSynced: a mirror's list of names was never read."""
        lists = self._name_lists()
        return _each_once(merge(*(self._names_of(cut, lists.get(cut.source_id)) for cut in self._cuts)))

    def names_key(self) -> str:
        """Names what `names` gives: it changes with the names alone, not with every change to a source."""
        lists = self._name_lists()
        return ",".join(f"{cut.source_id}@{lists.get(cut.source_id, cut.upto)}" for cut in self._cuts)

    def names_serial(self) -> int:
        lists = self._name_lists()
        return max((lists.get(cut.source_id, cut.upto) for cut in self._cuts), default=0)

    def serial(self) -> int:
        with self._app.db.read() as connection:
            newest = db_sources.newest_transactions(connection, [cut.source_id for cut in self._cuts])
        return max((newest.get(c.source_id, 0) if c.upto == PRESENT else c.upto for c in self._cuts), default=0)

    def _name_lists(self) -> dict[int, TransactionId]:
        """Of sources that are read by the project: the transaction whose list of names counts."""
        lists: dict[int, TransactionId] = {}
        for cut in self._cuts:
            source = self._sources[cut.source_id]
            if not source.is_read_by_project:
                continue
            with self._app.db.read() as connection:
                state = db_projects.names_state(connection, cut)
            if state is None:
                raise never_listed(self._app, source)
            lists[cut.source_id] = state[0]
        return lists

    def _names_of(self, cut: Cut, list_: TransactionId | None) -> Iterator[PackageName]:
        if list_ is not None:
            yield from db_projects.all_names(self._app.db, cut.source_id, list_)
        else:
            with self._app.db.read() as connection:
                listed = db_listings.current_keys(connection, cut, fact="package")
            yield from (key[1] for key in listed)

    def about(self, package: PackageName) -> About | None:
        cut, _ = self._winner(package)
        if cut is None or cut.at is not None or not self._sources[cut.source_id].is_read_by_project:
            return None
        with self._app.db.read() as connection:
            state = db_projects.state(connection, cut.source_id, package)
        return state.about if state is not None else None

    def metadata_hashes(self, files: Sequence[File]) -> dict[int, Sha256]:
        if not files:
            return {}
        with self._app.db.read() as connection:
            found = db_projects.metadata_hashes(connection, [file.id for file in files])
        of = {file.id: file.source_id for file in files}
        return {id_: sha256 for id_, (sha256, since) in found.items() if self._tells(of[id_], since)}

    def metadata(self, file: File) -> bytes:
        assert file.sha256 is not None
        content = self._app.storage.get_bytes(Key.blob(file.sha256))
        if content is None:
            raise Unlearned(partial(fetch, self._app, Listed(file, FileStatus.CURRENT)))
        return content

    def tells_sha256(self, file: File) -> bool:
        """Whether indexes of this snapshot tell a file's SHA-256: only if it was known when the snapshot was made."""
        return file.sha256_since is not None and self._tells(file.source_id, file.sha256_since)

    def _tells(self, source_id: int, since: int) -> bool:
        """Whether this snapshot tells what was learnt when `since` was the source's next transaction."""
        return since <= self._upto[source_id]

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


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A repository at a snapshot, as far as that is the same for all who open it; at a version of the catalogue."""

    version: int
    repository: Repository
    cuts: tuple[Cut, ...]
    sources: Mapping[int, Source]
    times: Mapping[TransactionId, datetime]
    filled: int


def open_view(app: App, repo: str, snapshot: str) -> OpenView:
    """The repository `repo` (by name) at `latest`, a date or a transaction id.

    Raises:
        RepositoryNotFound, SnapshotNotFound
    """
    wanted = parse_snapshot(snapshot)
    key = repo, snapshot, app.today()
    with app.db.read() as connection:
        version = catalogue_version(connection)
        app.db.saw(version)
        resolved: _Resolved | None = app.snapshots.find(key)
        if resolved is None or not app.db.is_fresh(resolved.version):
            resolved = _resolve(app, connection, repo, wanted, version)
            app.snapshots.put(key, resolved)
    is_moving = any(source.is_read_by_project for source in resolved.sources.values())
    return OpenView(
        resolved.repository,
        version,
        resolved.cuts,
        is_fixed=not isinstance(wanted, Latest),
        changed=None if is_moving else max(resolved.times.values(), default=None),
        times=resolved.times,
        filled=resolved.filled,
        view=DatabaseView(app, resolved.cuts, resolved.sources),
    )


def _resolve(app: App, connection: Connection, repo: str, wanted: Snapshot, version: int) -> _Resolved:
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
    sources = {cut.source_id: history.source(cut.source_id) for cut in cuts}
    if isinstance(wanted, Latest):
        _check_any_synced(repository, sources, mirrors)
    times = db_transactions.times(connection, [cut.upto for cut in cuts])
    return _Resolved(version, repository, cuts, sources, times, sum(mirror.filled for mirror in mirrors))


def _check_any_synced(repository: Repository, sources: Mapping[int, Source], mirrors: Sequence[MirrorState]) -> None:
    """An index without packages would tell clients that there are none; they have to hear that it isn't known yet."""
    has_own = len(mirrors) < len(sources) or any(source.is_read_by_project for source in sources.values())
    if not sources or has_own or any(mirror.synced_from is not None for mirror in mirrors):
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


def chooser(opened: OpenView) -> Callable[[str], str] | None:
    """What tells the form of an index by the client's Accept; None where the path alone decides."""
    ecosystem = ECOSYSTEMS.get(opened.repository.type)
    return ecosystem.choose if ecosystem is not None else None


def patiently(ask: Callable[[], T]) -> T:
    """What `ask` gives, after waiting in this thread for what it needs and isn't known yet. Not on an event loop.

    `ask` opens its view itself: what was learnt is in a new one alone.

    Raises:
        UpstreamUnavailable, UpstreamInvalid: what is needed can't be learnt; and whatever `ask` raises.
    """
    for _ in range(ROUNDS):
        try:
            return ask()
        except Unlearned as unlearned:
            asyncio.run(unlearned.learn().result())
    raise UpstreamUnavailable("what upstream tells changes while it is read", hint="try again in a minute")


def _each_once(names: Iterable[PackageName]) -> Iterator[PackageName]:
    last = None
    for name in names:
        if name != last:
            yield name
        last = name


def never_listed(app: App, source: Source) -> NeverSynced:
    """The error where the list of all projects is wanted and was never read."""
    with app.db.read() as connection:
        state = db_sources.mirror_state(connection, source.id)
    reason = f", the last try failed: {state.error}" if state is not None and state.error else ""
    return NeverSynced(
        f"the list of all projects of source {source.name!r} was not read yet{reason}",
        hint="projects can be had by their names; `entrepot sync --source=" + source.name + "` reads the list",
    )


def document_key(opened: OpenView, document: Document | LargeDocument) -> str:
    """What an index is kept under: what its view shows, and its own name."""
    if isinstance(document, LargeDocument):
        return f"{opened.repository.type.value}:{opened.view.names_key()}/{document.key}"
    if document.is_own_key:
        return document.key
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
