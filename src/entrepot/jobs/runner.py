"""The background work of this process: brings what is due, hands jobs to an engine, answers how far they are.

Which engine follows from the database: threads alone for an embedded one, procrastinate for PostgreSQL. An engine
carries the ids of jobs, locks and heartbeats; what a job is, and how it ended, is in the rows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from entrepot.app import App
from entrepot.jobs.carrier import Carrier
from entrepot.jobs.polls import Polls
from entrepot.jobs.threads import Threads
from entrepot.jobs.work import Progress
from entrepot.operations import activity, syncing, sysreqrules, targets, usage, working
from entrepot.operations.working import JobInfo

_log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
"""Seconds between looks for work that other processes left or a schedule brings."""
SETTLE_FOR = 2.0
"""Seconds that one look spends with counting what transactions did."""
PRUNE_EVERY = 3600.0
"""Seconds between looks for finished jobs, and counts of downloads, that are old enough to go."""


class Engine(Protocol):
    """How jobs come to a thread of some process that carries them out."""

    def look(self, wanted: set[int] | None) -> None:
        """Take up what waits, or sees that somebody does; called every ten seconds, and when there is a new job.

        Args:
            wanted: take up these alone; None: all.
        """

    def stop(self, wait: float) -> None:
        """Take up nothing more, and wait some seconds for what runs here."""


class Runner:
    """The background work of one process.

    Args:
        is_alone: this process has the data folder to itself: running jobs of an embedded database are orphans.
        schedules: it takes up all there is to do and starts syncs that are due by themselves, as a server or a worker;
            else it does no more than it is woken for.
    """

    def __init__(self, app: App, *, is_alone: bool, schedules: bool) -> None:
        self._app = app
        self._schedules = schedules
        self._carrier = Carrier(app)
        self._engine = _engine(app, self._carrier, is_alone=is_alone, on_free=self._look_again)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._polls = Polls(app, self.wake) if schedules else None
        self._wanted: set[int] = set()
        self._pruned: float | None = None

    def start(self) -> None:
        self._thread.start()
        if self._polls is not None:
            self._polls.start()

    def wake(self, job: int) -> None:
        """There is a job to do now."""
        self._wanted.add(job)
        self._look_again()

    def stop(self, *, wait: float = 10) -> None:
        """Take no new job and let those that run end at their next report, to be begun again by whoever comes next.

        What doesn't come to a report within `wait` seconds is left; it is taken over when its heart was silent.
        """
        self._stopping.set()
        self._carrier.interrupt()
        self._wake.set()
        until = time.monotonic() + wait
        if self._polls is not None:
            self._polls.stop(wait)
        if self._thread.is_alive():
            self._thread.join(wait)
        self._engine.stop(max(0.0, until - time.monotonic()))

    def progress(self, job: int) -> Progress | None:
        """How far a job is that runs in this process: its row can't be written while it has the only write lock."""
        return self._carrier.progress(job)

    def cancel(self, job: int, *, actor: str) -> JobInfo:
        """End a job that waits, ask for the end of one that runs.

        Raises:
            JobNotFound
            Conflict: it is over.
        """
        working.check_is_active(working.get_job(self._app, job).job)
        # First in memory: one that runs here may hold the write lock that the row needs.
        self._carrier.cancel(job, actor)
        info = working.cancel_job(self._app, job, actor=actor)
        self._look_again()
        return info

    def _look_again(self) -> None:
        self._wake.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._schedules:
                    self._bring_due()
                self._engine.look(None if self._schedules else set(self._wanted))
            except Exception:
                _log.exception("looking for jobs failed")
            self._wake.wait(LOOK_EVERY)
            self._wake.clear()

    def _bring_due(self) -> None:
        for source in syncing.due_syncs(self._app):
            syncing.request_sync(self._app, str(source.id))
        if sysreqrules.is_due(self._app):
            sysreqrules.request(self._app, actor=syncing.SCHEDULE)
        targets.request_due(self._app)
        self._settle()
        if self._pruned is None or time.monotonic() - self._pruned > PRUNE_EVERY:
            self._pruned = time.monotonic()
            working.prune(self._app)
            usage.remove_old(self._app)

    def _settle(self) -> None:
        """Count what transactions did, as far as there is time; after a first sync there are thousands of them."""
        until = time.monotonic() + SETTLE_FOR
        while activity.settle(self._app) and not self._stopping.is_set():
            if time.monotonic() > until:
                self._look_again()
                return


def _engine(app: App, carrier: Carrier, *, is_alone: bool, on_free: Callable[[], None]) -> Engine:
    if app.db.is_sqlite:
        return Threads(app, carrier, is_alone=is_alone, on_free=on_free)
    # Here, not at the top: an installation with an embedded database needs none of it.
    from entrepot.jobs.postgres import Queue

    return Queue(app, carrier, on_free=on_free)
