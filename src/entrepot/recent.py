"""What the last requests found, kept in memory: results likely to be asked for again, and what need not be tried."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """The values that were used last: `size` of them, or as many as weigh that much together where they have weights;
    one at least. They are shared by all who ask, so nobody may change them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._weight = 0
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of `key`, which has to name all that it depends on; made if it isn't kept."""
        found = self.find(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found

    def find(self, key: Hashable) -> V | None:
        """The value of `key`, if it is kept."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: V, weight: int = 1) -> None:
        """Keep a value that others may be given."""
        with self._lock:
            self._weight += weight - self._values.get(key, (None, 0))[1]
            self._values[key] = value, weight
            self._values.move_to_end(key)
            while self._weight > self._size and len(self._values) > 1:
                self._weight -= self._values.popitem(last=False)[1][1]


class Waits:
    """Until when something need not be tried again; the `size` newest are remembered."""

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._until: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def until(self, key: Hashable, now: float) -> float | None:
        """The time up to which to wait, if that is after `now`."""
        until = self._until.get(key)
        return until if until is not None and until > now else None

    def put(self, key: Hashable, until: float) -> None:
        with self._lock:
            self._until[key] = until
            self._until.move_to_end(key)
            while len(self._until) > self._size:
                self._until.popitem(last=False)

    def clear(self, key: Hashable) -> None:
        with self._lock:
            self._until.pop(key, None)
