"""Curated PyPI sources: the files that a list of requirements admits at a snapshot, and if wanted what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from entrepot.app import App
from entrepot.core.errors import (
    Conflict,
    Contradiction,
    EntrepotError,
    Invalid,
    TooLarge,
    Unresolvable,
)
from entrepot.core.model import File, FileStatus, Listed, PackageName, Sha256
from entrepot.core.proposals import Item, ItemChange, Leaving, Missing, Report
from entrepot.core.releases import Release
from entrepot.core.requirements import Requirement
from entrepot.core.snapshots import PRESENT, Cut
from entrepot.db import files as db_files
from entrepot.db import projects as db_projects
from entrepot.db import readings
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.python import describing, jsonapi, lists
from entrepot.ecosystems.python.names import canonical_version, is_canonical
from entrepot.ecosystems.python.narrowing import Narrowing, narrowing
from entrepot.operations import admitting, browsing, dialects, records, resolving
from entrepot.operations.drafting import Draft, State, Wish, unknown
from entrepot.operations.pinning import Named, name_snapshot
from entrepot.operations.resolving import Resolved
from entrepot.operations.serving import patiently
from entrepot.operations.view import DatabaseView
from entrepot.sources import projects
from entrepot.sources.pypifiles import read_metadata

NOT_FOR = "none of its files is for the wanted platforms and Pythons"
TAKEN_OUT = "all of it that is asked for was taken out by hand"
MOST_PROJECTS = 5000
"""Projects of one list; each may have to be read from upstream."""
_AT_ONCE = 8
T = TypeVar("T")
N = TypeVar("N")


class _Ask(NamedTuple):
    """What is asked of a source from then on."""

    requirements: list[Requirement]
    constraints: list[str]
    removed: list[tuple[str, str]]
    with_dependencies: bool
    narrowing: Narrowing

    def packed(self) -> dict[str, Any]:
        """As JSON values, without the numbers of lines of a file that nobody has later."""
        rows = [[r.package, r.specifier, list(r.extras), list(r.hashes), r.marker] for r in self.requirements]
        return {
            "requirements": rows,
            "constraints": self.constraints,
            "removed": [list(each) for each in self.removed],
            "with_dependencies": self.with_dependencies,
            "only_binary": self.narrowing.only_binary,
            "platforms": list(self.narrowing.platforms),
            "python_versions": list(self.narrowing.python_versions),
        }


class _Came(NamedTuple):
    """A project that is in: its admitted files, the chain of projects that need it, and how the list asks for it."""

    rows: list[Listed]
    why: tuple[str, ...]
    asked: str


def draft(app: App, state: State, wish: Wish) -> Draft:
    """What the source would show.

    Raises:
        PackageNotFound: projects that were asked for are unknown at the snapshot, or have no file that is wanted.
        Contradiction, Unresolvable: what is asked for can't be had together.
        Invalid, InvalidBatch: the list can't be read, or asks for nothing.
        UpstreamUnavailable, UpstreamInvalid: projects that aren't known yet can't be read.
    """
    named = _snapshot(app, state, wish)
    ask = _ask(state, wish)
    lines: dict[PackageName, list[Requirement]] = {}
    for requirement in ask.requirements:
        lines.setdefault(requirement.package, []).append(requirement)
    kept = _kept(app, state, wish, ask)
    came, lacking = _admit(app, state, named.cut, lines, ask, kept)
    refused = {str(name): why for name, why in lacking.items() if why != TAKEN_OUT}
    if refused and not wish.skip_missing:
        raise unknown(refused, lambda name: _alike(app, state, PackageName(name)))
    ask = ask._replace(requirements=[r for r in ask.requirements if r.package not in refused])
    notes: list[str] = []
    missing = [Missing(name, (), reason) for name, reason in lacking.items()]
    if ask.with_dependencies and came:
        _bring(app, state, named.cut, ask, came, missing, notes, kept)
    if wish.action == "remove" and not wish.removed:
        _check_unneeded(wish, came)
    request = ask._replace(requirements=[replace(r, line=None) for r in ask.requirements]).packed()
    target = {row.file.id: FileStatus.CURRENT for each in came.values() for row in each.rows}
    return Draft(named, request, target, _report(app, state, named.cut, came, missing, notes))


def _snapshot(app: App, state: State, wish: Wish) -> Named:
    """The snapshot to draw from: what is added or removed leaves the others as they are."""
    with app.db.read() as connection:
        if wish.action == "update" or state.pin is None:
            return name_snapshot(app, connection, state.base, wish.snapshot)
        newest = db_transactions.newest(connection)
    pin = state.pin
    if wish.snapshot not in (None, pin.snapshot):
        raise Invalid(
            f"source {state.source.name!r} is pinned to snapshot {pin.snapshot}, from which packages are added",
            hint=f"use --snapshot={pin.snapshot}; `entrepot update --source={state.source.name}` moves all of it",
        )
    return Named(pin.snapshot, Cut(state.base.id, newest, pin.at))


def _ask(state: State, wish: Wish) -> _Ask:
    before = _unpacked(state.pin.request) if state.pin is not None else _Ask([], [], [], False, Narrowing())
    narrow = wish.narrow
    asked = _asked(before.requirements, state, wish)
    constraints = before.constraints
    if wish.list_text is not None:
        new = [_pep508(bound) for bound in lists.read_constraints(wish.constraints or "")]
        constraints = new if wish.action == "update" else [*constraints, *new]
    gone = [(package, each) for package in wish.packages for each in wish.removed]
    return _Ask(
        asked,
        constraints,
        [*before.removed, *gone],
        before.with_dependencies if narrow.with_dependencies is None else narrow.with_dependencies,
        narrowing(
            only_binary=before.narrowing.only_binary if narrow.only_binary is None else narrow.only_binary,
            platforms=before.narrowing.platforms if narrow.platforms is None else narrow.platforms,
            python_versions=before.narrowing.python_versions
            if narrow.python_versions is None
            else narrow.python_versions,
        ),
    )


def _asked(before: list[Requirement], state: State, wish: Wish) -> list[Requirement]:
    if wish.action == "remove":
        gone = set(wish.packages) if not wish.removed else set()
        return [requirement for requirement in before if requirement.package not in gone]
    if wish.constraints is not None and wish.list_text is None:
        raise Invalid("constraints are of a list", hint="give the list as well, with --file-in")
    new: list[Requirement] = []
    if wish.list_text is not None:
        new += lists.read(wish.list_text, constraints=wish.constraints).requirements
    if wish.packages:
        new += lists.read("\n".join(wish.packages)).requirements
    if wish.action == "add":
        if not new:
            raise Invalid("no packages to add", hint="give --packages=NAME,... or --file-in=FILE")
        new = [replace(each, line=None) for each in new]
        return before + [each for each in new if each not in before]
    if not new and not before:
        raise Invalid(
            f"nothing was asked of source {state.source.name!r} yet",
            hint="give the list of its packages with --file-in",
        )
    return new or before


def _unpacked(request: Mapping[str, Any]) -> _Ask:
    return _Ask(
        [
            Requirement(PackageName(name), specifier, tuple(extras), tuple(map(Sha256, hashes)), marker)
            for name, specifier, extras, hashes, marker in request["requirements"]
        ],
        list(request.get("constraints", ())),
        [(package, what) for package, what in request["removed"]],
        bool(request.get("with_dependencies")),
        narrowing(
            only_binary=bool(request.get("only_binary")),
            platforms=request.get("platforms", ()),
            python_versions=request.get("python_versions", ()),
        ),
    )


def _kept(app: App, state: State, wish: Wish, ask: _Ask) -> dict[PackageName, list[Listed]]:
    """What is shown of the projects that are not touched where others are added or taken out.

    They are not drawn from the snapshot again: of an index without upload times it can't be had later, and a file may
    have come to light that belongs to it and was not known at the commit.
    """
    if wish.action == "update" or state.pin is None:
        return {}
    before = _unpacked(state.pin.request)
    if before.narrowing != ask.narrowing:
        return {}
    touched = {requirement.package for requirement in {*before.requirements} ^ {*ask.requirements}}
    with app.db.read() as connection:
        shown = db_files.by_ids(connection, state.shown)
    rows: dict[PackageName, list[Listed]] = {}
    for id_ in sorted(shown):
        rows.setdefault(shown[id_].package, []).append(Listed(shown[id_], FileStatus.CURRENT))
    return {name: its for name, its in rows.items() if name not in touched}


def _check_unneeded(wish: Wish, came: Mapping[PackageName, _Came]) -> None:
    for package in map(PackageName, wish.packages):
        if package in came:
            chain = came[package].why
            raise Conflict(
                f"{package} is needed: {' > '.join((*chain, package))}",
                hint=f"remove {chain[0]} first, or a version alone: {package}@{_newest_of(came[package])}",
            )


def _newest_of(each: _Came) -> str:
    return _newest([row.file for row in each.rows])


def _admit(
    app: App,
    state: State,
    cut: Cut,
    lines: Mapping[PackageName, Sequence[Requirement]],
    ask: _Ask,
    kept: Mapping[PackageName, list[Listed]],
) -> tuple[dict[PackageName, _Came], dict[PackageName, str]]:
    """What the list itself admits, and the projects of it that can't be had, each with the reason."""
    drawn = rows_of(app, state, cut, [name for name in lines if name not in kept])
    known = {name: kept[name] if name in kept else drawn[name] for name in lines}
    came: dict[PackageName, _Came] = {}
    unknown: dict[PackageName, str] = {}
    faults: list[EntrepotError] = []
    for name, wanted in lines.items():
        if not known[name]:
            unknown[name] = "the snapshot has no such project"
            continue
        try:
            fitting = admitting.admitted(known[name], wanted)
        except Contradiction as error:
            faults.append(error)
            continue
        rows = admitting.narrowed(fitting, ask.narrowing, _removed(ask, name))
        if rows:
            came[name] = _Came(rows, (), ", ".join(each.text for each in wanted))
        elif fitting:
            unknown[name] = _why_none(fitting, ask)
        else:
            unknown[name] = "it has no file with one of the wanted hashes"
    if faults:
        raise Contradiction.of_all(faults)
    return came, unknown


