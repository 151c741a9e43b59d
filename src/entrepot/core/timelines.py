"""One package of a mirror through time: from the rows that are known, by dated steps, to what upstream has now.

The rule of dates: a change belongs to the day that upstream gives it (the file's date, a comment's date), or to the
first day not yet closed, whichever is later; a change that upstream does not date belongs to the first day not yet
closed, and at the first sync, when no day is closed, to the day of the sync.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from entrepot.core.model import FileStatus, Listed, PackageName

_LAST = datetime.max.replace(tzinfo=UTC)


class Found(NamedTuple):
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


class Move(StrEnum):
    """What upstream did to a package as a whole."""

    ARCHIVED = "archived"
    RETURNED = "returned"


class Event(NamedTuple):
    """A package was taken off on a day, or came back; of one day's events the order is theirs."""

    day: date
    move: Move


Handle = int
"""A file in a plan: the id of one that the catalogue has, or -1 - i for `Plan.new_files[i]`."""

_Moved = tuple[date, Handle, FileStatus | None]


class Days:
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

    def is_open(self, day: date) -> bool:
        """Whether what upstream dates so can be recorded there."""
        return day <= self.sync_day and not self.is_closed(day)

    def is_closed(self, day: date) -> bool:
        return self.first_open is not None and day < self.first_open


class Timeline:
    """One package: `follow` plays what was found, `steps` tells what it did on which day.

    Args:
        known: all versions that the catalogue shows now.
        new_files: of the whole plan; those of this package are added to it.
        archive_is_known: whether upstream tells what is in its archive; if not, nothing archived is removed.
    """

    def __init__(self, known: Sequence[Listed], new_files: list[Found], days: Days, archive_is_known: bool) -> None:
        self._known = {row.file.version: row for row in known}
        self._start = {row.file.id: row.status for row in known}
        self._state = dict(self._start)
        self._current = next((h for h, status in self._start.items() if status is FileStatus.CURRENT), None)
        self._newest = self._current
        self._handles = {row.file.version: row.file.id for row in known}
        self._moves: list[_Moved] = []
        self._new_files = new_files
        self._days = days
        self._archive_is_known = archive_is_known
        self._at = days.first_open or date.min
        self.keeps_more = False
        """Whether something stays visible that upstream did not list: the next sync has to look again."""

    def follow(self, found: Sequence[Found], events: Sequence[Event], *, replays: bool = True) -> None:
        """Play what was found: the versions that had a turn as the current one, and the end state.

        Args:
            events: in the order in which they happened.
            replays: if not, the end state alone.
        """
        fresh = [version for version in found if not self._is_known(version)]
        for version in fresh:
            self._new_files.append(version)
            self._handles[version.version] = -len(self._new_files)
        if replays:
            turns = [v for v in fresh if v.status is FileStatus.CURRENT or self._had_a_turn(v)]
            self._play(turns, found, events)
            for version in fresh:
                if version.status is FileStatus.ARCHIVED and not self._had_a_turn(version):
                    self._go_to(self._days.of(version.published))
                    self._set(self._handles[version.version], FileStatus.ARCHIVED)
        self._settle(found)

    def steps(self) -> Iterator[tuple[date, list[Handle], list[tuple[Handle, FileStatus]]]]:
        """(day, rows that end, rows that begin) for each day with a change."""
        state = dict(self._start)
        for day, moves in groupby(self._moves, key=itemgetter(0)):
            last = {handle: status for _, handle, status in moves}
            ends = [h for h, status in last.items() if h in state and state[h] is not status]
            begins = [(h, status) for h, status in last.items() if status is not None and state.get(h) is not status]
            for handle in ends:
                del state[handle]
            state.update(begins)
            if ends or begins:
                yield day, ends, begins

    def _is_known(self, found: Found) -> bool:
        row = self._known.get(found.version)
        if row is None:
            return False
        if found.status is FileStatus.ARCHIVED:
            # Upstream's archive tells no hashes. Another size: it was replaced before it went there.
            return None in (found.size, row.file.size) or found.size == row.file.size
        same_bytes = None in (found.md5, row.file.md5) or found.md5 == row.file.md5
        return same_bytes and found.fields == row.file.fields

    def _had_a_turn(self, found: Found) -> bool:
        """Whether an archived version that nobody knew was once the current one, as far as can be told."""
        if found.published is None:
            return False
        return not self._known or not self._days.is_closed(found.published.date())

    def _play(self, turns: list[Found], found: Sequence[Found], events: Sequence[Event]) -> None:
        """Publications and events by day; of one day the publications come first."""
        of = self._days.of
        happened = [event for event in events if self._days.is_open(event.day)]
        if self._current is None and any(event.move is Move.RETURNED for event in happened):
            back = next((v for v in found if v.status is FileStatus.CURRENT and v.version in self._known), None)
            if back is not None:
                # It comes back on the day of the event; its file's date may be of long ago.
                self._newest = self._handles[back.version]
                turns = [version for version in turns if version is not back]
        turns.sort(key=lambda v: (of(v.published), v.published or _LAST, v.status is FileStatus.CURRENT))
        steps = [(of(v.published), False, n) for n, v in enumerate(turns)]
        if happened:
            steps = sorted(steps + [(event.day, True, n) for n, event in enumerate(happened)])
        for day, is_event, n in steps:
            self._go_to(day)
            if is_event:
                self._happen(happened[n].move)
            else:
                self._publish(turns[n].version)

    def _publish(self, version: str) -> None:
        """Make room for a current file: the old one goes to the archive; another file of this version is replaced."""
        replaced = self._known.get(version)
        if replaced is not None and replaced.file.id in self._state:
            self._set(replaced.file.id, None)
        if self._current is not None:
            self._set(self._current, FileStatus.ARCHIVED)
        self._newest = self._handles[version]
        self._set(self._newest, FileStatus.CURRENT)

    def _happen(self, move: Move) -> None:
        if move is Move.ARCHIVED and self._current is not None:
            self._set(self._current, FileStatus.ARCHIVED)
        elif move is Move.RETURNED and self._current is None and self._newest is not None:
            self._set(self._newest, FileStatus.CURRENT)

    def _settle(self, found: Sequence[Found]) -> None:
        """The end: what upstream has now is current or archived as upstream says; what it lost is removed."""
        final = {self._handles[v.version]: v.status for v in found}
        has_current = FileStatus.CURRENT in final.values()
        latest = set(self._handles.values())
        for handle, status in self._state.items():
            if handle in final or handle not in latest:
                continue
            was_current = self._start.get(handle) is FileStatus.CURRENT
            if (has_current and was_current) or (status is FileStatus.ARCHIVED and not self._archive_is_known):
                final[handle] = FileStatus.ARCHIVED
                self.keeps_more = True
        if final != self._state:
            self._go_to(self._days.undated)
            for handle in [h for h in self._state if h not in final]:
                self._set(handle, None)
            for handle, status in final.items():
                if self._state.get(handle) is not status:
                    self._set(handle, status)

    def _go_to(self, day: date) -> None:
        """Go on to `day`; a package's story never runs backwards."""
        self._at = max(self._at, day)

    def _set(self, handle: Handle, status: FileStatus | None) -> None:
        """Show a file with a status from now on; None: it is gone."""
        if status is None:
            del self._state[handle]
        else:
            self._state[handle] = status
        if status is FileStatus.CURRENT:
            self._current = handle
        elif handle == self._current:
            self._current = None
        self._moves.append((self._at, handle, status))
