"""Names that somebody may have meant who wrote one that isn't there."""

from __future__ import annotations

from collections.abc import Collection
from difflib import SequenceMatcher
from heapq import nlargest

CUTOFF = 0.7
"""How alike a name has to be, as `difflib` measures it: 1 is the same name."""
_COMPARED = 40
"""Names that are compared letter by letter, which takes a hundred times as long as the choice among all."""


def near(name: str, names: Collection[str], *, limit: int = 3) -> list[str]:
    """Up to `limit` of `names` that are like `name`, the likeliest first.

    Those that differ by case alone come before all others. The rest is first chosen by length (a quarter more or less)
    and shared pairs of letters, so that 20,000 names take some milliseconds; `name` itself is no answer.
    """
    wanted = name.casefold()
    pairs = _pairs(wanted)
    room = max(2, len(name) // 4)
    shortest, longest = len(name) - room, len(name) + room
    same: list[str] = []
    scored: list[tuple[int, int, str]] = []
    for other in names:
        if shortest <= len(other) <= longest and other != name:
            folded = other.casefold()
            if folded == wanted:
                same.append(other)
            elif shared := sum(map(("^" + folded).__contains__, pairs)):
                scored.append((shared, -abs(len(other) - len(name)), other))
    alike = [(_likeness(wanted, other.casefold()), other) for _, _, other in nlargest(_COMPARED, scored)]
    alike = sorted((-ratio, other) for ratio, other in alike if ratio >= CUTOFF)
    return (sorted(same) + [other for _, other in alike])[:limit]


def _pairs(folded: str) -> list[str]:
    """Each two neighbouring letters, and the first letter with the mark that it is the first."""
    marked = "^" + folded
    return sorted({marked[at : at + 2] for at in range(len(folded))})


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
