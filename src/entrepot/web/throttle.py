"""Guesses slowed down: wrong tokens, codes and passwords are counted by where they come from.

Nobody is locked out: what is right is taken from every address at any time, as a guess costs one hash and one look-up;
only what is wrong is answered "too many" then, with the time to wait.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

FREE = 10
"""Wrong guesses in a row that are nothing unusual: a client with an old token, somebody who mistypes."""
WITHIN = 60.0
"""Seconds in which as many are forgotten."""
LONGEST_WAIT = 60.0
MOST_ADDRESSES = 10_000
_RATE = FREE / WITHIN
_MOST = FREE + LONGEST_WAIT * _RATE


class _Count(NamedTuple):
    """Wrong guesses as of a time; they fade at a steady rate."""

    guesses: float
    at: float


class Throttle:
    """Counts wrong guesses by address, IPv6 by network of 64 bits, in memory. Any thread may use it.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._lock = threading.Lock()

    def failed(self, address: str) -> None:
        """A guess from there was wrong."""
        key, now = _key(address), self._clock()
        with self._lock:
            guesses = min(self._guesses(key, now) + 1, _MOST)
            self._counts[key] = _Count(guesses, now)
            self._counts.move_to_end(key)
            while len(self._counts) > MOST_ADDRESSES:
                self._counts.popitem(last=False)

    def wait(self, address: str) -> float:
        """Seconds until wrong guesses from there are answered as wrong again; 0: they are now."""
        with self._lock:
            guesses = self._guesses(_key(address), self._clock())
        return max(0.0, (guesses - FREE) / _RATE)

    def __len__(self) -> int:
        return len(self._counts)

    def _guesses(self, key: str, now: float) -> float:
        found = self._counts.get(key)
        return 0.0 if found is None else max(0.0, found.guesses - (now - found.at) * _RATE)


def _key(address: str) -> str:
    """What an address is counted as: a household or a machine has a whole network of 64 bits."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:8].hex()
