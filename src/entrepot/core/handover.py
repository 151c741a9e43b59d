"""Ordered sources, before and after their order changes -> which packages come from another one, appear, or go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from entrepot.core.model import PackageName

Owners = Mapping[PackageName, int]
"""Package -> id of the source that it comes from, for all its versions."""


class HandoverKind(StrEnum):
    """What becomes of a package."""

    MOVED = "moved"
    """It comes from another source."""
    ADDED = "added"
    REMOVED = "removed"


class Handover(NamedTuple):
    """A package that changes hands: ids of the sources that it comes from, None where there is none."""

    package: PackageName
    before: int | None
    after: int | None

    @property
    def kind(self) -> HandoverKind:
        if self.before is None:
            return HandoverKind.ADDED
        return HandoverKind.REMOVED if self.after is None else HandoverKind.MOVED


def owners(layers: Sequence[tuple[int, Collection[PackageName]]]) -> Owners:
    """Of (source id, all its names, those in its archive alone too) in order: the first that has a name has it.

    As `core.compose`, of names alone.
    """
    found: dict[PackageName, int] = {}
    for source_id, names in reversed(layers):
        found.update(dict.fromkeys(names, source_id))
    return found


@dataclass(frozen=True, slots=True)
class Handovers:
    """The packages that change hands between two orders, by name; there may be some ten thousand."""

    before: Owners
    after: Owners
    names: Sequence[PackageName]

    def of(self, package: PackageName) -> Handover:
        return Handover(package, self.before.get(package), self.after.get(package))

    def counts(self) -> dict[HandoverKind, int]:
        """How many packages become what; every kind is there."""
        added = sum(1 for name in self.names if name not in self.before)
        removed = sum(1 for name in self.names if name not in self.after)
        moved = len(self.names) - added - removed
        return {HandoverKind.MOVED: moved, HandoverKind.ADDED: added, HandoverKind.REMOVED: removed}


def compare(before: Owners, after: Owners) -> Handovers:
    """What changes hands from one order to the other."""
    return Handovers(before, after, sorted({name for name, _ in before.items() ^ after.items()}))
