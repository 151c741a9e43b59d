"""Curated CRAN sources: the packages of a list with their dependencies, drawn from one snapshot of the mirror."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from entrepot.app import App
from entrepot.core import closure
from entrepot.core.closure import Closure
from entrepot.core.errors import Conflict, Invalid
from entrepot.core.jobs import no_log, no_report
from entrepot.core.model import File, FileStatus, PackageName
from entrepot.core.proposals import Leaving, Missing, Report
from entrepot.core.requirements import Requirement
from entrepot.core.snapshots import Cut
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.ecosystems.r import lists
from entrepot.operations.cran_shelf import CranShelf, item_of
from entrepot.operations.drafting import Draft, State, Wish, lifts, unknown, with_near
from entrepot.operations.pinning import Named, name_snapshot
from entrepot.sources.describe import describe_files

MOST_READ = 5000
"""Descriptions that one draft reads from upstream, each a request."""


def draft(app: App, state: State, wish: Wish) -> Draft:
    """What the source would show.

    Raises:
        PackageNotFound: packages that were asked for are unknown at the snapshot, all together.
        Contradiction: bounds that no version satisfies.
        Invalid, InvalidBatch: the list can't be read, or asks for nothing.
        UpstreamUnavailable: dependencies of old versions have to be read, and can't be.
    """
    named = _snapshot(app, state, wish)
    asked = _asked(state, wish)
    removed = _removed(state, wish, asked)
    shelf = CranShelf(app, named.cut)
    barred = [Requirement(PackageName(package), f"!={version}") for package, version in removed]
    if wish.action == "remove":
        asked = _still_asked(asked, barred, wish, shelf)
    found = _close(app, state, shelf, asked, barred)

    def alike(name: str) -> Collection[str]:
        return () if shelf.comes_with_r(name) else shelf.names

    if found.unknown and not wish.skip_missing:
        reasons = {each.name: each.reason for each in found.unknown}
        raise unknown(reasons, alike)
    if wish.action == "remove":
        _check_unneeded(wish, found)
    # As it is kept, without the numbers of lines of a file that nobody has later.
    asked = [replace(each, line=None) for each in asked if each.package in found.chosen]
    before = _before(app, state)
    target = _target(app, state, named.cut, found, [*asked, *barred])
    _carry_over(app, target, state, before, gone=_is_gone(wish, removed))
    request = {"requirements": [_packed(each) for each in asked], "removed": [list(each) for each in removed]}
    return Draft(named, request, target, _report(found, asked, before, state, target, alike))


def _snapshot(app: App, state: State, wish: Wish) -> Named:
    """The snapshot to draw from: what is added or removed leaves the others as they are."""
    pin = state.pin
    with app.db.read() as connection:
        if wish.action == "update" or pin is None:
            return name_snapshot(app, connection, state.base, wish.snapshot)
        pinned = Named(pin.snapshot, Cut(state.base.id, pin.upto))
        if wish.snapshot in (None, pin.snapshot):
            return pinned
        if name_snapshot(app, connection, state.base, wish.snapshot).cut != pinned.cut:
            raise Invalid(
                f"source {state.source.name!r} is pinned to snapshot {pin.snapshot}, from which packages are added",
                hint=f"use --snapshot={pin.snapshot}; `entrepot update --source={state.source.name}` moves all of it",
            )
        return pinned


def _before_asked(state: State) -> list[Requirement]:
    return [_unpacked(row) for row in state.pin.request["requirements"]] if state.pin else []


def _asked(state: State, wish: Wish) -> list[Requirement]:
    """What is asked for from then on."""
    before = _before_asked(state)
    if wish.action == "remove":
        gone = set(wish.packages) if not wish.removed else set()
        return [requirement for requirement in before if requirement.package not in gone]
    new = list(lists.read(wish.list_text).requirements) if wish.list_text is not None else []
    if wish.packages:
        new += lists.read("\n".join(wish.packages)).requirements
    if wish.action == "add":
        return _added(before, new, include_suggests=wish.include_suggests)
    if not new and not before:
        raise Invalid(
            f"nothing was asked of source {state.source.name!r} yet",
            hint="give the list of its packages with --file-in",
        )
    return new or before


def _added(before: list[Requirement], new: list[Requirement], *, include_suggests: bool) -> list[Requirement]:
    if not new:
        raise Invalid("no packages to add", hint="give --packages=NAME,... or --file-in=FILE")
    if include_suggests:
        new = [replace(r, extras=(*r.extras, *({"suggests"} - set(r.extras)))) for r in new]
    known = {(r.package, r.specifier, r.extras) for r in before}
    fresh = [replace(r, line=None) for r in new if (r.package, r.specifier, r.extras) not in known]
    named = {r.package for r in fresh if not r.specifier}
    # A name that was there without anything said of it is said again, with more.
    return [r for r in before if r.package not in named or r.specifier] + fresh


def _removed(state: State, wish: Wish, asked: Sequence[Requirement]) -> list[tuple[str, str]]:
    """The versions that were taken out by hand, which no later list brings back."""
    known = _before_asked(state)
    before = [(package, version) for package, version in state.pin.request["removed"]] if state.pin else []
    before = [each for each in before if not lifts(wish, each, asked, known)]
    return [*before, *((package, version) for package in wish.packages for version in wish.removed)]


def _close(
    app: App, state: State, shelf: CranShelf, asked: Sequence[Requirement], barred: Sequence[Requirement]
) -> Closure:
    """The closure, after the dependencies of all old versions in it were read from upstream."""
    shelf.load(r.package for r in (*asked, *barred) if r.specifier or shelf.current(r.package) is None)
    notes: list[str] = []
    total = 0
    while (found := closure.close(asked, shelf, include=state.include, barred=barred)).unread:
        total += len(found.unread)
        if total > MOST_READ:
            raise Invalid(
                f"the dependencies of more than {MOST_READ} versions of that snapshot were not read yet",
                hint=f"`entrepot describe --source={state.base.name}` reads all of a time, once",
            )
        notes += _read(app, state, shelf, found.unread)
    return replace(found, unmet=(*found.unmet, *notes))


def _read(app: App, state: State, shelf: CranShelf, files: Sequence[File]) -> list[str]:
    """Read the dependencies of some versions; a note for each that can't be read."""
    ids = [file.id for file in files]
    describe_files(app, state.base.id, ids, report=no_report, log=no_log)
    shelf.read_again(ids)
    with app.db.read() as connection:
        read = db_files.by_ids(connection, ids)
    left = [file for file in files if read[file.id].fields is None]
    shelf.give_up(left)
    return [f"upstream's {file.name} can't be read, so what it needs is not known" for file in left]


