"""What a change to a curated or pinned source would bring, as it is proposed, reviewed and committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Self

Action = Literal["update", "add", "remove", "create"]
Part = Literal["items", "leaving", "missing"]
"""The lists of which a report consists."""


class ItemChange(StrEnum):
    """What becomes of a package in the index."""

    ADDED = "added"
    UPDATED = "updated"
    DOWNGRADED = "downgraded"
    CHANGED = "changed"
    """The same newest version, other files or releases beside it (Python)."""
    UNCHANGED = "unchanged"


class Item(NamedTuple):
    """A package that the source would list.

    Attributes:
        version: the current one; Python: the newest of those that are admitted.
        previous: the one that is listed now; None where the package isn't.
        needs_compilation: `yes`, `no`, or None where nobody tells.
        why: the chain of packages that need it, from one that was asked for; empty where it was asked for itself.
        asked: how the list asks for it; empty where it came along.
        size: bytes of its file (Python: of all its files), as far as they are known.
        releases: how many versions are admitted (Python); None where one alone is current.
        license_before: that of the one that is listed now; None where it isn't, or nobody knows.
    """

    package: str
    version: str
    previous: str | None
    change: ItemChange
    license: str | None
    needs_compilation: str | None
    why: tuple[str, ...]
    asked: str
    size: int | None
    releases: int | None = None
    license_before: str | None = None

    @property
    def reason(self) -> str:
        """Why it is in: `asked for`, or the chain `tibble > pillar`."""
        return " > ".join(self.why) if self.why else "asked for"


class Leaving(NamedTuple):
    """A version that leaves the index: `archived`, still to be had by its version, or `removed`."""

    package: str
    version: str
    change: Literal["archived", "removed"]
    reason: str


class Missing(NamedTuple):
    """A package that the snapshot doesn't have, and what needs it (as of `Item.why`); `near` are names like it."""

    package: str
    why: tuple[str, ...]
    reason: str
    near: tuple[str, ...] = ()


_CHANGE: Mapping[Part, int] = {"items": Item._fields.index("change"), "leaving": Leaving._fields.index("change")}
_LICENSES = Item._fields.index("license"), Item._fields.index("license_before")


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a list are wanted: those that become one of `changes` (empty: all), and with `other_license` the
    items of which both licences are known and differ."""

    changes: frozenset[str] = frozenset()
    other_license: bool = False

    def of(self, rows: Sequence[Sequence[Any]], part: Part) -> Sequence[Sequence[Any]]:
        """Those of a list in its JSON form."""
        if self.changes:
            place = _CHANGE.get(part)
            rows = [row for row in rows if row[place] in self.changes] if place is not None else []
        if self.other_license:
            rows = [row for row in rows if _has_other_license(row)] if part == "items" else []
        return rows


ALL = Rows()


def _has_other_license(row: Sequence[Any]) -> bool:
    now, before = _LICENSES
    # Those that were kept by an earlier version don't tell it.
    return len(row) > before and None not in (row[now], row[before]) and row[now] != row[before]


@dataclass(frozen=True, slots=True)
class Report:
    """What a proposal tells.

    Attributes:
        items: all packages that the source would list, by name; of one that shows a mirror whole, those that change.
        unchanged: how many packages stay as they are and are not among the items.
        notes: what a reviewer should know besides, a sentence each.
    """

    items: tuple[Item, ...] = ()
    leaving: tuple[Leaving, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()
    unchanged: int = 0

    def counts(self) -> dict[str, int]:
        """How many of each kind: changes of items, `archived`, `removed`, `missing`."""
        counts = Counter(item.change.value for item in self.items)
        counts.update(leaving.change for leaving in self.leaving)
        counts["missing"] = len(self.missing)
        counts["unchanged"] += self.unchanged
        return {kind: counts[kind] for kind in (*ItemChange, "archived", "removed", "missing")}

    def as_json(self) -> dict[str, Any]:
        return {
            "items": [list(item) for item in self.items],
            "leaving": [list(leaving) for leaving in self.leaving],
            "missing": [list(missing) for missing in self.missing],
            "notes": list(self.notes),
            "unchanged": self.unchanged,
        }

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        return cls(
            tuple(_item(row) for row in told["items"]),
            tuple(Leaving(*row) for row in told["leaving"]),
            tuple(_missing(row) for row in told["missing"]),
            tuple(told["notes"]),
            told["unchanged"],
        )

    @classmethod
    def part_of_json(
        cls, told: Mapping[str, Any], part: Part, rows: Rows, *, offset: int, limit: int
    ) -> tuple[Self, int]:
        """A page of one of its three lists, the others empty, and how many rows it has that are wanted. Of ten thousand
        others nothing is made but what JSON makes."""
        wanted = rows.of(told[part], part)
        page: dict[str, Any] = {"items": [], "leaving": [], "missing": []}
        page[part] = wanted[offset : offset + limit]
        return cls.of_json({**told, **page}), len(wanted)


def _item(row: Sequence[Any]) -> Item:
    package, version, previous, change, license_, needs, why, *rest = row
    return Item(package, version, previous, ItemChange(change), license_, needs, tuple(why), *rest)


def _missing(row: Sequence[Any]) -> Missing:
    package, why, reason, *near = row
    return Missing(package, tuple(why), reason, *map(tuple, near))


def summary(counts: Mapping[str, int]) -> str:
    """`3 added, 2 archived`: the kinds of change of which there are some."""
    told = [f"{counts[kind]} {kind}" for kind in (*ItemChange, "archived", "removed") if counts.get(kind)]
    return ", ".join(told) or "nothing"


def changes_anything(counts: Mapping[str, int]) -> bool:
    return any(counts.get(kind) for kind in ("added", "updated", "downgraded", "changed", "archived", "removed"))


def difference(before: Iterable[tuple[str, ...]], after: Iterable[tuple[str, ...]]) -> list[str]:
    """`+ tibble 3.2.1`, `- tibble 3.2.0`: what of (package, version, ...) is in one of the two alone, by name."""
    one, other = set(before), set(after)
    rows = [(row, "-") for row in one - other] + [(row, "+") for row in other - one]
    return [f"{sign} {' '.join(row)}" for row, sign in sorted(rows)]