def _why_none(rows: Sequence[Listed], ask: _Ask) -> str:
    """Why none of the files of a project is left."""
    return TAKEN_OUT if admitting.narrowed(rows, ask.narrowing, ()) else NOT_FOR


def rows_of(app: App, state: State, cut: Cut, names: Sequence[PackageName]) -> dict[PackageName, list[Listed]]:
    """All files of some projects at a cut of the mirror, each read from upstream if it has to be."""
    if len(names) > MOST_PROJECTS:
        raise TooLarge(
            f"the list has {len(names)} projects; at most {MOST_PROJECTS} are taken", hint="split the source"
        )

    def rows(name: PackageName) -> list[Listed]:
        _see_fresh(app, state, cut, name)
        return patiently(lambda: DatabaseView(app, [cut], {state.base.id: state.base}).of_package(name))

    return dict(zip(names, _at_once(rows, names), strict=True))


def _at_once(ask: Callable[[N], T], names: Sequence[N]) -> list[T]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, names))


def _see_fresh(app: App, state: State, cut: Cut, name: PackageName) -> None:
    """Read a project again whose newest reading is too old to tell what there is now."""
    if cut.at is not None:
        return
    with app.db.read() as connection:
        known = db_projects.state(connection, state.base.id, name)
    if known is not None and known.checked + app.settings.pypi.refresh <= app.clock().timestamp():
        asyncio.run(projects.read(app, state.base, name).result())


