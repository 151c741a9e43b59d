"""Which subscriptions of a repository a point in time is answered by, and whether it is answered at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Protocol

from entrepot.core.model import FOREVER, Source, Subscription, TransactionId

ONE_DAY = timedelta(days=1)
EARLIEST = date(2000, 1, 1)
"""The first day of sources that are read by the project; no index of Python packages is older."""
_BEFORE_ALL = TransactionId(0)


class Known(Protocol):
    """The transactions of the installation, as far as it takes to tell which subscriptions count."""

    def newest(self) -> TransactionId:
        """The newest transaction of all; 0 if there is none."""

    def source(self, source_id: int) -> Source: ...

    def first_of(self, source_id: int) -> tuple[TransactionId, date] | None:
        """The first transaction of a source, with its day."""

    def day_of(self, transaction: TransactionId) -> date: ...


def subscribed_at(
    wanted: TransactionId, subscriptions: Sequence[Subscription], history: Known, *, reaches_back: bool = True
) -> tuple[Subscription, ...] | None:
    """The subscriptions that a transaction is answered by, in order; None where `resolve` refuses it."""
    starts = starts_of(subscriptions)
    if not reaches_back and (not starts or wanted < starts[0]):
        return None
    return in_force_at(wanted, subscriptions, history) if 0 < wanted <= history.newest() else None


def subscribed_on(
    day: date, subscriptions: Sequence[Subscription], history: Known, *, today: date, reaches_back: bool = True
) -> tuple[Subscription, ...] | None:
    """The subscriptions that a day is answered by, in order; None where `resolve` refuses it."""
    starts = starts_of(subscriptions)
    if not reaches_back and (not starts or day < history.day_of(starts[0])):
        return None
    in_force = closed_on(day, subscriptions, history, today=today)
    firsts = (first_day(history, subscription.source_id) for subscription in in_force or ())
    return in_force if any(first is not None and first <= day for first in firsts) else None


def closed_on(
    day: date, subscriptions: Sequence[Subscription], history: Known, *, today: date
) -> tuple[Subscription, ...] | None:
    """The subscriptions in force on a day, if it is over and closed for all of their sources."""
    in_force = in_force_on(day, subscriptions, history) if day < today else None
    for subscription in in_force or ():
        closed = closed_through(history.source(subscription.source_id), today=today)
        if closed is None or day > closed:
            return None
    return in_force


def closed_through(source: Source, *, today: date) -> date | None:
    """The newest closed day of a source; None for a mirror that was never synced."""
    yesterday = today - ONE_DAY
    if not source.is_mirror or source.is_read_by_project:
        # What is read by the project is closed project by project (`core.pages`).
        return yesterday
    return min(yesterday, source.synced_from.date() - ONE_DAY) if source.synced_from else None


def first_day(history: Known, source_id: int) -> date | None:
    """The first day on which a source may have something."""
    if history.source(source_id).is_read_by_project:
        return EARLIEST
    first = history.first_of(source_id)
    return first[1] if first is not None else None


def in_force_at(
    wanted: TransactionId, subscriptions: Sequence[Subscription], history: Known
) -> tuple[Subscription, ...] | None:
    starts = starts_of(subscriptions)
    if starts and wanted >= starts[0]:
        return in_force_after(subscriptions, wanted)

    def answered(first: tuple[TransactionId, date], _: TransactionId) -> bool:
        return first[0] <= wanted

    return _first_answering(subscriptions, history, answered)


def in_force_on(day: date, subscriptions: Sequence[Subscription], history: Known) -> tuple[Subscription, ...] | None:
    by_then = [at for at in starts_of(subscriptions) if history.day_of(at) <= day]
    if by_then:
        return in_force_after(subscriptions, by_then[-1])

    def answered(first: tuple[TransactionId, date], until: TransactionId) -> bool:
        return first[1] <= day and first[0] < until

    return _first_answering(subscriptions, history, answered, any_time=True)


def _first_answering(
    subscriptions: Sequence[Subscription],
    history: Known,
    answered: Callable[[tuple[TransactionId, date], TransactionId], bool],
    *,
    any_time: bool = False,
) -> tuple[Subscription, ...] | None:
    """The first subscriptions of which some source answers, by its first transaction and the end of their force.

    `any_time`: a source that is read by the project answers whenever its first transaction was.
    """
    starts = starts_of(subscriptions)
    for at, until in pairwise([*starts, FOREVER]):
        in_force = in_force_after(subscriptions, at)
        if any_time and any(history.source(s.source_id).is_read_by_project for s in in_force):
            return in_force
        firsts = (history.first_of(s.source_id) for s in in_force)
        if any(first is not None and answered(first, until) for first in firsts):
            return in_force
    return None


def starts_of(subscriptions: Sequence[Subscription]) -> list[TransactionId]:
    """The transactions at which a repository's subscriptions changed, ascending."""
    ends = {s.until for s in subscriptions if s.until != FOREVER}
    return sorted({s.since for s in subscriptions} | ends)


def last_start(subscriptions: Sequence[Subscription]) -> TransactionId:
    starts = starts_of(subscriptions)
    return starts[-1] if starts else _BEFORE_ALL


def in_force_after(subscriptions: Sequence[Subscription], at: TransactionId) -> tuple[Subscription, ...]:
    """Those in force after transaction `at`, in their order."""
    return tuple(sorted((s for s in subscriptions if s.since <= at < s.until), key=lambda s: s.position))
