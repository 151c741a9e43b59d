"""Curated PyPI sources: the files that a list of requirements admits at a snapshot, and if wanted what they need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from entrepot.app import App
from entrepot.core.errors import (
    Conflict,
    Contradiction,
    EntrepotError,
    Invalid,
    Unresolvable,
)
from entrepot.core.model import FileStatus, Listed, PackageName
from entrepot.core.proposals import Missing
from entrepot.core.requirements import Requirement
from entrepot.core.snapshots import Cut
from entrepot.db import files as db_files
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.python import environments
from entrepot.ecosystems.python.entry import unpack
from entrepot.ecosystems.python.narrowing import Narrowing, keeps
from entrepot.operations import admitting, resolving
from entrepot.operations.drafting import Draft, State, Wish, unknown, with_near
from entrepot.operations.pinning import Named, name_snapshot
from entrepot.operations.pypi_asks import Ask, barred_versions, of_wish, pep508, removed_of, unpacked
from entrepot.operations.pypi_projects import alike, rows_of
from entrepot.operations.pypi_reports import Came, newest_of, report
from entrepot.operations.resolving import Resolved

NOT_FOR = "none of its files is for the wanted platforms and Pythons"
_ANY = ""
"""In place of a version: whichever there is."""
TAKEN_OUT = "all of it that is asked for was taken out by hand"


def draft(app: App, state: State, wish: Wish) -> Draft:
    """What the source would show.

    Raises:
        PackageNotFound: projects that were asked for are unknown at the snapshot, or have no file that is wanted.
        Contradiction, Unresolvable: what is asked for can't be had together.
        Invalid, InvalidBatch: the list can't be read, or asks for nothing.
        UpstreamUnavailable, UpstreamInvalid: projects that aren't known yet can't be read.
    """
    named = _snapshot(app, state, wish)
    ask = of_wish(state, wish)
    lines: dict[PackageName, list[Requirement]] = {}
    for requirement in ask.requirements:
        lines.setdefault(requirement.package, []).append(requirement)
    kept = _kept(app, state, wish, ask)
    came, lacking = _admit(app, state, named.cut, lines, ask, kept)
    refused = {str(name): why for name, why in lacking.items() if why != TAKEN_OUT}
    if refused and not wish.skip_missing:
        raise unknown(refused, lambda name: alike(app, state, PackageName(name)))
    ask = ask._replace(requirements=[r for r in ask.requirements if r.package not in refused])
    notes: list[str] = []
    lacked = [Missing(name, (), reason) for name, reason in lacking.items()]
    missing = with_near(lacked, lambda name: alike(app, state, PackageName(name)) if name in refused else ())
    if ask.with_dependencies and came:
        _bring(app, state, named.cut, ask, came, missing, notes, kept)
    else:
        notes += _gaps(ask, came)
    if wish.action == "remove" and not wish.removed:
        _check_unneeded(wish, came)
    request = ask._replace(requirements=[replace(r, line=None) for r in ask.requirements]).packed()
    target = {row.file.id: FileStatus.CURRENT for each in came.values() for row in each.rows}
    return Draft(named, request, target, report(app, state, named.cut, came, missing, notes))


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


def _kept(app: App, state: State, wish: Wish, ask: Ask) -> dict[PackageName, list[Listed]]:
    """What is shown of the projects that are not touched where others are added or taken out.

    They are not drawn from the snapshot again: of an index without upload times it can't be had later, and a file may
    have come to light that belongs to it and was not known at the commit.
    """
    if wish.action == "update" or state.pin is None:
        return {}
    before = unpacked(state.pin.request)
    if before.narrowing != ask.narrowing:
        return {}
    touched = {requirement.package for requirement in {*before.requirements} ^ {*ask.requirements}}
    with app.db.read() as connection:
        shown = db_files.by_ids(connection, state.shown)
    rows: dict[PackageName, list[Listed]] = {}
    for id_ in sorted(shown):
        rows.setdefault(shown[id_].package, []).append(Listed(shown[id_], FileStatus.CURRENT))
    return {name: its for name, its in rows.items() if name not in touched}


def _check_unneeded(wish: Wish, came: Mapping[PackageName, Came]) -> None:
    for package in map(PackageName, wish.packages):
        if package in came:
            chain, newest = came[package].why, newest_of([row.file for row in came[package].rows])
            raise Conflict(
                f"{package} is needed: {' > '.join((*chain, package))}",
                hint=f"remove {chain[0]} first, or a version alone: {package}@{newest}",
            )


def _admit(
    app: App,
    state: State,
    cut: Cut,
    lines: Mapping[PackageName, Sequence[Requirement]],
    ask: Ask,
    kept: Mapping[PackageName, list[Listed]],
) -> tuple[dict[PackageName, Came], dict[PackageName, str]]:
    """What the list itself admits, and the projects of it that can't be had, each with the reason."""
    drawn = rows_of(app, state, cut, [name for name in lines if name not in kept])
    known = {name: kept[name] if name in kept else drawn[name] for name in lines}
    came: dict[PackageName, Came] = {}
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
        rows = admitting.narrowed(fitting, ask.narrowing, removed_of(ask, name))
        if rows:
            came[name] = Came(rows, (), ", ".join(each.text for each in wanted))
        elif fitting:
            unknown[name] = _why_none(fitting, ask)
        else:
            unknown[name] = "it has no file with one of the wanted hashes"
    if faults:
        raise Contradiction.of_all(faults)
    return came, unknown


