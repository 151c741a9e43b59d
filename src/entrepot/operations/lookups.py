"""Which binary packages a repository has at a snapshot: of one package, of some, of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from entrepot.app import App
from entrepot.core.errors import Invalid, WrongType
from entrepot.core.model import Listed, PackageName, RepositoryType
from entrepot.core.platforms import ANY, Platform, System, architecture, r_minor
from entrepot.db import repositories as db_repositories
from entrepot.ecosystems.r import distributions, paths
from entrepot.operations.serving import OpenView, inside, open_view

MOST_NAMES = 1000
_OTHERS = {"windows": System.WINDOWS, "macos": System.MACOS}


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary package of a source package; `path` is where the server has it."""

    listed: Listed
    platform: Platform
    path: str


@dataclass(frozen=True, slots=True)
class Sought:
    """Which platforms are looked at; None: all."""

    system: System | None = None
    distribution: str | None = None
    r: str | None = None
    arch: str | None = None

    def fits(self, platform: Platform) -> bool:
        return (
            self.system in (None, platform.system)
            and self.distribution in (None, platform.distribution)
            and self.r in (None, platform.r)
            and (self.arch is None or self._has_arch(platform))
        )

    def _has_arch(self, platform: Platform) -> bool:
        if platform.system is System.MACOS:
            return (self.arch == "arm64") == platform.distribution.endswith("arm64")
        return platform.arch in (self.arch, ANY)


def sought(distribution: str | None, r_version: str | None, arch: str | None) -> Sought:
    """What a client names.

    Raises:
        Invalid: an unknown distribution, or what is no version of R or no architecture.
    """
    system: System | None = None
    url: str | None = None
    if distribution:
        system = _OTHERS.get(distribution, System.LINUX)
        known = distributions.find(distribution)
        if system is System.LINUX and known is None:
            have = ", ".join([*distributions.urls(), *_OTHERS])
            raise Invalid(f"unsupported system {distribution[:100]!r}", hint=f"systems are {have}")
        url = known.url if known is not None and system is System.LINUX else None
    r = r_minor(r_version) if r_version else None
    if r_version and r is None:
        raise Invalid(f"{r_version[:100]!r} is not a version of R", hint="it looks like 4.4 or 4.4.1")
    machine = architecture(arch) if arch else None
    if arch and machine is None:
        raise Invalid(f"unknown architecture {arch[:100]!r}", hint="binary packages are for x86_64 and arm64")
    return Sought(system, url, r, machine)


def binaries(app: App, repo: str, snapshot: str, names: Sequence[str] | None, wanted: Sought) -> list[Binary]:
    """The binary packages of some packages, or the newest of each for all; by platform, then by name.

    Raises:
        RepositoryNotFound, SnapshotNotFound
        WrongType: a repository of Python packages.
        Invalid: too many names.
    """
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
    if repository.type is RepositoryType.PYTHON:
        raise WrongType(f"repository {repository.name!r} has Python packages, whose wheels are among their files")
    if names is not None and len(names) > MOST_NAMES:
        raise Invalid(f"{len(names)} packages were named", hint=f"name up to {MOST_NAMES}, or none for all")
    opened = open_view(app, repository.name, snapshot, who=inside)
    return [
        Binary(row, platform, f"{repository.name}/{snapshot}/{_path(row, platform, wanted)}")
        for platform in opened.view.platforms()
        if wanted.fits(platform)
        for row in _rows(opened, platform, names)
    ]


def _rows(opened: OpenView, platform: Platform, names: Sequence[str] | None) -> list[Listed]:
    if names is None:
        return opened.view.binaries([platform])
    return [row for name in names for row in opened.view.binaries_of(PackageName(name), [platform])]


def _path(row: Listed, platform: Platform, wanted: Sought) -> str:
    if platform.system is not System.LINUX:
        return f"{paths.binary_folder(platform)}/{row.file.name}"
    arch = platform.arch if platform.arch != ANY else wanted.arch or "x86_64"
    return f"bin/linux/{platform.distribution}-{arch}/{platform.r}/{paths.CONTRIB}{row.file.name}"
