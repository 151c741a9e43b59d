"""How much the store holds: measured behind requests, and only as often as it takes little of the time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from entrepot.core.errors import EntrepotError
from entrepot.storage import Storage

_log = logging.getLogger(__name__)
AGAIN_AFTER = 60.0
"""Seconds that a measure is good for at least."""
SHARE = 50
"""And so many times as long as it took: a store of a million objects is read for seconds."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How many files the store had, how many bytes these are, and when that was found."""

    files: int
    size: int
    time: datetime


class Meter:
    """The last measure of a store. Whoever asks begins a new one if it is time for that; nobody waits long for it."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._last: Measure | None = None
        self._due = 0.0

    def look(self, *, patience: float = 0.5) -> Measure | None:
        """The last measure; None while the first one takes longer than `patience` seconds, or failed."""
        with self._lock:
            if self._thread is None and time.monotonic() >= self._due and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._measure, name="meter", daemon=True)
                self._thread.start()
            thread = self._thread
        if self._last is None and thread is not None:
            thread.join(patience)
        return self._last

    def close(self) -> None:
        """End a measure that goes on."""
        self._stopping.set()
        if (thread := self._thread) is not None:
            thread.join(10)

    def _measure(self) -> None:
        began = time.monotonic()
        try:
            files = size = 0
            for number, amount in self._storage.amounts():
                files, size = files + number, size + amount
                if self._stopping.is_set():
                    return
            self._last = Measure(files, size, self._clock())
        except EntrepotError as error:
            _log.warning("the store could not be measured: %s", error.message)
        finally:
            with self._lock:
                self._due = time.monotonic() + max(AGAIN_AFTER, SHARE * (time.monotonic() - began))
                self._thread = None
