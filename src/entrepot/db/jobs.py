"""Rows of background jobs: what is to be done, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from entrepot.db.schema import jobs

ACTIVE = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Job:
    """One unit of background work. `state` is queued, running, done or failed."""

    id: int
    kind: str
    payload: dict[str, Any]
    source_id: int | None
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


def add(connection: Connection, *, kind: str, payload: dict[str, Any], source_id: int | None, now: datetime) -> Job:
    row = insert(jobs).values(kind=kind, payload=payload, source_id=source_id, state="queued", created=now)
    (id_,) = connection.execute(row).inserted_primary_key or (0,)
    job = find(connection, int(id_))
    assert job is not None
    return job


def find(connection: Connection, id_: int) -> Job | None:
    row = connection.execute(select(jobs).where(jobs.c.id == id_)).mappings().one_or_none()
    return _job(row) if row else None


def active(connection: Connection, *, source_id: int | None = None) -> list[Job]:
    """Jobs that wait or run (of one source), oldest first."""
    query = select(jobs).where(jobs.c.state.in_(ACTIVE)).order_by(jobs.c.id)
    if source_id is not None:
        query = query.where(jobs.c.source_id == source_id)
    return [_job(row) for row in connection.execute(query).mappings()]


def change(connection: Connection, id_: int, **values: Any) -> None:
    connection.execute(update(jobs).where(jobs.c.id == id_).values(**values))


def _job(row: RowMapping) -> Job:
    return Job(**row)
