"""What a record of changes is searched by: kinds of transactions, a package, days."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from entrepot.core.changes import ChangeKind
from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName


class ActivityKind(StrEnum):
    """What a transaction may be, also several at once: one of these changes to a package, an attempt at a build, one
    that failed, a change to a repository's subscriptions."""

    ADDED = "added"
    UPDATED = "updated"
    ARCHIVED = "archived"
    REMOVED = "removed"
    BUILD = "build"
    FAILED_BUILD = "failed-build"
    SUBSCRIPTION = "subscription"


CHANGES: Mapping[ActivityKind, ChangeKind] = {ActivityKind(kind.value): kind for kind in ChangeKind}
"""The kinds that are changes to packages."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transactions are looked for; all of it narrows.

    `kinds` are any of these, none: all. With a `package` they are about that package alone. Days are those that
    transactions belong to, both inclusive.
    """

    kinds: Collection[ActivityKind] = ()
    package: PackageName | None = None
    start: date | None = None
    end: date | None = None

    def check(self) -> None:
        """Raises Invalid: no day can be meant."""
        if self.start is not None and self.end is not None and self.start > self.end:
            raise Invalid(
                f"the days from {self.start} to {self.end} are none", hint="`from` is the first day, `to` the last one"
            )
