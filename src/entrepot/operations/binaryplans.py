"""What a build target has to look at: the packages of its sources and all that they need, dependencies first.

A package finds what it needs in the source that lists it, then in the target's repository, each at `latest`; R's own
packages count as there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from entrepot.app import App
from entrepot.core.errors import Cancelled, EntrepotError, NeverSynced, RepositoryNotFound, Unavailable
from entrepot.core.jobs import Log
from entrepot.core.model import FileStatus, Listed, PackageName, RepositoryType, Source, TransactionId
from entrepot.core.platforms import Platform
from entrepot.core.releases import Dependency
from entrepot.core.snapshots import Cut, Latest, cut_of
from entrepot.core.targets import BUILDABLE, Target
from entrepot.db import listings as db_listings
from entrepot.db import sources as db_sources
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r import dependencies, packages, tarball
from entrepot.ecosystems.r.base import BASE, R
from entrepot.ecosystems.r.lists import HOLDS
from entrepot.ecosystems.r.versions import version_key
from entrepot.operations import shelves
from entrepot.operations.gathering import Gathering
from entrepot.operations.serving import inside, open_view
from entrepot.operations.shelves import Shelf
from entrepot.operations.view import DatabaseView
from entrepot.operations.vignettes import ALONG

MOST = 50_000
"""Packages that one target looks at."""
_LINKING = "LinkingTo"


class Key(NamedTuple):
    """A package as a source lists it."""

    source_id: int
    package: PackageName


@dataclass(slots=True)
class Node:
    """A listed package with what it can't be installed without.

    Attributes:
        needs: those that have to be there before.
        linking: those of `LinkingTo` among these.
        linked: packages of `LinkingTo` that come with R -> version.
        fault: why it can't be built, if that is known.
    """

    listed: Listed
    needs: tuple[Key, ...] = ()
    linking: tuple[Key, ...] = ()
    linked: Mapping[PackageName, str] = field(default_factory=dict)
    fault: str | None = None

    @property
    def key(self) -> Key:
        return Key(self.listed.file.source_id, self.listed.file.package)

    @property
    def label(self) -> str:
        return f"{self.listed.file.package} {self.listed.file.version}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run looks at.

    Attributes:
        nodes: in the order in which they can be built.
        circular: those that need each other in a circle, and those that need these.
        sources: the sources that list them.
        upto: the newest transaction when the catalogue was looked at.
        unread: how many packages could not be read, as they can't be fetched now.
    """

    nodes: Mapping[Key, Node]
    circular: tuple[Node, ...]
    sources: Mapping[int, Source]
    upto: TransactionId
    unread: int
    worlds: Worlds

    def library(self, node: Node) -> list[Key]:
        """All that has to be in the library for a build, each name once: that of the node's own source first."""
        found: dict[PackageName, Key] = {}
        seen: set[Key] = set()
        waiting = list(node.needs)
        while waiting:
            key = waiting.pop(0)
            if key in seen:
                continue
            seen.add(key)
            if key.package not in found or key.source_id == node.key.source_id:
                found[key.package] = key
            if key in self.nodes:
                waiting += self.nodes[key].needs
        return list(found.values())

    def linking(self, node: Node) -> dict[str, str]:
        """Package -> version of all whose headers a build may compile in."""
        versions: dict[str, str] = {str(package): version for package, version in node.linked.items()}
        seen: set[Key] = set()
        waiting = list(node.linking)
        while waiting:
            key = waiting.pop(0)
            if key in seen or key not in self.nodes:
                continue
            seen.add(key)
            other = self.nodes[key]
            versions.setdefault(key.package, other.listed.file.version)
            for package, version in other.linked.items():
                versions.setdefault(package, version)
            waiting += other.linking
        return versions


class Worlds:
    """What packages see: of each source a view of itself before the target's repository."""

    def __init__(
        self, app: App, own: Sequence[Cut], rest: Sequence[Cut], sources: Mapping[int, Source], found: Sequence[Shelf]
    ) -> None:
        self._app, self._rest, self._sources, self._shelves = app, rest, sources, found
        self._cuts = {cut.source_id: cut for cut in (*rest, *own)}
        self._views: dict[int, DatabaseView] = {}

    def view(self, source_id: int) -> DatabaseView:
        if source_id not in self._views:
            others = (cut for cut in self._rest if cut.source_id != source_id)
            cuts = [self._cuts[source_id], *others]
            self._views[source_id] = DatabaseView(self._app, cuts, self._sources, self._shelves)
        return self._views[source_id]

    def binary(self, listed: Listed, platforms: Sequence[Platform]) -> Listed | None:
        """The binary of a listed package that there was when the catalogue was looked at."""
        found = self.view(listed.file.source_id).binary(listed.file, platforms)
        return found[0] if found is not None else None


def sources_of(app: App, target: Target) -> list[Source]:
    """The live sources that a target builds."""
    with app.db.read() as connection:
        return [source for source in db_sources.live(connection, target.sources) if source.type in BUILDABLE]


def make_plan(app: App, target: Target, with_r: Mapping[PackageName, str], gathering: Gathering, *, log: Log) -> Plan:
    """Look at the catalogue as it is now.

    Args:
        with_r: the packages that came with the R that builds, and their versions.

    Raises:
        Unavailable: the target's repository is gone; or there is too much to look at.
        Cancelled: by `gathering.check`.
    """
    own_sources = sources_of(app, target)
    rest = _cuts_of_repository(app, target, log)
    with app.db.read() as connection:
        history = DatabaseHistory(connection)
        upto = history.newest()
        own = [cut_of(source, history.last_upto(source.id, upto), None, history) for source in own_sources]
        cuts = list({cut.source_id: cut for cut in (*rest, *own)}.values())
        sources = {cut.source_id: history.source(cut.source_id) for cut in cuts}
        found = shelves.at_snapshot(connection, cuts, Latest(), history, upto=upto, today=app.today())
        listed = [row for cut in own for row in db_listings.visible(connection, cut, status=FileStatus.CURRENT)]
    worlds = Worlds(app, own, rest, sources, found)
    walk = _Walk(worlds, with_r, gathering)
    nodes = walk.all(listed)
    order, circular = _ordered(nodes)
    return Plan({node.key: node for node in order}, tuple(circular), sources, upto, walk.unread, worlds)


