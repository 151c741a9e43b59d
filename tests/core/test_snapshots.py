"""`core.snapshots`: what latest, transaction ids and dates mean, whatever happens later."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import NeverSynced, SnapshotNotFound
from entrepot.core.model import FOREVER, Source, SourceType, Subscription, TransactionId
from entrepot.core.snapshots import (
    PRESENT,
    AsOfDay,
    AsOfTransaction,
    Cut,
    Latest,
    parse_snapshot,
    resolve,
    servable_days,
)

START = date(2024, 3, 1)
NOON = datetime.combine(START, time(12), UTC)


@dataclass
class World:
    """An installation in memory: a repository (id 1), a mirror (id 1), two sources of our own (2, 3) and an index that
    is read by the project (4)."""

    now: datetime = NOON
    times: dict[int, datetime] = field(default_factory=dict)
    transactions: list[tuple[int | None, date]] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    synced_from: datetime | None = None

    def newest(self) -> TransactionId:
        return TransactionId(len(self.transactions))

    def source(self, source_id: int) -> Source:
        is_mirror = source_id in (1, 4)
        type_ = {1: SourceType.CRAN, 4: SourceType.PYPI}.get(source_id, SourceType.LOCAL)
        synced = self.synced_from if source_id == 1 else None
        return Source(source_id, f"source{source_id}", type_, self.now, is_mirror, synced)

    def first_of(self, source_id: int) -> tuple[TransactionId, date] | None:
        return next(
            ((TransactionId(n), day) for n, (s, day) in enumerate(self.transactions, 1) if s == source_id), None
        )

    def last_upto(self, source_id: int, upto: TransactionId) -> TransactionId:
        return TransactionId(
            max((n for n, (s, _) in enumerate(self.transactions, 1) if s == source_id and n <= upto), default=0)
        )

    def last_by_day(self, source_id: int, day: date) -> TransactionId:
        return TransactionId(
            max((n for n, (s, d) in enumerate(self.transactions, 1) if s == source_id and d <= day), default=0)
        )

    def day_of(self, transaction: TransactionId) -> date:
        return self.transactions[transaction - 1][1]

    def time_of(self, transaction: TransactionId) -> datetime:
        return self.times[transaction]

    # what can happen

    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    def add(self, source_id: int) -> None:
        """A change to a source of our own, or a project that was read."""
        self.transactions.append((source_id, self.now.date()))
        self.times[self.newest()] = self.now

    def sync(self, days_ago: list[int]) -> None:
        """A sync that brings changes of these days, by the rule of dates."""
        first_open = self.synced_from.date() if self.synced_from else date.min
        days = sorted({max(first_open, self.now.date() - timedelta(n)) for n in days_ago})
        for day in days:
            self.transactions.append((1, day))
            self.times[self.newest()] = self.now
        self.synced_from = self.now

    def subscribe(self, source_ids: list[int]) -> None:
        self.transactions.append((None, self.now.date()))
        at = self.newest()
        self.times[at] = self.now
        ended = [replace(s, until=at) if s.until == FOREVER else s for s in self.subscriptions]
        fresh = [Subscription(1, id_, n, at, FOREVER) for n, id_ in enumerate(source_ids)]
        self.subscriptions = [*ended, *fresh]

    def resolve(self, text: str) -> tuple[Cut, ...]:
        return resolve(parse_snapshot(text), self.subscriptions, self, today=self.now.date())

    def answers(self) -> dict[str, tuple[Cut, ...]]:
        """Every fixed snapshot that can be used now."""
        days = [START + timedelta(n) for n in range(-30, 30)]
        found = {}
        for text in [*map(str, range(1, self.newest() + 1)), *(day.isoformat() for day in days)]:
            try:
                found[text] = self.resolve(text)
            except (SnapshotNotFound, NeverSynced):
                continue
        return found


EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("add"), st.sampled_from([2, 3, 4])),
    st.tuples(st.just("sync"), st.lists(st.integers(0, 25), max_size=4)),
    st.tuples(st.just("subscribe"), st.lists(st.sampled_from([1, 2, 3, 4]), unique=True, max_size=4)),
)


@given(st.lists(EVENTS, max_size=25))
def test_a_fixed_snapshot_never_changes(events: list[tuple[str, object]]) -> None:
    """Once a date or a transaction id could be answered, it has the same answer for ever."""
    world = World()
    seen: dict[str, tuple[Cut, ...]] = {}
    for name, argument in events:
        getattr(world, name)(argument)
        now = world.answers()
        for text, cuts in seen.items():
            assert now.get(text) == cuts, text
        seen = now


@given(st.lists(EVENTS, max_size=20))
def test_latest_is_the_newest_transaction_id(events: list[tuple[str, object]]) -> None:
    """`latest` shows what the newest transaction of the installation shows."""
    world = World()
    for name, argument in events:
        getattr(world, name)(argument)
    if world.transactions and world.subscriptions:
        latest = world.resolve("latest")
        try:
            fixed = world.resolve(str(world.newest()))
            assert [cut for cut in fixed if cut.source_id != 4] == [cut for cut in latest if cut.source_id != 4]
        except (SnapshotNotFound, NeverSynced):
            assert not any(cut.upto for cut in latest)


@given(st.lists(EVENTS, max_size=20))
def test_the_named_range_is_true(events: list[tuple[str, object]]) -> None:
    """No day outside of the range that a refusal names is answered, and its newest day is."""
    world = World()
    for name, argument in events:
        getattr(world, name)(argument)
    days = servable_days(world.subscriptions, world, today=world.now.date())
    answered = [date.fromisoformat(text) for text in world.answers() if "-" in text]
    if answered and days is not None:
        assert days[0] <= min(answered)
        assert days[1] in answered
        assert max(answered) <= days[1]


def test_a_mirror_with_history_answers_on_the_day_of_installation() -> None:
    """A repository made today over a mirror synced today can be used as of any closed day of the mirror's past."""
    world = World()
    world.subscribe([1])
    world.sync([20, 10, 5, 0])
    assert world.resolve("2024-02-20") == (Cut(1, TransactionId(3)),)
    assert world.resolve("2024-02-29") == (Cut(1, TransactionId(4)),)