def _removed(ask: _Ask, name: PackageName) -> list[str]:
    return [what for package, what in ask.removed if package == name]


def _bring(
    app: App,
    state: State,
    cut: Cut,
    ask: _Ask,
    came: dict[PackageName, _Came],
    missing: list[Missing],
    notes: list[str],
    kept: Mapping[PackageName, list[Listed]],
) -> None:
    """Add what the list needs: of each project the versions that its resolution takes."""
    resolved = _resolved(app, state, cut, ask, came)
    chains = _chains(resolved, set(came))
    versions: dict[PackageName, set[str]] = {}
    for each in resolved:
        versions.setdefault(each.package, set()).add(each.version)
    new = [name for name in versions if name not in came]
    same = {name: kept[name] for name in new if versions[name] <= {row.file.version for row in kept.get(name, ())}}
    for name, rows in (rows_of(app, state, cut, [name for name in new if name not in same]) | same).items():
        wanted = [row for row in rows if row.file.version in versions[name]]
        left = admitting.narrowed(wanted, ask.narrowing, _removed(ask, name))
        if left:
            came[name] = _Came(left, chains.get(name, ()), "")
        else:
            missing.append(Missing(name, chains.get(name, ()), _why_none(wanted, ask)))
    for name in set(versions) & set(came):
        lacking = versions[name] - {row.file.version for row in came[name].rows}
        if lacking and not came[name].why:
            notes.append(f"the resolution takes {name} {', '.join(sorted(lacking))}, of which no wanted file is left")


