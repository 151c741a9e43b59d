"""What clients ask to recognise the server: for which systems it has binary packages, and how its mirrors stand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.model import RepositoryType
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
    folders of macOS (`ecosystems.r.macos`), the repository of R that people mean if they name none, and the versions of
    Bioconductor (`operations.bioconductor`)."""

    distros: tuple[Distro, ...]
    r_versions: tuple[str, ...]
    macos_folders: dict[str, dict[str, str]]
    cran_repo: str
    bioc_versions: tuple[Mapping[str, str], ...]


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
    return Offer(tuple(distros), tuple(versions), macos.folders(there), _cran_repo(connection), bioc_versions)


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


def _cran_repo(connection: Connection) -> str:
    """The first repository of R packages that has a mirror."""
    subscribed = db_repositories.subscribed(connection)
    mirrors = {source.id for source in db_sources.live(connection) if source.is_mirror}
    for repository in db_repositories.live(connection):
        if repository.type is RepositoryType.R and mirrors.intersection(subscribed.get(repository.id, ())):
            return repository.name
    return ""


def mirror_statuses(app: App) -> list[MirrorStatus]:
    """How the syncs of all mirrors go now."""
    with app.db.read() as connection:
        states = {state.source_id: state for state in db_sources.mirror_states(connection)}
        live = [source for source in db_sources.live(connection) if source.id in states]
        jobs: dict[int | None, int] = {}
        for job in db_jobs.active(connection, kind="sync"):
            jobs.setdefault(job.source_id, job.id)
    return [
        MirrorStatus(
            source.name, states[source.id], jobs.get(source.id), syncing.next_sync(app, source, states[source.id])
        )
        for source in live
    ]
