"""The audit log as a process writes it: one thread, which writes down at once all that came in the meantime.

Acts wait until their row is committed. Refusals wait for nothing: whoever is refused shall neither be slowed down by
the database nor be able to keep it busy. The same refusal is written once a minute, and how often it came.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from entrepot.core.audit import Entry, Outcome
from entrepot.core.errors import DatabaseUnavailable, EntrepotError
from entrepot.db import audit
from entrepot.db.engine import Database

_log = logging.getLogger(__name__)
MOST_AT_ONCE = 500
COUNTED_FOR = 60.0
"""Seconds in which the same refusal is written once."""
MOST_REFUSALS = 200
"""Different refusals that are told apart in this time; the others are only counted."""
OTHERS = "other refusals"
"""The action of what was only counted."""
PATIENCE = 10.0
"""Seconds that the end of a process waits for what is to be written."""


class _Waiting(NamedTuple):
    """An entry to be written, and who hears of it; nobody does of a refusal."""

    entry: Entry
    written: Future[int] | None


@dataclass(slots=True)
class _Refused:
    """A refusal that was written, and how often the same came since."""

    entry: Entry
    more: int = 0


_Key = tuple[str, str, str, str]


class AuditLog:
    """Writes to the audit log; any thread may use it.

    Args:
        now: the time in UTC, for rows that tell of others.
        seconds: seconds that only grow.
    """

    def __init__(
        self, db: Database, now: Callable[[], datetime], *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._now = now
        self._seconds = seconds
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._refused: dict[_Key, _Refused] = {}
        self._others = 0
        self._lost = 0
        self._since = 0.0
        self._is_closed = False
        self._is_writing = False
        self._thread: threading.Thread | None = None

    def submit(self, entry: Entry) -> Future[int]:
        """Have an entry written; the result is the id of its row, once that is committed.

        It may raise DatabaseUnavailable or OutOfSpace: nothing was written.
        """
        written: Future[int] = Future()
        with self._changed:
            if self._is_closed:
                written.set_exception(DatabaseUnavailable("the server ends", hint="try again in a moment"))
                return written
            self._waiting.append(_Waiting(entry, written))
            self._wake()
        return written

    def write(self, entry: Entry) -> int:
        """As `submit`, for those who may wait. Raises DatabaseUnavailable, OutOfSpace."""
        return self.submit(entry).result()

    def note_refusal(self, entry: Entry) -> None:
        """Have a refusal written, or counted if it is one of many; returns at once."""
        key = entry.actor, entry.address, entry.action, entry.subject
        with self._changed:
            if self._is_closed:
                return
            self._count_out()
            if not self._refused and not self._others:
                self._since = self._seconds()
            if (known := self._refused.get(key)) is not None:
                known.more += 1
            elif len(self._refused) >= MOST_REFUSALS:
                self._others += 1
            else:
                self._refused[key] = _Refused(entry)
                self._waiting.append(_Waiting(entry, None))
            self._wake()

    def flush(self, *, patience: float = PATIENCE) -> None:
        """Wait until all is written that was handed in, as far as that is possible."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_writing, patience)

    def close(self) -> None:
        """Write what is left, with the counts of refusals, and take nothing more."""
        with self._changed:
            self._count_out(is_over=True)
            self._is_closed = True
            if self._waiting:
                self._wake()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed, self._left())
                self._count_out()
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                if not batch and self._is_closed:
                    return
                self._is_writing = bool(batch)
            if batch:
                self._write(batch)
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()

    def _left(self) -> float | None:
        """Seconds until refusals are counted out; None: there are none."""
        if not self._refused and not self._others and not self._lost:
            return None
        return max(0.1, self._since + COUNTED_FOR - self._seconds())

    def _count_out(self, *, is_over: bool = False) -> None:
        """Tell how often the refusals of the last minute came, and begin a new one. The lock is held."""
        if not is_over and self._seconds() < self._since + COUNTED_FOR:
            return
        now = self._now()
        for known in self._refused.values():
            if known.more:
                detail = f"{known.more} more since {known.entry.time:%H:%M:%S} UTC"
                self._waiting.append(_Waiting(replace(known.entry, time=now, detail=detail), None))
        for count, what in ((self._others, "too many to tell them apart"), (self._lost, "could not be written down")):
            if count:
                detail = f"{count} refusals, {what}"
                self._waiting.append(_Waiting(Entry(now, "", "", OTHERS, outcome=Outcome.REFUSED, detail=detail), None))
        self._refused.clear()
        self._others = self._lost = 0
        self._since = self._seconds()

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            with self._db.write(shows=False) as connection:
                rows = audit.add(connection, [waiting.entry for waiting in batch])
        except Exception as error:
            told = error if isinstance(error, EntrepotError) else _unwritable(error)
            for waiting in batch:
                if (written := _heard(waiting)) is not None:
                    written.set_exception(told)
            lost = sum(waiting.written is None for waiting in batch)
            with self._changed:
                self._lost += lost
            return
        for waiting, row in zip(batch, rows, strict=True):
            if (written := _heard(waiting)) is not None:
                written.set_result(row.id)


def _heard(waiting: _Waiting) -> Future[int] | None:
    """Who hears of an entry now: a task that was cancelled in the meantime doesn't."""
    return waiting.written if waiting.written is not None and waiting.written.set_running_or_notify_cancel() else None


def _unwritable(error: Exception) -> EntrepotError:
    """What whoever wants to do something is told where the log itself is broken."""
    _log.error("the audit log can't be written", exc_info=error)
    hint = "the server's log has the reason"
    return DatabaseUnavailable("the audit log can't be written, and nothing is done without it", hint=hint)
