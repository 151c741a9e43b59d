"""Ordered sources -> one listing: the first subscribed source that has a package's name wins, for all its versions.

This is the defence against dependency confusion, so it goes by name alone: a name that an earlier source has only in
its archive still hides the later ones. Listing and download both go through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from entrepot.core.model import Listed, PackageName


class Layer(Protocol):
    """One source at its cut."""

    def listed(self) -> Iterable[Listed]:
        """The rows wanted of it (current ones, archived ones, or those of one package)."""

    def names(self) -> Iterable[PackageName]:
        """All names that the source has at the cut, whether their files are current or archived."""


def compose(layers: Sequence[Layer]) -> list[Listed]:
    """The rows of all layers without those whose name an earlier layer has, ordered by package name."""
    rows: list[Listed] = []
    taken: set[PackageName] = set()
    for number, layer in enumerate(layers):
        rows += [row for row in layer.listed() if row.file.package not in taken] if taken else layer.listed()
        if number + 1 < len(layers):
            taken.update(layer.names())
    if len(layers) > 1:
        rows.sort(key=lambda row: row.file.package)
    return rows
