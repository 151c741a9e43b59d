"""Downloads as a process counts them: in memory, and one thread adds them to the database every few seconds.

Whoever downloads waits for nothing of it. What is lost is bounded: with a killed process what came since the last
write, which is `WRITE_EVERY` seconds as long as the database takes writes; in order it ends without a loss. While the
database is away, or another write takes its time, counts wait here, at most `MOST` different ones of each of two
steps; what doesn't fit any more is counted as `lost`, and told at `/metrics`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from entrepot.core.errors import EntrepotError
from entrepot.core.usage import Client, Counted, Download, day_number
from entrepot.db import usage
from entrepot.db.engine import Database

_log = logging.getLogger(__name__)
WRITE_EVERY = 5.0
"""Seconds between two writes."""
MOST = 20_000
"""Different counts (a file, a kind of client, a day) that wait in memory to be looked at, and to be written."""
MOST_A_DAY = 250_000
"""Rows of one day in the database; behind that, only packages are told apart, not versions and clients. It bounds what
clients can make of it that invent versions of themselves."""
LOOK_EVERY = 60.0
"""Seconds between two looks at how many rows the day has."""
AT_ONCE = 5000
"""Rows of one transaction: other writers wait that long."""
PATIENCE = 10.0
"""Seconds that the end of a process waits for the last write."""
SAME_DAY = 1.0
"""Seconds for which it is taken to be the same day, if that doesn't end before."""
_AGAIN = 1.0
"""Seconds until the last write is tried again."""

_Noted = dict[tuple[Download, Client], list[int]]
"""What was noted on a day; each number in a list of its own, so that counting looks it up once."""


class UsageLog:
    """Counts downloads; any thread may use it.

    Args:
        now: the time in UTC.
        is_on: whether anything is counted at all.
    """

    def __init__(self, db: Database, now: Callable[[], datetime], *, is_on: bool) -> None:
        self._db = db
        self._now = now
        self.is_on = is_on
        self.lost = 0
        self._noted: _Noted = {}
        self._days_before: list[tuple[int, _Noted]] = []
        self._day = 0
        self._look_at = -1.0
        self._waiting: dict[Counted, int] = {}
        self._full: dict[int, bool] = {}
        self._looked = -LOOK_EVERY
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_failing = False

    def note(self, download: Download, client: Client) -> None:
        """Count one download, within a microsecond."""
        if not self.is_on:
            return
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look()
            noted = self._noted.get((download, client))
            if noted is not None:
                noted[0] += 1
            elif len(self._noted) < MOST:
                self._noted[download, client] = [1]
                if self._thread is None:
                    self._start()
            else:
                self.lost += 1

    def flush(self) -> bool:
        """Write down what was counted up to now; whether that succeeded. Blocks."""
        with self._writing:
            self._take()
            return self._write()

    def close(self) -> None:
        """Write down what is left, as far as that is possible, and count nothing more."""
        self.is_on = False
        self._closing.set()
        if self._thread is not None:
            self._thread.join(PATIENCE + _AGAIN)

    def _look(self) -> None:
        """See which day it is, and when to look again: asking the clock for each download would take half of its time.
        The lock is held."""
        now = self._now()
        today = day_number(now)
        if today != self._day:
            if self._noted:
                self._days_before.append((self._day, self._noted))
            self._day, self._noted = today, {}
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        self._look_at = time.monotonic() + min(SAME_DAY, (midnight - now).total_seconds())

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="usage", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._closing.wait(WRITE_EVERY):
            self.flush()
        until = time.monotonic() + PATIENCE
        while not self.flush():
            if time.monotonic() > until:
                _log.warning("%d downloads could not be written down", sum(self._waiting.values()))
                return
            time.sleep(_AGAIN)

    def _take(self) -> None:
        """Put what was noted to what is to be written."""
        with self._lock:
            taken = [*self._days_before, (self._day, self._noted)]
            self._days_before, self._noted, self._look_at = [], {}, -1.0
        lost = 0
        for day, noted in taken:
            for (download, client), (number,) in noted.items():
                key = Counted.of(day, download, client)
                if key in self._waiting:
                    self._waiting[key] += number
                elif len(self._waiting) < MOST:
                    self._waiting[key] = number
                else:
                    lost += number
        with self._lock:
            self.lost += lost

    def _write(self) -> bool:
        """Write what waits, in pieces; what could not be written goes on waiting. Whether nothing is left."""
        for piece in list(usage.in_pieces(self._waiting, AT_ONCE)):
            try:
                with self._db.write(shows=False) as connection:
                    usage.add(connection, self._coarsened(connection, piece))
            except EntrepotError as error:
                if not self._is_failing:
                    _log.warning("downloads are counted, but can't be written down now: %s", error)
                self._is_failing = True
                return False
            except Exception:
                # No reason to try the same again: it would keep all that follows from being written.
                _log.exception("%d downloads could not be written down", sum(piece.values()))
                with self._lock:
                    self.lost += sum(piece.values())
            self._is_failing = False
            for key in piece:
                del self._waiting[key]
        return True

    def _coarsened(self, connection: Connection, piece: Mapping[Counted, int]) -> Mapping[Counted, int]:
        """Counts as they are to be written: of days that have very many rows by packages alone."""
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self._looked = time.monotonic()
            self._full.clear()
        coarsened: dict[Counted, int] = {}
        for counted, number in piece.items():
            if counted.day not in self._full:
                self._full[counted.day] = usage.rows_of_day(connection, counted.day) >= MOST_A_DAY
            key = counted.coarse if self._full[counted.day] else counted
            coarsened[key] = coarsened.get(key, 0) + number
        return coarsened
