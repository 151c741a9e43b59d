"""The engine for an embedded database: threads of this process, and nothing but the rows of jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from entrepot.app import App
from entrepot.db.jobs import Job
from entrepot.jobs.carrier import Carrier
from entrepot.operations import working

AT_ONCE = 4
"""Jobs that run side by side in a process, besides those of kinds with a number of their own."""
DEAD_AFTER = timedelta(seconds=30)
"""Silence of a job's heart after which another process takes it over."""


def places(app: App) -> int:
    """How many jobs run side by side in a process."""
    return AT_ONCE + sum(most(app.settings) for most in working.AT_ONCE.values())


class Threads:
    """Takes up jobs in the order of their ids, one at a time for each kind, source and subject.

    Args:
        is_alone: nobody else has the data folder: a job that runs, but not here, was left by a process that is gone.
        on_free: called when a job ended here.
    """

    def __init__(self, app: App, carrier: Carrier, *, is_alone: bool, on_free: Callable[[], None]) -> None:
        self._app = app
        self._carrier = carrier
        self._silent = timedelta(0) if is_alone else DEAD_AFTER
        self._on_free = on_free
        self._threads: dict[int, threading.Thread] = {}

    def look(self, wanted: set[int] | None) -> None:
        busy: set[tuple[str, int | None, int | None]] = set()
        for job in working.waiting(self._app):
            key = (job.kind, job.source_id, job.subject)
            is_first = key not in busy
            busy.add(key)
            if is_first and self._may_take(job) and (wanted is None or job.id in wanted):
                self._begin(job.id)

    def stop(self, wait: float) -> None:
        until = time.monotonic() + wait
        for thread in list(self._threads.values()):
            thread.join(max(0.0, until - time.monotonic()))

    def _may_take(self, job: Job) -> bool:
        if job.id in self._threads or self._carrier.has(job.id) or len(self._threads) >= places(self._app):
            return False
        if job.state == "queued" or job.heartbeat is None:
            return True
        return self._app.clock() - job.heartbeat >= self._silent

    def _begin(self, id_: int) -> None:
        thread = threading.Thread(target=self._carry, args=(id_,), name=f"job-{id_}", daemon=True)
        self._threads[id_] = thread
        thread.start()

    def _carry(self, id_: int) -> None:
        self._carrier.carry(id_, silent=self._silent)
        del self._threads[id_]
        self._on_free()
