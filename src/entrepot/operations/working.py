"""Background jobs as rows: shown, cancelled, and led from one state to the next by those who carry them out.

    queued -> running -> done | failed | cancelled
      ^---------'  handed back by a worker that ends, or tried again later

Every change of a running job is bound to the worker and the attempt that has it: whoever was thought dead and is not
finds that the job is no longer its own, and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access, Scope
from entrepot.core.errors import Cancelled, Conflict, Forbidden, JobNotFound, Unauthenticated
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db.jobs import FINISHED, Job, Line
from entrepot.operations import syncing
from entrepot.operations.access import HOW_TO_ASK, Sight, admit_source, sight
from entrepot.operations.browsing import Page
from entrepot.settings import Settings

KEPT_FOR = timedelta(days=90)
"""How long finished jobs are kept; the newest of each kind and source stay for good."""

AFTER_CANCEL: dict[str, Callable[[App, Connection, int], None]] = {"sync": syncing.skip}
"""What follows for a source when a job of that kind was cancelled."""

AT_ONCE: dict[str, Callable[[Settings], int]] = {
    "build": lambda settings: settings.git.concurrent_builds,
    "binaries": lambda settings: settings.git.concurrent_builds,
}
"""How many jobs of a kind run at once in the whole installation; of other kinds as many as the engine takes."""

HEAD, TAIL = 2_000, 18_000
"""Lines of a job's log that are kept of its beginning and of its end: a run of a build target may go on for days."""
_PIECE = 1000

Stamped = tuple[datetime, str]
"""A line for a job's log with its time."""


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job and the name of its source, also of a deleted one."""

    job: Job
    source: str | None


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker says about a job that it carries out: how far it is, and what is new in the log."""

    job: Job
    step: str
    done: int
    total: int
    lines: Sequence[Stamped]


@dataclass(frozen=True, slots=True)
class End:
    """How a worker leaves a job: in a final state, or `queued` (again from `due` on; `attempts` as they count)."""

    state: str
    line: str
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    due: datetime | None = None
    attempts: int | None = None


# --- for people ----------------------------------------------------------------------------------------------------


def list_jobs(
    app: App,
    *,
    state: str | None,
    kind: str | None,
    source: str | None,
    ascending: bool,
    page: Page,
    access: Access = INSIDE,
) -> tuple[list[JobInfo], int]:
    """One page of the jobs that somebody sees, newest first unless `ascending`, and the number of all that match.

    Raises:
        SourceNotFound
        Unauthenticated, Forbidden: they don't see the source, if there is one.
    """
    with app.db.read() as connection:
        seen = sight(connection, access)
        if source is not None:
            admit_source(connection, seen, source)
        source_id = db_sources.get(connection, source).id if source is not None else None
        among = None if seen.sees_all else set(filter(seen.sees_source, db_jobs.source_ids(connection)))
        jobs, total = db_jobs.page(
            connection,
            state=state,
            kind=kind,
            source_id=source_id,
            among=among,
            ascending=ascending,
            limit=page.limit,
            offset=page.offset,
        )
        names = db_sources.names(connection, {job.source_id for job in jobs if job.source_id is not None})
    return [JobInfo(job, names.get(job.source_id or 0)) for job in jobs], total


def get_job(app: App, id_: int, *, access: Access = INSIDE) -> JobInfo:
    """Raises JobNotFound: there is none, or they don't see it."""
    with app.db.read() as connection:
        return _info(connection, _seen(connection, id_, sight(connection, access)))


def read_log(app: App, id_: int, *, after: int, limit: int, access: Access = INSIDE) -> tuple[list[Line], int]:
    """The first lines of a job's log after the line `after`, and how many there are after it in all.

    Raises:
        JobNotFound: there is none, or they don't see it.
    """
    with app.db.read() as connection:
        _seen(connection, id_, sight(connection, access))
        return db_jobs.lines(connection, id_, after=after, limit=limit)


def read_end_of_log(app: App, id_: int, *, limit: int, access: Access = INSIDE) -> tuple[list[Line], int]:
    """The last lines of a job's log, and how many there are in all. Raises JobNotFound, as `read_log`."""
    with app.db.read() as connection:
        _seen(connection, id_, sight(connection, access))
        return db_jobs.last_lines(connection, id_, limit=limit)


