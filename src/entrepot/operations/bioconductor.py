"""Bioconductor's versions: what is known of each, and which of them a repository shows at a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.bioconductor import PARTS, RELEASE, Config, is_version, part_path, version_key
from entrepot.core.errors import BioconductorVersionNotFound, Invalid, NeverSynced
from entrepot.core.model import Repository, Source, Subscription
from entrepot.core.snapshots import Cut, Snapshot, resolve
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import files as db_files
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r import bioconfig
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.operations.access import sight
from entrepot.sources import bioconductor as source_of
from entrepot.sources.bioconductor import known_config


@dataclass(frozen=True, slots=True)
class Version:
    """A version of Bioconductor.

    `cran_snapshot` is the day until which CRAN goes with it, `latest`, or empty where that isn't known. `word` is
    release, devel or empty. Of what is mirrored: the packages of each part, when all of them were synced last (None:
    some never were), and what the last failure of each part says that failed.
    """

    version: str
    r_version: str
    cran_snapshot: str
    word: str
    packages: dict[str, int]
    synced_from: datetime | None
    errors: dict[str, str]


def versions(app: App, *, access: Access = INSIDE, counted: bool = True) -> list[Version]:
    """All that upstream's configuration knows from 3.1 on, the newest first; none before the first sync.

    What is mirrored of them is told of what somebody sees; the numbers of packages are 0 unless they are `counted`.
    """
    with app.db.read() as connection:
        meta = db_bioconductor.meta_source(connection)
        config = _config(connection, meta)
        if meta is None or config is None:
            return []
        seen = sight(connection, access)
        every = db_bioconductor.part_ids(connection, config.versions)
        ids = {path: id_ for path, id_ in every.items() if seen.sees_source(id_)}
        counts = db_files.counts_current(connection, list(ids.values()), has_archive=True) if ids and counted else {}
        states = {state.source_id: state for state in db_sources.mirror_states(connection, ids.values())}
    found = []
    for version in config.versions:
        mine = {part: ids[path] for part in PARTS if (path := part_path(version, part)) in ids}
        synced = [states[id_].synced_from for id_ in mine.values()]
        found.append(
            Version(
                version,
                config.r_versions[version],
                config.cran_snapshot(version),
                {config.release: RELEASE, config.devel: "devel"}.get(version, ""),
                {part: counts.get(id_, 0) for part, id_ in mine.items()},
                min((time for time in synced if time is not None), default=None) if all(synced) else None,
                {part: error for part, id_ in mine.items() if (error := states[id_].error)},
            )
        )
    return found


def status_versions(app: App) -> list[dict[str, str]]:
    """`bioc_version`, `r_version` and `cran_snapshot` of each version, the newest first."""
    with app.db.read() as connection:
        config = _config(connection, db_bioconductor.meta_source(connection))
    if config is None:
        return []
    return [
        {
            "bioc_version": version,
            "r_version": config.r_versions[version],
            "cran_snapshot": config.cran_snapshot(version),
        }
        for version in config.versions
    ]


def _config(connection: Connection, meta: Source | None) -> Config | None:
    body = db_bioconductor.config_at(connection, meta.id) if meta is not None else None
    return bioconfig.read(body) if body is not None else None


def find_version(connection: Connection, name: str) -> str:
    """The version that a source or subscription is to be of.

    Before the first sync a version is taken as it is given, if it is written as one.

    Raises:
        BioconductorVersionNotFound
        NeverSynced: `release` or `devel`, and nothing is known yet.
        Invalid: not written as a version.
    """
    meta = db_bioconductor.meta_source(connection)
    assert meta is not None
    config = _config(connection, meta)
    if config is not None:
        return config.find(name)
    if is_version(name):
        return name
    if name in (RELEASE, "devel"):
        return known_config(connection, meta).find(name)
    raise Invalid(f"{name[:30]!r} is not a version of Bioconductor", hint="such as 3.18, or release or devel")


def name_version(app: App, connection: Connection, name: str) -> str:
    """As `find_version`, with the version's parts made. Only inside `Database.write`."""
    meta = db_bioconductor.meta_source(connection)
    assert meta is not None
    version = find_version(connection, name)
    upstream = app.settings.bioconductor.upstream
    made = source_of.ensure_parts(connection, meta, version, upstream=upstream, now=app.clock())
    if any(part.synced_from is None for part in made) and meta.synced_from is not None and _has_schedule(app):
        # Due at once instead of at the next regular time.
        db_sources.update_mirror(connection, meta.id, next_try=app.clock())
    return version


def _has_schedule(app: App) -> bool:
    return bool(app.settings.bioconductor.sync_schedule)


def parts_of(connection: Connection, source: Source, version: str | None = None) -> list[Source]:
    """The parts of a source of Bioconductor, in order: of its version, else of `version`, else of all of them."""
    wanted = source.version or version
    if wanted is None:
        return db_sources.parts_of(connection, [source.id])
    ids = db_bioconductor.part_ids(connection, [wanted])
    found = db_sources.by_ids(connection, ids.values())
    return [found[ids[path]] for part in PARTS if (path := part_path(wanted, part)) in ids]


