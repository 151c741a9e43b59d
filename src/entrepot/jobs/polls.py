"""Looks at Git endpoints at their times, all spread over the interval, and asks for a run where there is something new.

A look writes nothing. What is due when is in memory alone: after a start the looks are spread over one interval again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from entrepot.app import App
from entrepot.core.errors import Cancelled
from entrepot.core.gitbuilds import Builder, Update
from entrepot.db import builders as db_builders
from entrepot.db import jobs as db_jobs
from entrepot.operations import builders, building

_log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between looks for what is due."""
AGAIN_AFTER = 60.0
"""Seconds between two runs of one builder for something that waits."""
AT_ONCE = 8
"""Endpoints that are looked at side by side."""
_LOCK = 0x476974
"""PostgreSQL advisory lock of the one node that looks."""
_GOLDEN = 0.6180339887


class Polls:
    """The looks of one process, in a thread of its own.

    Args:
        wake: called with each job that was asked for.
    """

    def __init__(self, app: App, wake: Callable[[int], None]) -> None:
        self._app = app
        self._wake = wake
        self._next: dict[int, float] = {}
        self._asked: dict[int, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="polls", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait: float) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(wait)

    def look(self, wanted: Sequence[Builder]) -> list[int]:
        """Look at the endpoints of these builders now; the ids of those with something to do or to tell."""
        with self._app.db.read() as connection:
            known = db_builders.updates(connection, [builder.id for builder in wanted])
        with ThreadPoolExecutor(min(AT_ONCE, max(1, len(wanted))), thread_name_prefix="poll") as pool:
            found = list(pool.map(lambda builder: self._has_news(builder, known[builder.id]), wanted))
        return [builder.id for builder, is_new in zip(wanted, found, strict=True) if is_new]

    def _work(self) -> None:
        with ExitStack() as stack:
            is_leader = False
            while not self._stopping.wait(LOOK_EVERY):
                try:
                    if not is_leader:
                        stack.close()
                        is_leader = stack.enter_context(self._app.db.leading(_LOCK))
                    if is_leader:
                        self._round()
                except Exception:
                    _log.exception("looking at Git endpoints failed")
                    # With the connection that it was held by the lead may be gone.
                    stack.close()
                    is_leader = False

    def _round(self) -> None:
        """Look at what is due, and bring what is to be tried again."""
        with self._app.db.read() as connection:
            live = db_builders.live(connection)
            again = db_builders.builders_due(connection, self._app.clock())
            busy = {job.subject for job in db_jobs.active(connection, kind=builders.JOB)}
        due = self._due(live)
        watched = [builder for builder in due if builder.id not in busy]
        news = self._again(again - busy) | set(self.look(watched) if watched else ())
        if news and not self._stopping.is_set():
            for job in builders.request_runs_due(self._app, sorted(news), actor=building.POLL):
                self._wake(job.id)

    def _again(self, waiting: set[int]) -> set[int]:
        """Those of which something waits, each now and then: a run that fails before it comes to that leaves it due."""
        now = time.monotonic()
        self._asked = {id_: at for id_, at in self._asked.items() if now - at < AGAIN_AFTER}
        found = waiting - self._asked.keys()
        self._asked |= dict.fromkeys(found, now)
        return found

    def _due(self, live: Sequence[Builder]) -> list[Builder]:
        now, interval = time.monotonic(), self._app.settings.git.poll_interval
        self._next = {id_: at for id_, at in self._next.items() if id_ in {builder.id for builder in live}}
        due = []
        for builder in live:
            if builder.id not in self._next:
                # One that was just made is looked at by its first run.
                self._next[builder.id] = now + interval * (builder.id * _GOLDEN % 1)
            elif self._next[builder.id] <= now:
                self._next[builder.id] = now + interval
                due.append(builder)
        return due

    def _has_news(self, builder: Builder, updates: Sequence[Update]) -> bool:
        try:
            return building.has_news(self._app, builder, updates, check=self._check)
        except Cancelled:
            return False
        except Exception:
            _log.exception("looking at %s failed", builder.url)
            return False

    def _check(self) -> None:
        if self._stopping.is_set():
            raise Cancelled("the server ends")