def _cuts_of_repository(app: App, target: Target, log: Log) -> tuple[Cut, ...]:
    try:
        opened = open_view(app, target.repository, "latest", who=inside)
    except NeverSynced as error:
        log(f"no libraries come from the repository {target.repository}: {error.message}")
        return ()
    except RepositoryNotFound as error:
        raise Unavailable(
            f"libraries come from a repository that is gone: {error.message}",
            hint="make it again, or delete this build target and make another one with --repo",
        ) from error
    if opened.repository.type is not RepositoryType.R:
        raise Unavailable(f"the repository {target.repository} is none of R packages", hint="make another target")
    return opened.cuts


@dataclass(slots=True)
class _Walk:
    """From the packages of the sources to all that they need, with one question for each source and step."""

    worlds: Worlds
    with_r: Mapping[PackageName, str]
    gathering: Gathering
    nodes: dict[Key, Node] = field(default_factory=dict)
    unread: int = 0

    def all(self, listed: Iterable[Listed]) -> Collection[Node]:
        fresh = [self._add(row) for row in listed]
        while fresh:
            self.gathering.check()
            if len(self.nodes) > MOST:
                raise Unavailable(
                    f"the build target has more than {MOST:,} packages to look at", hint="give it fewer --sources"
                )
            fresh = self._step(fresh)
        return self.nodes.values()

    def _add(self, row: Listed) -> Node:
        node = Node(row)
        self.nodes[node.key] = node
        return node

    def _step(self, fresh: Sequence[Node]) -> list[Node]:
        """Look up what these need; those that nobody looked at before."""
        needed = {node.key: self._needed(node) for node in fresh}
        found: list[Node] = []
        for source_id in dict.fromkeys(node.key.source_id for node in fresh):
            mine = [node for node in fresh if node.key.source_id == source_id]
            names = {PackageName(each.name) for node in mine for _, each in needed[node.key] if not self._comes(each)}
            rows = {row.file.package: row for row in self.worlds.view(source_id).current_of(names)} if names else {}
            for row in rows.values():
                if Key(row.file.source_id, row.file.package) not in self.nodes:
                    found.append(self._add(row))
            for node in mine:
                self._link(node, needed[node.key], rows)
        return found

    def _link(self, node: Node, needed: Iterable[tuple[str, Dependency]], rows: Mapping[PackageName, Listed]) -> None:
        needs: dict[Key, None] = {}
        linking: dict[Key, None] = {}
        linked: dict[PackageName, str] = {}
        missing: dict[str, None] = {}
        for kind, each in needed:
            name = PackageName(each.name)
            row = None if self._comes(each) else rows.get(name)
            if row is not None:
                key = Key(row.file.source_id, name)
                needs[key] = None
                if kind == _LINKING:
                    linking[key] = None
            elif name in self.with_r:
                if kind == _LINKING:
                    linked[name] = self.with_r[name]
            elif name not in BASE:
                missing[name] = None
        node.needs, node.linking, node.linked = tuple(needs), tuple(linking), linked
        if missing and node.fault is None:
            node.fault = f"needs {', '.join(missing)}, which neither its source nor the target's repository has"

    def _needed(self, node: Node) -> list[tuple[str, Dependency]]:
        """(field, what it names) of all that a package can't be installed without."""
        try:
            fields = self._fields(node.listed)
        except Cancelled:
            raise
        except EntrepotError as error:
            self.unread += 1
            node.fault = f"can't be read: {error.message}"
            return []
        found = ((kind, each) for kind in ALONG for each in dependencies.parse(fields.get(kind, "")))
        return [(kind, each) for kind, each in found if each.name not in (R, node.listed.file.package)]

    def _fields(self, listed: Listed) -> Mapping[str, str]:
        if listed.file.fields is not None:
            return packages.read_fields(listed.file.fields)
        path = self.gathering.put(listed, f"unread-{listed.file.id}")
        try:
            with path.open("rb") as stream:
                return tarball.describe(stream)[0]
        finally:
            self.gathering.size -= path.stat().st_size
            path.unlink()

    def _comes(self, dependency: Dependency) -> bool:
        """Whether R itself brings it, in a version that will do."""
        name = PackageName(dependency.name)
        if name in BASE:
            return True
        version = self.with_r.get(name)
        holds: Callable[..., bool] | None = HOLDS.get(dependency.operator or "")
        if version is None or holds is None or dependency.version is None:
            return version is not None
        return holds(version_key(version), version_key(dependency.version))


def _ordered(nodes: Collection[Node]) -> tuple[list[Node], list[Node]]:
    """Those that can be built one after the other, and those that can't as a circle is before them."""
    by_key = {node.key: node for node in nodes}
    sorter = TopologicalSorter({node.key: node.needs for node in sorted(nodes, key=lambda node: node.key)})
    with suppress(CycleError):  # it gives what is before the circle all the same
        sorter.prepare()
    order = [by_key[key] for key in _drained(sorter)]
    done = {node.key for node in order}
    return order, [node for node in nodes if node.key not in done]


def _drained(sorter: TopologicalSorter[Key]) -> Iterator[Key]:
    while ready := sorter.get_ready():
        for key in ready:
            yield key
            sorter.done(key)