def _why_none(rows: Sequence[Listed], ask: Ask) -> str:
    """Why none of the files of a project is left."""
    return TAKEN_OUT if admitting.narrowed(rows, ask.narrowing, ()) else NOT_FOR


def _bring(
    app: App,
    state: State,
    cut: Cut,
    ask: Ask,
    came: dict[PackageName, Came],
    missing: list[Missing],
    notes: list[str],
    kept: Mapping[PackageName, list[Listed]],
) -> None:
    """Add what the list needs: of each project the versions that its resolution takes."""
    meant = environments.each(ask.narrowing)
    resolved = [
        each
        for each in _resolved(app, state, cut, ask, came)
        if any(environments.holds(one, each.marker) for one in meant)
    ]
    chains = _chains(resolved, set(came))
    versions: dict[PackageName, set[str]] = {}
    for each in resolved:
        versions.setdefault(each.package, set()).add(each.version)
    new = [name for name in versions if name not in came]
    same = {name: kept[name] for name in new if versions[name] <= {row.file.version for row in kept.get(name, ())}}
    for name, rows in (rows_of(app, state, cut, [name for name in new if name not in same]) | same).items():
        wanted = [row for row in rows if row.file.version in versions[name]]
        left = admitting.narrowed(wanted, ask.narrowing, removed_of(ask, name))
        if left:
            came[name] = Came(left, chains.get(name, ()), "")
        else:
            missing.append(Missing(name, chains.get(name, ()), _why_none(wanted, ask)))
    for name in set(versions) & set(came):
        lacking = versions[name] - {row.file.version for row in came[name].rows}
        if lacking and not came[name].why:
            notes.append(f"the resolution takes {name} {', '.join(sorted(lacking))}, of which no wanted file is left")
    notes += _gaps(ask, came, [(each.package, each.version, each.marker) for each in resolved])


def _gaps(
    ask: Ask, came: Mapping[PackageName, Came], resolved: Sequence[tuple[PackageName, str, str]] = ()
) -> list[str]:
    """Where an installation of a project would find no file: for some of the wanted environments, but not for all.

    Args:
        resolved: (project, version, marker) of what the resolution takes; of other projects any version will do.
    """
    if not ask.narrowing.platforms and not ask.narrowing.python_versions:
        return []
    meant: dict[PackageName, set[tuple[str, str]]] = {}
    for name, version, marker in resolved:
        if name in came and came[name].why:
            meant.setdefault(name, set()).add((version, marker))
    for line in ask.requirements:
        meant.setdefault(line.package, set()).add((_ANY, line.marker))
    notes: list[str] = []
    for name, its in sorted(came.items()):
        places = [
            environments.told(one)
            for one in environments.each(ask.narrowing)
            for versions in [{version for version, marker in meant.get(name, ()) if environments.holds(one, marker)}]
            if versions and not any(_is_for(one, row, versions) for row in its.rows)
        ]
        if places:
            notes.append(f"{name} has no wanted file for {', '.join(places)}")
    return notes


def _is_for(one: Narrowing, row: Listed, versions: Collection[str]) -> bool:
    if _ANY not in versions and row.file.version not in versions:
        return False
    return keeps(one, row.file.name, unpack(row.file.fields).requires_python)


def _resolved(app: App, state: State, cut: Cut, ask: Ask, came: Collection[PackageName]) -> Sequence[Resolved]:
    barred = barred_versions(ask)
    try:
        return resolving.resolve(
            app,
            state.base,
            cut,
            [pep508(requirement) for requirement in ask.requirements if requirement.package in came],
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
