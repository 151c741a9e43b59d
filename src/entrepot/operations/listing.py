"""Lists of packages: a page of those that a repository or a source has at a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Literal

from entrepot.app import App
from entrepot.core.errors import Invalid
from entrepot.core.facts import Version
from entrepot.core.model import Listed, PackageName, Sha256
from entrepot.core.namelists import Backwards, Few, Joined, Names
from entrepot.core.releases import Described, Release, ReleaseFile
from entrepot.core.snapshots import Cut
from entrepot.db import facts as db_facts
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.operations.browsing import Opened, Page
from entrepot.operations.view import never_listed
from entrepot.storage import Key

PackageSort = Literal["name", "version", "package_date", "package_size"]

_FACTS: dict[PackageSort, db_listings.Fact] = {
    "name": "package",
    "version": "version",
    "package_date": "published",
    "package_size": "size",
}
_AT_ONCE = 16
"""Documents that are read from the store at once, which may be far away."""


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """A package at a snapshot, by the release that stands for it.

    `release` is None where only the name is known, as of projects that nobody asked a mirror for yet. In a list
    `described` is what is at hand: of a mirrored file whose metadata nobody has read its title is None.
    """

    name: PackageName
    source: str
    release: Release | None
    described: Described


def list_packages(
    app: App,
    opened: Opened,
    *,
    name: str | None = None,
    name_like: str | None = None,
    sort: PackageSort = "name",
    descending: bool = False,
    page: Page,
) -> tuple[list[PackageSummary], int]:
    """A page of the current packages, and how many there are in all; `name_like` is a part of the name in any case.

    Packages that are equal by `sort` stay in the order of their names; what isn't known comes before all that is. What
    else is told than names is looked up of those on the page alone, and upstream isn't asked for it.

    Raises:
        NeverSynced: a mirror's list of names was never read.
        Invalid: a source that is read by the project is to be sorted by something else than names.
    """
    part = opened.dialect.part(name_like) if name_like else ""
    names = _named(app, opened, name, part) if name is not None else _names(app, opened, part, sort, descending)
    return summaries(app, opened, names.piece(page.offset, page.limit)), names.total


def every_name(app: App, opened: Opened) -> Names:
    """The names of all current packages, in order. Raises NeverSynced: a mirror's list of names was never read."""
    return _names(app, opened, "", "name", False)


def described(app: App, opened: Opened, releases: Sequence[Release]) -> list[Described]:
    """What is at hand about some releases; upstream isn't asked."""
    texts = _at_hand(app, opened, releases)
    titles = _titles(app, opened, [each for each, text in zip(releases, texts, strict=True) if text is None])
    told = [opened.dialect.describe(each.file.fields, text) for each, text in zip(releases, texts, strict=True)]
    return [
        replace(each, title=each.title or titles.get((release.file.package, release.version)))
        for release, each in zip(releases, told, strict=True)
    ]


def _named(app: App, opened: Opened, name: str, part: str) -> Names:
    """That one name, if it is there and has that part."""
    wanted = opened.dialect.name(name)
    if wanted is None or part not in opened.dialect.part(wanted):
        return Few(())
    if opened.view.current_of([wanted]):
        return Few([wanted])
    with app.db.read() as connection:
        for cut in opened.read_by_project:
            state = db_projects.names_state(connection, cut)
            if state is not None and db_projects.names_among(connection, cut.source_id, state[0], [wanted]):
                return Few([wanted])
    return Few(())


def _names(app: App, opened: Opened, part: str, sort: PackageSort, descending: bool) -> Names:
    if opened.read_by_project:
        if sort != "name":
            raise Invalid(
                f"a list of all projects can't be sorted by {sort}, which is known of the fewest of them",
                hint="sort by name, or list a source of packages of your own",
            )
        listed: Names = _long_list(app, opened, opened.read_by_project[0], part)
        return Backwards(listed) if descending else listed
    # The keys of the last snapshots are kept whole: every page needs their order.
    all_of_it = (opened.version, tuple(opened.upto.items()), sort, descending)
    keys = app.listings.get(all_of_it, lambda: _sorted_keys(opened, sort, descending))
    if part:
        keys = [key for key in keys if part in opened.dialect.part(key[1])]
    return Few([key[1] for key in keys])


def _long_list(app: App, opened: Opened, cut: Cut, part: str) -> Names:
    """All names of the one source that is read by the project, with those that the others have besides."""
    others: set[PackageName] = set()
    with app.db.read() as connection:
        state = db_projects.names_state(connection, cut)
        if state is None:
            raise never_listed(app, opened.sources[cut.source_id])
        for other in opened.cuts:
            if other is not cut:
                others.update(key[1] for key in db_listings.current_keys(connection, other, "package"))
        others -= db_projects.names_among(connection, cut.source_id, state[0], others) if others else set()
    at, total = state
    if part:
        long = db_projects.names_like(app.db, cut.source_id, at, part)
        return Joined(long, sorted(name for name in others if part in name))
    return Joined(db_projects.NameList(app.db, cut.source_id, at, total), sorted(others))


def _sorted_keys(opened: Opened, sort: PackageSort, descending: bool) -> list[db_listings.Key]:
    keys = _keys(opened, sort)
    return sorted(keys, key=_order(opened, sort, keys), reverse=descending) if descending or sort != "name" else keys