def newest_transactions(
    connection: Connection, ids: Iterable[int], parts: Mapping[int, Sequence[int]]
) -> dict[int, int]:
    """Id -> newest transaction of these sources that have one; of those with parts (`part_ids_of`) also of these."""
    wanted = list(ids)
    newest = db_sources.newest_transactions(connection, {*wanted, *(id_ for some in parts.values() for id_ in some)})
    found = {id_: max(newest.get(each, 0) for each in (id_, *parts.get(id_, ()))) for id_ in wanted}
    return {id_: at for id_, at in found.items() if at}


def version_shown(connection: Connection, source: Source, wanted: str | None) -> str:
    """The version of a source of Bioconductor to look at: its own, or of all of them the one that is wanted, else the
    release.

    Raises:
        BioconductorVersionNotFound, NeverSynced
    """
    meta = db_bioconductor.meta_source(connection)
    assert meta is not None
    if source.version is None:
        return known_config(connection, meta).find(wanted or RELEASE)
    config = _config(connection, meta)
    named = config.find(wanted) if wanted is not None and config is not None else wanted
    if named not in (None, source.version):
        raise BioconductorVersionNotFound(
            f"source {source.name!r} has no Bioconductor {wanted!r}", hint=f"it is of {source.version}"
        )
    return source.version


def resolve_version(
    app: App, connection: Connection, repository: Repository, wanted: Snapshot, asked: Asked | None
) -> tuple[DatabaseHistory, tuple[Cut, ...], bytes]:
    """What a repository of Bioconductor shows of a version at a snapshot: the history that knows its sources, the cuts,
    and the configuration in force.

    All parts of the version are resolved together, also where one is asked for: so a date is answered once all of them
    are known for it, and a part that had no packages yet by then is an empty one.

    Raises:
        SnapshotNotFound, NeverSynced, BioconductorVersionNotFound
    """
    given, versions = db_repositories.given_subscriptions(connection, repository.id)
    meta = db_bioconductor.meta_source(connection)
    assert meta is not None
    reaches_back = not db_repositories.had_owner(connection, repository.name)
    of_meta = _of_meta(given, meta)
    history = DatabaseHistory(connection, of_meta)
    cuts = resolve(wanted, of_meta, history, today=app.today(), reaches_back=reaches_back)
    if not cuts:
        return history, (), b""
    body = db_bioconductor.config_at(connection, meta.id, cuts[0].upto)
    if body is None:
        known_config(connection, meta)
        raise NeverSynced(f"nothing was known of Bioconductor's versions at {wanted}", hint="use a later snapshot")
    if asked is None:
        return history, cuts[:1], body
    version = bioconfig.read(body).find(asked.version)
    subscriptions = _of_version(connection, given, versions, version)
    history = DatabaseHistory(connection, subscriptions)
    cuts = resolve(wanted, subscriptions, history, today=app.today(), reaches_back=reaches_back)
    if not cuts:
        raise _lacks(repository, versions, version)
    if asked.part is not None:
        path = part_path(version, asked.part)
        cuts = tuple(cut for cut in cuts if history.source(cut.source_id).part == path)[:1]
    return history, cuts, body


def _of_version(
    connection: Connection, given: list[Subscription], versions: dict[int, str | None], version: str
) -> list[Subscription]:
    """All subscriptions that a repository ever had, as far as they have this version: to its parts.

    Raises:
        NeverSynced: it isn't mirrored.
    """
    ids = db_bioconductor.part_ids(connection, [version])
    if not ids:
        raise NeverSynced(
            f"Bioconductor {version} is not mirrored yet",
            hint=f"`entrepot sync --type=bioconductor --version={version}` mirrors it",
        )
    return db_bioconductor.expand(connection, of_version(given, versions, version), versions)


def subscriptions_of(
    connection: Connection, repository: Repository, wanted: str
) -> tuple[list[Subscription], list[Subscription]]:
    """All that a repository of Bioconductor ever had: to the source that tells of versions, and to the parts of one.

    Raises:
        BioconductorVersionNotFound
        NeverSynced: nothing is known of versions, or that one isn't mirrored.
    """
    given, versions = db_repositories.given_subscriptions(connection, repository.id)
    meta = db_bioconductor.meta_source(connection)
    assert meta is not None
    version = known_config(connection, meta).find(wanted)
    return _of_meta(given, meta), _of_version(connection, given, versions, version)


def _of_meta(given: Iterable[Subscription], meta: Source) -> list[Subscription]:
    return list({replace(each, source_id=meta.id, position=0, version=None) for each in given})


def of_version(given: Iterable[Subscription], versions: Mapping[int, str | None], version: str) -> list[Subscription]:
    """The subscriptions among some that have a version, as those of it; `versions` are those of their sources."""
    return [
        replace(each, version=version)
        for each in given
        if (each.version or versions.get(each.source_id) or version) == version
    ]


def _lacks(repository: Repository, versions: dict[int, str | None], version: str) -> BioconductorVersionNotFound:
    has = sorted({v for v in versions.values() if v is not None}, key=version_key)
    return BioconductorVersionNotFound(
        f"repository {repository.name!r} has no Bioconductor {version} at this snapshot",
        hint=f"it has {', '.join(has)}" if has else "it has no subscriptions",
        version=version,
    )
