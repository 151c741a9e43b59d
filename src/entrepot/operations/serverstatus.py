"""What clients ask to recognise the server: for which systems it has binary packages, and how its mirrors stand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.model import Repository, RepositoryType
from entrepot.core.platforms import Platform, System
from entrepot.db import jobs as db_jobs
from entrepot.db import parts as db_parts
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import targets as db_targets
from entrepot.db.engine import catalogue_version
from entrepot.db.sources import MirrorState
from entrepot.ecosystems.r import distributions, macos
from entrepot.ecosystems.r.distributions import Distribution
from entrepot.operations import bioconductor, syncing
from entrepot.operations.access import sight


@dataclass(frozen=True, slots=True)
class Distro:
    """A system as clients know it; `url` names a Linux distribution below `/__linux__/`, `sysreqs` says whether the
    rules of system requirements know it, `is_hidden` that it is shown to nobody any more."""

    name: str
    os: str
    display: str
    binary_display: str
    url: str
    distribution: str
    release: str
    architectures: tuple[str, ...]
    has_binaries: bool
    has_requirements: bool = False
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What changes with the catalogue alone: the systems, the minor versions of R with binary packages (newest first),
    folders of macOS (`ecosystems.r.macos`), the repositories of R packages that have a mirror, and the versions of
    Bioconductor (`operations.bioconductor`); how many repositories there are, and how many of them are closed."""

    distros: tuple[Distro, ...]
    r_versions: tuple[str, ...]
    macos_folders: dict[str, dict[str, str]]
    cran_repos: tuple[Repository, ...]
    bioc_versions: tuple[Mapping[str, str], ...]
    repositories: int
    closed: int

    def cran_repo(self, access: Access) -> Repository | None:
        """The repository of R that somebody means who names none: the first of those that they may read."""
        return next((each for each in self.cran_repos if not each.is_closed or access.may_read(each.id)), None)


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """How the syncs of a mirror go; `job` is the sync that runs or waits."""

    name: str
    state: MirrorState
    job: int | None
    next_sync: datetime | None


def offer(app: App) -> Offer:
    """What the installation has and builds binary packages for. Worked out once for each version of the catalogue."""
    with app.db.read() as connection:
        key = "offer", catalogue_version(connection)
        found: Offer | None = app.snapshots.find(key)
        if found is None:
            found = _offer(app, connection)
            app.snapshots.put(key, found)
    return found


def platforms(connection: Connection) -> list[Platform]:
    """The platforms that some source has binary packages for, or that a build target makes them for."""
    there = {Platform.of_path(path) for path in db_parts.binary_paths(connection)}
    return sorted(there | {target.platform for target in db_targets.live(connection)})


def _offer(app: App, connection: Connection) -> Offer:
    there = platforms(connection)
    linux = {each.distribution for each in there if each.system is System.LINUX}
    distros = [_linux(each, linux) for each in distributions.every()]
    windows = any(each.system is System.WINDOWS for each in there)
    mac = any(each.system is System.MACOS for each in there)
    distros += [
        Distro("windows", "windows", "Windows", "", "", "windows", "all", ("x86_64",), windows),
        Distro("macos", "macos", "macOS", "", "", "macos", "all", ("x86_64", "arm64"), mac),
    ]
    versions = sorted({each.r for each in there}, key=_version, reverse=True)
    bioc_versions = tuple(bioconductor.status_versions(app))
    repositories = db_repositories.live(connection)
    return Offer(
        tuple(distros),
        tuple(versions),
        macos.folders(there),
        _cran_repos(connection, repositories),
        bioc_versions,
        repositories=len(repositories),
        closed=sum(each.is_closed for each in repositories),
    )


def _linux(known: Distribution, there: Collection[str]) -> Distro:
    return Distro(
        known.name,
        "linux",
        known.display,
        known.binary_display,
        known.url,
        known.distribution,
        known.release,
        known.architectures,
        has_binaries=known.url in there,
        has_requirements=known.has_requirements,
        is_hidden=known.is_retired,
    )


def _version(r: str) -> tuple[int, ...]:
    return tuple(int(part) for part in r.split("."))


def _cran_repos(connection: Connection, repositories: Sequence[Repository]) -> tuple[Repository, ...]:
    """The repositories of R packages that have a mirror."""
    subscribed = db_repositories.subscribed(connection)
    mirrors = {source.id for source in db_sources.live(connection) if source.is_mirror}
    return tuple(
        each
        for each in repositories
        if each.type is RepositoryType.R and mirrors.intersection(subscribed.get(each.id, ()))
    )


def mirror_statuses(app: App, *, access: Access = INSIDE) -> list[MirrorStatus]:
    """How the syncs of all mirrors go now that somebody sees."""
    with app.db.read() as connection:
        seen = sight(connection, access)
        states = {state.source_id: state for state in db_sources.mirror_states(connection)}
        live = [source for source in db_sources.live(connection) if source.id in states and seen.sees_source(source.id)]
        jobs: dict[int | None, int] = {}
        for job in db_jobs.active(connection, kind="sync"):
            jobs.setdefault(job.source_id, job.id)
    return [
        MirrorStatus(
            source.name, states[source.id], jobs.get(source.id), syncing.next_sync(app, source, states[source.id])
        )
        for source in live
    ]
