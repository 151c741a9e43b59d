"""Search in the packages of a repository at a snapshot: names, titles, filters, the best first."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Literal, NamedTuple

from entrepot.app import App
from entrepot.core.errors import Invalid
from entrepot.core.licensing import alternatives, names_of
from entrepot.core.model import File, FileStatus, Listed, PackageName
from entrepot.core.namelists import Few, Joined, Names
from entrepot.core.nearnames import near
from entrepot.core.releases import Described, Release, ReleaseFile
from entrepot.core.searching import (
    MOST_FOUND,
    Followed,
    LongNames,
    Matches,
    Query,
    best_first,
    match,
    places,
    query_of,
)
from entrepot.db import files as db_files
from entrepot.db import repositories as db_repositories
from entrepot.ecosystems.r.licenses import field_of
from entrepot.operations import browsing, listing, searchable, stocks, usage
from entrepot.operations.browsing import Opened, Page
from entrepot.operations.listing import PackageSummary
from entrepot.operations.searchable import Part, Searchable

SearchSort = Literal["use", "name", "date"]
MOST_CHOICES = 100
"""Licences that one may choose from; others are found by naming them."""
_LONGEST_NAME = 100
_COLUMNS, _SMALL = 28, 100
"""Bytes of memory, roughly, of a row and of what has none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for: words, and filters that all have to hold.

    `license` is one of those that a package lets one choose from, in any case; `source` the name of the source that a
    package comes from.
    """

    text: str = ""
    license: str | None = None
    source: str | None = None
    updated_since: date | None = None
    has_binaries: bool | None = None

    @property
    def is_about_more_than_names(self) -> bool:
        return self.license is not None or self.updated_since is not None or self.has_binaries is not None


class Hit(NamedTuple):
    """A package that was found. `has_binaries` is None where nobody knows, as of projects that nobody asked for."""

    summary: PackageSummary
    downloads: int
    dependents: int
    has_binaries: bool | None


@dataclass(frozen=True, slots=True)
class Results:
    """A page of hits, how many there are in all, and whether there may be more that were not looked for."""

    hits: list[Hit]
    total: int
    is_limited: bool


@dataclass(frozen=True, slots=True)
class Facets:
    """What one may filter by: licences and sources, each with how many packages match all else, most first; and
    how many have binaries."""

    licenses: list[tuple[str, int]]
    sources: list[tuple[str, int]]
    with_binaries: int


def search(
    app: App,
    repo: str,
    snapshot: str,
    wanted: Wanted,
    *,
    bioc_version: str | None = None,
    sort: SearchSort = "use",
    page: Page,
) -> Results:
    """The packages of a repository that match.

    By use those come first whose name is the query, then those whose name begins with it or has it in it, then those in
    whose name and title all words are; of equal ones those that were downloaded most in 30 days, then those that most
    packages need. By date the newest come first, those without one last.

    Of a mirror whose projects are read one by one, names are searched; titles, and what filters ask for, are known of
    projects that were read. Of its names at most `MOST_FOUND` are found by one query.

    Raises:
        RepositoryNotFound, SnapshotNotFound
        NeverSynced: nothing is known of what it shows.
        Invalid: the query is too long, or there is no such source.
    """
    found = _open(app, repo, snapshot, bioc_version, wanted)
    names, is_limited = found.names(sort)
    return Results(found.hits(names.piece(page.offset, page.limit)), names.total, is_limited)


def facets(app: App, repo: str, snapshot: str, wanted: Wanted, *, bioc_version: str | None = None) -> Facets:
    """What one may filter the packages by that match: of each filter the choices that the others leave.

    Raises as `search`.
    """
    return _open(app, repo, snapshot, bioc_version, wanted).facets()


def near_names(
    app: App, repo: str, name: str, *, snapshot: str = "latest", bioc_version: str | None = None
) -> list[PackageName]:
    """Names of the repository that somebody may have meant who wrote one that isn't there, the likeliest first.

    Raises as `search`.
    """
    found = _open(app, repo, snapshot, bioc_version, Wanted())
    cut = name[:_LONGEST_NAME]
    form = found.opened.dialect.name(cut) or cut
    pool: set[str] = {name for part in found.searchable.parts for name in part.standing}
    if found.searchable.long is not None and len(form) > 1:
        # Of very many names those that begin alike.
        long = found.long_names()
        pool.update(long[row] for row in long.beginning(form[:2]))
    return [PackageName(other) for other in near(form, pool)]


def _open(app: App, repo: str, snapshot: str, bioc_version: str | None, wanted: Wanted) -> _Search:
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
    view = searchable.open_(app, repository, snapshot, bioc_version)
    opened = browsing.of_view(view)
    query = query_of(wanted.text, opened.dialect.form)
    if wanted.source is not None and wanted.source not in opened.names.values():
        have = ", ".join(opened.names.values())
        raise Invalid(
            f"{wanted.source[:_LONGEST_NAME]!r} is no source of this repository at this snapshot",
            hint=f"it has {have}" if have else "it has none",
        )
    found = searchable.of_view(app, view)
    return _Search(app, opened, found, _columns(app, repository.id, found), wanted, query)


@dataclass(frozen=True, slots=True)
class _Columns:
    """All rows of a repository, hidden ones among them: what they are put in order by; `place` is that by use, with
    these downloads."""

    names: Sequence[PackageName]
    folded: Sequence[str]
    published: Sequence[int]
    downloads: Mapping[PackageName, int]
    place: array[int]


def _columns(app: App, repository_id: int, found: Searchable) -> _Columns:
    """Kept as long as the downloads are the same."""
    downloads = usage.recent_downloads(app, [repository_id])
    key = "columns", repository_id, found.key
    known: _Columns | None = app.searched.find(key)
    if known is not None and (known.downloads is downloads or known.downloads == downloads):
        return known
    every = [part.stock for part in found.parts]
    one = every[0] if len(every) == 1 else None
    names = one.names if one is not None else [name for stock in every for name in stock.names]
    made = _Columns(
        names,
        one.folded if one is not None else [name for stock in every for name in stock.folded],
        one.published if one is not None else [time for stock in every for time in stock.published],
        downloads,
        places(names, downloads, found.all_needed()),
    )
    app.searched.put(key, made, len(names) * _COLUMNS + _SMALL)
    return made


@dataclass(frozen=True, slots=True)
class _Search:
    """A search in a repository."""

    app: App
    opened: Opened
    searchable: Searchable
    columns: _Columns
    wanted: Wanted
    query: Query

    def long_names(self) -> LongNames:
        """All names of the source that is read by the project."""
        assert self.searchable.long is not None
        return stocks.long_names(self.app, self.searchable.long.list.source_id, self.searchable.long.list.at)

    def matches(self, wanted: Wanted) -> list[list[int]]:
        """The rows that match, in classes, by the filters of `wanted`."""
        classes: list[list[int]] = [[] for _ in Matches._fields]
        for part in self.searchable.parts:
            for rows, some in zip(classes, match(self.query, part.stock.folded, part.stock.texts), strict=True):
                rows += [part.start + row for row in _filtered(part, part.visible(some), wanted)]
        return classes

    def names(self, sort: SearchSort) -> tuple[Names, bool]:
        """The names that match, in order, and whether there may be more that were not looked for."""
        wanted, long, every = self.wanted, self.searchable.long, self.columns.names
        classes = self.matches(wanted)
        if long is None or wanted.is_about_more_than_names or wanted.source not in (None, long.source):
            return Few([every[row] for row in self._ordered(classes, sort)]), False
        if self.query.is_empty:
            return self._all_names(classes, sort), False
        unread = self.long_names().found(self.query, long.standing)
        is_limited = sum(map(len, unread)) >= MOST_FOUND
        if sort == "use":
            known = [[every[row] for row in best_first([rows], self.columns.place)] for rows in classes]
            names = [name for both in zip(known, unread, strict=True) for some in both for name in some]
        else:
            names = [every[row] for row in self._ordered(classes, sort)] + [name for some in unread for name in some]
            if sort == "name":
                names.sort()
        return Few(names), is_limited

    def _ordered(self, classes: Sequence[Sequence[int]], sort: SearchSort) -> list[int]:
        if sort == "use":
            return best_first(classes, self.columns.place)
        rows = [row for some in classes for row in some]
        if sort == "name":
            return sorted(rows, key=self.columns.folded.__getitem__)
        return sorted(best_first([rows], self.columns.place), key=self.columns.published.__getitem__, reverse=True)

    def _all_names(self, classes: Sequence[Sequence[int]], sort: SearchSort) -> Names:
        """What is known first, then the rest of the long list; by name both together."""
        long = self.long_names()
        names = [self.columns.names[row] for row in self._ordered(classes, sort)]
        rows = {name: long.row_of(name) for name in names}
        if sort == "name":
            return Joined(long, [name for name in names if rows[name] is None])
        return Followed(names, long, sorted(row for row in rows.values() if row is not None))

    def hits(self, names: Sequence[PackageName]) -> list[Hit]:
        """What is told of some names; as the list of packages tells it."""
        places = {name: self._place_in_stock(name) for name in names}
        if self.opened.has_archive:
            summaries = self._at_hand([place for place in places.values() if place is not None])
        else:
            summaries = listing.summaries(self.app, self.opened, names)
        return [
            Hit(
                summary,
                self.columns.downloads.get(summary.name, 0),
                self.searchable.needed(summary.name),
                summary.name in place[0].binary if (place := places[summary.name]) is not None else None,
            )
            for summary in summaries
        ]

    def _place_in_stock(self, name: PackageName) -> tuple[Part, int] | None:
        found = ((part, part.row_of(name)) for part in self.searchable.parts)
        return next(((part, row) for part, row in found if row is not None), None)

    def _at_hand(self, places: Sequence[tuple[Part, int]]) -> list[PackageSummary]:
        """Packages of R: all that a list tells of them is in the stock but for what of a file may be learnt later."""
        with self.app.db.read() as connection:
            files = db_files.by_ids(connection, [part.stock.ids[row] for part, row in places])
        return [self._summary(part, row, files[part.stock.ids[row]]) for part, row in places]

    def _summary(self, part: Part, row: int, file: File) -> PackageSummary:
        stock = part.stock
        release = Release(file.version, (ReleaseFile(Listed(file, FileStatus.CURRENT), "source"),))
        described = Described(
            title=stock.titles[row],
            license=stock.every_license[stock.licenses[row]],
            needs_compilation=field_of("NeedsCompilation", file.fields),
        )
        return PackageSummary(file.package, part.source, release, described)

    def facets(self) -> Facets:
        licenses: Counter[str] = Counter()
        sources: Counter[str] = Counter()
        binaries = 0
        wanted = self.wanted
        for part in self.searchable.parts:
            matched = match(self.query, part.stock.folded, part.stock.texts)
            rows = part.visible([row for some in matched for row in some])
            # Of each filter what the others leave.
            with_any = _filtered(part, rows, replace(wanted, license=None))
            for number, count in Counter(map(part.stock.licenses.__getitem__, with_any)).items():
                text = part.stock.every_license[number]
                licenses.update(dict.fromkeys(alternatives(text), count) if text else {})
            sources[part.source] += len(_filtered(part, rows, replace(wanted, source=None)))
            binaries += len(_filtered(part, rows, replace(wanted, has_binaries=True)))
        long = self.searchable.long
        if long is not None and not wanted.is_about_more_than_names:
            found = self.long_names().found(self.query, long.standing) if not self.query.is_empty else None
            sources[long.source] += long.others if found is None else sum(map(len, found))
        return Facets(_most_first(licenses)[:MOST_CHOICES], _most_first(sources), binaries)


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in counts.items() if count), key=lambda item: (-item[1], item[0]))


def _filtered(part: Part, rows: list[int], wanted: Wanted) -> list[int]:
    """Those rows of a part that the filters let through."""
    stock = part.stock
    if wanted.source not in (None, part.source):
        return []
    if wanted.license is not None:
        asked = wanted.license.casefold()
        fitting = {number for number, text in enumerate(stock.every_license) if text and asked in names_of(text)}
        rows = [row for row in rows if stock.licenses[row] in fitting]
    if wanted.updated_since is not None:
        since = datetime.combine(wanted.updated_since, time(), UTC).timestamp()
        rows = [row for row in rows if stock.published[row] >= since]
    if wanted.has_binaries is not None:
        rows = [row for row in rows if (stock.names[row] in part.binary) == wanted.has_binaries]
    return rows