def _resolved(app: App, state: State, cut: Cut, ask: _Ask, came: Collection[PackageName]) -> Sequence[Resolved]:
    barred = _barred(ask)
    try:
        return resolving.resolve(
            app,
            state.base,
            cut,
            [_pep508(requirement) for requirement in ask.requirements if requirement.package in came],
            constraints=[*ask.constraints, *barred],
            # A free-threaded Python (3.13t) needs the same packages in other files.
            python_versions=[version.removesuffix("t") for version in ask.narrowing.python_versions],
            only_binary=ask.narrowing.only_binary,
        )
    except Unresolvable as error:
        if barred and error.hint is None:
            told = ", ".join(bound.replace("!=", " ") for bound in barred)
            error.hint = f"what was taken out by hand doesn't come back: {told}"
        raise


def _barred(ask: _Ask) -> list[str]:
    """Versions that were taken out by hand, as constraints."""
    return [f"{name}!={what}" for name, what in ask.removed if is_canonical(canonical_version(what))]


def _pep508(requirement: Requirement) -> str:
    return requirement.text + (f" ; {requirement.marker}" if requirement.marker else "")


def _chains(resolved: Sequence[Resolved], asked: set[PackageName]) -> dict[PackageName, tuple[str, ...]]:
    """The shortest chain of projects that need each, from one that was asked for."""
    needed: dict[str, list[PackageName]] = {}
    for each in resolved:
        for by in each.because:
            needed.setdefault(by, []).append(each.package)
    chains: dict[PackageName, tuple[str, ...]] = dict.fromkeys(sorted(asked), ())
    queue = list(chains)
    for name in queue:
        for other in sorted(needed.get(name, ())):
            if other not in chains:
                chains[other] = (*chains[name], name)
                queue.append(other)
    return chains


def _alike(app: App, state: State, name: PackageName) -> list[PackageName]:
    """The names of the index that begin as this one, if its list of names was read."""
    with app.db.read() as connection:
        listed = db_projects.names_state(connection, Cut(state.base.id, PRESENT))
        return readings.names_beginning(connection, state.base.id, listed[0], name[:2]) if listed is not None else []


