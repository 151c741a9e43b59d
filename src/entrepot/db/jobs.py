"""Rows of background jobs: what is to be done, how far it is, how it ended; and the lines of their logs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, text, update

from entrepot.db.schema import job_lines, jobs

ACTIVE = ("queued", "running")
FINISHED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Job:
    """One unit of background work. `state` is queued, running, done, failed or cancelled.

    `subject` tells what of the source it is about, where there may be several: jobs are one at a time for each (kind,
    source, subject). `attempts` counts how often it was begun; a queued job is not begun before `due`. `worker` is the
    process that has it, `heartbeat` when that last said so. `is_cancelled` says that somebody asked for its end, which
    a running job follows at its next report.
    """

    id: int
    kind: str
    payload: dict[str, Any]
    source_id: int | None
    subject: int | None
    state: str
    step: str
    done: int
    total: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    worker: str | None
    heartbeat: datetime | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    actor: str = ""
    attempts: int = 0
    due: datetime | None = None
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a job's log; ids grow with time."""

    id: int
    time: datetime
    text: str


def request(
    connection: Connection,
    *,
    kind: str,
    source_id: int | None,
    payload: dict[str, Any],
    actor: str,
    now: datetime,
    subject: int | None = None,
    joins_running: bool = True,
) -> tuple[Job, bool]:
    """The job of that kind for that source and subject which waits or runs already, else a new one; whether it is new.

    In a write transaction this is what keeps jobs one at a time for each of these. A job that is being cancelled
    doesn't count: it is on its way out. Nor does one that runs, unless what is asked for now `joins_running`: it may
    have looked before the thing happened that this one is to see.
    """
    for job in active(connection, kind=kind):
        joins = joins_running or job.state == "queued"
        if (job.source_id, job.subject) == (source_id, subject) and joins and not job.is_cancelled:
            return job, False
    made = add(connection, kind=kind, payload=payload, source_id=source_id, subject=subject, actor=actor, now=now)
    return made, True


def add(
    connection: Connection,
    *,
    kind: str,
    payload: dict[str, Any],
    source_id: int | None,
    now: datetime,
    actor: str = "",
    subject: int | None = None,
) -> Job:
    values = {"kind": kind, "payload": payload, "source_id": source_id, "subject": subject, "actor": actor}
    row = insert(jobs).values(**values, state="queued", created=now)
    (id_,) = connection.execute(row).inserted_primary_key or (0,)
    job = find(connection, int(id_))
    assert job is not None
    return job


def find(connection: Connection, id_: int) -> Job | None:
    row = connection.execute(select(jobs).where(jobs.c.id == id_)).mappings().one_or_none()
    return _job(row) if row else None


def active(connection: Connection, *, kind: str | None = None, source_id: int | None = None) -> list[Job]:
    """Jobs that wait or run (of one kind, of one source), oldest first."""
    query = select(jobs).where(jobs.c.state.in_(ACTIVE)).order_by(jobs.c.id)
    query = _only(query, kind=kind, source_id=source_id)
    return [_job(row) for row in connection.execute(query).mappings()]


