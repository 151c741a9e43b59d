"""What changes when a mirror's upstream is compared with the catalogue: `plan(known, found)` -> one `DayPlan` a day.

The rule of dates: a change belongs to the day that upstream gives it (the file's date), or to the first day not
yet closed, whichever is later; a change that upstream does not date belongs to the first day not yet closed, and at
the first sync, when no day is closed, to the day of the sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from entrepot.core.model import FileStatus, Listed, PackageName


@dataclass(frozen=True, slots=True)
class Found:
    """One version that an upstream has now.

    `fields` as in `model.File`; None for an archived version, of which upstream's indexes tell only size and date.
    `published` is the upstream file's modification time (UTC, aware), None where nobody gives it.
    """

    package: PackageName
    version: str
    name: str
    status: FileStatus
    fields: str | None
    size: int | None
    md5: str | None
    published: datetime | None


Handle = int
"""A file in a plan: the id of one that the catalogue has, or -1 - i for `Plan.new_files[i]`."""


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What one transaction does: visible rows that end and rows that begin, each (file, status)."""

    day: date
    ends: tuple[Handle, ...]
    begins: tuple[tuple[Handle, FileStatus], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The new files and, in order, the days with changes: one transaction for each."""

    new_files: list[Found]
    days: list[DayPlan]


class _Days:
    """The rule of dates for one sync."""

    def __init__(self, first_open: date | None, sync_day: date) -> None:
        self.first_open = first_open
        self.sync_day = sync_day
        self.undated = first_open or sync_day

    def of(self, published: datetime | None) -> date:
        if published is None:
            return self.undated
        day = min(published.date(), self.sync_day)
        return max(day, self.first_open) if self.first_open else day

    def is_open(self, published: datetime | None) -> bool:
        return published is not None and (self.first_open is None or published.date() >= self.first_open)


State = dict[Handle, FileStatus]


def plan(
    known: Iterable[Listed],
    found: Iterable[Found],
    *,
    first_open: date | None,
    sync_day: date,
    archive_is_known: bool = True,
) -> Plan:
    """The transactions that bring a mirror's rows from `known` to `found`.

    Args:
        known: all rows of the source that are visible now.
        found: all that upstream has now; at most one current file a package.
        first_open: the first day not yet closed; None at the first sync.
        sync_day: the UTC day on which the sync began.
        archive_is_known: whether upstream tells what is in its archive; if not, nothing archived is removed.
    """
    days = _Days(first_open, sync_day)
    known_by: dict[PackageName, list[Listed]] = {}
    for row in known:
        known_by.setdefault(row.file.package, []).append(row)
    found_by: dict[PackageName, list[Found]] = {}
    for version in found:
        found_by.setdefault(version.package, []).append(version)
    new_files: list[Found] = []
    ends: dict[date, list[Handle]] = {}
    begins: dict[date, list[tuple[Handle, FileStatus]]] = {}
    for package in sorted(known_by.keys() | found_by.keys()):
        timeline = _Timeline(known_by.get(package, []), new_files, days, archive_is_known)
        timeline.follow(found_by.get(package, []))
        for day, before, after in timeline.steps():
            ends.setdefault(day, []).extend(h for h, status in before.items() if after.get(h) is not status)
            begins.setdefault(day, []).extend((h, s) for h, s in after.items() if before.get(h) is not s)
    every = sorted(ends.keys() | begins.keys())
    rows = [DayPlan(day, tuple(ends.get(day, ())), tuple(begins.get(day, ()))) for day in every]
    return Plan(new_files, [row for row in rows if row.ends or row.begins])


class _Timeline:
    """One package: from what is known through dated states to what was found."""

    def __init__(self, known: Sequence[Listed], new_files: list[Found], days: _Days, archive_is_known: bool) -> None:
        self.known = {row.file.version: row for row in known}
        self.start: State = {row.file.id: row.status for row in known}
        self.state: State = dict(self.start)
        self.by_day: dict[date, State] = {}
        self.new_files = new_files
        self.days = days
        self.archive_is_known = archive_is_known
        self.at = days.first_open or date.min

    def follow(self, found: Sequence[Found]) -> None:
        """Play what was found: first the versions that had a turn as the current one, then the end state."""
        fresh = [version for version in found if not self._is_known(version)]
        turns = [v for v in fresh if v.status is FileStatus.CURRENT or self._had_a_turn(v)]
        handles: dict[str, Handle] = {v: row.file.id for v, row in self.known.items()}
        for version in fresh:
            self.new_files.append(version)
            handles[version.version] = -len(self.new_files)
        for version in sorted(turns, key=lambda v: self.days.of(v.published)):
            self._make_current(handles[version.version], version)
        for version in fresh:
            if version not in turns:
                self._at(self.days.of(version.published))
                self._set(handles[version.version], FileStatus.ARCHIVED)
        self._settle(found, handles)

    def steps(self) -> Iterator[tuple[date, State, State]]:
        """(day, state before, state after) for each day with a change."""
        before = self.start
        for day, after in sorted(self.by_day.items(), key=lambda item: item[0]):
            if after != before:
                yield day, before, after
            before = after

    def _is_known(self, found: Found) -> bool:
        row = self.known.get(found.version)
        if row is None:
            return False
        if found.status is FileStatus.ARCHIVED:
            # Upstream's archive tells no hashes. Another size: it was replaced before it went there.
            return None in (found.size, row.file.size) or found.size == row.file.size
        same_bytes = None in (found.md5, row.file.md5) or found.md5 == row.file.md5
        return same_bytes and found.fields == row.file.fields

    def _had_a_turn(self, found: Found) -> bool:
        """Whether an archived version that nobody knew was once the current one, as far as can be told."""
        return found.published is not None and (not self.known or self.days.is_open(found.published))

    def _make_current(self, handle: Handle, found: Found) -> None:
        self._at(self.days.of(found.published))
        self._archive_current(found.version)
        self._set(handle, FileStatus.CURRENT)

    def _archive_current(self, version: str) -> None:
        """Make room for a current file: the old one goes to the archive; another file of this version is replaced."""
        for handle, status in list(self.state.items()):
            if handle > 0 and version in self.known and handle == self.known[version].file.id:
                self._drop(handle)
            elif status is FileStatus.CURRENT:
                self._set(handle, FileStatus.ARCHIVED)

    def _settle(self, found: Sequence[Found], handles: dict[str, Handle]) -> None:
        """The end: what upstream has now is current or archived as upstream says; what it lost is removed."""
        final: State = {handles[v.version]: v.status for v in found}
        has_current = FileStatus.CURRENT in final.values()
        for handle, status in self.state.items():
            if handle in final or self._was_replaced(handle, handles):
                continue
            was_current = self.start.get(handle) is FileStatus.CURRENT
            if (has_current and was_current) or (status is FileStatus.ARCHIVED and not self.archive_is_known):
                final[handle] = FileStatus.ARCHIVED
        if final != self.state:
            self._at(self.days.undated)
            self.state = final
            self.by_day[self.at] = dict(final)

    def _was_replaced(self, handle: Handle, handles: dict[str, Handle]) -> bool:
        return handle not in handles.values()

    def _at(self, day: date) -> None:
        """Go on to `day`; a package's story never runs backwards."""
        self.at = max(self.at, day)

    def _set(self, handle: Handle, status: FileStatus) -> None:
        self.state[handle] = status
        self.by_day[self.at] = dict(self.state)

    def _drop(self, handle: Handle) -> None:
        self.state.pop(handle, None)
        self.by_day[self.at] = dict(self.state)


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


def describe(begun: Sequence[Seen], ended: Sequence[Seen]) -> list[Change]:
    """The changes of one transaction from the rows that it began and ended.

    An update names the version that it replaced, which is not listed again as archived.
    """
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
    return sorted(changes, key=lambda change: (change.package, change.kind.value, change.version))