def whole_log(app: App, id_: int, *, access: Access = INSIDE) -> Iterator[str]:
    """The text of a job's log in pieces: it may be long. Raises JobNotFound, before the first piece."""
    lines, _ = read_log(app, id_, after=0, limit=_PIECE, access=access)

    def pieces(lines: Sequence[Line]) -> Iterator[str]:
        while lines:
            yield "".join(f"{line.text}\n" for line in lines)
            lines, _ = read_log(app, id_, after=lines[-1].id, limit=_PIECE)

    return pieces(lines)


def check_may_cancel(app: App, id_: int, access: Access) -> None:
    """Let somebody end a job: whoever may write to its source, an administrator any.

    Raises:
        Unauthenticated, Forbidden: they may not.
        JobNotFound: there is none, or they don't see it.
    """
    if access.is_admin:
        return
    if not access.is_known:
        raise Unauthenticated("to cancel a job a token is needed", hint=HOW_TO_ASK)
    with app.db.read() as connection:
        job = _seen(connection, id_, sight(connection, access))
        source = db_sources.by_id(connection, job.source_id) if job.source_id is not None else None
    if source is None or not access.may_write(source.owner_id or source.id):
        lacks = Scope.GLOBAL_ADMIN if source is None else Scope.SOURCES_WRITE
        raise Forbidden(
            f"this token may not cancel job {id_}", hint=f"it needs the scope {lacks.value}; `entrepot whoami` tells"
        )


def check_is_active(job: Job) -> None:
    """Raises Conflict for a job that is over."""
    if job.state in FINISHED:
        raise Conflict(f"job {job.id} is over: {job.state}", hint="only what waits or runs can be cancelled")


def cancel_job(app: App, id_: int, *, actor: str) -> JobInfo:
    """End a job that waits; ask for the end of one that runs, which comes at the next report of its progress.

    One that runs may have heard of it before this is written, and be over already: it is still said who asked.

    Raises:
        JobNotFound
        Conflict: it is done, or failed.
    """
    with app.db.write(shows=False) as connection:
        job = _get(connection, id_)
        if job.state != "cancelled":
            check_is_active(job)
        if not job.is_cancelled:
            db_jobs.change(connection, id_, is_cancelled=True)
            said = f"cancelled by {actor}" if job.state == "queued" else f"{actor} asked for its end"
            db_jobs.add_lines(connection, id_, [(app.clock(), said)])
        if job.state == "queued":
            _close_cancelled(app, connection, job, f"cancelled by {actor}")
        return _info(connection, _get(connection, id_))


# --- for workers ---------------------------------------------------------------------------------------------------


def waiting(app: App) -> list[Job]:
    """Jobs that a worker may take up, if nobody carries them out: those that run, and those that wait, are due and have
    a place among others of their kind, source and subject."""
    now = app.clock()
    with app.db.read() as connection:
        active = db_jobs.active(connection)
    may_run = [job for job in active if job.state == "running"]
    taken = Counter(job.kind for job in may_run)
    busy = {(job.kind, job.source_id, job.subject) for job in may_run}
    for job in active:
        key = (job.kind, job.source_id, job.subject)
        if job.state == "running" or (job.due is not None and job.due > now) or key in busy:
            continue
        if job.kind not in AT_ONCE or taken[job.kind] < AT_ONCE[job.kind](app.settings):
            may_run.append(job)
            taken[job.kind] += 1
            busy.add(key)
    return sorted(may_run, key=lambda job: job.id)


def begin(app: App, id_: int, *, worker: str, silent: timedelta) -> Job | None:
    """Mark a job as the worker's own; None if it isn't there to be taken.

    Args:
        silent: for how long the heart of one that runs must not have beaten, so that it may be taken over.
    """
    now = app.clock()
    with app.db.write(shows=False) as connection:
        job = db_jobs.find(connection, id_)
        if job is None or job.state in FINISHED or (job.due is not None and job.due > now):
            return None
        if job.state == "running" and job.heartbeat is not None and now - job.heartbeat < silent:
            return None
        if job.is_cancelled:
            _close_cancelled(app, connection, job, "cancelled; its worker was gone before it followed")
            return None
        if job.state == "queued" and not _has_place(app, connection, job):
            return None
        said = f"taken over from {job.worker}" if job.state == "running" else "begun"
        more = f", attempt {job.attempts + 1}" if job.attempts else ""
        db_jobs.add_lines(connection, id_, [(now, f"{said} by {worker}{more}")])
        values = {"worker": worker, "heartbeat": now, "attempts": job.attempts + 1, "due": None}
        db_jobs.change(connection, id_, state="running", started=job.started or now, **values)
        return db_jobs.find(connection, id_)


