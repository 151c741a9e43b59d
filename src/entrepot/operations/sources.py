"""Sources: made, renamed, deleted, described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.errors import Invalid, NameTaken, SourceInUse
from entrepot.core.model import PARTS, Source, SourceType, check_name
from entrepot.core.snapshots import cut_of
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import curations as db_curations
from entrepot.db import files as db_files
from entrepot.db import jobs as db_jobs
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db.transactions import DatabaseHistory
from entrepot.operations import bioconductor, builders, curating
from entrepot.operations.access import sight
from entrepot.operations.curating import Curation
from entrepot.sources.kinds import KINDS


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source with what it has now, and of a mirror how its syncs go (`job` is the active sync's id).

    Of a curated or pinned source `snapshot` names that of its mirror which it is drawn from, and `include` the kinds of
    dependencies that every package brings.

    Of a source that is read by the project `packages` are all names that its upstream lists, `projects_read` those of
    which more is known; None of other sources.
    """

    source: Source
    packages: int
    projects_read: int | None
    transaction: int | None
    mirror: db_sources.MirrorState | None
    upstream: str | None
    job: int | None
    snapshot: str | None = None
    include: tuple[str, ...] | None = None


def create_source(
    app: App,
    name: str,
    *,
    type_: SourceType,
    actor: str = "setup",
    curation: Curation | None = None,
    version: str | None = None,
    succeed_on_existing: bool = False,
) -> tuple[SourceInfo, bool]:
    """A new source, empty unless it shows a mirror at a snapshot; whether it was made now.

    Args:
        name: empty, and the source is of a version of Bioconductor: named after that.
        version: of Bioconductor: which one it shows.

    Raises:
        InvalidName, NameTaken
        BioconductorVersionNotFound
        Invalid: sources of that type are not made by hand, or not available, or not made so.
        SnapshotNotFound, NeverSynced: the snapshot can't be had.
    """
    wanted = curation or Curation()
    curating.check(type_, wanted)
    _check_version(type_, version)
    if name or version is None:
        check_name(name, what="source")
    first = curating.first_draft(app, name, type_, wanted)
    with app.db.write() as connection:
        if version is not None:
            version = bioconductor.name_version(app, connection, version)
            name = name or f"bioc-{version}"
        existing = db_sources.find(connection, name)
        if existing is not None and existing.name == name:
            if succeed_on_existing and (existing.type, existing.version) == (type_, version):
                return _info(app, connection, existing), False
            raise NameTaken(
                f"a source named {name!r} exists", hint="choose another name, or use --succeed-on-existing", name=name
            )
        if version is None:
            _check_can_create(type_)
        id_ = db_sources.add(connection, name=name, type_=type_, now=app.clock(), version=version)
        curating.begin(app, connection, id_, type_, wanted, first, actor=actor)
        return _info(app, connection, db_sources.get(connection, name)), True


def rename_source(app: App, source: str, name: str) -> SourceInfo:
    check_name(name, what="source")
    with app.db.write() as connection:
        found = db_sources.get(connection, source)
        _check_is_ours(found, "renamed")
        taken = db_sources.find(connection, name)
        if name != found.name and taken is not None and taken.name == name:
            raise NameTaken(f"a source named {name!r} exists", hint="choose another name", name=name)
        db_sources.rename(connection, found.id, name)
        return _info(app, connection, db_sources.get(connection, name))


def delete_source(app: App, source: str) -> list[int]:
    """Delete a source that no repository uses, with its Git builders. Old snapshots that show its packages go on doing
    so. The jobs that are to be cancelled.

    Raises:
        SourceInUse: a repository subscribes to it.
    """
    with app.db.write() as connection:
        found = db_sources.get(connection, source)
        _check_is_ours(found, "deleted")
        subscribed = db_repositories.subscribed(connection)
        users = db_repositories.names(connection, [repo for repo, ids in subscribed.items() if found.id in ids])
        if users:
            names = ", ".join(sorted(users.values()))
            raise SourceInUse(
                f"source {found.name!r} is used by {names}",
                hint="unsubscribe it first",
                repositories=sorted(users.values()),
            )
        db_sources.mark_deleted(connection, found.id, app.clock())
        return builders.delete_all(connection, found, app.clock())


def source_info(app: App, source: str) -> SourceInfo:
    with app.db.read() as connection:
        return _info(app, connection, db_sources.get(connection, source))


