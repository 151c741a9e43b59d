"""Which packages of a snapshot need a package: the dependencies of all its current versions, turned round."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from entrepot.app import App
from entrepot.core.bioconductor import RELEASE
from entrepot.core.model import PackageName, RepositoryType
from entrepot.db import repositories as db_repositories
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.ecosystems.r.relations import KINDS, names_needed
from entrepot.operations.serving import OpenView, inside, open_view

_building = threading.Lock()
"""One index is made at a time: who waits meanwhile mostly wants the same one."""


@dataclass(frozen=True, slots=True)
class Dependents:
    """Of one snapshot: for each kind of dependency (`KINDS`), needed package -> those that need it, ordered by name."""

    of_kind: tuple[Mapping[str, list[PackageName]], ...]

    def of(self, package: str) -> dict[str, list[PackageName]]:
        """The packages that need one, by kind; complete, each kind with a list."""
        return {kind: needing.get(package, []) for kind, needing in zip(KINDS, self.of_kind, strict=True)}


def dependents(
    app: App, repo: str, snapshot: str, package: str, *, bioc_version: str | None = None
) -> dict[str, list[PackageName]]:
    """The packages of a repository (by name or id) whose current version needs a package, by kind of dependency.

    Empty for Python, where the metadata of most projects is not at hand. Of Bioconductor among those of one version, if
    nothing else is said the release.

    Raises:
        RepositoryNotFound, SnapshotNotFound
    """
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
    if repository.type is RepositoryType.PYTHON:
        return {}
    asked = Asked(bioc_version or RELEASE) if repository.type is RepositoryType.BIOCONDUCTOR else None
    opened = open_view(app, repository.name, snapshot, asked=asked, who=inside)
    return _of_snapshot(app, opened).of(package)


def _of_snapshot(app: App, opened: OpenView) -> Dependents:
    """Kept for the last snapshots; by what they show, so that a write elsewhere leaves it alone."""
    key = opened.key, opened.filled
    found: Dependents | None = app.dependents.find(key)
    if found is None:
        with _building:
            made: Dependents = app.dependents.get(key, lambda: turn_round(opened.view.current_keys("fields")))
            return made
    return found


def turn_round(rows: Iterable[tuple[int, PackageName, str | None]]) -> Dependents:
    """The index of (file id, package, index entry), ordered by package; entries that nobody has read need nothing."""
    of_kind: tuple[dict[str, list[PackageName]], ...] = tuple({} for _ in KINDS)
    for _, package, entry in rows:
        if not entry:
            continue
        for kind, names in names_needed(entry):
            needing = of_kind[kind]
            for name in names:
                if (known := needing.get(name)) is None:
                    needing[name] = [package]
                elif known[-1] != package:  # a name may be there twice, with two bounds
                    known.append(package)
    return Dependents(of_kind)
