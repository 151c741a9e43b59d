"""`latest`, a transaction id or a UTC day -> a cut for each subscribed source.

A *cut* is a source as it stood after one of its transactions. A day is *closed* for a mirror once a sync that
succeeded began after its end, for sources of our own once it is over; only closed days are served.

For points in time before a repository had its first subscriptions, the first subscriptions in force with which the
point could be answered apply: a new repository over a mirror with history can be used as of any day of that history,
and because only transactions recorded while those subscriptions were in force are looked at, a later subscription
never changes such an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Protocol

from entrepot.core.errors import EntrepotError, NeverSynced, SnapshotNotFound
from entrepot.core.model import FOREVER, Source, Subscription, TransactionId
from entrepot.core.subscribed import (
    EARLIEST,
    ONE_DAY,
    Known,
    closed_on,
    closed_through,
    first_day,
    in_force_after,
    in_force_at,
    in_force_on,
    last_start,
    starts_of,
)

__all__ = [
    "EARLIEST",
    "NOTHING",
    "ONE_DAY",
    "PRESENT",
    "AsOfDay",
    "AsOfTransaction",
    "Cut",
    "History",
    "Latest",
    "Snapshot",
    "closed_through",
    "cut_of",
    "end_of",
    "parse_snapshot",
    "resolve",
    "servable_days",
    "time_of",
]

NOTHING = TransactionId(0)
"""The cut of a source before its first transaction."""
PRESENT = TransactionId(FOREVER - 1)
"""The cut of the latest state of a source that is read by the project: whatever was read until now."""


@dataclass(frozen=True, slots=True)
class Latest:
    def __str__(self) -> str:
        return "latest"


@dataclass(frozen=True, slots=True)
class AsOfTransaction:
    id: TransactionId

    def __str__(self) -> str:
        return str(self.id)


@dataclass(frozen=True, slots=True)
class AsOfDay:
    day: date

    def __str__(self) -> str:
        return self.day.isoformat()


Snapshot = Latest | AsOfTransaction | AsOfDay


@dataclass(frozen=True, slots=True)
class Cut:
    """A source after its transaction `upto`: the rows with since <= upto < until are visible.

    Of a source that is read by the project, a past snapshot is what was there at the time `at` (seconds since 1970):
    the rows with begins <= at < ends, whenever they were read. `upto` says then what else was known.

    `base_id` is the source whose files a curated one shows. A source that shows a mirror as it stood has no rows of its
    own: `pin` is that cut of the mirror, None before the first. `shows_archive`: whether archived rows are visible.
    """

    source_id: int
    upto: TransactionId
    at: int | None = None
    base_id: int | None = None
    pin: Cut | None = None
    shows_archive: bool = True

    @property
    def rows(self) -> Cut:
        """The cut whose rows are visible."""
        return self if self.pin is None else self.pin

    @property
    def files_of(self) -> int:
        """The source whose files are visible."""
        return self.rows.source_id if self.base_id is None else self.base_id

    @property
    def is_empty(self) -> bool:
        """Whether the source has nothing by then."""
        return not self.upto and (self.at is None or self.at < 0)


class History(Known, Protocol):
    """The transactions of the installation, as far as resolving a snapshot needs them."""

    def last_upto(self, source_id: int, upto: TransactionId) -> TransactionId:
        """The last transaction of a source with an id not above `upto`; 0 if there is none."""

    def last_by_day(self, source_id: int, day: date) -> TransactionId:
        """The last transaction of a source with a day not after `day`; 0 if there is none."""

    def pin_of(self, source_id: int, upto: TransactionId) -> Cut | None:
        """The cut of a mirror that a pinned source shows after `upto`; None before it showed any."""

    def time_of(self, transaction: TransactionId) -> datetime: ...


def parse_snapshot(text: str) -> Snapshot:
    """`latest`, digits or `YYYY-MM-DD` as a snapshot.

    Raises:
        SnapshotNotFound: anything else.
    """
    if text == "latest":
        return Latest()
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return AsOfTransaction(TransactionId(int(text)))
    try:
        if len(text) == 10 and text.isascii():
            return AsOfDay(date.fromisoformat(text))
    except ValueError:
        pass
    raise SnapshotNotFound(
        f"{text!r} is not a snapshot", hint="use 'latest', a date YYYY-MM-DD or a transaction id", snapshot=text[:100]
    )


def resolve(
    snapshot: Snapshot,
    subscriptions: Sequence[Subscription],
    history: History,
    *,
    today: date,
    reaches_back: bool = True,
) -> tuple[Cut, ...]:
    """The cuts of a repository's sources at `snapshot`, in the order of subscriptions of that snapshot.

    Args:
        subscriptions: all that the repository ever had.
        today: the UTC day now.
        reaches_back: whether points before the first subscriptions can be answered; not where an earlier repository
            had the same name, whose answers they were.

    Raises:
        SnapshotNotFound: the transaction or the day is outside of what can be served; the message names the range.
    """
    match snapshot:
        case Latest():
            return _cuts_upto(in_force_after(subscriptions, last_start(subscriptions)), history.newest(), history)
        case AsOfTransaction(id=wanted):
            _check_reach(reaches_back, snapshot, lambda start: wanted < start, subscriptions)
            return _resolve_transaction(wanted, subscriptions, history)
        case AsOfDay(day=day):
            _check_reach(reaches_back, snapshot, lambda start: day < history.day_of(start), subscriptions)
            return _resolve_day(day, subscriptions, history, today)


def _check_reach(
    reaches_back: bool,
    snapshot: Snapshot,
    is_before: Callable[[TransactionId], bool],
    subscriptions: Sequence[Subscription],
) -> None:
    starts = starts_of(subscriptions)
    if not reaches_back and (not starts or is_before(starts[0])):
        raise SnapshotNotFound(
            f"{snapshot} is before this repository's first subscription, and another repository had its name then",
            hint="use a later snapshot or 'latest'",
        )


def servable_days(subscriptions: Sequence[Subscription], history: History, *, today: date) -> tuple[date, date] | None:
    """The first and the newest day that a repository can be used as of, both inclusive; None if there is none."""
    newest = _newest_day(subscriptions, history, today)
    firsts = [first for sub in subscriptions if (first := first_day(history, sub.source_id)) is not None]
    return (min(firsts), newest) if newest is not None and firsts and min(firsts) <= newest else None


def _newest_day(subscriptions: Sequence[Subscription], history: History, today: date) -> date | None:
    """The newest closed day: of the subscriptions now in force, else of those before, back to before the first."""
    until = today
    for at in reversed(starts_of(subscriptions)):
        day = history.day_of(at)
        newest = _closed_before(until, in_force_after(subscriptions, at), history, today)
        if newest is not None and newest >= day:
            return newest
        until = min(until, day)
    early = in_force_on(until - ONE_DAY, subscriptions, history)
    return _closed_before(until, early, history, today) if early else None


def _closed_before(until: date, in_force: Sequence[Subscription], history: History, today: date) -> date | None:
    """The newest day before `until` that is closed for all of these, if some of them has anything by then."""
    newest = until - ONE_DAY
    for subscription in in_force:
        closed = closed_through(history.source(subscription.source_id), today=today)
        if closed is None:
            return None
        newest = min(newest, closed)
    firsts = (first_day(history, s.source_id) for s in in_force)
    return newest if any(first is not None and first <= newest for first in firsts) else None


def _resolve_transaction(
    wanted: TransactionId, subscriptions: Sequence[Subscription], history: History
) -> tuple[Cut, ...]:
    newest = history.newest()
    if not 0 < wanted <= newest:
        raise SnapshotNotFound(
            f"transaction {wanted} does not exist; this installation has 1 to {newest}"
            if newest
            else f"transaction {wanted} does not exist; nothing has been recorded yet",
            transaction=wanted,
        )
    in_force = in_force_at(wanted, subscriptions, history)
    if in_force is None:
        starts = starts_of(subscriptions)
        raise SnapshotNotFound(
            f"transaction {wanted} is older than this repository",
            hint=f"its first transaction is {starts[0]}" if starts else "it has no subscriptions yet",
            transaction=wanted,
        )
    return _cuts_upto(in_force, wanted, history, at=wanted)


def _resolve_day(day: date, subscriptions: Sequence[Subscription], history: History, today: date) -> tuple[Cut, ...]:
    in_force = closed_on(day, subscriptions, history, today=today)
    if in_force is None:
        raise _outside(day, subscriptions, history, today)
    end = end_of(day)
    sources = [history.source(s.source_id) for s in in_force]
    cuts = tuple(cut_of(source, history.last_by_day(source.id, day), end, history) for source in sources)
    if all(cut.is_empty for cut in cuts):
        raise _outside(day, subscriptions, history, today)
    return cuts


def _outside(day: date, subscriptions: Sequence[Subscription], history: History, today: date) -> EntrepotError:
    days = servable_days(subscriptions, history, today=today)
    if days is None:
        unsynced = [
            source.name
            for s in in_force_after(subscriptions, last_start(subscriptions))
            if (source := history.source(s.source_id)).is_mirror
            and not source.is_read_by_project
            and source.synced_from is None
        ]
        if unsynced:
            return NeverSynced(
                f"{day} can't be served: source {', '.join(unsynced)} was never synced, so no date can be used yet",
                hint="`entrepot info` shows the state of its syncs",
            )
        why = "no day with packages is over"
        return SnapshotNotFound(f"{day} can't be served: {why}, so no date can be used yet", day=day.isoformat())
    first, newest = days
    if day > newest and day < today:
        why = "a later sync has to confirm that day"
    elif day > newest:
        why = "that day is not over"
    else:
        why = "nothing was there yet"
    return SnapshotNotFound(
        f"{day} can't be served ({why}): this repository has the days {first} to {newest}",
        hint=f"use a date from {first} to {newest}, a transaction id or 'latest'",
        day=day.isoformat(),
        first=first.isoformat(),
        newest=newest.isoformat(),
    )


def _cuts_upto(
    in_force: Sequence[Subscription], upto: TransactionId, history: History, *, at: TransactionId | None = None
) -> tuple[Cut, ...]:
    """The cuts after `upto`; `at` is the same transaction where that is a past one."""
    sources = [history.source(s.source_id) for s in in_force]
    time = time_of(history, at) if at is not None and any(s.is_read_by_project for s in sources) else None
    return tuple(cut_of(source, history.last_upto(source.id, upto), time, history) for source in sources)


def cut_of(source: Source, upto: TransactionId, at: int | None, history: History) -> Cut:
    """The cut of a source after `upto`; at the time `at` if its past is told by times, which is None for `latest`."""
    if source.is_pinned:
        pin = history.pin_of(source.id, upto)
        return Cut(source.id, upto, pin=pin, shows_archive=source.shows_archive)
    if not source.is_read_by_project:
        return Cut(source.id, upto, base_id=source.base_id)
    return Cut(source.id, upto, at) if at is not None else Cut(source.id, PRESENT)


def time_of(history: History, transaction: TransactionId) -> int:
    """The second in which a transaction was recorded, as `Cut.at`."""
    return _second(history.time_of(transaction))


def end_of(day: date) -> int:
    """The last second of a day, as `Cut.at`; -1 before the first day on which a source has something."""
    return -1 if day < EARLIEST else _second(datetime.combine(day + ONE_DAY, time(), UTC)) - 1


def _second(when: datetime) -> int:
    return int(when.timestamp())
