"""A repository at a snapshot as it is searched: the stocks of its sources in their order, without what others hide."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from entrepot.app import App
from entrepot.core.bioconductor import RELEASE
from entrepot.core.compose import taken_before
from entrepot.core.model import PackageName, Repository, RepositoryType, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.db import entries
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.db import searchable as db_searchable
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.operations import stocks
from entrepot.operations.serving import OpenView, inside, open_view
from entrepot.operations.stocks import Stock
from entrepot.operations.view import never_listed

_MANY = 1000
"""Names from which on all that a source has are looked up instead."""


class NameList(NamedTuple):
    """The list of names of a source as of a transaction, and how many there are."""

    source_id: int
    at: TransactionId
    total: int


@dataclass(frozen=True, slots=True)
class Part:
    """A source of a repository: its stock, whose rows are counted on from `start`, but for those that are `hidden`
    because a source before it has the name. `binary` are its packages with binaries."""

    stock: Stock
    source: str
    start: int
    hidden: frozenset[int]
    binary: frozenset[PackageName]

    @property
    def standing(self) -> Iterator[PackageName]:
        """The names that it shows."""
        return (name for row, name in enumerate(self.stock.names) if row not in self.hidden)

    def visible(self, rows: list[int]) -> list[int]:
        """Rows of the stock without the hidden ones."""
        return [row for row in rows if row not in self.hidden] if self.hidden else rows

    def row_of(self, name: PackageName) -> int | None:
        """The row of a name that it shows."""
        row = bisect_left(self.stock.names, name)
        is_there = row < len(self.stock.names) and self.stock.names[row] == name
        return row if is_there and row not in self.hidden else None


@dataclass(frozen=True, slots=True)
class LongPart:
    """The names that a source lists which is read by the project. `standing` are those of all packages that the parts
    show, of which the list has `also_standing` too."""

    source: str
    list: NameList
    standing: frozenset[PackageName]
    also_standing: int

    @property
    def others(self) -> int:
        """How many names of the list are of packages that nobody asked for yet."""
        return self.list.total - self.also_standing


@dataclass(frozen=True, slots=True)
class Searchable:
    """A repository at a snapshot. `of_hidden` counts what the packages need that are in a stock but hidden."""

    key: tuple[object, ...]
    parts: tuple[Part, ...]
    of_hidden: Mapping[str, int]
    long: LongPart | None

    @property
    def packages(self) -> int:
        """How many packages it shows."""
        known = sum(len(part.stock.names) - len(part.hidden) for part in self.parts)
        return known if self.long is None else known + self.long.others

    def needed(self, name: PackageName) -> int:
        """How many of the packages that it shows need one."""
        return sum(part.stock.needed.get(name, 0) for part in self.parts) - self.of_hidden.get(name, 0)

    def all_needed(self) -> Mapping[str, int]:
        """As `needed`, of all packages that some package needs."""
        if len(self.parts) == 1:
            return self.parts[0].stock.needed
        total: Counter[str] = Counter()
        for part in self.parts:
            total.update(part.stock.needed)
        total.subtract(self.of_hidden)
        return total

    @property
    def weight(self) -> int:
        names = sum(len(part.hidden) for part in self.parts) + len(self.of_hidden)
        return 2000 + 100 * (names + (len(self.long.standing) if self.long is not None else 0))


def open_(app: App, repository: Repository, snapshot: str, bioc_version: str | None) -> OpenView:
    """A repository at a snapshot; one of Bioconductor at a version, if nothing else is said the release."""
    is_bioconductor = repository.type is RepositoryType.BIOCONDUCTOR
    asked = Asked(bioc_version or RELEASE) if is_bioconductor else None
    return open_view(app, repository.name, snapshot, asked=asked, who=inside)


def of_view(app: App, opened: OpenView, filled: Mapping[int, int] | None = None) -> Searchable:
    """A repository as it is searched; `filled` as of `filled_of`, where it is known.

    Raises:
        NeverSynced: a mirror's list of names was never read.
    """
    cuts, sources = opened.cuts, opened.sources
    filled = filled_of(app, cuts) if filled is None else filled
    listed = _name_list(app, opened)
    key = (
        "searchable",
        tuple(
            (sources[cut.source_id].name, *stocks.kept_under(app, cut, sources[cut.source_id], filled)) for cut in cuts
        ),
        tuple(shelf.key for shelf in opened.shelves),
        listed,
    )
    return stocks.kept(app, key, lambda: _made(app, opened, filled, listed, key), weigh=lambda found: found.weight)


def filled_of(app: App, cuts: Iterable[Cut]) -> dict[int, int]:
    """Of the mirrors whose files are shown: how often more was learnt of their packages."""
    with app.db.read() as connection:
        return db_searchable.filled(connection, {cut.files_of for cut in cuts})


def _name_list(app: App, opened: OpenView) -> NameList | None:
    """That of the source that is read by the project, if there is one. Raises NeverSynced."""
    for cut in opened.cuts:
        source = opened.sources[cut.source_id]
        if source.is_read_by_project:
            with app.db.read() as connection:
                listed = db_projects.names_state(connection, cut)
            if listed is None:
                raise never_listed(app, source)
            return NameList(cut.source_id, *listed)
    return None


def _made(
    app: App,
    opened: OpenView,
    filled: Mapping[int, int],
    listed: NameList | None,
    key: tuple[object, ...],
) -> Searchable:
    every = [stocks.stock_of(app, cut, opened.sources[cut.source_id], filled) for cut in opened.cuts]
    hidden = _hidden(app, opened.cuts, every, listed)
    parts = []
    start = 0
    for cut, stock, mine in zip(opened.cuts, every, hidden, strict=True):
        binary = stock.wheels if stock.wheels is not None else stocks.with_binaries(app, cut, stock, opened.shelves)
        parts.append(Part(stock, opened.sources[cut.source_id].name, start, mine, binary))
        start += len(stock.names)
    long = _long_part(app, opened, parts, listed) if listed is not None else None
    return Searchable(key, tuple(parts), _of_hidden(app, parts), long)


class _Names:
    """`core.compose.Named`: the names of a source at its cut."""

    def __init__(self, app: App, cut: Cut, stock: Stock, listed: NameList | None) -> None:
        self._app, self._cut, self._stock = app, cut, stock
        self._list = listed if listed is not None and listed.source_id == cut.source_id else None

    def names_among(self, names: Collection[PackageName]) -> set[PackageName]:
        found = set(self._stock.names).intersection(names)
        missing = set(names) - found
        if not missing:
            return found
        with self._app.db.read() as connection:
            if self._list is not None:
                found |= db_projects.names_among(connection, self._cut.source_id, self._list.at, missing)
            if len(missing) <= _MANY or self._list is not None:
                return found | db_listings.names_among(connection, self._cut, missing)
            every = self._app.names.get(self._cut, lambda: frozenset(db_listings.names(connection, self._cut)))
        return found | (every & missing)


def _hidden(app: App, cuts: Sequence[Cut], every: Sequence[Stock], listed: NameList | None) -> list[frozenset[int]]:
    """Of each stock the rows whose names a source before it has."""
    layers = [_Names(app, cut, stock, listed) for cut, stock in zip(cuts, every, strict=True)]
    names = [frozenset(stock.names) if number else frozenset() for number, stock in enumerate(every)]
    return [
        frozenset(row for row, name in enumerate(stock.names) if name in taken) if taken else frozenset()
        for stock, taken in zip(every, taken_before(layers, names), strict=True)
    ]


def _of_hidden(app: App, parts: Sequence[Part]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    ids = [part.stock.ids[row] for part in parts if part.stock.wheels is None for row in part.hidden]
    if ids:
        with app.db.read() as connection:
            for entry in entries.of(connection, ids).values():
                total.update(stocks.needs(entry))
    return dict(total)


def _long_part(app: App, opened: OpenView, parts: Sequence[Part], listed: NameList) -> LongPart:
    standing = frozenset(name for part in parts for name in part.standing)
    with app.db.read() as connection:
        also = db_projects.names_among(connection, listed.source_id, listed.at, standing)
    return LongPart(opened.sources[listed.source_id].name, listed, standing, len(also))
