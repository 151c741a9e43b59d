"""One package through the time of a repository: where what the repository gives of it became something else.

A repository answers transactions and days (`core.snapshots`), and the two need not tell the same story: a day cuts each
source by the day that its changes belong to, a transaction cuts all of them by the order of recording. So both are
followed, each from one point to the next, and a change that both tell is told once, as of the day.

Where a source is read by the project, its past is told by times (`core.pages`); transactions and days then follow each
other in one order of time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import NamedTuple

from entrepot.core.model import FileStatus, TransactionId
from entrepot.core.snapshots import end_of
from entrepot.core.subscribed import ONE_DAY

Rows = frozenset[tuple[int, FileStatus]]
"""What a source has of a package: file id and status of each visible file."""
_NONE: Rows = frozenset()
Look = Callable[[int], Rows]
"""Source id -> what it has of the package at some point."""
SubscribedAt = Callable[[TransactionId], Sequence[int] | None]
"""The sources that a transaction is answered by, in order; None where it is refused."""
SubscribedOn = Callable[[date], Sequence[int] | None]


class Interval(NamedTuple):
    """When one file was visible with one status: at `since` and before `until` (None: for good). These are
    transactions, of a source that is read by the project seconds since 1970."""

    since: int
    until: int | None
    file_id: int
    status: FileStatus


class Step(NamedTuple):
    """From `at` on a source has these rows; `at` as in `Interval`."""

    at: int
    day: date
    rows: Rows


_step_at = attrgetter("at")
_step_day = attrgetter("day")


@dataclass(frozen=True, slots=True)
class Past:
    """All that a source ever had of a package: ascending steps, each with other rows than the one before. Days of a
    source's transactions never run backwards, so that its steps ascend by both. `is_timed`: by seconds."""

    steps: Sequence[Step]
    is_timed: bool = False

    def upto(self, at: int) -> Rows:
        return self._before(bisect_right(self.steps, at, key=_step_at))

    def by(self, day: date) -> Rows:
        if self.is_timed:
            return self.upto(end_of(day))
        return self._before(bisect_right(self.steps, day, key=_step_day))

    def last(self, at: int) -> int | None:
        """Where the last step up to `at` is."""
        number = bisect_right(self.steps, at, key=_step_at)
        return self.steps[number - 1].at if number else None

    def _before(self, number: int) -> Rows:
        return self.steps[number - 1].rows if number else _NONE


def past_of(intervals: Iterable[Interval], days: Mapping[TransactionId, date] | None) -> Past:
    """The steps that follow from when each row was visible.

    Args:
        days: transaction -> its day; None: the intervals are in seconds.
    """
    begins: defaultdict[int, set[tuple[int, FileStatus]]] = defaultdict(set)
    ends: defaultdict[int, set[tuple[int, FileStatus]]] = defaultdict(set)
    for since, until, file_id, status in intervals:
        if until is None or since < until:
            begins[since].add((file_id, status))
            if until is not None:
                ends[until].add((file_id, status))
    rows: Rows = _NONE
    steps = []
    for at in sorted(begins.keys() | ends.keys()):
        now = (rows - ends.get(at, set())) | begins.get(at, set())
        if now != rows:
            day = days[TransactionId(at)] if days is not None else day_of_time(at)
            steps.append(Step(at, day, now))
            rows = now
    return Past(steps, is_timed=days is None)