def _has_place(app: App, connection: Connection, job: Job) -> bool:
    """Whether fewer jobs of the kind run than may."""
    if job.kind not in AT_ONCE:
        return True
    running = [other for other in db_jobs.active(connection, kind=job.kind) if other.state == "running"]
    return len(running) < AT_ONCE[job.kind](app.settings)


def told(app: App, jobs: Sequence[Job], *, worker: str) -> dict[int, str]:
    """Of the worker's jobs those that shall end, with the reason: "cancelled" or "lost" to another worker."""
    reasons = {}
    with app.db.read() as connection:
        for job in jobs:
            found = db_jobs.find(connection, job.id)
            if found is None or (found.state, found.worker, found.attempts) != ("running", worker, job.attempts):
                reasons[job.id] = "lost"
            elif found.is_cancelled:
                reasons[job.id] = "cancelled"
    return reasons


def beat(app: App, beats: Sequence[Beat], *, worker: str) -> None:
    """Keep what the worker says about its jobs."""
    now = app.clock()
    with app.db.write(shows=False) as connection:
        for one in beats:
            values = {"step": one.step, "done": one.done, "total": one.total, "heartbeat": now}
            if db_jobs.change_ours(connection, one.job.id, worker=worker, attempt=one.job.attempts, **values):
                _add_lines(connection, one.job.id, one.lines)


def end(app: App, job: Job, how: End, lines: Sequence[Stamped], *, worker: str) -> bool:
    """Leave a job with the last of its log; whether it still was the worker's."""
    now = app.clock()
    values: dict[str, Any] = {"state": how.state, "step": "", "done": 0, "total": 0, "due": how.due}
    values |= {"result": how.result, "error": how.error}
    if how.state in FINISHED:
        values["finished"] = now
    if how.attempts is not None:
        values["attempts"] = how.attempts
    with app.db.write(shows=False) as connection:
        if not db_jobs.change_ours(connection, job.id, worker=worker, attempt=job.attempts, **values):
            return False
        _add_lines(connection, job.id, [*lines, (now, how.line)])
        if how.state == "cancelled":
            _after_cancel(app, connection, job)
    return True


def _add_lines(connection: Connection, id_: int, lines: Sequence[Stamped]) -> None:
    """Append to a job's log; of one that is long, the oldest lines but the very first ones go."""
    db_jobs.add_lines(connection, id_, lines)
    if lines:
        db_jobs.trim_lines(connection, id_, head=HEAD, tail=TAIL)


def prune(app: App) -> int:
    """Delete jobs that were finished long ago, with their logs; how many."""
    with app.db.write(shows=False) as connection:
        return db_jobs.prune(connection, before=app.clock() - KEPT_FOR)


def _close_cancelled(app: App, connection: Connection, job: Job, reason: str) -> None:
    error = Cancelled(reason).as_json()
    db_jobs.change(connection, job.id, state="cancelled", error=error, finished=app.clock(), step="", done=0, total=0)
    _after_cancel(app, connection, job)


def _after_cancel(app: App, connection: Connection, job: Job) -> None:
    follows = AFTER_CANCEL.get(job.kind)
    if follows and job.source_id is not None:
        follows(app, connection, job.source_id)


def _seen(connection: Connection, id_: int, seen: Sight) -> Job:
    """A job that somebody sees: of what no source alone is about, whoever sees everything. Raises JobNotFound."""
    job = db_jobs.find(connection, id_)
    if job is None or not (seen.sees_all if job.source_id is None else seen.sees_source(job.source_id)):
        raise _no_job(id_)
    return job


def _no_job(id_: int) -> JobNotFound:
    return JobNotFound(f"there is no job {id_}", hint="`entrepot list jobs` shows them")


def _get(connection: Connection, id_: int) -> Job:
    job = db_jobs.find(connection, id_)
    if job is None:
        raise _no_job(id_)
    return job


def _info(connection: Connection, job: Job) -> JobInfo:
    names = db_sources.names(connection, [job.source_id] if job.source_id is not None else [])
    return JobInfo(job, names.get(job.source_id or 0))
