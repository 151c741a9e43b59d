"""What changes when a mirror's upstream is compared with the catalogue: `plan(known, found)` -> one `DayPlan` a day."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from operator import itemgetter
from typing import TypeVar

from entrepot.core.model import FileStatus, Listed, PackageName
from entrepot.core.timelines import Days, Event, Found, Handle, Timeline

__all__ = ["Change", "ChangeKind", "DayPlan", "Found", "Handle", "History", "Plan", "Seen", "describe", "plan"]

T = TypeVar("T")

EVERY = 500
"""Packages between two reports of progress."""


class History(StrEnum):
    """How much of an upstream's past the first sync of a mirror records: what it tells, or its present alone."""

    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What one transaction does: visible rows that end and rows that begin, each (file, status)."""

    day: date
    ends: tuple[Handle, ...]
    begins: tuple[tuple[Handle, FileStatus], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The new files and, in order, the days with changes: one transaction for each.

    `unsettled` are packages about which the next sync may find something to do although upstream tells the same.
    """

    new_files: list[Found]
    days: list[DayPlan]
    unsettled: frozenset[PackageName] = frozenset()


@dataclass(slots=True)
class _Day:
    ends: list[Handle] = field(default_factory=list)
    begins: list[tuple[Handle, FileStatus]] = field(default_factory=list)


def plan(
    known: Iterable[Listed],
    found: Iterable[Found],
    *,
    first_open: date | None,
    sync_day: date,
    archive_is_known: bool = True,
    events: Mapping[PackageName, Sequence[Event]] | None = None,
    history: History = History.FULL,
    progress: Callable[[int, int], object] | None = None,
) -> Plan:
    """The transactions that bring a mirror's rows from `known` to `found`.

    Packages don't depend on each other: a package that both tell the same of, and that the plan before did not call
    unsettled, may be left out.

    Args:
        known: all rows of the source that are visible now.
        found: all that upstream has now; at most one current file a package.
        first_open: the first day not yet closed; None at the first sync.
        sync_day: the UTC day on which the sync began.
        archive_is_known: whether upstream tells what is in its archive; if not, nothing archived is removed.
        events: when packages were taken off and came back, as far as upstream tells, each in the order of events.
        history: counts at the first sync alone.
        progress: told how many packages of how many are done.
    """
    days = Days(first_open, sync_day)
    replays = first_open is not None or history is History.FULL
    known_by = _by_package((row.file.package, row) for row in known)
    found_by = _by_package((version.package, version) for version in found)
    new_files: list[Found] = []
    by_day: dict[date, _Day] = {}
    unsettled = set()
    packages = sorted(known_by.keys() | found_by.keys())
    for number, package in enumerate(packages):
        if progress is not None and number % EVERY == 0:
            progress(number, len(packages))
        told = events.get(package, ()) if events else ()
        timeline = Timeline(known_by.get(package, []), new_files, days, archive_is_known)
        timeline.follow(found_by.get(package, []), told, replays=replays)
        for at, ends, begins in timeline.steps():
            day = by_day.setdefault(at, _Day())
            day.ends += ends
            day.begins += begins
        if timeline.keeps_more or any(event.day > sync_day for event in told):
            unsettled.add(package)
    rows = [DayPlan(at, tuple(day.ends), tuple(day.begins)) for at, day in sorted(by_day.items(), key=itemgetter(0))]
    return Plan(new_files, rows, frozenset(unsettled))


def _by_package(rows: Iterable[tuple[PackageName, T]]) -> dict[PackageName, list[T]]:
    by: dict[PackageName, list[T]] = {}
    for package, row in rows:
        by.setdefault(package, []).append(row)
    return by


class ChangeKind(StrEnum):
    ADDED = "added"
    UPDATED = "updated"
    ARCHIVED = "archived"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Seen:
    """A version that began or ceased to be visible with a status."""

    package: PackageName
    version: str
    status: FileStatus


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction did to one package version; `previous` is the version that an update replaced."""

    kind: ChangeKind
    package: PackageName
    version: str
    previous: str | None = None


Version = tuple[PackageName, str]


def describe(
    begun: Sequence[Seen], ended: Sequence[Seen], *, beside: Collection[Version] | None = None
) -> list[Change]:
    """The changes of one transaction from the rows that it began and ended.

    Args:
        beside: where one version of a package is current and the others are archived, None: an update names the version
            that it replaced, which is not listed again as archived. Where all versions stand side by side and may have
            several files: those of which other files were there before and after; whatever happened to files of one
            version is one change.
    """
    changes = _side_by_side(begun, ended, beside) if beside is not None else _one_current(begun, ended)
    return sorted(changes, key=lambda change: (change.package, change.kind.value, change.version))


def _side_by_side(begun: Sequence[Seen], ended: Sequence[Seen], beside: Collection[Version]) -> Iterable[Change]:
    came, left = ({(seen.package, seen.version) for seen in rows} for rows in (begun, ended))
    for version in came | left:
        was_there, is_there = version in beside or version in left, version in beside or version in came
        kind = ChangeKind.UPDATED if was_there and is_there else ChangeKind.REMOVED if was_there else ChangeKind.ADDED
        yield Change(kind, *version)


def _one_current(begun: Sequence[Seen], ended: Sequence[Seen]) -> list[Change]:
    changes: list[Change] = []
    ended_current = {seen.package: seen.version for seen in ended if seen.status is FileStatus.CURRENT}
    ended_versions = {(seen.package, seen.version) for seen in ended}
    begun_versions = {(seen.package, seen.version) for seen in begun}
    updated: set[PackageName] = set()
    for seen in begun:
        if seen.status is FileStatus.CURRENT:
            previous = ended_current.get(seen.package)
            kind = ChangeKind.ADDED if previous is None else ChangeKind.UPDATED
            changes.append(Change(kind, seen.package, seen.version, previous))
            updated.add(seen.package)
    for seen in begun:
        if seen.status is FileStatus.CURRENT:
            continue
        if (seen.package, seen.version) not in ended_versions:
            changes.append(Change(ChangeKind.ADDED, seen.package, seen.version))
        elif not (seen.package in updated and ended_current.get(seen.package) == seen.version):
            changes.append(Change(ChangeKind.ARCHIVED, seen.package, seen.version))
    changes += [
        Change(ChangeKind.REMOVED, seen.package, seen.version)
        for seen in ended
        if (seen.package, seen.version) not in begun_versions
    ]
    return changes
