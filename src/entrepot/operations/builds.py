"""What building a package from a checkout takes and gives, whatever the ecosystem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from entrepot.app import App
from entrepot.core.jobs import Log
from entrepot.core.model import PackageName
from entrepot.git.checkout import Checkout
from entrepot.sandbox.box import Sandbox
from entrepot.sandbox.task import Check


@dataclass(frozen=True, slots=True)
class Ask:
    """One package to build.

    Attributes:
        checkout: the tree, which the build may change.
        sub_dir: where in it the package is, as the administrator gave it; empty: at its root.
        name: the package's name, if the administrator gave one: another one is a fault.
        tag: the tag that names the version; None: a commit of a branch, whose version is made from the package's own
            and `stamp`.
        stamp: seconds since 1970 that distinguish the commit's version.
        newest: the highest version of the package that the source ever had; a commit's version must be above it.
        build_vignettes: R: with the vignettes.
    """

    checkout: Checkout
    sub_dir: str
    name: PackageName | None
    tag: str | None
    stamp: int
    newest: str | None
    build_vignettes: bool


@dataclass(frozen=True, slots=True)
class Built:
    """What came of it: files under the names that they are listed with."""

    package: PackageName
    version: str
    files: tuple[Path, ...]


class Named(Protocol):
    """Reads the name of the package in a checkout without building it, where that can be done; else None."""

    def __call__(self, ask: Ask) -> PackageName | None: ...


class Build(Protocol):
    """Builds the package into `folder`, which is empty.

    Raises:
        BuildFailed: with one line that says why; everything else is in the log.
        Cancelled: by `check`.
        SandboxUnavailable, Unavailable, UpstreamUnavailable: nothing is wrong with the package; try again later.
    """

    def __call__(self, app: App, sandbox: Sandbox, ask: Ask, folder: Path, *, log: Log, check: Check) -> Built: ...
