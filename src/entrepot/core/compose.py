"""Ordered sources -> one listing: the first subscribed source that has a package's name wins, for all its versions.

This is the defence against dependency confusion, so it goes by name alone: a name that an earlier source has only in
its archive still hides the later ones. Listing and download both go through here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from typing import Protocol, TypeVar

from entrepot.core.model import PackageName

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)


class Named(Protocol):
    """The names of one source at its cut."""

    def names_among(self, names: Collection[PackageName]) -> Collection[PackageName]:
        """Those of these names that the source has at the cut, whether their files are current or archived."""


class Layer(Named, Protocol[Row_co]):
    """One source at its cut."""

    def listed(self) -> Iterable[Row_co]:
        """The rows wanted of it (current ones, archived ones, or those of one package), ordered by package name."""


def taken_before(layers: Sequence[Named], listed: Sequence[Collection[PackageName]]) -> Iterator[Set[PackageName]]:
    """For each layer the names that earlier ones have, of those that are `listed` of it or of later ones.

    The set is the same each time, and grows.
    """
    taken: set[PackageName] = set()
    for number, layer in enumerate(layers, 1):
        yield taken
        contested = set().union(*listed[number:]) - taken
        if contested:
            taken.update(layer.names_among(contested))


def compose(layers: Sequence[Layer[Row]], name: Callable[[Row], PackageName]) -> list[Row]:
    """The rows of all layers without those whose name an earlier layer has, ordered by package name.

    A layer is asked only for names that a later one lists: a small source behind a large one costs little.
    """
    listings = [list(layer.listed()) for layer in layers]
    # The names of the first are in nobody's way.
    names = [set(map(name, listing)) if number else set() for number, listing in enumerate(listings)]
    rows: list[Row] = []
    for listing, taken in zip(listings, taken_before(layers, names), strict=True):
        rows += [row for row in listing if name(row) not in taken] if taken else listing
    if len(layers) > 1:
        rows.sort(key=name)
    return rows
