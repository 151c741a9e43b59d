"""What those who run an installation look at: how much it holds, what room is left, what waits to be done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.db import jobs as db_jobs
from entrepot.measuring import Measure
from entrepot.operations.access import sight
from entrepot.storage import Room, room_at

ALIVE = timedelta(seconds=30)
"""A process that was silent for longer counts as gone."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much is held. `kind` is the scheme of the store's URL; `measure` None as long as it is being measured.

    `room` is that of a local store's disk, `data_room` that of the data folder's.
    """

    kind: str
    measure: Measure | None
    room: Room | None
    data_room: Room | None
    database: str
    database_size: int | None


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that carries out jobs at the moment; `seen` is its last sign of life."""

    name: str
    jobs: int
    seen: datetime | None


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs by their states, since when the oldest one waits that could be begun, and who works.

    `processes` are all that would take up a job, also those that do nothing now; None where that is nobody but the
    server.
    """

    states: dict[str, int]
    waits_since: datetime | None
    workers: list[Worker]
    processes: int | None


def holdings(app: App) -> Holdings:
    """How much the installation holds."""
    return Holdings(
        app.storage.kind,
        app.meter.look(),
        app.storage.room(),
        room_at(app.settings.server.data_dir),
        "sqlite" if app.db.is_sqlite else "postgresql",
        app.db.size(),
    )


def queue(app: App, *, access: Access = INSIDE) -> Queue:
    """What waits and what is being done, of what somebody sees."""
    now = app.clock()
    with app.db.read() as connection:
        seen = sight(connection, access)
        among = None if seen.sees_all else set(filter(seen.sees_source, db_jobs.source_ids(connection)))
        states = db_jobs.count_states(connection, among=among)
        active = [job for job in db_jobs.active(connection) if among is None or job.source_id in among]
        processes = db_jobs.processes(connection, since=now - ALIVE) if seen.sees_all else None
    waiting = [job.due or job.created for job in active if job.state == "queued"]
    running = [job for job in active if job.state == "running"]
    jobs = Counter(job.worker for job in running if job.worker is not None)
    beats: dict[str | None, datetime] = {}
    for job in running:
        if job.heartbeat is not None:
            beats[job.worker] = max(job.heartbeat, beats.get(job.worker, job.heartbeat))
    return Queue(
        {state: states.get(state, 0) for state in (*db_jobs.ACTIVE, *db_jobs.FINISHED)},
        min((since for since in waiting if since <= now), default=None),
        [Worker(name, number, beats.get(name)) for name, number in sorted(jobs.items())],
        processes,
    )