def _before(app: App, state: State) -> dict[int, File]:
    """The files that the source shows now, by id."""
    with app.db.read() as connection:
        return db_files.by_ids(connection, state.shown)


def _target(app: App, state: State, cut: Cut, found: Closure, bounds: Sequence[Requirement]) -> dict[int, FileStatus]:
    """What the list brings: each package's version, and of the mirror's archive what the bounds admit."""
    target = {chosen.file.id: FileStatus.CURRENT for chosen in found.chosen.values()}
    if not state.source.shows_archive:
        return target
    specifiers: dict[str, list[str]] = {}
    for requirement in (each for each in bounds if each.specifier):
        specifiers.setdefault(requirement.package, []).append(requirement.specifier)
    with app.db.read() as connection:
        archived = db_listings.keys_of(connection, cut, list(found.chosen), FileStatus.ARCHIVED)
    for id_, package, version in archived:
        if all(lists.satisfies(version, each) for each in specifiers.get(package, ())):
            target.setdefault(id_, FileStatus.ARCHIVED)
    return target


def _carry_over(
    app: App,
    target: dict[int, FileStatus],
    state: State,
    before: Mapping[int, File],
    *,
    gone: Callable[[File], bool],
) -> None:
    """What was to be had stays to be had, in the archive: a lockfile that was made before goes on working.

    But for what upstream replaced under the same version, as no two files of a source have one name.
    """
    with app.db.read() as connection:
        names = {file.name for file in db_files.by_ids(connection, target.keys() - state.shown.keys()).values()}
    for id_ in state.shown:
        if not gone(before[id_]) and (id_ in target or before[id_].name not in names):
            target.setdefault(id_, FileStatus.ARCHIVED)


