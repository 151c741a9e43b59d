"""Ordered sources -> one listing: the first subscribed source that has a package's name wins, for all its versions.

This is the defence against dependency confusion, so it goes by name alone: a name that an earlier source has only in
its archive still hides the later ones. Listing and download both go through here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from entrepot.core.model import PackageName

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)


class Layer(Protocol[Row_co]):
    """One source at its cut."""

    def listed(self) -> Iterable[Row_co]:
        """The rows wanted of it (current ones, archived ones, or those of one package), ordered by package name."""

    def names_among(self, names: Collection[PackageName]) -> Collection[PackageName]:
        """Those of these names that the source has at the cut, whether their files are current or archived."""


def compose(layers: Sequence[Layer[Row]], name: Callable[[Row], PackageName]) -> list[Row]:
    """The rows of all layers without those whose name an earlier layer has, ordered by package name.

    A layer is asked only for names that a later one lists: a small source behind a large one costs little.
    """
    listings = [list(layer.listed()) for layer in layers]
    rows: list[Row] = []
    taken: set[PackageName] = set()
    for number, (layer, listing) in enumerate(zip(layers, listings, strict=True), 1):
        rows += [row for row in listing if name(row) not in taken] if taken else listing
        contested = {name(row) for later in listings[number:] for row in later} - taken
        if contested:
            taken.update(layer.names_among(contested))
    if len(layers) > 1:
        rows.sort(key=name)
    return rows
