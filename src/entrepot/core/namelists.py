"""Pages of an ordered list of names of which one part is long and kept elsewhere, the rest at hand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Protocol

from entrepot.core.model import PackageName


class Names(Protocol):
    """An ordered list of names, each once."""

    @property
    def total(self) -> int: ...

    def piece(self, start: int, count: int) -> Sequence[PackageName]:
        """Up to `count` names from the position `start` on, which is 0 for the first."""


@dataclass(frozen=True, slots=True)
class Few:
    """Names at hand."""

    names: Sequence[PackageName]

    @property
    def total(self) -> int:
        return len(self.names)

    def piece(self, start: int, count: int) -> Sequence[PackageName]:
        return self.names[start : start + count]


@dataclass(frozen=True, slots=True)
class Joined:
    """A long list with other names in their places among it; of these it has none."""

    long: Names
    others: Sequence[PackageName]

    @property
    def total(self) -> int:
        return self.long.total + len(self.others)

    def piece(self, start: int, count: int) -> Sequence[PackageName]:
        # All others could be before the piece, so what is at `start` is at most so many names earlier in the long list.
        first = max(0, start - len(self.others))
        names = self.long.piece(first, start - first + count)
        before = bisect_left(self.others, names[0]) if names and first else len(self.others) if first else 0
        joined = merge(names, self.others[before:])
        skip = start - first - before
        return list(islice(joined, skip, skip + count))


@dataclass(frozen=True, slots=True)
class Backwards:
    """A list from its end."""

    names: Names

    @property
    def total(self) -> int:
        return self.names.total

    def piece(self, start: int, count: int) -> Sequence[PackageName]:
        end = max(0, self.total - start)
        begin = max(0, end - count)
        return list(reversed(self.names.piece(begin, end - begin)))
