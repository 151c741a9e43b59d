"""Search in all repositories that somebody sees, as they are now; and what each of them has in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest
from typing import NamedTuple

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.errors import EntrepotError
from entrepot.core.model import PackageName, Repository, RepositoryType, TransactionId
from entrepot.core.searching import Query, match, query_of
from entrepot.db import repositories as db_repositories
from entrepot.db import searchable as db_searchable
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.operations import browsing, dialects, listing, repositories, searchable, stocks, usage
from entrepot.operations.access import sight
from entrepot.operations.listing import PackageSummary
from entrepot.operations.repositories import RepositoryInfo
from entrepot.operations.searchable import LongPart, NameList, Part, Searchable
from entrepot.operations.stocks import Stock

LATEST = "latest"
_WEIGHT = 2000
"""Bytes of memory, roughly, of a repository among all."""


@dataclass(frozen=True, slots=True)
class Found:
    """A package as a source has it, and the repositories that show it so, of those that were searched.

    `version` and `title` are None where they aren't known, as of a project that nobody asked for yet.
    """

    name: PackageName
    type: RepositoryType
    source: str
    repositories: tuple[str, ...]
    version: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """A repository, how many packages it has now, and when that last changed; None where it has nothing yet."""

    info: RepositoryInfo
    packages: int | None
    changed: datetime | None


@dataclass(frozen=True, slots=True)
class _Shown:
    """A repository as it is now; without anything to search where nothing is known of what it shows."""

    repository: Repository
    searchable: Searchable | None


@dataclass(frozen=True, slots=True)
class _All:
    """All repositories, at a version of the catalogue; `learnt` names what else it depends on."""

    version: int
    learnt: object
    shown: Sequence[_Shown]


@dataclass(frozen=True, slots=True)
class _Holding:
    """What several repositories of a type show alike: the stock of a source, or the list of names of one."""

    type: RepositoryType
    source: str
    holders: list[tuple[Repository, Part | LongPart]]

    def showing(self, row: int) -> tuple[str, ...]:
        """The repositories that show a row of the stock."""
        return tuple(
            repository.name for repository, part in self.holders if isinstance(part, Part) and row not in part.hidden
        )

    def listing(self, name: PackageName) -> tuple[str, ...]:
        """The repositories of which a name on the list is all that is known of it."""
        return tuple(
            repository.name
            for repository, part in self.holders
            if isinstance(part, LongPart) and name not in part.standing
        )


class _Candidate(NamedTuple):
    """A package that matches; candidates are told in their own order, so that what counts for them is negative."""

    kind: int
    downloads: int
    needed: int
    folded: str
    name: PackageName
    number: int
    found: Found


def search_all(app: App, text: str, *, access: Access, limit: int) -> list[Found]:
    """The packages of all repositories that somebody sees that match best, in the order of `searching.search`. What
    several repositories show alike is told once.

    Raises:
        Invalid: the query is too long.
    """
    seen = _seen(app, access)
    downloads = usage.recent_downloads(app, [shown.repository.id for shown in seen])
    stocks_, lists = _holdings(seen)
    queries = {type_: query_of(text, dialects.of_repository(type_).form) for type_ in RepositoryType}
    if queries[RepositoryType.R].is_empty:
        return []
    candidates: list[_Candidate] = []
    for stock, holding in stocks_:
        some = _of_stock(stock, holding, queries[holding.type], downloads, limit)
        candidates += (each._replace(number=len(candidates) + n) for n, each in enumerate(some))
    for list_, holding in lists:
        some = _of_list(app, list_, holding, queries[holding.type], limit)
        candidates += (each._replace(number=len(candidates) + n) for n, each in enumerate(some))
    return _described(app, [each.found for each in nsmallest(limit, candidates)])


def overviews(app: App, *, access: Access = INSIDE) -> list[Overview]:
    """All repositories that somebody sees, with what they have now in short; quick once it was asked."""
    known = {shown.repository.id: shown.searchable for shown in _seen(app, access)}
    infos = repositories.list_repositories(app, access=access)
    newest = [TransactionId(info.transaction or 0) for info in infos]
    with app.db.read() as connection:
        times = db_transactions.times(connection, newest)
    return [
        Overview(info, shown.packages if (shown := known.get(info.repository.id)) else None, times.get(id_))
        for info, id_ in zip(infos, newest, strict=True)
    ]


def _holdings(
    seen: Sequence[_Shown],
) -> tuple[list[tuple[Stock, _Holding]], list[tuple[NameList, _Holding]]]:
    """What the repositories show, each stock and each list once."""
    of_stock: dict[tuple[RepositoryType, int], tuple[Stock, _Holding]] = {}
    of_list: dict[NameList, tuple[NameList, _Holding]] = {}
    for shown in seen:
        repository, found = shown.repository, shown.searchable
        for part in found.parts if found is not None else ():
            new = part.stock, _Holding(repository.type, part.source, [])
            of_stock.setdefault((repository.type, id(part.stock)), new)[1].holders.append((repository, part))
        if found is not None and found.long is not None:
            long = found.long
            names = long.list, _Holding(repository.type, long.source, [])
            of_list.setdefault(long.list, names)[1].holders.append((repository, long))
    return list(of_stock.values()), list(of_list.values())


def _of_stock(
    stock: Stock, holding: _Holding, query: Query, downloads: Mapping[PackageName, int], limit: int
) -> Iterator[_Candidate]:
    """The best matches of each class, so many that no others are told."""
    parts = [part for _, part in holding.holders if isinstance(part, Part)]
    hidden = frozenset.intersection(*(part.hidden for part in parts))
    left = limit
    for kind, matched in enumerate(match(query, stock.folded, stock.texts)):
        rows = [row for row in matched if row not in hidden] if hidden else matched
        best = nsmallest(left, rows, key=stock.place.__getitem__)
        if downloads:
            used = [row for row in rows if stock.names[row] in downloads]
            best += nsmallest(left, used, key=lambda row: -downloads[stock.names[row]])
        for row in dict.fromkeys(best):
            name = stock.names[row]
            found = Found(
                name,
                holding.type,
                holding.source,
                holding.showing(row),
                stock.versions[row] if stock.versions else None,
                stock.titles[row],
            )
            rank = kind, -downloads.get(name, 0), -stock.needed.get(name, 0), stock.folded[row], name
            yield _Candidate(*rank, 0, found)
        left = max(0, left - len(rows))
        if not left:
            return


def _of_list(app: App, list_: NameList, holding: _Holding, query: Query, limit: int) -> Iterator[_Candidate]:
    long = stocks.long_names(app, list_.source_id, list_.at)
    known = frozenset.intersection(*(part.standing for _, part in holding.holders if isinstance(part, LongPart)))
    for kind, names in enumerate(long.found(query, known)):
        for name in names[:limit]:
            found = Found(name, holding.type, holding.source, holding.listing(name))
            yield _Candidate(kind, 0, 0, name, name, 0, found)


def _described(app: App, found: list[Found]) -> list[Found]:
    """With the versions of Python packages, which their files tell."""
    wanted: dict[str, list[PackageName]] = {}
    for each in found:
        if each.type is RepositoryType.PYTHON:
            wanted.setdefault(each.repositories[0], []).append(each.name)
    told: dict[tuple[str, PackageName], PackageSummary] = {}
    for repo, names in wanted.items():
        opened = browsing.open_repository(app, repo, LATEST)
        told.update(((repo, row.name), row) for row in listing.summaries(app, opened, names))
    return [
        replace(each, version=row.release.version, title=row.described.title or each.title)
        if (row := told.get((each.repositories[0], each.name))) is not None and row.release is not None
        else each
        for each in found
    ]


def _seen(app: App, access: Access) -> list[_Shown]:
    every = _every(app)
    with app.db.read() as connection:
        seen = sight(connection, access)
    return [shown for shown in every if seen.sees_repository(shown.repository.id)]


def _every(app: App) -> Sequence[_Shown]:
    """All repositories as they are now, kept until something changes."""
    key = "everywhere"
    with app.db.read() as connection:
        version = catalogue_version(connection)
        app.db.saw(version)
        filled = db_searchable.filled(connection)
    learnt = sorted(filled.items()), int(app.clock().timestamp()) // stocks.SPAN
    known: _All | None = app.searched.find(key)
    if known is not None and app.db.is_fresh(known.version) and known.learnt == learnt:
        return known.shown
    with app.db.read() as connection:
        rows = db_repositories.live(connection)
    shown = [_Shown(repository, _searchable(app, repository, filled)) for repository in rows]
    app.searched.put(key, _All(version, learnt, shown), _WEIGHT * (len(shown) + 1))
    return shown


def _searchable(app: App, repository: Repository, filled: Mapping[int, int]) -> Searchable | None:
    """None: nothing is known yet of what it shows."""
    try:
        return searchable.of_view(app, searchable.open_(app, repository, LATEST, None), filled)
    except EntrepotError:
        return None
