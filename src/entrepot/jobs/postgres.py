"""The engine for PostgreSQL: procrastinate carries the ids of jobs between the nodes that share the database.

It gives each job to one worker, one at a time for each kind and source over all nodes, at once (LISTEN/NOTIFY), and
knows by its own heartbeats which worker is gone. Its tables hold nothing but jobs that wait or run: an entry goes when
its job ended, whatever became of it; that is in our row. So an entry that is lost costs no job, and one too many finds
a job that is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.manager import JobManager
from psycopg.conninfo import make_conninfo

from entrepot.app import App
from entrepot.db.jobs import Job
from entrepot.jobs.carrier import Carrier
from entrepot.jobs.threads import places
from entrepot.operations import working

_log = logging.getLogger(__name__)

QUEUE = "entrepot"
TASK = "carry"
HEARTBEAT = 5.0
DEAD_AFTER = 30.0
"""Seconds of silence after which a worker counts as gone and its jobs are handed on."""
POLL_EVERY = 1.0
"""Seconds between looks for entries without a notification, as when the lock of one becomes free."""
AGAIN_AFTER = 5.0
"""Seconds until a worker whose connection broke begins again."""
PATIENCE = 20.0
"""Seconds for one round of handing over, and for the first connection."""
STOP_PATIENCE = 10.0
"""Seconds that jobs have for their end when the worker stops."""
SILENT = timedelta(seconds=15)
"""How long our own heartbeats of a running job must be missing too: its worker may only have lost its connection."""


class Queue:
    """procrastinate's worker in a thread with an event loop of its own; begun when there is something to do.

    Args:
        on_free: called when a job that was carried out here ended.
    """

    def __init__(self, app: App, carrier: Carrier, *, on_free: Callable[[], None]) -> None:
        self._app = app
        self._on_free = on_free
        self._carrier = carrier
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._queue = _queue(app, self._carry)
        self._is_open = threading.Event()

    def look(self, wanted: set[int] | None) -> None:
        jobs = [job for job in working.waiting(self._app) if wanted is None or job.id in wanted]
        if self._thread is None:
            if wanted is not None and not jobs:
                return
            self._thread = threading.Thread(target=self._run, name="procrastinate", daemon=True)
            self._thread.start()
        if self._is_open.wait(PATIENCE) and self._loop is not None:
            handing = asyncio.run_coroutine_threadsafe(self._hand_over(jobs), self._loop)
            try:
                handing.result(PATIENCE)
            except TimeoutError:
                handing.cancel()
                raise

    def stop(self, wait: float) -> None:
        if self._thread is None:
            return
        if self._loop is not None and self._main is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(wait + 5)

    # In the thread

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._keep_working())

    async def _keep_working(self) -> None:
        """Work until it is cancelled; a database that went away is waited for."""
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        while True:
            try:
                async with self._queue.open_async():
                    self._is_open.set()
                    await self._work()
            except Exception as error:
                _log.warning("the queue of jobs broke off: %s", error.__cause__ or error)
            finally:
                self._is_open.clear()
            await asyncio.sleep(AGAIN_AFTER)

    async def _work(self) -> None:
        await self._queue.run_worker_async(
            queues=[QUEUE],
            name=self._carrier.name,
            concurrency=places(self._app),
            install_signal_handlers=False,
            delete_jobs="always",
            fetch_job_polling_interval=POLL_EVERY,
            update_heartbeat_interval=HEARTBEAT,
            stalled_worker_timeout=DEAD_AFTER,
            shutdown_graceful_timeout=STOP_PATIENCE,
        )

    async def _carry(self, job: int) -> None:
        """Carry out a job in a thread that nobody has to wait for when the process ends."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def carry() -> None:
            if self._carrier.carry(job, silent=SILENT):
                self._on_free()
            with contextlib.suppress(RuntimeError):  # the loop did not wait
                loop.call_soon_threadsafe(over.set)

        threading.Thread(target=carry, name=f"job-{job}", daemon=True).start()
        await over.wait()

    async def _hand_over(self, jobs: Sequence[Job]) -> None:
        """See that each of these jobs has an entry, and that none belongs to a worker that is gone."""
        manager = self._queue.job_manager
        for entry in await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=DEAD_AFTER):
            _log.warning("job %s is taken from a worker that is gone", entry.task_kwargs.get("job"))
            with contextlib.suppress(ConnectorException):  # another node was faster
                await manager.retry_job(entry)
        await manager.prune_stalled_workers(DEAD_AFTER)
        carried = await _carried(manager)
        for job in jobs:
            if job.id not in carried:
                lock = f"{job.kind}:{job.source_id}:{job.subject}"
                entry_of = self._queue.configure_task(TASK, queue=QUEUE, lock=lock, queueing_lock=f"job:{job.id}")
                with contextlib.suppress(AlreadyEnqueued):
                    await entry_of.defer_async(job=job.id)


async def _carried(manager: JobManager) -> set[int]:
    """Ids of the jobs that have an entry."""
    entries: list[Any] = []
    for status in ("todo", "doing"):
        entries += await manager.list_jobs_async(queue=QUEUE, status=status)
    return {int(entry.task_kwargs["job"]) for entry in entries}


def _queue(app: App, carry: Any) -> procrastinate.App:
    """procrastinate over the application's database, with the one task that there is."""
    # It tells of every job at INFO; our own words about jobs are in their logs.
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    engine = app.db.engine
    _, given = engine.dialect.create_connect_args(engine.url)
    conninfo = make_conninfo(**{name: value for name, value in given.items() if name != "context"})
    connector = procrastinate.PsycopgConnector(conninfo=conninfo, min_size=1, max_size=4, timeout=PATIENCE)
    queue = procrastinate.App(connector=connector)
    queue.task(name=TASK, queue=QUEUE)(carry)
    return queue
