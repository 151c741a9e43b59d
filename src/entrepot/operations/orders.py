"""The ordered sources of a repository: those of now, those that are wanted, and what each would show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from entrepot.core.errors import AlreadySubscribed, Invalid, WrongType
from entrepot.core.model import (
    FOREVER,
    SOURCE_TYPES_OF,
    Repository,
    RepositoryType,
    Source,
    SourceType,
    Subscription,
    TransactionId,
)
from entrepot.core.snapshots import NOTHING, PRESENT, Cut, cut_of
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import projects as db_projects
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db.transactions import DatabaseHistory
from entrepot.operations import bioconductor


@dataclass(frozen=True, slots=True)
class Order:
    """A repository with the sources that it has, or would have.

    `versions` are those that it wants of sources of all versions of Bioconductor, by source id.
    """

    repository: Repository
    sources: tuple[Source, ...]
    versions: Mapping[int, str]

    @property
    def ids(self) -> list[int]:
        return [source.id for source in self.sources]


def in_force(connection: Connection, repository: Repository) -> Order:
    """The order of now."""
    ids = db_repositories.subscribed(connection).get(repository.id, [])
    found = db_sources.by_ids(connection, ids)
    versions = db_repositories.versions_wanted(connection, repository.id)
    return Order(repository, tuple(found[id_] for id_ in ids), versions)


def wanted(connection: Connection, now: Order, names: Sequence[str], versions: Mapping[str, str]) -> Order:
    """The order that has these sources, by name or id.

    Args:
        versions: name -> which version of Bioconductor, of sources that come and have all of them.

    Raises:
        SourceNotFound, WrongType, BioconductorVersionNotFound
        Invalid: a source is named twice, or a version is missing, or can't be had of its source.
        AlreadySubscribed: another version of a source that the repository has.
    """
    repository, sources, of_source = now.repository, [], dict(now.versions)
    for name in names:
        source = db_sources.get(connection, name)
        version = versions.get(name)
        if source.id not in now.ids:
            check_type(repository, source)
            found = version_wanted(connection, repository, source, version)
            if found is not None:
                of_source[source.id] = found
        elif version is not None:
            has = of_source.get(source.id)
            if version_wanted(connection, repository, source, version) != has:
                raise has_other_version(repository, source, has)
        sources.append(source)
    if len({source.id for source in sources}) < len(sources) or not versions.keys() <= set(names):
        raise Invalid(f"the new order must name each source of {repository.name!r} once", hint=_told(now))
    kept = {source.id for source in sources}
    return Order(repository, tuple(sources), {id_: v for id_, v in of_source.items() if id_ in kept})


def check_same(now: Order, then: Order) -> None:
    """Raises Invalid: sources come or go, where their order alone is to change."""
    if sorted(then.ids) != sorted(now.ids):
        raise Invalid(f"the new order must name each source of {now.repository.name!r} once", hint=_told(now))


def _told(order: Order) -> str:
    return f"its sources are {', '.join(source.name for source in order.sources) or 'none'}"


def message(now: Order, then: Order) -> str:
    """What the transaction says that makes one order out of the other."""
    come = [source for source in then.sources if source.id not in now.ids]
    gone = [source for source in now.sources if source.id not in then.ids]
    said = [f"subscribed to {_with_version(then, source)}" for source in come]
    said += [f"unsubscribed from {source.name}" for source in gone]
    # As they would stand if those that come were last.
    usual = [id_ for id_ in now.ids if id_ in then.ids] + [source.id for source in come]
    if then.ids != usual:
        said.append("reordered: " + ", ".join(source.name for source in then.sources))
    return "; ".join(said)


def _with_version(order: Order, source: Source) -> str:
    return source.name + (f" {order.versions[source.id]}" if source.id in order.versions else "")


def check_type(repository: Repository, source: Source) -> None:
    """Raises WrongType: a repository of that type takes no such source."""
    if source.type not in SOURCE_TYPES_OF[repository.type]:
        allowed = ", ".join(sorted(SOURCE_TYPES_OF[repository.type]))
        raise WrongType(
            f"source type must be compatible with repository type: {source.name!r} is of type {source.type.value}, "
            f"{repository.name!r} of type {repository.type.value}",
            hint=f"a repository of type {repository.type.value} takes sources of type {allowed}",
        )


def version_wanted(connection: Connection, repository: Repository, source: Source, asked: str | None) -> str | None:
    """The version that a subscription wants of its source; None where the source says all.

    Raises:
        Invalid, BioconductorVersionNotFound
    """
    if source.type is not SourceType.BIOCONDUCTOR:
        if asked is not None:
            raise Invalid(f"source {source.name!r} has no versions of Bioconductor", hint="leave --version out")
        return None
    if source.version is not None:
        if asked not in (None, source.version):
            raise Invalid(f"source {source.name!r} is of Bioconductor {source.version}", hint="leave --version out")
        return None
    if asked is not None:
        return bioconductor.find_version(connection, asked)
    if repository.type is not RepositoryType.BIOCONDUCTOR:
        raise Invalid(
            f"a repository of type {repository.type.value} takes one version of {source.name!r}",
            hint="name it: --version=3.18; `entrepot list bioconductor versions` shows them",
        )
    return None


def has_other_version(repository: Repository, source: Source, version: str | None) -> AlreadySubscribed:
    """The error where another version is wanted of a source than the repository has of it."""
    return AlreadySubscribed(
        f"repository {repository.name!r} has subscribed to {source.name!r} already, {version or 'all versions'} of it",
        hint="unsubscribe it first; for several versions side by side make a source of each: "
        "`entrepot create source --type=bioconductor --version=...`",
    )


@dataclass(frozen=True, slots=True)
class Layer:
    """A source, or a part of one, at its newest state."""

    cut: Cut
    source: Source


def layers(connection: Connection, order: Order, *, version: str | None = None) -> list[Layer]:
    """What a repository of that order shows now, in order; of Bioconductor at a version."""
    given = [
        Subscription(order.repository.id, source.id, place, TransactionId(0), FOREVER, order.versions.get(source.id))
        for place, source in enumerate(order.sources)
    ]
    of = {source.id: source.version for source in order.sources if source.type is SourceType.BIOCONDUCTOR}
    if version is not None:
        given = bioconductor.of_version(given, of, version)
    expanded = sorted(db_bioconductor.expand(connection, given, of), key=lambda each: each.position)
    history = DatabaseHistory(connection, expanded)
    newest = history.newest()
    found = []
    for each in expanded:
        source = history.source(each.source_id)
        found.append(Layer(cut_of(source, history.last_upto(source.id, newest), None, history), source))
    return found


def digest(connection: Connection, now: Order, then: Order) -> str:
    """Names all that a preview of one order in the place of the other depends on: these two, and what the sources have.

    Of a source that is read by the project it is the list of names that counts, not each reading.
    """
    sources = {source.id: source for source in (*now.sources, *then.sources)}
    parts = db_bioconductor.part_ids_of(connection, sources.values())
    newest = bioconductor.newest_transactions(connection, sources, parts)
    for source in sources.values():
        if source.is_read_by_project:
            listed = db_projects.names_state(connection, Cut(source.id, PRESENT))
            newest[source.id] = listed[0] if listed is not None else NOTHING
    orders = [[order.ids, sorted(order.versions.items())] for order in (now, then)]
    told = [now.repository.id, orders, sorted(newest.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
