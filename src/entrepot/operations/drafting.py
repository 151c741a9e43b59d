"""What is wished of a curated or pinned source, what it shows now, and the draft of a change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from entrepot.core.errors import PackageNotFound
from entrepot.core.model import FileStatus, Source, TransactionId
from entrepot.core.nearnames import near
from entrepot.core.proposals import Action, Missing, Report
from entrepot.core.requirements import Requirement
from entrepot.db.curations import Pin
from entrepot.operations.pinning import Named

MOST_NEAR = 20
"""Unknown names for which like ones are looked for."""
MOST_TOLD = 50
"""Unknown names that a message has; the payload has all."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """Which files of Python projects are exposed, and whether dependencies come along; None: as before."""

    with_dependencies: bool | None = None
    only_binary: bool | None = None
    platforms: tuple[str, ...] | None = None
    python_versions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to change.

    Attributes:
        list_text: the list as it was sent; with `update` it is the whole of what is asked for. None: as before.
        constraints: a constraints file of pip, as text.
        packages: names besides, or requirements as in a line of a list.
        snapshot: as it was named; None: the newest (`update`), the pinned one (`add`).
        include_suggests: the new lines bring what they suggest (`add`).
        skip_missing: leave out what isn't there instead of refusing.
        removed: with `remove`, the versions of `packages` that go; empty: all of them.
    """

    action: Action
    list_text: str | None = None
    constraints: str | None = None
    packages: tuple[str, ...] = ()
    snapshot: str | None = None
    include_suggests: bool = False
    skip_missing: bool = False
    removed: tuple[str, ...] = ()
    narrow: Narrow = field(default_factory=Narrow)


@dataclass(frozen=True, slots=True)
class State:
    """A curated or pinned source as it is now: with its mirror, its pin, its newest transaction (0: none) and what it
    shows."""

    source: Source
    base: Source
    include: tuple[str, ...]
    pin: Pin | None
    newest: TransactionId
    shown: Mapping[int, FileStatus]


@dataclass(frozen=True, slots=True)
class Draft:
    """A change that was worked out: the snapshot, what is asked for from then on (JSON values), what is then shown, and
    what people are told of it."""

    named: Named
    request: dict[str, Any]
    target: dict[int, FileStatus]
    report: Report


def lifts(wish: Wish, removed: tuple[str, str], asked: Sequence[Requirement], before: Sequence[Requirement]) -> bool:
    """Whether a wish adds a (package, version) that was taken out by hand again, by its number."""
    package, version = removed
    new = [each for each in asked if each not in before] if wish.action == "add" else []
    return any((each.package, each.specifier) == (package, f"=={version}") for each in new)


def with_near(missing: Sequence[Missing], alike: Callable[[str], Collection[str]]) -> list[Missing]:
    """What can't be had, and of what was asked for itself the names that may have been meant; `alike` as below."""
    asked = [each for each in missing if not each.why][:MOST_NEAR]
    meant = {each.package: tuple(near(each.package, alike(each.package))) for each in asked}
    return [each._replace(near=meant.get(each.package, ())) for each in missing]


def unknown(reasons: Mapping[str, str], alike: Callable[[str], Collection[str]]) -> PackageNotFound:
    """One error for all packages that were asked for and can't be had, with those that may have been meant.

    Args:
        reasons: of each name, why it can't be had.
        alike: the names among which one may have been meant.
    """
    near_ones = {name: near(name, alike(name)) for name in list(reasons)[:MOST_NEAR]}
    told = [
        f"{name}: {reason}" + (f" (did you mean {' or '.join(near_ones[name])}?)" if near_ones.get(name) else "")
        for name, reason in list(reasons.items())[:MOST_TOLD]
    ]
    more = [f"and {len(reasons) - MOST_TOLD} more"] if len(reasons) > MOST_TOLD else []
    number = "1 package" if len(reasons) == 1 else f"{len(reasons)} packages"
    return PackageNotFound(
        f"{number} can't be had at this snapshot: " + "; ".join([*told, *more]),
        hint="correct the list, or leave them out with --skip-missing",
        packages=[
            {"name": name, "reason": reason, "near": near_ones.get(name, [])} for name, reason in reasons.items()
        ],
    )
