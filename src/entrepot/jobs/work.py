"""The handle that a job's code works with: how far it is, what it logs, whether it shall end. All in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from entrepot.core.errors import Cancelled

LINE_LIMIT = 4000
"""Characters of a line that are kept."""
MOST_LINES = 20_000
"""Lines that wait to be kept, at most; they are kept every second, so that it is more only while the database is away.
What is said more is dropped, and a line says so."""


class Progress(NamedTuple):
    """How far a job is; a `total` of 0 is not known."""

    step: str = ""
    done: int = 0
    total: int = 0


class Work:
    """One run of a job, as its code and the one who carries it out see it.

    Nothing here touches the database: it may be used within a write transaction, which for an embedded database would
    have to wait for itself.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: list[tuple[datetime, str]] = []
        self._lost = 0
        self.progress = Progress()
        self.cancelled_by = ""
        self.is_interrupted = False

    # What the job's code calls

    def report(self, step: str, done: int, total: int) -> None:
        """Tell how far the work is; a new step is a line of the log.

        Raises:
            Cancelled: it shall end.
        """
        if self.cancelled_by:
            raise Cancelled(f"cancelled by {self.cancelled_by}")
        if self.is_interrupted:
            raise Cancelled("the worker ends")
        if step != self.progress.step:
            self.log(step)
        self.progress = Progress(step, done, total)

    def log(self, line: str) -> None:
        """Add a line to the job's log; it is kept within seconds."""
        with self._lock:
            if len(self._lines) >= MOST_LINES:
                self._lost += 1
                return
            if self._lost:
                self._lines.append((self._clock(), f"... {self._lost} lines are left out ..."))
                self._lost = 0
            # NUL is nothing that a database of text can keep.
            self._lines.append((self._clock(), line.replace("\0", "")[:LINE_LIMIT]))

    # What its worker calls

    def cancel(self, actor: str) -> None:
        """Somebody asked for its end."""
        self.cancelled_by = actor

    def interrupt(self) -> None:
        """It shall end here, to be begun again elsewhere or later."""
        self.is_interrupted = True

    def lines(self) -> list[tuple[datetime, str]]:
        """Lines that were not kept yet."""
        with self._lock:
            return list(self._lines)

    def kept(self, number: int) -> None:
        """The first `number` of these lines are kept now."""
        with self._lock:
            del self._lines[:number]
