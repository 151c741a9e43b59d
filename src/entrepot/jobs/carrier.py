"""Carries out single jobs in threads of this process: begins them, says how far they are, writes how they ended."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from entrepot.app import App
from entrepot.core.errors import Cancelled, EntrepotError, Unavailable, UpstreamUnavailable
from entrepot.db.jobs import Job
from entrepot.jobs.kinds import RUN, JobKind
from entrepot.jobs.work import Progress, Work
from entrepot.operations import working
from entrepot.operations.working import Beat, End

_log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks whether a running job shall end, and between rows of progress."""
HEARTBEAT = 5.0
"""Seconds after which a job that has nothing new to say is written down as alive."""
END_PAUSES = (1, 2, 4, 8, 15, 30)
"""Seconds between tries to write how a job ended, while the database doesn't answer."""
_AT_LEAST_ONCE = timedelta(0)


class Carrier:
    """What this process carries out at the moment.

    One thread for all of them keeps heartbeats, progress and logs, and finds out who shall end. A job's own thread
    never writes about itself while it works.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self._works: dict[int, tuple[Job, Work]] = {}
        self._taken_ids: set[int] = set()
        self._beaten: dict[int, tuple[float, Progress]] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._beating: threading.Thread | None = None

    def carry(self, id_: int, *, silent: timedelta = _AT_LEAST_ONCE) -> bool:
        """Carry out a job to its end in this thread, if it is there to be taken; whether it was.

        Args:
            silent: as for `working.begin`.
        """
        try:
            with self._taken(id_, silent) as (job, work):
                how = self._outcome(job, work)
                self._leave(job, work, how)
        except _NotTaken:
            return False
        except Exception:
            _log.exception("job %s could not be carried out", id_)
        return True

    def progress(self, id_: int) -> Progress | None:
        """How far a job is that runs in this process; newer than what its row says."""
        found = self._works.get(id_)
        return found[1].progress if found else None

    def has(self, id_: int) -> bool:
        """Whether this process has the job, or is about to take it."""
        return id_ in self._taken_ids

    def cancel(self, id_: int, actor: str) -> None:
        """Tell a job that runs here that it shall end; also while it holds the database's only write lock."""
        if found := self._works.get(id_):
            found[1].cancel(actor)

    def interrupt(self) -> None:
        """Take no more jobs, and tell all that run here that they shall end and be begun again."""
        self._stopping.set()
        with self._lock:
            works = list(self._works.values())
        for _, work in works:
            work.interrupt()

    @contextlib.contextmanager
    def _taken(self, id_: int, silent: timedelta) -> Iterator[tuple[Job, Work]]:
        with self._lock:
            if self._stopping.is_set() or id_ in self._taken_ids:
                raise _NotTaken
            self._taken_ids.add(id_)
        try:
            job = working.begin(self._app, id_, worker=self.name, silent=silent)
            if job is None:
                raise _NotTaken
            work = Work(self._app.clock)
            self._add(job, work)
            yield job, work
        finally:
            with self._lock:
                self._works.pop(id_, None)
                self._beaten.pop(id_, None)
                self._taken_ids.discard(id_)

    def _add(self, job: Job, work: Work) -> None:
        with self._lock:
            self._works[job.id] = (job, work)
            if self._stopping.is_set():
                work.interrupt()
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
                self._beating.start()

    def _outcome(self, job: Job, work: Work) -> End:
        """Run the job; how it is to be left."""
        kind = RUN.get(job.kind)
        try:
            if kind is None:
                raise EntrepotError(f"this version does not know jobs of kind {job.kind!r}")
            return End("done", "done", result=kind.run(self._app, job, work))
        except Cancelled as error:
            if work.is_interrupted and not work.cancelled_by:
                # An orderly end is nobody's failure, so it doesn't count as an attempt.
                return End("queued", "the worker ends; to be begun again", attempts=job.attempts - 1)
            return End("cancelled", error.message, error=error.as_json())
        except EntrepotError as error:
            return self._failure(job, kind, error)
        except Exception:
            _log.exception("job %s (%s) failed", job.id, job.kind)
            shown = {"code": "internal", "error": "the job failed; the server's log says why", "hint": None}
            return End("failed", "failed by a bug; the server's log says where", error=shown)

    def _failure(self, job: Job, kind: JobKind | None, error: EntrepotError) -> End:
        _log.warning("job %s (%s) failed: %s", job.id, job.kind, error)
        waits = kind.retry_after if kind else ()
        if isinstance(error, UpstreamUnavailable | Unavailable) and job.attempts <= len(waits):
            due = self._app.clock() + waits[job.attempts - 1]
            line = f"failed: {error.message}; tried again from {due:%Y-%m-%d %H:%M:%S} UTC"
            return End("queued", line, error=error.as_json(), due=due)
        return End("failed", f"failed: {error.message}", error=error.as_json())

    def _leave(self, job: Job, work: Work, how: End) -> None:
        """Write how a job ended; for a while again and again, if the database doesn't answer."""
        for pause in (*END_PAUSES, None):
            try:
                with self._writing:
                    if not working.end(self._app, job, how, work.lines(), worker=self.name):
                        _log.warning(
                            "job %s (%s) had been taken over; what came of it here is dropped", job.id, job.kind
                        )
                return
            except Exception as error:
                _log.warning("the end of job %s could not be written: %s", job.id, error)
                if pause is None or self._stopping.is_set():
                    # Its heart is silent from now on, so that it is begun again.
                    return
                time.sleep(pause)

    # The heart

    def _beat(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            with self._lock:
                works = list(self._works.values())
                if not works and self._stopping.is_set():
                    return
            try:
                self._look(works)
                self._write(works)
            except Exception as error:
                _log.debug("heartbeat: %s", error)

    def _look(self, works: list[tuple[Job, Work]]) -> None:
        told = working.told(self._app, [job for job, _ in works], worker=self.name) if works else {}
        for job, work in works:
            reason = told.get(job.id)
            if reason == "cancelled" and not work.cancelled_by:
                work.cancel("request")
            elif reason == "lost" and self.has(job.id):
                work.interrupt()

    def _write(self, works: list[tuple[Job, Work]]) -> None:
        with self._writing:
            now = time.monotonic()
            beats = []
            for job, work in works:
                lines, progress = work.lines(), work.progress
                at, before = self._beaten.get(job.id, (0.0, Progress()))
                if self.has(job.id) and (lines or progress != before or now - at > HEARTBEAT):
                    beats.append((work, Beat(job, *progress, lines)))
            if not beats:
                return
            working.beat(self._app, [beat for _, beat in beats], worker=self.name)
            for work, beat in beats:
                work.kept(len(beat.lines))
                self._beaten[beat.job.id] = (now, Progress(beat.step, beat.done, beat.total))


class _NotTaken(Exception):
    """Somebody else has the job, or it is over."""
