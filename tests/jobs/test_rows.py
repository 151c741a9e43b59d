"""Jobs as rows: who may change them, when, and what is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.errors import Conflict, JobNotFound
from entrepot.db import jobs as db_jobs
from entrepot.db.jobs import Job
from entrepot.operations import working
from entrepot.operations.browsing import Page
from entrepot.operations.working import Beat, End
from tests.support.server import Clock

NOW = timedelta(0)


def ask(app: App, kind: str = "demo", source: int | None = 1, **payload: Any) -> Job:
    with app.db.write(shows=False) as connection:
        job, _ = db_jobs.request(
            connection, kind=kind, source_id=source, payload=payload, actor="admin", now=app.clock()
        )
        return job


def begun(app: App, job: Job, worker: str = "a", silent: timedelta = NOW) -> Job:
    found = working.begin(app, job.id, worker=worker, silent=silent)
    assert found is not None
    return found


def state(app: App, job: Job) -> str:
    return working.get_job(app, job.id).job.state


def log(app: App, job: Job) -> list[str]:
    return [line.text for line in working.read_log(app, job.id, after=0, limit=100)[0]]


def test_one_job_for_each_kind_and_source(app: App) -> None:
    """What waits or runs for a kind and source is the job that is asked for again; once it is over there is another."""
    first = ask(app, number=1)
    assert ask(app, number=2) == first
    others = {ask(app, "other").id, ask(app, source=None).id}
    assert first.id not in others
    working.end(app, begun(app, first), End("done", "done"), [], worker="a")
    assert ask(app).id not in {first.id, *others}


def test_a_job_that_is_being_cancelled_is_not_the_one_that_was_asked_for(app: App) -> None:
    """While a running job follows a cancel, a new request is a new job, not one that will be gone."""
    first = ask(app)
    begun(app, first)
    working.cancel_job(app, first.id, actor="admin")
    assert ask(app).id != first.id


def test_a_job_is_begun_once(app: App, clock: Clock) -> None:
    """A job that runs is another worker's only if its heart was silent, and each beginning is counted and logged."""
    job = ask(app)
    assert begun(app, job).attempts == 1
    assert working.begin(app, job.id, worker="b", silent=timedelta(seconds=30)) is None
    clock.wait(seconds=29)
    assert working.begin(app, job.id, worker="b", silent=timedelta(seconds=30)) is None
    clock.wait(seconds=1)
    taken = begun(app, job, "b", timedelta(seconds=30))
    assert (taken.worker, taken.attempts) == ("b", 2)
    assert log(app, job) == ["begun by a", "taken over from a by b, attempt 2"]


def test_who_was_thought_dead_changes_nothing(app: App) -> None:
    """The worker that lost its job learns that, and neither its progress nor its end is written."""
    job = ask(app)
    first = begun(app, job)
    second = begun(app, job, "b")
    assert working.told(app, [first], worker="a") == {job.id: "lost"}
    assert working.told(app, [second], worker="b") == {}
    working.beat(app, [Beat(first, "stale", 1, 2, [(app.clock(), "stale")])], worker="a")
    assert not working.end(app, first, End("failed", "failed"), [], worker="a")
    assert working.get_job(app, job.id).job == second
    assert "stale" not in log(app, job)
    # Nor does the same worker's earlier attempt.
    third = begun(app, job, "b")
    assert working.told(app, [second], worker="b") == {job.id: "lost"}
    assert working.end(app, third, End("done", "done"), [], worker="b")


def test_a_beat_keeps_progress_and_log(app: App, clock: Clock) -> None:
    """What a worker says about its job is in the row, with the time."""
    job = begun(app, ask(app))
    clock.wait(seconds=7)
    working.beat(app, [Beat(job, "reading", 3, 9, [(clock.now, "reading")])], worker="a")
    row = working.get_job(app, job.id).job
    assert (row.step, row.done, row.total, row.heartbeat) == ("reading", 3, 9, clock.now)
    (_, line), number = working.read_log(app, job.id, after=0, limit=10)
    assert (line.text, line.time, number) == ("reading", clock.now, 2)
    assert working.read_log(app, job.id, after=line.id, limit=10) == ([], 0)


def test_cancelling_what_waits(app: App) -> None:
    """A job that waits is over at once; what is over can't be cancelled, a job that isn't there neither."""
    job = ask(app)
    info = working.cancel_job(app, job.id, actor="eve")
    assert (info.job.state, (info.job.error or {})["code"], info.source) == ("cancelled", "cancelled", "cran")
    assert log(app, job) == ["cancelled by eve"]
    assert working.begin(app, job.id, worker="a", silent=NOW) is None
    done = ask(app)
    working.end(app, begun(app, done), End("done", "done"), [], worker="a")
    with pytest.raises(Conflict, match="is over: done"):
        working.cancel_job(app, done.id, actor="eve")
    with pytest.raises(JobNotFound):
        working.cancel_job(app, 999, actor="eve")


def test_cancelling_what_runs(app: App) -> None:
    """A running job is asked for its end, once; its worker is told; if that is gone, nobody begins it again."""
    job = begun(app, ask(app))
    for _ in range(2):
        assert working.cancel_job(app, job.id, actor="eve").job.state == "running"
    assert working.told(app, [job], worker="a") == {job.id: "cancelled"}
    assert working.begin(app, job.id, worker="b", silent=NOW) is None
    assert state(app, job) == "cancelled"
    assert log(app, job)[1:] == ["eve asked for its end"]


def test_what_may_be_taken_up(app: App, clock: Clock) -> None:
    """A job that waits for another try is not there until it is due."""
    job = ask(app)
    ask(app, "other")
    later = clock.now + timedelta(minutes=5)
    working.end(app, begun(app, job), End("queued", "tried again", due=later), [], worker="a")
    assert [found.kind for found in working.waiting(app)] == ["other"]
    assert working.begin(app, job.id, worker="a", silent=NOW) is None
    clock.wait(minutes=5)
    assert [found.kind for found in working.waiting(app)] == ["demo", "other"]
    assert begun(app, job).due is None


def test_old_jobs_go(app: App, clock: Clock) -> None:
    """Jobs that were finished more than 90 days ago go with their logs; the newest of each kind and source stays."""
    ended: list[Job] = []
    for kind in ("demo", "demo", "demo", "other"):
        job = begun(app, ask(app, kind))
        working.end(app, job, End("done", "done"), [], worker="a")
        ended.append(job)
        clock.wait(days=1)
    waits = ask(app, "third")
    clock.wait(days=86)
    assert working.prune(app) == 0
    clock.wait(days=30)
    assert working.prune(app) == 2
    rows, total = working.list_jobs(app, state=None, kind=None, source=None, ascending=True, page=Page())
    assert [row.job.id for row in rows] == [ended[2].id, ended[3].id, waits.id]
    assert total == 3
    with app.db.read() as connection:
        assert db_jobs.lines(connection, ended[0].id, after=0, limit=10) == ([], 0)


def test_jobs_are_listed_by_what_they_are(app: App) -> None:
    """Newest first; by state, kind and source."""
    jobs = [ask(app), ask(app, "other"), ask(app, "other", None)]
    begun(app, jobs[0])

    def ids(**wanted: str) -> list[int]:
        filters: dict[str, Any] = {"state": None, "kind": None, "source": None, **wanted}
        return [row.job.id for row in working.list_jobs(app, **filters, ascending=False, page=Page())[0]]

    assert ids() == [jobs[2].id, jobs[1].id, jobs[0].id]
    assert ids(state="running") == [jobs[0].id]
    assert ids(kind="other", source="cran") == [jobs[1].id]
