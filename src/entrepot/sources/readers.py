"""Reads many small parts of an upstream's files, a few at once and at a steady rate."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from entrepot.core.errors import EntrepotError

THREADS = 4
Before = Callable[[], object]
"""Called before each request: waits for its turn, or raises where nobody waits for the answer any more."""

Item = TypeVar("Item")
Got = TypeVar("Got")
Item_contra = TypeVar("Item_contra", contravariant=True)
Got_co = TypeVar("Got_co", covariant=True)


class Read(Protocol[Item_contra, Got_co]):
    def __call__(self, item: Item_contra, /, *, before: Before) -> Got_co: ...


class Pace:
    """Lets callers of all threads pass at a steady rate.

    Args:
        rate: how many a second.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        sleep: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap = 1 / rate
        self._sleep = sleep
        self._now = now
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            now = self._now()
            turn = max(self._next, now)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)


@dataclass(frozen=True, slots=True)
class Came(Generic[Item, Got]):
    """What reading one item gave."""

    item: Item
    read: Got | EntrepotError


class _Stopped(Exception):
    """Nobody waits for what is read."""


class Readers(Generic[Item, Got]):
    """A few threads that read what they are given; `next` gives what came of it, in the order in which it comes.

    They are daemons: a server that ends doesn't wait for an upstream that says nothing.
    """

    def __init__(self, read: Read[Item, Got], *, rate: float) -> None:
        self._read = read
        self._todo: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._came: queue.SimpleQueue[Came[Item, Got] | Exception] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._pace = Pace(rate, sleep=self._stopping.wait)
        self.waiting = 0
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"reader-{number}", daemon=True).start()

    def add(self, item: Item) -> None:
        self.waiting += 1
        self._todo.put(item)

    def next(self, *, patience: float = 1) -> Came[Item, Got] | None:
        """What came of one of the items that were given; None if nothing did for so many seconds."""
        try:
            came = self._came.get(timeout=patience)
        except queue.Empty:
            return None
        self.waiting -= 1
        if isinstance(came, Exception):
            raise came
        return came

    def close(self) -> None:
        """Let the threads end; what they are at is dropped."""
        self._stopping.set()
        for _ in range(THREADS):
            self._todo.put(None)

    def _work(self) -> None:
        while not self._stopping.is_set() and (item := self._todo.get()) is not None:
            try:
                self._came.put(Came(item, self._read(item, before=self._before)))
            except EntrepotError as error:
                self._came.put(Came(item, error))
            except Exception as error:
                self._came.put(error)

    def _before(self) -> None:
        self._pace.wait()
        if self._stopping.is_set():
            raise _Stopped