def _report(
    app: App,
    state: State,
    cut: Cut,
    came: Mapping[PackageName, _Came],
    missing: Sequence[Missing],
    notes: Sequence[str],
) -> Report:
    with app.db.read() as connection:
        shown = db_files.by_ids(connection, state.shown)
    before: dict[str, list[File]] = {}
    for file in shown.values():
        before.setdefault(file.package, []).append(file)
    names = sorted(came)
    licenses = dict(zip(names, _at_once(lambda name: _license(app, state, cut, came[name].rows), names), strict=True))
    items = tuple(_item(came[name], before.get(name, []), licenses[name]) for name in names)
    return Report(items, tuple(_leaving(before, came)), tuple(missing), tuple(notes))


def _newest(files: Sequence[File]) -> str:
    """The version that stands for a project: as people are shown it."""
    found = describing.releases([Listed(file, FileStatus.CURRENT) for file in files])
    return found.latest.version if found is not None else ""


def _item(each: _Came, before: Sequence[File], license_: str | None) -> Item:
    files = [row.file for row in each.rows]
    version, previous = _newest(files), _newest(before) if before else None
    sizes = [file.size for file in files if file.size is not None]
    return Item(
        package=files[0].package,
        version=version,
        previous=previous,
        change=_change(files, version, before, previous),
        license=license_,
        needs_compilation=_needs_compilation([file.name for file in files if file.version == version]),
        why=each.why,
        asked=each.asked,
        size=sum(sizes) if sizes else None,
        releases=len({file.version for file in files}),
    )


def _change(files: Sequence[File], version: str, before: Sequence[File], previous: str | None) -> ItemChange:
    if previous is None:
        return ItemChange.ADDED
    if {file.id for file in files} == {file.id for file in before}:
        return ItemChange.UNCHANGED
    if version == previous:
        return ItemChange.CHANGED
    is_newer = jsonapi.version_key(version) > jsonapi.version_key(previous)
    return ItemChange.UPDATED if is_newer else ItemChange.DOWNGRADED


def _needs_compilation(names: Sequence[str]) -> str | None:
    """Whether a release has compiled code: `no` with a wheel for every platform; None where it has no wheel at all."""
    wheels = [name for name in names if name.endswith(".whl")]
    if not wheels:
        return None
    return "no" if any(name.endswith("-none-any.whl") for name in wheels) else "yes"


def _leaving(before: Mapping[str, Sequence[File]], came: Mapping[PackageName, _Came]) -> list[Leaving]:
    rows: list[Leaving] = []
    for name in sorted(before):
        each = came.get(PackageName(name))
        left = {row.file.version for row in each.rows} if each is not None else set()
        gone = {file.version for file in before[name]} - left
        reason = "not admitted any more" if each is not None else "neither asked for nor needed"
        rows += [Leaving(name, version, "removed", reason) for version in sorted(gone, key=jsonapi.version_key)]
    return rows


def _read_out(app: App, release: Release) -> str | None:
    """The metadata in a release's smallest wheel, where the index offers none beside it."""
    wheels = [each.file for each in release.files if each.kind == "wheel"]
    if not wheels:
        return None
    smallest = min(wheels, key=lambda file: file.size or 0)
    with app.db.read() as connection:
        url = db_projects.origin(connection, smallest.id)
    try:
        found = read_metadata(app.fetch, projects.with_login(app, url or ""), file_name=smallest.name)
    except EntrepotError:
        return None
    return found.decode("utf-8", "replace")


def _license(app: App, state: State, cut: Cut, rows: Sequence[Listed]) -> str | None:
    """The licence that the newest release tells, as far as its metadata can be had."""
    view = DatabaseView(app, [cut], {state.base.id: state.base})
    opened = browsing.Opened(0, view, (cut,), {state.base.id: state.base}, dialects.PYTHON)
    found = describing.releases(rows)
    if found is None:
        return None
    document = records.document(app, opened, found.latest) or _read_out(app, found.latest)
    return dialects.PYTHON.describe(found.latest.file.fields, document).license
