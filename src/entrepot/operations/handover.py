"""A preview: which packages of a repository would come from another source, appear or go, were its sources others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.bioconductor import RELEASE
from entrepot.core.handover import Handover, HandoverKind, Handovers, Owners, compare, owners
from entrepot.core.model import FileStatus, Listed, PackageName, RepositoryType
from entrepot.core.namelists import Few, Joined, Names
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.db import readings
from entrepot.db import repositories as db_repositories
from entrepot.operations import bioconductor, dialects, orders
from entrepot.operations.browsing import Page
from entrepot.operations.orders import Layer, Order


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a package comes from: its source, and the version that stands for it there; None where all its versions are
    archived, or nobody asked the source's upstream for it yet."""

    source: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a package; `before` and `after` are None where no source has it."""

    kind: HandoverKind
    package: PackageName
    before: Standing | None
    after: Standing | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What another order of sources would change of a repository at its newest state.

    Attributes:
        digest: names what all this depends on: the same order may be given with it, unless it is another one by then.
        unread: mirrors of which nothing is known yet, so that nothing of them is among the changes.
        version: that of Bioconductor which was looked at.
        changes: those of the page that was asked for.
    """

    digest: str
    counts: dict[HandoverKind, int]
    unread: tuple[str, ...]
    version: str | None
    changes: tuple[Change, ...]


def preview(
    app: App,
    repo: str,
    sources: Sequence[str],
    *,
    versions: Mapping[str, str] | None = None,
    bioc_version: str | None = None,
    page: Page,
) -> Preview:
    """What it would change if these were the repository's sources, in this order. Nothing is written.

    Args:
        versions: as of `repositories.reorder`.
        bioc_version: of a repository of Bioconductor: which one to look at; else that of a source which comes or goes,
            else the release.

    Raises:
        Invalid, WrongType, AlreadySubscribed, BioconductorVersionNotFound: as `orders.wanted`.
        NeverSynced: nothing is known of Bioconductor's versions yet.
    """
    with app.db.read() as connection:
        now = orders.in_force(connection, db_repositories.get(connection, repo))
        then = orders.wanted(connection, now, sources, versions or {})
        version = _version(connection, now, then, bioc_version)
        before, after = (orders.layers(connection, order, version=version) for order in (now, then))
        known = _Known(app, connection, [*before, *after])
        found = known.compared(before, after)
        digest = orders.digest(connection, now, then)
    counts = found.counts()
    names: Names = Few(found.names)
    kind = known.change_of_rest(before, after)
    if kind is not None:
        counts[kind] += known.rest.total
        names = Joined(known.rest, found.names)
    told = [
        found.of(name) if name in found.before or name in found.after else known.of_rest(name, kind)
        for name in names.piece(page.offset, page.limit)
    ]
    with app.db.read() as connection:
        shown = _told(connection, told, {layer.source.id: layer for layer in (*before, *after)}, now)
    return Preview(digest, counts, known.unread, version, shown)


def _version(connection: Connection, now: Order, then: Order, asked: str | None) -> str | None:
    """The version of Bioconductor to look at; None in repositories that show what they have side by side."""
    if now.repository.type is not RepositoryType.BIOCONDUCTOR:
        return None
    changed = {*now.sources} ^ {*then.sources}
    of_these = sorted(source.version for source in changed if source.version is not None)
    every = db_bioconductor.meta_source(connection)
    assert every is not None
    return bioconductor.version_shown(connection, every, asked or (of_these or [RELEASE])[-1])


