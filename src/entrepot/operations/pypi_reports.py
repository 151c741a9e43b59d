"""What a proposal for a curated PyPI source tells: each project's version, what changes, its licence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from entrepot.app import App
from entrepot.core.errors import EntrepotError
from entrepot.core.model import File, FileStatus, Listed, PackageName
from entrepot.core.proposals import Item, ItemChange, Leaving, Missing, Report
from entrepot.core.releases import Release
from entrepot.core.snapshots import Cut
from entrepot.db import files as db_files
from entrepot.db import projects as db_projects
from entrepot.ecosystems.python import describing, jsonapi
from entrepot.operations import browsing, dialects, records
from entrepot.operations.drafting import State
from entrepot.operations.pypi_projects import at_once
from entrepot.operations.view import DatabaseView
from entrepot.sources import projects
from entrepot.sources.pypifiles import read_metadata


class Came(NamedTuple):
    """A project that is in: its admitted files, the chain of projects that need it, and how the list asks for it."""

    rows: list[Listed]
    why: tuple[str, ...]
    asked: str


def report(
    app: App,
    state: State,
    cut: Cut,
    came: Mapping[PackageName, Came],
    missing: Sequence[Missing],
    notes: Sequence[str],
) -> Report:
    """What a proposal tells of the projects that came, by name, and of what goes."""
    with app.db.read() as connection:
        shown = db_files.by_ids(connection, state.shown)
    before: dict[str, list[File]] = {}
    for file in shown.values():
        before.setdefault(file.package, []).append(file)
    names = sorted(came)
    licenses = dict(zip(names, at_once(lambda name: _license(app, state, cut, came[name].rows), names), strict=True))
    moved = [name for name in names if _is_other(came[name], before.get(name, []))]
    shown_now = [[Listed(file, FileStatus.CURRENT) for file in before[name]] for name in moved]
    former = dict(zip(moved, at_once(lambda rows: _license(app, state, cut, rows), shown_now), strict=True))
    items = tuple(_item(came[name], before.get(name, []), licenses[name], former) for name in names)
    return Report(items, tuple(_leaving(before, came)), tuple(missing), tuple(notes))


def newest_of(files: Sequence[File]) -> str:
    """The version that stands for a project: as people are shown it."""
    found = describing.releases([Listed(file, FileStatus.CURRENT) for file in files])
    return found.latest.version if found is not None else ""


def _is_other(each: Came, before: Sequence[File]) -> bool:
    """Whether another version stands for a project than before."""
    return bool(before) and newest_of(before) != newest_of([row.file for row in each.rows])


def _item(each: Came, before: Sequence[File], license_: str | None, former: Mapping[PackageName, str | None]) -> Item:
    """`former` are the licenses of before, of projects for which another version stood."""
    files = [row.file for row in each.rows]
    version, previous = newest_of(files), newest_of(before) if before else None
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
        license_before=former.get(files[0].package, license_) if before else None,
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


def _leaving(before: Mapping[str, Sequence[File]], came: Mapping[PackageName, Came]) -> list[Leaving]:
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
