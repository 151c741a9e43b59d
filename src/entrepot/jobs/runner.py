"""Carries out jobs in this process, one at a time, and starts those that are due.

A job is a row; the runner claims it, beats while it works, and writes its end. A job whose runner died is taken over:
at once by a server that has the data folder to itself, else when its heart has not beaten for a while.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from entrepot.app import App
from entrepot.core.errors import EntrepotError, JobNotFound
from entrepot.db import jobs as db_jobs
from entrepot.db.jobs import Job
from entrepot.jobs import sync
from entrepot.operations import syncing
from entrepot.sources.mirror import Report

_log = logging.getLogger(__name__)

RUN: dict[str, Callable[[App, Job, Report], dict[str, Any]]] = {"sync": sync.run}

HEARTBEAT = timedelta(seconds=5)
DEAD_AFTER = timedelta(seconds=30)
LOOK_EVERY = 10.0
"""Seconds between looks for work that other processes left or the schedule brings."""
REPORT_EVERY = 0.25
"""Seconds between progress rows, at most."""


class Runner:
    """One thread that works off jobs.

    Args:
        is_alone: this process has the data folder to itself: running jobs of an embedded database are orphans.
        schedules: whether it starts syncs that are due by itself.
    """

    def __init__(self, app: App, *, is_alone: bool, schedules: bool) -> None:
        self._app = app
        self._schedules = schedules
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._orphans = is_alone and app.db.is_sqlite
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._job: int | None = None
        self._takes_all = schedules or is_alone
        self._wanted: set[int] = set()

    def start(self) -> None:
        self._thread.start()
        self._beating.start()

    def wake(self, job: int) -> None:
        """There is a new job. A runner that is not the folder's server's does those alone that it was woken for."""
        self._wanted.add(job)
        self._wake.set()

    def stop(self, *, wait: float = 10) -> None:
        """Take no new job, and wait some seconds for the running one; what is not done is taken over later."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(wait)

    def _work(self) -> None:
        while not self._stopping.is_set():
            job = None
            try:
                if self._schedules:
                    for source in syncing.due_syncs(self._app):
                        syncing.request_sync(self._app, str(source.id))
                job = self._claim()
            except Exception:
                _log.exception("looking for jobs failed")
            if job is not None:
                self._run(job)
            else:
                self._wake.wait(LOOK_EVERY)
                self._wake.clear()

    def _claim(self) -> Job | None:
        """The oldest job that waits or was left behind, marked as ours."""
        now = self._app.clock()
        with self._app.db.read() as connection:
            if not db_jobs.active(connection):
                return None
        with self._app.db.write() as connection:
            for job in db_jobs.active(connection):
                silent = job.heartbeat is None or now - job.heartbeat > DEAD_AFTER
                if not self._takes_all and job.id not in self._wanted:
                    continue
                if job.state == "queued" or self._orphans or silent:
                    db_jobs.change(
                        connection,
                        job.id,
                        state="running",
                        worker=self._name,
                        heartbeat=now,
                        started=job.started or now,
                    )
                    return job
        return None

    def _run(self, job: Job) -> None:
        self._job = job.id
        reported = 0.0

        def report(step: str, done: int, total: int) -> None:
            nonlocal reported
            if time.monotonic() - reported < REPORT_EVERY and done not in (0, total):
                return
            reported = time.monotonic()
            self._change(job, step=step, done=done, total=total)

        try:
            result = RUN[job.kind](self._app, job, report)
            self._change(job, state="done", result=result, step="", done=0, total=0, finished=self._app.clock())
        except EntrepotError as error:
            _log.warning("job %s (%s) failed: %s", job.id, job.kind, error)
            self._change(job, state="failed", error=error.as_json(), finished=self._app.clock())
        except Exception:
            _log.exception("job %s (%s) failed", job.id, job.kind)
            shown = {"code": "internal", "error": "the job failed; the server's log says why", "hint": None}
            self._change(job, state="failed", error=shown, finished=self._app.clock())
        finally:
            self._job = None

    def _change(self, job: Job, **values: Any) -> None:
        with contextlib.suppress(Exception), self._app.db.write() as connection:
            db_jobs.change(connection, job.id, **values)

    def _beat(self) -> None:
        while not self._stopping.wait(HEARTBEAT.total_seconds()):
            job = self._job
            if job is not None:
                with contextlib.suppress(Exception), self._app.db.write() as connection:
                    db_jobs.change(connection, job, heartbeat=self._app.clock())


def get_job(app: App, id_: int) -> Job:
    """Raises JobNotFound."""
    with app.db.read() as connection:
        job = db_jobs.find(connection, id_)
    if job is None:
        raise JobNotFound(f"there is no job {id_}")
    return job