def day_of_time(at: int) -> date:
    """The UTC day of a time in seconds since 1970."""
    return datetime.fromtimestamp(at, UTC).date()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a repository gives of a package at one point: the sources in force, in order, and the rows of each of them
    that has the package."""

    order: tuple[int, ...] = ()
    has: Mapping[int, Rows] = field(default_factory=dict)

    @classmethod
    def of(cls, order: Sequence[int], look: Look) -> Shown:
        return cls(tuple(order), {id_: rows for id_ in order if (rows := look(id_))})

    @property
    def winner(self) -> int | None:
        """The source whose files are given: the first that has any."""
        return next((id_ for id_ in self.order if id_ in self.has), None)

    @property
    def given(self) -> tuple[int | None, Rows]:
        """What makes the difference to a client."""
        winner = self.winner
        return winner, self.has.get(winner, _NONE) if winner is not None else _NONE


_NOWHERE = Shown()


class Move(NamedTuple):
    """What a source had before and after."""

    source_id: int
    before: Rows
    after: Rows


@dataclass(frozen=True, slots=True)
class Entry:
    """A point at which what is given of the package became something else.

    `transaction` is what did it, None where that is known by its time alone; `time` that time, in seconds since 1970.
    `before` and `shown` are just before and after it. `snapshot` is what to put into a URL to be given the same, and
    `served` all that is shown there: on a day later changes to sources that don't win count too. `moved` are the
    sources in force whose own rows changed.
    """

    transaction: TransactionId | None
    day: date
    snapshot: str
    before: Shown
    shown: Shown
    moved: tuple[Move, ...]
    served: Shown
    time: int | None = None

    @property
    def joined(self) -> list[int]:
        """The sources with the package that were subscribed, of a repository that was answered before."""
        return [id_ for id_ in self.shown.has if id_ not in self.before.order]

    @property
    def left(self) -> list[int]:
        """The sources with the package that were unsubscribed."""
        return [id_ for id_ in self.before.has if id_ not in self.shown.order]

    @property
    def is_reordered(self) -> bool:
        """Whether the sources that stay have another order."""
        stay = set(self.before.order) & set(self.shown.order)
        return [id_ for id_ in self.before.order if id_ in stay] != [id_ for id_ in self.shown.order if id_ in stay]


def by_transactions(
    pasts: Mapping[int, Past],
    days: Mapping[TransactionId, date],
    subscribed_at: SubscribedAt,
    subscribed_on: SubscribedOn,
) -> list[Entry]:
    """All entries, the newest day first, of a day the newest transaction.

    Args:
        pasts: of each source that was ever subscribed.
        days: the day of each transaction at which something may have changed: those of steps, of subscriptions, and
            the first ones of sources, which decide on what counts before there were subscriptions.
    """
    on_day: dict[date, Shown] = {}
    for day in sorted(set(days.values())):
        order = subscribed_on(day)
        if order is not None:
            on_day[day] = Shown.of(order, _on(pasts, day))
    entries = []
    before = _NOWHERE
    for at in sorted(days):
        shown = _shown_at(subscribed_at(at), pasts, at)
        if shown.given != before.given:
            day = days[at]
            moved = _moved(before, shown, _upto(pasts, at - 1), _upto(pasts, at))
            snapshot, served = _snapshot(at, day, shown, on_day)
            entries.append(Entry(at, day, snapshot, before, shown, moved, served))
        before = shown
    told = {entry.snapshot for entry in entries}
    entries += [entry for entry in _by_days(pasts, days, on_day) if entry.snapshot not in told]
    return sorted(entries, key=lambda entry: (entry.day, entry.transaction or 0, "-" in entry.snapshot), reverse=True)


def _snapshot(at: TransactionId, day: date, shown: Shown, on_day: Mapping[date, Shown]) -> tuple[str, Shown]:
    """What to put into a URL to be given what is given after a transaction: its day, where that gives the same."""
    same = day in on_day and on_day[day].given == shown.given
    return (day.isoformat(), on_day[day]) if same else (str(at), shown)


def _by_days(
    pasts: Mapping[int, Past], days: Mapping[TransactionId, date], on_day: Mapping[date, Shown]
) -> list[Entry]:
    """The days that can be served and give something else than the one before them."""
    of_day: defaultdict[date, list[TransactionId]] = defaultdict(list)
    for at, day in days.items():
        of_day[day].append(at)
    entries = []
    before = _NOWHERE
    for day, shown in on_day.items():
        if shown.given != before.given:
            moved = _moved(before, shown, _on(pasts, day - ONE_DAY), _on(pasts, day))
            touched = {step.at for move in moved for step in pasts[move.source_id].steps if step.day == day}
            transaction = max(of_day[day], key=lambda at: (at in touched, at))
            entries.append(Entry(transaction, day, day.isoformat(), before, shown, moved, shown))
        before = shown
    return entries


def by_times(
    pasts: Mapping[int, Past],
    transactions: Mapping[TransactionId, tuple[date, int]],
    subscribed_at: SubscribedAt,
    subscribed_on: SubscribedOn,
    *,
    readings: Collection[TransactionId],
    closed: int | None,
    present: Shown,
) -> list[Entry]:
    """As `by_transactions`, where a source is read by the project; the newest first.

    Args:
        transactions: day and time of each at which something may have changed.
        readings: those of them with which a project was only read: what they brought happened at its own time.
        closed: up to which second the project is told for good; None if it can't be told as of a past time at all.
        present: what the repository gives now.
    """
    timed = {id_ for id_, past in pasts.items() if past.is_timed}
    days = {day for day, _ in transactions.values()} | {step.day for id_ in timed for step in pasts[id_].steps}
    points: list[tuple[int, int, TransactionId | date]] = [(time, 0, at) for at, (_, time) in transactions.items()]
    points += [(end_of(day), 1, day) for day in days]
    on_day: dict[date, Shown] = {}
    for day in days:
        shown = _shown_on(subscribed_on(day), pasts, day)
        if shown is not None and (not _asks(shown, timed) or (closed is not None and end_of(day) <= closed)):
            on_day[day] = shown
    entries: list[Entry] = []
    before: Shown = _NOWHERE
    look_before: Look = _nothing
    for time, _, point in sorted(points, key=lambda each: each[:2]):
        if isinstance(point, date):
            found, look = on_day.get(point), _on(pasts, point)
        else:
            look = _upto(pasts, point, time)
            found = Shown.of(subscribed_at(point) or (), look)
            if closed is None and _asks(found, timed):
                found = None
        if found is None:
            continue
        if found.given != before.given:
            moved = _moved(before, found, look_before, look)
            entries.append(_timed_entry(point, time, transactions, readings, on_day, before, found, moved, pasts))
        before, look_before = found, look
    if present.given != before.given:
        moved = _moved(before, present, look_before, lambda id_: present.has.get(id_, _NONE))
        at = max((past.steps[-1].at for past in pasts.values() if past.is_timed and past.steps), default=closed or 0)
        entries.append(Entry(None, day_of_time(at), "latest", before, present, moved, present, at))
    return entries[::-1]


def _timed_entry(
    point: TransactionId | date,
    time: int,
    transactions: Mapping[TransactionId, tuple[date, int]],
    readings: Collection[TransactionId],
    on_day: Mapping[date, Shown],
    before: Shown,
    shown: Shown,
    moved: tuple[Move, ...],
    pasts: Mapping[int, Past],
) -> Entry:
    is_own = not isinstance(point, date) and point not in readings
    lasts = (pasts[move.source_id].last(time) for move in moved if pasts[move.source_id].is_timed)
    happened = max((at for at in lasts if at is not None), default=time)
    if isinstance(point, date):
        return Entry(None, point, point.isoformat(), before, shown, moved, shown, happened)
    day = transactions[point][0]
    snapshot, served = _snapshot(point, day, shown, on_day)
    if is_own:
        return Entry(point, day, snapshot, before, shown, moved, served, time)
    return Entry(None, day_of_time(happened), snapshot, before, shown, moved, served, happened)


def _asks(shown: Shown, timed: Collection[int]) -> bool:
    """Whether a source that is read by the project has to be asked, as none before it has the package."""
    winner = shown.winner
    asked = shown.order[: shown.order.index(winner) + 1] if winner is not None else shown.order
    return any(id_ in timed for id_ in asked)


def _shown_at(order: Sequence[int] | None, pasts: Mapping[int, Past], at: TransactionId) -> Shown:
    return Shown.of(order, _upto(pasts, at)) if order is not None else _NOWHERE


def _shown_on(order: Sequence[int] | None, pasts: Mapping[int, Past], day: date) -> Shown | None:
    return Shown.of(order, _on(pasts, day)) if order is not None else None


def _upto(pasts: Mapping[int, Past], at: int, time: int = 0) -> Look:
    """After a transaction, which was recorded at a time."""
    return lambda id_: pasts[id_].upto(time if pasts[id_].is_timed else at)


def _on(pasts: Mapping[int, Past], day: date) -> Look:
    return lambda id_: pasts[id_].by(day)


def _nothing(_: int) -> Rows:
    return _NONE


def _moved(before: Shown, shown: Shown, then: Look, now: Look) -> tuple[Move, ...]:
    in_force = [*shown.order, *(id_ for id_ in before.order if id_ not in shown.order)]
    moves = (Move(id_, then(id_), now(id_)) for id_ in in_force)
    return tuple(move for move in moves if move.before != move.after)
