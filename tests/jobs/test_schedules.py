"""When mirrors are synced by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from entrepot.app import App, open_app
from entrepot.core.errors import Cancelled, UpstreamUnavailable
from entrepot.db import sources as db_sources
from entrepot.db.jobs import Job
from entrepot.jobs.runner import Runner
from entrepot.operations import repositories, syncing, working
from entrepot.operations.setup import ensure_defaults
from entrepot.operations.working import End
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, eventually, sync

NIGHTLY = "0 4 * * *"


def scheduled(settings: Settings, cran: FakeCran, schedule: str = NIGHTLY) -> Settings:
    values = {"upstream": cran.url, "sync_schedule": schedule}
    return settings.model_copy(update={"cran": settings.cran.model_copy(update=values)})


@pytest.fixture
def nightly(settings: Settings, cran: FakeCran, clock: Clock) -> Iterator[App]:
    """An installation whose mirror is synced at four in the morning; the first sync is still to come."""
    cran.add("demo", "1.0", make_source_package("demo", "1.0"))
    cran.publish()
    app = open_app(scheduled(settings, cran), clock)
    ensure_defaults(app)
    yield app
    app.close()


def due(app: App) -> bool:
    return bool(syncing.due_syncs(app))


def next_sync(app: App) -> datetime | None:
    with app.db.read() as connection:
        cran = db_sources.get(connection, "cran")
        (state,) = db_sources.mirror_states(connection, [cran.id])
    return syncing.next_sync(app, cran, state)


def begun(app: App) -> Job:
    job = working.begin(app, syncing.request_sync(app, "cran").id, worker="w", silent=timedelta(0))
    assert job is not None
    return job


def test_a_mirror_is_synced_at_once_and_then_by_the_schedule(nightly: App, clock: Clock) -> None:
    """The first sync needs no night; the next ones are at four, one each night."""
    assert due(nightly)
    sync(nightly)
    assert not due(nightly)
    assert next_sync(nightly) == datetime(2024, 3, 2, 4, tzinfo=UTC)
    clock.wait(hours=15, minutes=59)
    assert not due(nightly)
    clock.wait(minutes=1)
    assert due(nightly)
    sync(nightly)
    assert next_sync(nightly) == datetime(2024, 3, 3, 4, tzinfo=UTC)


def test_a_missed_sync_is_caught_up_once(nightly: App, clock: Clock, cran: FakeCran, settings: Settings) -> None:
    """After days without a server the next one syncs at once, one time for all that was missed."""
    sync(nightly)
    clock.wait(days=3)
    again = open_app(scheduled(settings, cran), clock)
    try:
        runner = Runner(again, is_alone=True, schedules=True)
        runner.start()
        eventually(lambda: next_sync(again), lambda at: at == datetime(2024, 3, 5, 4, tzinfo=UTC))
        runner.stop()
        assert not due(again)
    finally:
        again.close()


def test_a_mirror_that_nobody_uses_is_left_alone(nightly: App, clock: Clock) -> None:
    """A schedule is active while a repository uses the source, or once it was synced by hand."""
    repositories.unsubscribe(nightly, "cran", "cran", actor="t")
    assert not due(nightly)
    clock.wait(days=2)
    assert not due(nightly)
    sync(nightly)
    assert not due(nightly)
    clock.wait(days=1)
    assert due(nightly)


def test_a_blank_schedule_is_by_hand_alone(settings: Settings, cran: FakeCran, clock: Clock) -> None:
    """Nothing is due, neither the first sync, nor a later one, nor another try after a failure."""
    app = open_app(scheduled(settings, cran, ""), clock)
    try:
        ensure_defaults(app)
        assert not due(app)
        cran.fail("*", "500")
        with pytest.raises(UpstreamUnavailable):
            sync(app)
        clock.wait(days=9)
        assert (due(app), next_sync(app)) == (False, None)
    finally:
        app.close()


def test_waits_after_failures_grow(nightly: App, clock: Clock, cran: FakeCran) -> None:
    """1, 5, 15 and then every 60 minutes; a success goes back to the schedule."""
    cran.fail("*", "500")
    for minutes in (1, 5, 15, 60, 60):
        with pytest.raises(UpstreamUnavailable):
            sync(nightly)
        assert next_sync(nightly) == clock.now + timedelta(minutes=minutes)
        assert not due(nightly)
        clock.wait(minutes=minutes)
        assert due(nightly)
    cran.heal()
    sync(nightly)
    assert next_sync(nightly) == datetime(2024, 3, 2, 4, tzinfo=UTC)


def test_a_sync_that_waits_or_runs_is_not_due_again(nightly: App) -> None:
    """There is one sync of a source at a time, however it was asked for."""
    job = begun(nightly)
    assert not due(nightly)
    assert syncing.request_sync(nightly, "cran", actor="admin").id == job.id


def test_a_cancelled_sync_is_not_begun_again_at_once(nightly: App, clock: Clock) -> None:
    """Whether it waited or ran, and also the first one: the mirror is left alone until its regular time."""
    job = syncing.request_sync(nightly, "cran")
    working.cancel_job(nightly, job.id, actor="admin")
    assert (due(nightly), next_sync(nightly)) == (False, datetime(2024, 3, 2, 4, tzinfo=UTC))
    clock.wait(days=1)
    assert due(nightly)
    working.end(nightly, begun(nightly), End("cancelled", "cancelled"), [], worker="w")
    assert (due(nightly), next_sync(nightly)) == (False, datetime(2024, 3, 3, 4, tzinfo=UTC))


def test_a_cancelled_sync_is_no_failure(nightly: App) -> None:
    """What the mirror remembers of its last syncs stays as it was, and nothing was written."""

    def report(step: str, done: int, total: int) -> None:
        if step == "writing":
            raise Cancelled("enough")

    with nightly.db.read() as connection:
        before, *_ = db_sources.mirror_states(connection)
    with pytest.raises(Cancelled):
        syncing.sync(nightly, before.source_id, force=False, report=report)
    with nightly.db.read() as connection:
        assert db_sources.mirror_states(connection)[0] == before
