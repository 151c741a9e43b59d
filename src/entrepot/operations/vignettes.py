"""What the vignettes of a package need, taken from an R repository of ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from entrepot.app import App
from entrepot.core.errors import BuildFailed, RepositoryNotFound, Unavailable, UpstreamInvalid
from entrepot.core.jobs import Log
from entrepot.core.model import Listed, PackageName, RepositoryType
from entrepot.ecosystems.r import dependencies, packages, paths, tarball
from entrepot.ecosystems.r.base import BASE, R
from entrepot.ecosystems.r.build import Described
from entrepot.operations.gathering import Gathering
from entrepot.operations.serving import inside, open_view
from entrepot.operations.view import DatabaseView
from entrepot.sandbox.task import Check

ALONG = ("Depends", "Imports", "LinkingTo")
"""Without these a package can't be installed."""
_OF_VIGNETTES = (*ALONG, "Suggests", "VignetteBuilder")
_MOST = 2000
"""Packages that vignettes may need, all together."""
_SETTING = "set [git] r_repository to an R repository that has what vignettes need"


def gather(app: App, described: Described, folder: Path, *, of_r: Path, log: Log, check: Check) -> tuple[str, ...]:
    """Put the source packages that the vignettes of a package need into `folder`: their names, in the order in which
    they can be installed.

    That is what the package itself needs, what it suggests and what its vignettes are written with, and all without
    which these can't be installed, each at the version that is current at `latest`.

    Args:
        of_r: R's own library, whose recommended packages will do where the repository lacks them.

    Raises:
        BuildFailed: the repository lacks something, or they are too many, too large or need each other in a circle.
        Unavailable, UpstreamUnavailable: there is no such repository; something can't be fetched now.
        Cancelled: by `check`.
    """
    name = app.settings.git.r_repository or app.settings.repos.cran
    gathering = Gathering(app, folder, "the packages that the vignettes need", log, check)
    shelf = _Shelf(name, _view(app, name), gathering)
    wanted = _names(described.fields, _OF_VIGNETTES) - {described.package}
    walk = _walk(described.package, wanted, shelf, lambda package: (of_r / package / "DESCRIPTION").is_file())
    try:
        order = tuple(TopologicalSorter(walk).static_order())
    except CycleError as error:
        raise BuildFailed(f"packages that the vignettes need, need each other: {' > '.join(error.args[1])}") from error
    log(f"the vignettes need {len(order)} packages of the repository {name}")
    return tuple(shelf.take(package) for package in order)


def _view(app: App, name: str) -> DatabaseView:
    """The repository as it is now. Raises Unavailable: there is none, or it is not of R; NeverSynced."""
    if not name:
        raise Unavailable("vignettes need packages, and no repository is named that has them", hint=_SETTING)
    try:
        opened = open_view(app, name, "latest", who=inside)
    except RepositoryNotFound as error:
        raise Unavailable(f"vignettes need packages: {error.message}", hint=_SETTING) from error
    if opened.repository.type is not RepositoryType.R:
        raise Unavailable(f"vignettes need packages of R, which the repository {name} doesn't have", hint=_SETTING)
    return opened.view


def _names(fields: Mapping[str, str], wanted: Iterable[str]) -> set[PackageName]:
    """The packages that some fields name, but for those that are part of R."""
    found = {each.name for field_ in wanted for each in dependencies.parse(fields.get(field_, ""))}
    return {PackageName(name) for name in found - BASE - {R}}


@dataclass(slots=True)
class _Shelf:
    """The packages of the repository, and those that were taken from it."""

    name: str
    view: DatabaseView
    gathering: Gathering
    rows: dict[PackageName, Listed] = field(default_factory=dict)
    taken: dict[PackageName, str] = field(default_factory=dict)

    def load(self, some: Collection[PackageName]) -> None:
        """Look some packages up, with one question."""
        self.gathering.check()
        self.rows |= {row.file.package: row for row in self.view.current_of(some)}

    def needs(self, package: PackageName) -> set[PackageName]:
        """What a package that was looked up can't be installed without; it is fetched where nobody has read that."""
        fields = self.rows[package].file.fields
        if fields is not None:
            return _names(packages.read_fields(fields), ALONG)
        with (self.gathering.folder / self.take(package)).open("rb") as stream:
            return _names(tarball.describe(stream)[0], ALONG)

    def take(self, package: PackageName) -> str:
        """Put a package into the folder: the name that it has there."""
        if package not in self.taken:
            listed = self.rows[package]
            name = paths.file_name(package, listed.file.version)
            try:
                self.gathering.put(listed, name)
            except UpstreamInvalid as error:
                raise BuildFailed(f"the vignettes need {package}, which can't be had: {error.message}") from error
            self.taken[package] = name
        return self.taken[package]


def _walk(
    package: PackageName, wanted: set[PackageName], shelf: _Shelf, comes_with_r: Callable[[PackageName], bool]
) -> dict[PackageName, list[PackageName]]:
    """Each package that is to be installed, with those that have to be there before.

    Raises:
        BuildFailed: the repository lacks some of them.
    """
    found: dict[PackageName, list[PackageName]] = {}
    missing: list[PackageName] = []
    by = dict.fromkeys(wanted, package)
    seen = set(wanted)
    while wanted:
        shelf.load(sorted(wanted))
        following: set[PackageName] = set()
        for name in sorted(wanted):
            if name in shelf.rows:
                needs = shelf.needs(name)
                found[name] = sorted(needs)
                following |= needs
            elif not comes_with_r(name):
                missing.append(name)
            for each in found.get(name, ()):
                by.setdefault(each, name)
        wanted = {name for name in following if name not in seen}
        seen |= wanted
        if len(seen) > _MOST:
            raise BuildFailed(f"the vignettes need more than {_MOST:,} packages")
    if missing:
        told = ", ".join(f"{name} (needed by {by[name]})" for name in missing)
        raise BuildFailed(
            f"the vignettes need packages that the repository {shelf.name} doesn't have: {told}",
            hint="subscribe the repository to a source that has them, or build without --build-vignettes",
        )
    return {name: [each for each in needs if each in found] for name, needs in found.items()}