def test_today_and_the_days_before_the_first_are_refused_with_the_range() -> None:
    """Days that are not over, ahead or before everything are refused, and the message names the range."""
    world = World()
    world.subscribe([1])
    world.sync([20, 0])
    for day in ("2024-03-01", "2024-03-02", "1999-01-01"):
        with pytest.raises(SnapshotNotFound, match="has the days 2024-02-10 to 2024-02-29"):
            world.resolve(day)


def test_an_index_read_by_the_project_is_cut_at_times() -> None:
    """Any day since 2000 can be used once it is over, and a transaction is the second in which it was recorded."""
    world = World()
    world.subscribe([2, 4])
    world.wait(1)
    world.add(2)
    noon = int(NOON.timestamp())
    assert world.resolve("2") == (Cut(2, TransactionId(2)), Cut(4, TransactionId(0), noon + 3600))
    assert world.resolve("latest") == (Cut(2, TransactionId(2)), Cut(4, PRESENT))
    end = int(datetime(2010, 5, 2, tzinfo=UTC).timestamp()) - 1
    assert world.resolve("2010-05-01") == (Cut(2, TransactionId(0)), Cut(4, TransactionId(0), end))
    for day in ("1999-12-31", "2024-03-01"):
        with pytest.raises(SnapshotNotFound, match="has the days 2000-01-01 to 2024-02-29"):
            world.resolve(day)


def test_a_day_is_closed_for_a_mirror_by_the_next_sync_alone() -> None:
    """That a day is over is not enough for a mirror: a sync has to have begun after its end."""
    world = World()
    world.subscribe([1])
    world.sync([3, 0])
    world.wait(40)
    with pytest.raises(SnapshotNotFound, match="a later sync has to confirm that day"):
        world.resolve("2024-03-01")
    world.sync([])
    assert world.resolve("2024-03-01") == (Cut(1, TransactionId(3)),)


def test_the_order_of_subscriptions_is_that_of_the_snapshot() -> None:
    """After a reorder the old transaction still has the old order."""
    world = World()
    world.add(2)
    world.add(3)
    world.subscribe([2, 3])
    world.subscribe([3, 2])
    assert [cut.source_id for cut in world.resolve("3")] == [2, 3]
    assert [cut.source_id for cut in world.resolve("latest")] == [3, 2]


def test_an_unsynced_mirror_makes_dates_wait() -> None:
    """With a mirror that was never synced no date can be used, and the message names the mirror."""
    world = World()
    world.subscribe([2, 1])
    world.add(2)
    world.wait(48)
    with pytest.raises(NeverSynced, match="source source1 was never synced"):
        world.resolve("2024-03-01")


@pytest.mark.parametrize("text", ["", "newest", "2024-02-30", "20240101x", "-1", "1.0", "２", "2024-1-1", "9" * 30])
def test_what_is_no_snapshot_is_said_so(text: str) -> None:
    """Anything but latest, digits or a real date is refused."""
    with pytest.raises(SnapshotNotFound, match="is not a snapshot"):
        parse_snapshot(text)


def test_unknown_transactions_are_refused_with_the_range() -> None:
    """An id that was never given is refused, and the message says which exist."""
    world = World()
    world.subscribe([2])
    for text in ("0", "2", "999999"):
        with pytest.raises(SnapshotNotFound, match="1 to 1"):
            world.resolve(text)


def test_parse() -> None:
    """The three forms of a snapshot."""
    assert parse_snapshot("latest") == Latest()
    assert parse_snapshot("17") == AsOfTransaction(TransactionId(17))
    assert parse_snapshot("2024-02-29") == AsOfDay(date(2024, 2, 29))
