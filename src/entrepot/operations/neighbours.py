"""What a package needs and what needs it, at a snapshot: level by level, as people follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from entrepot.app import App
from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName
from entrepot.core.releases import Dependency
from entrepot.db import projects as db_projects
from entrepot.operations import listing, records, relations
from entrepot.operations.browsing import Opened, Page
from entrepot.operations.listing import PackageSummary

MOST_NEEDED = 1000
"""Dependencies of one package that are told; no package that was written by people has more."""


@dataclass(frozen=True, slots=True)
class Needed:
    """A dependency: its kind, the name that it has here, and what the snapshot has of it.

    `comes_along` is R itself and what comes with it. `is_here`: the snapshot has such a package; `found` is what is at
    hand about it, without a release where nobody asked for the project yet. `is_met`: whether the release is within the
    bounds; None where that can't be told. `extra` is the extra of a Python package that needs it.
    """

    kind: str
    dependency: Dependency
    name: PackageName | None
    comes_along: bool
    is_here: bool
    found: PackageSummary | None
    is_met: bool | None
    extra: str | None


@dataclass(frozen=True, slots=True)
class Dependent:
    """A package whose current version needs another one, in these ways."""

    kinds: tuple[str, ...]
    found: PackageSummary


def dependencies(app: App, open_: Callable[[], Opened], name: str, *, version: str | None = None) -> tuple[Needed, ...]:
    """The dependencies of the release that stands for a package, or of `version`, as its metadata has them.

    Of those that it names nobody is asked. Raises as `records.package_record`.
    """
    record = records.package_record(app, open_, name, version=version)
    told = [(kind, each) for kind, some in record.summary.described.dependencies.items() for each in some]
    told = told[:MOST_NEEDED]
    opened = open_()
    dialect = opened.dialect
    names = {each.name: dialect.name(each.name) for _, each in told if not dialect.comes_along(each.name)}
    wanted = list(dict.fromkeys(found for found in names.values() if found is not None))
    here = {summary.name: summary for summary in listing.summaries(app, opened, wanted)} if wanted else {}
    listed = _listed(app, opened, [name for name, summary in here.items() if summary.release is None])
    return tuple(_needed(opened, kind, each, names.get(each.name), here, listed) for kind, each in told)


def _needed(
    opened: Opened,
    kind: str,
    dependency: Dependency,
    name: PackageName | None,
    here: Mapping[PackageName, PackageSummary],
    listed: set[PackageName],
) -> Needed:
    dialect = opened.dialect
    comes_along = dialect.comes_along(dependency.name)
    found = here.get(name) if name is not None else None
    is_here = found is not None and (found.release is not None or found.name in listed)
    is_met = None
    if found is not None and found.release is not None:
        is_met = dialect.admits(dependency, found.release.version)
    return Needed(
        kind, dependency, name, comes_along, is_here, found if is_here else None, is_met, dialect.extra(dependency)
    )


def _listed(app: App, opened: Opened, names: Sequence[PackageName]) -> set[PackageName]:
    """Those of some names that a source which is read by the project lists."""
    listed: set[PackageName] = set()
    for cut in opened.read_by_project if names else ():
        with app.db.read() as connection:
            state = db_projects.names_state(connection, cut)
            if state is not None:
                listed |= db_projects.names_among(connection, cut.source_id, state[0], names)
    return listed


def dependents(
    app: App,
    opened: Opened,
    repo: str,
    snapshot: str,
    name: str,
    *,
    kind: str | None = None,
    bioc_version: str | None = None,
    page: Page,
) -> tuple[list[Dependent], int]:
    """A page of the packages whose current version needs a package, ordered by name, and how many there are in all;
    of R alone.

    Raises:
        Invalid: there is no such kind of dependency.
    """
    package = opened.dialect.name(name)
    needing = relations.dependents(app, repo, snapshot, package or "", bioc_version=bioc_version)
    if kind is not None and needing and kind not in needing:
        raise Invalid(f"{kind[:40]!r} is not a kind of dependency", hint=f"kinds are {', '.join(needing)}")
    kinds: dict[PackageName, list[str]] = {}
    for each, names in needing.items():
        if kind in (None, each):
            for found in names:
                kinds.setdefault(found, []).append(each)
    wanted = sorted(kinds)[page.offset : page.offset + page.limit]
    summaries = listing.summaries(app, opened, wanted) if wanted else []
    return [Dependent(tuple(kinds[summary.name]), summary) for summary in summaries], len(kinds)