class _Known:
    """The names that sources have. Of one that is read by the project, which has very many, those that others have as
    well, and a list of the rest.

    Attributes:
        unread: names of the mirrors of which nothing is known yet.
        long: the source that is read by the project, if there is one.
        rest: the names that it alone has.
    """

    def __init__(self, app: App, connection: Connection, layers: Sequence[Layer]) -> None:
        found: dict[int, Collection[PackageName]] = {}
        for layer in layers:
            if layer.source.id not in found and not layer.source.is_read_by_project:
                found[layer.source.id] = _names(app, connection, layer)
        self._app, self._found = app, found
        self.long = next((layer for layer in layers if layer.source.is_read_by_project), None)
        self.rest: Names = Few(())
        unread = {layer.source.name for layer in layers if _is_unread(layer)}
        if self.long is not None:
            every = frozenset[PackageName]().union(*found.values())
            cut = self.long.cut
            state = db_projects.names_state(connection, cut)
            listed = frozenset[PackageName]()
            if state is not None:
                listed |= db_projects.names_among(connection, cut.source_id, state[0], every)
                total = state[1] - len(listed)
                self.rest = db_projects.NameList(app.db, cut.source_id, state[0], total, without=listed)
            else:
                unread.add(self.long.source.name)
            found[cut.source_id] = _there(connection, self.long, every, listed)
        self.unread = tuple(sorted(unread))

    def compared(self, before: Sequence[Layer], after: Sequence[Layer]) -> Handovers:
        """What changes hands of the names that are known one by one."""
        if self.long is not None:
            return compare(self._owners(before), self._owners(after))
        # Cuts say for good what is in them, and the next page is of the same.
        key = tuple(layer.cut for layer in before), tuple(layer.cut for layer in after)
        return self._app.handovers.get(key, lambda: compare(self._owners(before), self._owners(after)))

    def _owners(self, layers: Sequence[Layer]) -> Owners:
        return owners([(layer.source.id, self._found[layer.source.id]) for layer in layers])

    def change_of_rest(self, before: Sequence[Layer], after: Sequence[Layer]) -> HandoverKind | None:
        """What becomes of the names that one source alone has: something, if it comes or goes."""
        was, is_ = (self.long is not None and any(layer == self.long for layer in some) for some in (before, after))
        if was is is_:
            return None
        return HandoverKind.REMOVED if was else HandoverKind.ADDED

    def of_rest(self, name: PackageName, kind: HandoverKind | None) -> Handover:
        id_ = self.long.source.id if self.long is not None else None
        return Handover(name, id_, None) if kind is HandoverKind.REMOVED else Handover(name, None, id_)


def _names(app: App, connection: Connection, layer: Layer) -> frozenset[PackageName]:
    """All names of a source at its cut, where they can't change any more."""
    return app.names.get(layer.cut, lambda: frozenset(db_listings.names(connection, layer.cut)))


def _is_unread(layer: Layer) -> bool:
    source = layer.source
    return source.is_mirror and not source.is_read_by_project and source.synced_from is None


def _there(
    connection: Connection, layer: Layer, names: Collection[PackageName], listed: Collection[PackageName]
) -> set[PackageName]:
    """Those of some names that a source has which is read by the project: as they were read, else by its list."""
    read = readings.of(connection, layer.source.id, names)
    there = {name for name, reading in read.items() if reading.is_there}
    return there | (set(listed) - read.keys()) | db_listings.names_among(connection, layer.cut, names)


def _told(
    connection: Connection, some: Sequence[Handover], layers: Mapping[int, Layer], order: Order
) -> tuple[Change, ...]:
    """The packages of a page with the versions that stand for them, looked up once for each source."""
    wanted: dict[int, list[PackageName]] = {}
    for each in some:
        for id_ in {each.before, each.after} - {None}:
            wanted.setdefault(id_ or 0, []).append(each.package)
    versions = {id_: _versions(connection, layers[id_], names, order) for id_, names in wanted.items()}

    def standing(id_: int | None, name: PackageName) -> Standing | None:
        return None if id_ is None else Standing(layers[id_].source.name, versions[id_].get(name))

    return tuple(
        Change(each.kind, each.package, standing(each.before, each.package), standing(each.after, each.package))
        for each in some
    )


def _versions(
    connection: Connection, layer: Layer, names: Collection[PackageName], order: Order
) -> dict[PackageName, str]:
    rows: dict[PackageName, list[Listed]] = {}
    for row in db_listings.visible_of(connection, layer.cut, names, status=FileStatus.CURRENT):
        rows.setdefault(row.file.package, []).append(row)
    releases = dialects.of_repository(order.repository.type).releases
    found = {name: releases(its) for name, its in rows.items()}
    return {name: each.latest.version for name, each in found.items() if each is not None}
