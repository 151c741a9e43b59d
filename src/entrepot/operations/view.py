"""A repository at its cuts as the dialects see it: `core.answers.View` over the catalogue; files found or fetched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from heapq import merge
from operator import attrgetter, itemgetter
from typing import Generic, TypeVar

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.answers import About, Unlearned
from entrepot.core.compose import compose
from entrepot.core.errors import FileLost, NeverSynced
from entrepot.core.model import Brief, File, FileStatus, Listed, PackageName, Sha256, Source, TransactionId
from entrepot.core.platforms import Platform
from entrepot.core.snapshots import PRESENT, Cut
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.db import sources as db_sources
from entrepot.flights import Flight
from entrepot.operations import shelves
from entrepot.operations.shelves import Shelf
from entrepot.sources.kinds import KINDS
from entrepot.sources.projects import topic
from entrepot.storage import Key

Row = TypeVar("Row")
_name_of_listed: Callable[[Listed], PackageName] = attrgetter("file.package")
_name_of_brief: Callable[[Brief], PackageName] = attrgetter("package")


class DatabaseView:
    """`core.answers.View` over the catalogue.

    `expires` is when an answer has to be made anew because upstream may tell something else by then: in seconds since
    1970; None if nothing that was looked at is read by the project, or only as of a past time. `topics` are the
    projects of such sources that were looked at (`Database.is_fresh`).
    """

    def __init__(
        self, app: App, cuts: Sequence[Cut], sources: Mapping[int, Source], binaries: Sequence[Shelf] = ()
    ) -> None:
        self._app = app
        self._shelves = binaries
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

    def known_of(self, packages: Collection[PackageName]) -> list[Listed]:
        """All visible files of some packages as far as they are known, ordered by package; nothing is learnt."""
        return self._composed(partial(db_listings.visible_of, packages=packages), _name_of_listed)

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

    def binary(self, file: File, platforms: Sequence[Platform]) -> tuple[Listed, Platform] | None:
        """One look at the few shelves that fit; none where there are none."""
        cut = next(cut for cut in self._cuts if cut.source_id == file.source_id)
        some = shelves.of_source(self._shelves, cut, platforms)
        if not some:
            return None
        with self._app.db.read() as connection:
            return shelves.binary_of(connection, some, Listed(file, FileStatus.CURRENT))

    def binaries(self, platforms: Sequence[Platform]) -> list[Listed]:
        with self._app.db.read() as connection:
            layers = []
            for cut in self._cuts:
                some = shelves.of_source(self._shelves, cut, platforms)
                rows = shelves.of_all(connection, some, cut) if some else []
                layers.append(_CutLayer(connection, cut, rows, _name_of_listed, False))
            return compose(layers, _name_of_listed)

    def binaries_of(self, package: PackageName, platforms: Sequence[Platform]) -> list[Listed]:
        cut, listed = self._winner(package)
        some = shelves.of_source(self._shelves, cut, platforms) if cut is not None else []
        if cut is None or not some:
            return []
        with self._app.db.read() as connection:
            return shelves.of_package(connection, some, cut, package, listed)

    def binaries_key(self, platforms: Sequence[Platform]) -> str:
        return ",".join(shelf.key for shelf in self._shelves if shelf.platform in platforms)

    def platforms(self) -> list[Platform]:
        return sorted({shelf.platform for shelf in self._shelves})

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


def fetch(app: App, listed: Listed) -> Flight[File]:
    """The download of a listed file that the store doesn't have.

    Raises:
        FileLost: it is a file of our own, and there is nowhere to fetch it from.
    """
    with app.db.read() as connection:
        kept = db_files.get(connection, listed.file.id)
        # A curated source lists files of a mirror, which alone knows where they are to be had.
        file = listed.file if kept is None else listed.file._replace(source_id=kept.source_id)
        source = db_sources.by_id(connection, file.source_id)
    kind = KINDS[source.type]
    if kind.fetch_file is None:
        raise FileLost(
            f"{listed.file.name} is listed, but the store has lost it",
            hint="restore the store from its backup, or add the same file again",
        )
    return kind.fetch_file(app, listed._replace(file=file))