def newest_of(connection: Connection, *, kind: str, subject: int) -> Job | None:
    """The job of that kind for that subject which was asked for last."""
    query = select(jobs).where(jobs.c.kind == kind, jobs.c.subject == subject).order_by(jobs.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return _job(row) if row else None


def page(
    connection: Connection,
    *,
    state: str | None = None,
    kind: str | None = None,
    source_id: int | None = None,
    among: Collection[int] | None = None,
    ascending: bool = False,
    limit: int,
    offset: int,
) -> tuple[list[Job], int]:
    """Some jobs, newest first if nothing else is said, and the number of all that match.

    Args:
        among: only those of these sources; None: all, also those of no source.
    """
    query = _only(select(jobs), state=state, kind=kind, source_id=source_id)
    if among is not None:
        query = query.where(jobs.c.source_id.in_(list(among)))
    total: int = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    order = jobs.c.id.asc() if ascending else jobs.c.id.desc()
    rows = connection.execute(query.order_by(order).limit(limit).offset(offset)).mappings()
    return [_job(row) for row in rows], total


def count_states(connection: Connection, *, among: Collection[int] | None = None) -> dict[str, int]:
    """State -> number of the jobs in it; `among` as in `page`."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    if among is not None:
        query = query.where(jobs.c.source_id.in_(among))
    return {row[0]: row[1] for row in connection.execute(query)}


def processes(connection: Connection, *, since: datetime) -> int | None:
    """How many processes that take up jobs gave a sign of life since then; None where the database hears of none."""
    if connection.dialect.name == "sqlite":
        return None
    query = text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat >= :since")
    return int(connection.execute(query, {"since": since}).scalar_one())


def source_ids(connection: Connection) -> set[int]:
    """All sources that there are jobs of."""
    query = select(jobs.c.source_id).where(jobs.c.source_id.is_not(None)).distinct()
    return set(connection.execute(query).scalars())


def change(connection: Connection, id_: int, **values: Any) -> None:
    connection.execute(update(jobs).where(jobs.c.id == id_).values(**values))


def change_ours(connection: Connection, id_: int, *, worker: str, attempt: int, **values: Any) -> bool:
    """Change a running job, if that worker has it still in that attempt; whether it has."""
    ours = (jobs.c.id == id_, jobs.c.state == "running", jobs.c.worker == worker, jobs.c.attempts == attempt)
    return connection.execute(update(jobs).where(*ours).values(**values)).rowcount > 0


def add_lines(connection: Connection, id_: int, lines: Sequence[tuple[datetime, str]]) -> None:
    """Append to a job's log."""
    if lines:
        rows = [{"job_id": id_, "time": time, "text": text} for time, text in lines]
        connection.execute(insert(job_lines), rows)


def trim_lines(connection: Connection, id_: int, *, head: int, tail: int) -> None:
    """Delete lines of a job's log, so that its first and last ones are left; in between, one says so."""
    of_job = job_lines.c.job_id == id_
    ids = select(job_lines.c.id).where(of_job)
    gap = connection.execute(ids.order_by(job_lines.c.id).offset(head).limit(1)).scalar()
    if gap is None:
        return
    last = connection.execute(ids.order_by(job_lines.c.id.desc()).offset(tail - 1).limit(1)).scalar()
    if last is not None and gap < last:
        connection.execute(delete(job_lines).where(of_job, job_lines.c.id > gap, job_lines.c.id < last))
        connection.execute(update(job_lines).where(job_lines.c.id == gap).values(text="... lines are left out ..."))


def last_lines(connection: Connection, id_: int, *, limit: int) -> tuple[list[Line], int]:
    """The last lines of a job's log, and the number of all."""
    query = select(job_lines.c.id, job_lines.c.time, job_lines.c.text).where(job_lines.c.job_id == id_)
    total: int = connection.execute(select(func.count()).where(job_lines.c.job_id == id_)).scalar_one()
    rows = connection.execute(query.order_by(job_lines.c.id.desc()).limit(limit)).all()
    return [Line(*row) for row in reversed(rows)], total


def lines(connection: Connection, id_: int, *, after: int, limit: int) -> tuple[list[Line], int]:
    """The first lines of a job's log with an id above `after`, and the number of all of these."""
    query = select(job_lines.c.id, job_lines.c.time, job_lines.c.text).where(
        job_lines.c.job_id == id_, job_lines.c.id > after
    )
    total: int = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = connection.execute(query.order_by(job_lines.c.id).limit(limit))
    return [Line(*row) for row in rows], total


def prune(connection: Connection, *, before: datetime) -> int:
    """Delete jobs that were finished before, but the newest of each kind, source and subject; how many these were."""
    newest = select(func.max(jobs.c.id)).group_by(jobs.c.kind, jobs.c.source_id, jobs.c.subject)
    old = (jobs.c.state.in_(FINISHED), jobs.c.finished < before, jobs.c.id.not_in(newest))
    doomed = list(connection.execute(select(jobs.c.id).where(*old)).scalars())
    for start in range(0, len(doomed), 1000):
        some = doomed[start : start + 1000]
        connection.execute(delete(job_lines).where(job_lines.c.job_id.in_(some)))
        connection.execute(delete(jobs).where(jobs.c.id.in_(some)))
    return len(doomed)


def _only(
    query: Select[Any], *, state: str | None = None, kind: str | None = None, source_id: int | None = None
) -> Select[Any]:
    wanted = ((jobs.c.state, state), (jobs.c.kind, kind), (jobs.c.source_id, source_id))
    return query.where(*(column == value for column, value in wanted if value is not None))


def _job(row: RowMapping) -> Job:
    return Job(**row)
