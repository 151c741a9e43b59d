"""Two states of a repository or a source -> what differs, package by package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from entrepot.core.model import PackageName


class DifferenceKind(StrEnum):
    """What became of a package, in the order in which people want to know it."""

    ADDED = "added"
    UPDATED = "updated"
    DOWNGRADED = "downgraded"
    CHANGED = "changed"
    """The same version from another source, with other files, or (Python) beside other releases."""
    ARCHIVED = "archived"
    """It left the index; its versions can be had from the archive."""
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Standing:
    """A package in one state: the version that stands for it, and what came with it.

    `files` are the ids of its current files, `releases` its versions where these stand side by side (Python).
    `license` is None where nobody has read the metadata, or it tells none.
    """

    version: str
    source: str
    files: frozenset[int]
    license: str | None = None
    releases: frozenset[str] = frozenset()


State = Mapping[PackageName, Standing]


@dataclass(frozen=True, slots=True)
class PackageChange:
    """What became of one package; `before` and `after` are None where it is not in the index."""

    kind: DifferenceKind
    package: PackageName
    before: Standing | None
    after: Standing | None
    crosses_major: bool = False

    @property
    def changes_license(self) -> bool:
        """Whether both licenses are known and differ."""
        if self.before is None or self.after is None or None in (self.before.license, self.after.license):
            return False
        return self.before.license != self.after.license

    @property
    def releases_added(self) -> int | None:
        """How many releases came; None where versions don't stand side by side."""
        return self._more(self.after, self.before)

    @property
    def releases_removed(self) -> int | None:
        return self._more(self.before, self.after)

    @staticmethod
    def _more(one: Standing | None, other: Standing | None) -> int | None:
        here = frozenset() if one is None else one.releases
        there = frozenset() if other is None else other.releases
        return len(here - there) if here or there else None


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs, ordered by package."""

    changes: tuple[PackageChange, ...]

    @property
    def counts(self) -> dict[DifferenceKind, int]:
        """How many packages became what; every kind is there."""
        found = Counter(change.kind for change in self.changes)
        return {kind: found[kind] for kind in DifferenceKind}

    def applied_to(self, start: State) -> dict[PackageName, Standing]:
        """The state that comes out of the first of the two."""
        gone = {change.package for change in self.changes}
        kept = {package: standing for package, standing in start.items() if package not in gone}
        return kept | {change.package: change.after for change in self.changes if change.after is not None}


def compare(
    start: State,
    end: State,
    *,
    archived: Collection[PackageName] = (),
    ranks: Mapping[str, int],
    major: Callable[[str], object | None],
) -> Difference:
    """What makes `end` out of `start`; packages that are the same in both may be left out of both.

    Args:
        archived: the packages of which `end` has archived versions alone.
        ranks: each version -> its place in the order of all; equal for versions that are equal in order.
        major: of a version what has to differ for a major change; None where it can't be told.
    """
    changes = []
    for package in sorted(start.keys() | end.keys()):
        before, after = start.get(package), end.get(package)
        if before != after:
            kind = _kind(before, after, ranks, is_archived=package in archived)
            crosses = kind in (DifferenceKind.UPDATED, DifferenceKind.DOWNGRADED) and _crosses(before, after, major)
            changes.append(PackageChange(kind, package, before, after, crosses))
    return Difference(tuple(changes))


def _kind(
    before: Standing | None, after: Standing | None, ranks: Mapping[str, int], *, is_archived: bool
) -> DifferenceKind:
    if after is None:
        return DifferenceKind.ARCHIVED if is_archived else DifferenceKind.REMOVED
    if before is None:
        return DifferenceKind.ADDED
    was, is_ = ranks[before.version], ranks[after.version]
    if was == is_:
        return DifferenceKind.CHANGED
    return DifferenceKind.UPDATED if was < is_ else DifferenceKind.DOWNGRADED


def _crosses(before: Standing | None, after: Standing | None, major: Callable[[str], object | None]) -> bool:
    if before is None or after is None:
        return False
    was, is_ = major(before.version), major(after.version)
    return was is not None and is_ is not None and was != is_
