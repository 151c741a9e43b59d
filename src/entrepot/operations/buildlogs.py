"""The log of one attempt at a build: its lines go on at once, and are kept whole up to a bound."""

from __future__ import annotations

from collections import deque

from entrepot.core.jobs import Log

HEAD = 2 * 1024**2
"""Characters that are kept of a log's beginning."""
TAIL = 2 * 1024**2
"""And of its end, where it has more."""
LONGEST = 2 * (HEAD + TAIL)
"""No log has so many characters."""


def last_part(log: str, most: int) -> tuple[str, bool]:
    """The last lines of a log, of about so many characters at most; whether that is all of it."""
    if len(log) <= most:
        return log, True
    part = log[-most:]
    return part[part.find("\n") + 1 :], False


class BuildLog:
    """Takes lines as `Log`, hands each on, and remembers them."""

    def __init__(self, hand_on: Log) -> None:
        self._hand_on = hand_on
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._room, self._held, self._dropped = HEAD, 0, 0

    def __call__(self, line: str) -> None:
        line = line.replace("\0", "")
        self._hand_on(line)
        if self._room > 0:
            self._head.append(line)
            self._room -= len(line) + 1
            return
        self._tail.append(line)
        self._held += len(line) + 1
        while self._held > TAIL and len(self._tail) > 1:
            self._held -= len(self._tail.popleft()) + 1
            self._dropped += 1

    @property
    def text(self) -> str:
        """All lines; in place of those that are not kept, one that says how many these are."""
        gap = [f"... {self._dropped} lines are left out ..."] if self._dropped else []
        return "".join(f"{line}\n" for line in (*self._head, *gap, *self._tail))
