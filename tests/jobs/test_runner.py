"""The runner with both engines: jobs side by side, tried again, cancelled, handed back, told about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from entrepot.app import App
from entrepot.core.errors import Cancelled, Conflict, Invalid, UpstreamUnavailable
from entrepot.db import jobs as db_jobs
from entrepot.db.jobs import Job
from entrepot.jobs import carrier
from entrepot.jobs import runner as runners
from entrepot.jobs.kinds import RUN, JobKind
from entrepot.jobs.runner import Runner
from entrepot.jobs.work import Work
from entrepot.operations import working
from tests.support.server import Clock, eventually

Run = Callable[[App, Job, Work], dict[str, Any]]
FINAL = ("done", "failed", "cancelled")


@pytest.fixture(autouse=True)
def _hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that a test needn't wait."""
    monkeypatch.setattr(carrier, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(runners, "LOOK_EVERY", 0.2)


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a function a kind of job: `kinds(demo=run, retry_after=(...))`."""

    def add(*, retry_after: tuple[timedelta, ...] = (), **runs: Run) -> None:
        for name, run in runs.items():
            monkeypatch.setitem(RUN, name, JobKind(run, retry_after))

    return add


@contextmanager
def runner(app: App) -> Iterator[Runner]:
    """A runner that takes up all there is."""
    started = Runner(app, is_alone=True, schedules=True)
    started.start()
    try:
        yield started
    finally:
        started.stop()


def ask(app: App, kind: str, source: int | None = None) -> int:
    with app.db.write(shows=False) as connection:
        job, _ = db_jobs.request(connection, kind=kind, source_id=source, payload={}, actor="t", now=app.clock())
        return job.id


def row(app: App, id_: int) -> Job:
    return working.get_job(app, id_).job


def over(app: App, id_: int) -> Job:
    return eventually(lambda: row(app, id_), lambda job: job.state in FINAL)


def log(app: App, id_: int) -> list[str]:
    return "".join(working.whole_log(app, id_)).splitlines()


def nothing(app: App, job: Job, work: Work) -> dict[str, Any]:
    return {}


def turn(app: App, job: Job, work: Work) -> dict[str, Any]:
    return until_told(work)


def until_told(work: Work) -> dict[str, Any]:
    """Report until the end was asked for."""
    for n in range(10_000):
        work.report("turning", n, 10_000)
        time.sleep(0.01)
    return {}


def test_a_job_from_its_beginning_to_its_end(app: App, kinds: Callable[..., None]) -> None:
    """Its result, its steps and what it logged are kept; progress is not, once it is over."""

    def run(app: App, job: Job, work: Work) -> dict[str, Any]:
        work.report("first", 0, 0)
        work.report("second", 1, 2)
        work.report("second", 2, 2)
        work.log("found\0something")
        return {"found": 1}

    kinds(demo=run)
    id_ = ask(app, "demo")
    with runner(app):
        job = over(app, id_)
    assert (job.state, job.result, job.error, job.step, job.attempts) == ("done", {"found": 1}, None, "", 1)
    assert (job.finished, job.worker is None) == (app.clock(), False)
    assert log(app, id_) == [f"begun by {job.worker}", "first", "second", "foundsomething", "done"]


def test_kinds_run_side_by_side_and_each_one_at_a_time(app: App, kinds: Callable[..., None]) -> None:
    """Jobs of two kinds wait for each other and meet; two of one kind and source never run together."""
    meeting = threading.Barrier(2, timeout=10)
    running: list[int] = []

    def meet(app: App, job: Job, work: Work) -> dict[str, Any]:
        meeting.wait()
        return {}

    def alone(app: App, job: Job, work: Work) -> dict[str, Any]:
        running.append(job.id)
        time.sleep(0.3)
        seen = list(running)
        running.remove(job.id)
        return {"seen": seen}

    kinds(one=meet, two=meet, alone=alone)
    with app.db.write(shows=False) as connection:
        twice = [db_jobs.add(connection, kind="alone", payload={}, source_id=1, now=app.clock()).id for _ in range(2)]
    met = [ask(app, "one", 1), ask(app, "two", 1)]
    with runner(app):
        assert [over(app, id_).state for id_ in met] == ["done", "done"]
        assert [over(app, id_).result for id_ in twice] == [{"seen": [id_]} for id_ in twice]


def test_a_failure_of_the_upstream_is_tried_again(app: App, kinds: Callable[..., None], clock: Clock) -> None:
    """By the waits of its kind; when all are used up the failure is final. Other errors are final at once."""
    tries: list[int] = []

    def fail(app: App, job: Job, work: Work) -> dict[str, Any]:
        tries.append(job.attempts)
        raise UpstreamUnavailable("it does not answer")

    def wrong(app: App, job: Job, work: Work) -> dict[str, Any]:
        raise Invalid("it is wrong")

    def broken(app: App, job: Job, work: Work) -> dict[str, Any]:
        raise ZeroDivisionError("secret")

    kinds(fail=fail, wrong=wrong, broken=broken, retry_after=(timedelta(minutes=1), timedelta(minutes=5)))
    id_ = ask(app, "fail")
    with runner(app):
        for attempt, minutes in ((1, 1), (2, 5)):
            due = clock.now + timedelta(minutes=minutes)
            job = eventually(lambda: row(app, id_), lambda job, due=due: job.due == due)
            assert job.state == "queued"
            assert (job.error or {})["code"] == "upstream-unavailable"
            time.sleep(0.5)
            assert tries == list(range(1, attempt + 1))
            clock.wait(minutes=minutes)
        job = over(app, id_)
        assert (job.state, job.attempts, tries) == ("failed", 3, [1, 2, 3])
        assert log(app, id_)[-1] == "failed: it does not answer"
        assert [(over(app, ask(app, kind)).error or {})["code"] for kind in ("wrong", "broken")] == [
            "invalid",
            "internal",
        ]
        assert "secret" not in str(row(app, ask(app, "broken")))


def test_cancel_while_it_runs(app: App, kinds: Callable[..., None]) -> None:
    """A cancel comes with the next report, whoever wrote it; then the job is over and another can be asked for."""
    kinds(demo=turn)
    with runner(app) as started:
        here, there = ask(app, "demo", 1), ask(app, "demo")
        for id_ in (here, there):
            eventually(lambda id_=id_: row(app, id_).step, bool)
        assert started.cancel(here, actor="eve").job.is_cancelled
        working.cancel_job(app, there, actor="bob")  # as on another node
        for id_ in (here, there):
            job = over(app, id_)
            assert (job.state, (job.error or {})["code"], job.step) == ("cancelled", "cancelled", "")
        with pytest.raises(Conflict):
            started.cancel(here, actor="eve")


def test_progress_and_cancel_within_a_write_transaction(app: App, kinds: Callable[..., None]) -> None:
    """A job that holds the write lock tells how far it is, and can be cancelled; what it wrote is rolled back."""

    def hold(app: App, job: Job, work: Work) -> dict[str, Any]:
        with app.db.write() as connection:
            db_jobs.add(connection, kind="left", payload={}, source_id=None, now=app.clock())
            work.log("holding")
            return until_told(work)

    kinds(hold=hold)
    id_ = ask(app, "hold")
    with runner(app) as started:
        step, _, total = eventually(lambda: started.progress(id_) or ("", 0, 0), lambda told: told[1] > 20)
        assert (step, total) == ("turning", 10_000)
        began = time.monotonic()
        started.cancel(id_, actor="eve")
        assert over(app, id_).state == "cancelled"
        assert time.monotonic() - began < 5
        assert started.progress(id_) is None
    assert {"holding", "turning"} <= set(log(app, id_))
    with app.db.read() as connection:
        assert db_jobs.active(connection, kind="left") == []


def test_a_runner_that_stops_hands_its_jobs_back(app: App, kinds: Callable[..., None]) -> None:
    """At an orderly end a job waits again, its attempt is not counted, and the next runner finishes it."""
    rounds: list[str | None] = []

    def run(app: App, job: Job, work: Work) -> dict[str, Any]:
        rounds.append(job.worker)
        return until_told(work) if len(rounds) == 1 else {"round": len(rounds)}

    kinds(demo=run)
    id_ = ask(app, "demo")
    with runner(app):
        eventually(lambda: row(app, id_).step, bool)
    job = row(app, id_)
    assert (job.state, job.attempts, job.error) == ("queued", 0, None)
    with runner(app):
        assert over(app, id_).result == {"round": 2}
    assert rounds[0] != rounds[1]
    assert "the worker ends; to be begun again" in log(app, id_)


def test_work_that_does_not_end_does_not_hold_the_process(app: App, kinds: Callable[..., None]) -> None:
    """A job that comes to no report is left behind after the wait, and its end doesn't count any more."""
    going_on = threading.Event()

    def run(app: App, job: Job, work: Work) -> dict[str, Any]:
        work.report("stuck", 0, 0)
        going_on.wait(20)
        raise Cancelled("too late")

    kinds(demo=run)
    id_ = ask(app, "demo")
    started = Runner(app, is_alone=True, schedules=True)
    started.start()
    eventually(lambda: row(app, id_).step, bool)
    began = time.monotonic()
    started.stop(wait=0.5)
    assert time.monotonic() - began < 15
    assert row(app, id_).state == "running"
    assert working.begin(app, id_, worker="next", silent=timedelta(0)) is not None
    going_on.set()
    time.sleep(0.3)
    assert row(app, id_).worker == "next"


def test_a_runner_for_one_command_does_that_alone(app: App, kinds: Callable[..., None]) -> None:
    """Without schedules a runner takes up what it was woken for, nothing else."""
    kinds(demo=nothing, other=nothing)
    other, wanted = ask(app, "other"), ask(app, "demo")
    started = Runner(app, is_alone=False, schedules=False)
    started.start()
    try:
        started.wake(wanted)
        assert over(app, wanted).state == "done"
        time.sleep(0.5)
        assert row(app, other).state == "queued"
    finally:
        started.stop()


def test_an_end_is_written_when_the_database_is_there_again(
    app: App, kinds: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose end could not be written is not done twice."""
    runs: list[int] = []
    monkeypatch.setattr(carrier, "END_PAUSES", (0.05, 0.05, 0.05))
    end, failures = working.end, iter([True, True])

    def flaky(*args: Any, **more: Any) -> bool:
        with suppress(StopIteration):
            if next(failures):
                raise OSError("the database is away")
        return end(*args, **more)

    monkeypatch.setattr(working, "end", flaky)

    def run(app: App, job: Job, work: Work) -> dict[str, Any]:
        runs.append(job.id)
        return {}

    kinds(demo=run)
    id_ = ask(app, "demo")
    with runner(app):
        assert over(app, id_).state == "done"
    assert runs == [id_]


def test_connections_that_break(app: App, kinds: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database hangs up on everybody, a job that runs goes on, and new ones are taken up soon after."""
    if app.db.is_sqlite:
        pytest.skip("an embedded database has no connections that break")
    from entrepot.jobs import postgres

    monkeypatch.setattr(postgres, "AGAIN_AFTER", 0.2)
    ready = threading.Event()
    runs: list[int] = []

    def wait(app: App, job: Job, work: Work) -> dict[str, Any]:
        runs.append(job.id)
        work.report("waiting", 0, 0)
        assert ready.wait(30)
        return {}

    kinds(wait=wait, quick=nothing)
    id_ = ask(app, "wait")
    with runner(app) as started:
        eventually(lambda: row(app, id_).step, bool)
        with app.db.engine.connect() as connection:
            mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            connection.execute(text(f"{mine} WHERE datname = current_database() AND pid <> pg_backend_pid()"))
        ready.set()
        assert over(app, id_).state == "done"
        started.wake(quick := ask(app, "quick"))
        assert eventually(lambda: row(app, quick), lambda job: job.state in FINAL, seconds=30).state == "done"
    assert runs == [id_]


def test_a_log_that_nobody_keeps_is_cut(clock: Clock) -> None:
    """A job can't fill the memory with lines while the database is away; what is lost is told."""
    work = Work(clock)
    for n in range(30_000):
        work.log("x" * 10_000 if n == 0 else "y")
    kept = work.lines()
    assert (len(kept), len(kept[0][1]), kept[-1][1]) == (20_000, 4_000, "y")
    work.kept(len(kept))
    work.log("at last")
    assert [text for _, text in work.lines()] == ["... 10000 lines are left out ...", "at last"]


def test_of_a_long_log_the_first_and_last_lines_are_kept(
    app: App, kinds: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job can't fill the database with its log, and what it says last is always there to be followed."""
    monkeypatch.setattr(working, "HEAD", 20)
    monkeypatch.setattr(working, "TAIL", 80)

    def talk(app: App, job: Job, work: Work) -> dict[str, Any]:
        for n in range(500):
            while len(work.lines()) > 90:  # as fast as it is kept
                time.sleep(0.01)
            work.log(f"line {n}")
        return {}

    kinds(talk=talk)
    with runner(app) as started:
        started.wake(id_ := ask(app, "talk"))
        assert over(app, id_).state == "done"
    said = log(app, id_)
    assert said[1:21] == [*(f"line {n}" for n in range(19)), "... lines are left out ..."]
    assert said[21:] == [*(f"line {n}" for n in range(421, 500)), "done"]
    with app.db.read() as connection:
        last, total = db_jobs.last_lines(connection, id_, limit=2)
    assert ([line.text for line in last], total) == (["line 499", "done"], 101)