def list_sources(app: App, *, type_: SourceType | None = None, access: Access = INSIDE) -> list[SourceInfo]:
    """Those that somebody sees (of one type)."""
    with app.db.read() as connection:
        seen = sight(connection, access)
        found = [source for source in db_sources.live(connection) if seen.sees_source(source.id)]
        return _infos(app, connection, [source for source in found if type_ in (None, source.type)])


def repository_sources(app: App, repo: str) -> list[SourceInfo]:
    """The sources of a repository, in order."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        ids = db_repositories.subscribed(connection).get(repository.id, [])
        by_id = {source.id: source for source in db_sources.live(connection, ids)}
        versions = db_repositories.versions_wanted(connection, repository.id)
        sources = [replace(by_id[id_], version=versions.get(id_, by_id[id_].version)) for id_ in ids]
        return _infos(app, connection, sources)


def _check_version(type_: SourceType, version: str | None) -> None:
    """Raises Invalid: sources of that type are not of one version, or this one has to be."""
    if type_ is not SourceType.BIOCONDUCTOR:
        if version is not None:
            raise Invalid(f"sources of type {type_.value} have no versions of Bioconductor", hint="leave --version out")
    elif version is None:
        raise Invalid(
            "the source of all versions of Bioconductor exists from the start",
            hint="subscribe a repository to it, or name the version of this one: --version=3.18",
        )


def _check_can_create(type_: SourceType) -> None:
    kind = KINDS.get(type_)
    if kind is None or type_ in PARTS:
        ready = ", ".join(t.value for t, k in KINDS.items() if not k.is_predefined and t not in PARTS)
        raise Invalid(f"sources of type {type_.value} are not available in this version", hint=f"available: {ready}")
    if kind.is_predefined:
        raise Invalid(f"the source of type {type_.value} exists from the start", hint="subscribe a repository to it")


def _check_is_ours(source: Source, what: str) -> None:
    kind = KINDS.get(source.type)
    if kind is not None and kind.is_predefined and source.version is None:
        raise Invalid(f"the predefined source {source.name!r} can't be {what}")


def _info(app: App, connection: Connection, source: Source) -> SourceInfo:
    return _infos(app, connection, [source])[0]


def _infos(app: App, connection: Connection, sources: Sequence[Source]) -> list[SourceInfo]:
    """All of them in the same few statements."""
    ids = [source.id for source in sources]
    by_project = [source.id for source in sources if source.is_read_by_project]
    parts = db_bioconductor.part_ids_of(connection, sources)
    packages, read = _packages(connection, sources, parts), dict.fromkeys(by_project, 0)
    if by_project:
        packages |= db_projects.count_names(connection, by_project)
        read |= db_projects.count_read(connection, by_project)
    newest = bioconductor.newest_transactions(connection, ids, parts)
    mirrors = {state.source_id: state for state in db_sources.mirror_states(connection)}
    is_any_drawn = any(source.base_id is not None for source in sources)
    curated = db_curations.told(connection) if is_any_drawn else {}
    jobs: dict[int | None, int] = {}
    for job in db_jobs.active(connection, kind="sync"):
        jobs.setdefault(job.source_id, job.id)
    return [
        SourceInfo(
            source,
            packages.get(source.id, 0),
            read.get(source.id),
            newest.get(source.id),
            mirrors.get(source.id),
            _upstream(app, source, mirrors.get(source.id)),
            jobs.get(source.id),
            curated[source.id][1] if source.id in curated else None,
            curated[source.id][0] if source.id in curated else None,
        )
        for source in sources
    ]


def _packages(connection: Connection, sources: Sequence[Source], parts: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Source id -> packages, of sources whose files are all known; `parts` are those of sources that have such."""
    whole = [source for source in sources if not source.is_read_by_project and not source.is_pinned]
    packages: dict[int, int] = {}
    for has_archive in (True, False):
        ids = [
            id_ for source in whole if source.has_archive is has_archive for id_ in parts.get(source.id, [source.id])
        ]
        if ids:
            packages |= db_files.counts_current(connection, ids, has_archive=has_archive)
    history = DatabaseHistory(connection)
    for source in sources:
        if source.is_pinned:
            cut = cut_of(source, history.last_upto(source.id, history.newest()), None, history)
            packages[source.id] = db_listings.count_current(connection, cut) if cut.pin is not None else 0
    return packages | {id_: sum(packages.get(part, 0) for part in some) for id_, some in parts.items()}


def _upstream(app: App, source: Source, mirror: db_sources.MirrorState | None) -> str | None:
    """What a mirror was synced from; what is read by the project is read from where the settings say now."""
    if source.is_read_by_project:
        return app.settings.pypi_upstream
    return mirror.upstream if mirror is not None else None