def _keys(opened: Opened, sort: PackageSort) -> list[db_listings.Key]:
    """One key a package, in the order of names; of versions side by side, of the release that stands for it."""
    if opened.has_archive:
        return opened.view.current_keys(_FACTS[sort])
    if sort == "name":
        keys = opened.view.current_keys("package")
        return [next(of_one) for _, of_one in groupby(keys, key=itemgetter(1))]
    fact = {"version": "version", "package_date": "published_at", "package_size": "file.size"}[sort]
    keys = []
    for package, rows in groupby(opened.view.current(), key=attrgetter("file.package")):
        found = opened.dialect.releases(list(rows))
        if found is not None:
            keys.append((found.latest.file.id, package, attrgetter(fact)(found.latest)))
    return keys


def _order(opened: Opened, sort: PackageSort, keys: Iterable[db_listings.Key]) -> Callable[[db_listings.Key], Any]:
    match sort:
        case "name":
            return itemgetter(1)
        case "version":
            rank = opened.dialect.ranks(key[2] for key in keys)
            return lambda key: rank[key[2]]
        case _:
            return lambda key: float("-inf") if key[2] is None else key[2]


def summaries(app: App, opened: Opened, names: Sequence[PackageName]) -> list[PackageSummary]:
    """What is at hand about some packages, in the order of `names`."""
    rows: dict[PackageName, list[Listed]] = {name: [] for name in names}
    for row in opened.view.current_of(names) if names else ():
        rows[row.file.package].append(row)
    for name in _hidden(app, opened, rows):
        rows[name] = []
    found = {name: opened.dialect.releases(files) for name, files in rows.items()}
    latest = {name: releases.latest for name, releases in found.items() if releases is not None}
    texts = dict(zip(latest, _at_hand(app, opened, list(latest.values())), strict=True))
    titles = _titles(app, opened, [release for name, release in latest.items() if texts[name] is None])
    return [_summary(opened, name, latest.get(name), texts.get(name), titles) for name in names]


def _hidden(app: App, opened: Opened, rows: Mapping[PackageName, Sequence[Listed]]) -> set[PackageName]:
    """The names that a source which is read by the project has, unread, before the one that their rows are of."""
    hidden: set[PackageName] = set()
    for number, cut in enumerate(opened.cuts):
        if opened.sources[cut.source_id].is_read_by_project:
            later = {other.source_id for other in opened.cuts[number + 1 :]}
            names = [name for name, files in rows.items() if files and files[0].file.source_id in later]
            with app.db.read() as connection:
                state = db_projects.names_state(connection, cut) if names else None
                if state is not None:
                    hidden |= db_projects.names_among(connection, cut.source_id, state[0], names)
    return hidden


def _titles(app: App, opened: Opened, releases: Sequence[Release]) -> dict[Version, str]:
    """Titles that upstreams tell of, of releases whose metadata is not at hand."""
    if not releases or not opened.has_archive:
        return {}
    with app.db.read() as connection:
        names = [release.file.package for release in releases]
        told = db_facts.of_packages(connection, {cut.files_of for cut in opened.cuts}, names)
    return {version: fact.title for version, fact in told.items() if fact.title is not None}


def _summary(
    opened: Opened, name: PackageName, release: Release | None, text: str | None, titles: Mapping[Version, str]
) -> PackageSummary:
    if release is None:
        source_id = opened.read_by_project[0].source_id if opened.read_by_project else 0
        return PackageSummary(name, opened.names.get(source_id, ""), None, Described())
    described = opened.dialect.describe(release.file.fields, text)
    if described.title is None:
        described = replace(described, title=titles.get((name, release.version)))
    return PackageSummary(name, opened.names[release.file.source_id], release, described)


def _at_hand(app: App, opened: Opened, releases: Sequence[Release]) -> list[str | None]:
    """The metadata document of each release, as far as it is stored."""
    some = [_candidates(release) for release in releases]
    with app.db.read() as connection:
        kept = db_files.documents(connection, [each.file.id for files in some for each in files])
    offered = documents_of(opened, [each for files in some for each in files])
    stored = read_documents(app, list({sha256 for files in some if (sha256 := _first(offered, files)) is not None}))
    return [_first(kept, files) or stored.get(_first(offered, files)) for files in some]


def _candidates(release: Release) -> list[ReleaseFile]:
    """The files to ask for metadata: of a release with hundreds of wheels the first one and the first sdist."""
    first_of = {each.kind: each for each in reversed(release.files)}
    return [each for each in release.files if each is first_of[each.kind]]


def _first(known: Mapping[int, Any], files: Sequence[ReleaseFile]) -> Any:
    return next((known[each.file.id] for each in files if each.file.id in known), None)


def documents_of(opened: Opened, files: Sequence[ReleaseFile]) -> dict[int, Sha256]:
    """File id -> SHA-256 of the metadata document that is offered beside it, of those that have one."""
    if not opened.dialect.offers_documents:
        return {}
    told = {each.file.id: each.metadata for each in files if each.metadata is not None}
    return told | dict(opened.view.metadata_hashes([each.file for each in files if each.metadata is None]))


def read_documents(app: App, wanted: Sequence[Sha256]) -> dict[Sha256, str]:
    """Metadata documents, of those that the store has; several at once."""

    def read(sha256: Sha256) -> bytes | None:
        return app.storage.get_bytes(Key.blob(sha256))

    if len(wanted) < 2:
        found = [read(sha256) for sha256 in wanted]
    else:
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
            found = list(pool.map(read, wanted))
    read_ones = zip(wanted, found, strict=True)
    return {sha256: content.decode("utf-8", "replace") for sha256, content in read_ones if content is not None}