def _is_gone(wish: Wish, removed: Collection[tuple[str, str]]) -> Callable[[File], bool]:
    """Whether a file was taken out by hand, now or before."""
    versions = set(removed)
    packages_ = set(wish.packages) if wish.action == "remove" and not wish.removed else set()
    return lambda file: file.package in packages_ or (file.package, file.version) in versions


def _still_asked(
    asked: list[Requirement], barred: Sequence[Requirement], wish: Wish, shelf: CranShelf
) -> list[Requirement]:
    """What is asked for without a package of which the last version within its bounds is taken out."""
    gone = {
        package
        for package in wish.packages
        if not any(
            all(
                shelf.satisfies(row.file.version, each.specifier)
                for each in (*asked, *barred)
                if each.package == package
            )
            for row in shelf.every(package)
        )
    }
    return [each for each in asked if each.package not in gone]


def _check_unneeded(wish: Wish, found: Closure) -> None:
    """See that nothing in the source needs what is taken out whole, or the last version of what is."""
    needed = {each.name: each.why for each in found.missing}
    if not wish.removed:
        needed |= {name: chosen.why for name, chosen in found.chosen.items() if chosen.why}
    for package in wish.packages:
        why = needed.get(PackageName(package))
        if why:
            raise Conflict(f"{package} is needed: {' > '.join((*why, package))}", hint=f"remove {why[0]} first")


def _report(
    found: Closure,
    asked: Sequence[Requirement],
    before: Mapping[int, File],
    state: State,
    target: Mapping[int, FileStatus],
    alike: Callable[[str], Collection[str]],
) -> Report:
    listed = {file.package: file for id_, file in before.items() if state.shown[id_] is FileStatus.CURRENT}
    said: dict[str, list[str]] = {}
    for requirement in asked:
        said.setdefault(requirement.package, []).append(requirement.text)
    items = tuple(
        item_of(chosen.file, listed.get(name), why=chosen.why, asked=", ".join(said.get(name, ())))
        for name, chosen in sorted(found.chosen.items())
    )
    missing = with_near([Missing(each.name, each.why, each.reason) for each in (*found.unknown, *found.missing)], alike)
    notes = [f"needs R {found.needs_r[0]} or newer, because of {found.needs_r[1]}"] if found.needs_r else []
    return Report(items, _leaving(before, state, target, found), tuple(missing), (*notes, *found.unmet))


def _leaving(
    before: Mapping[int, File], state: State, target: Mapping[int, FileStatus], found: Closure
) -> tuple[Leaving, ...]:
    rows = []
    versions = {(chosen.file.package, chosen.file.version) for chosen in found.chosen.values()}
    for id_, file in before.items():
        if id_ not in target:
            replaced = (file.package, file.version) in versions
            reason = "replaced upstream under the same version" if replaced else "taken out"
            rows.append(Leaving(file.package, file.version, "removed", reason))
        elif state.shown[id_] is FileStatus.CURRENT and target[id_] is FileStatus.ARCHIVED:
            chosen = found.chosen.get(file.package)
            reason = f"replaced by {chosen.file.version}" if chosen is not None else "neither asked for nor needed"
            rows.append(Leaving(file.package, file.version, "archived", reason))
    return tuple(sorted(rows))


def _packed(requirement: Requirement) -> list[Any]:
    return [requirement.package, requirement.specifier, list(requirement.extras)]


def _unpacked(row: Sequence[Any]) -> Requirement:
    package, specifier, extras = row
    return Requirement(PackageName(package), specifier, tuple(extras))
