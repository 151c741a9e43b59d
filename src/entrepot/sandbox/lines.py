"""What a build writes to its standard error, as lines of a log: bounded, and without what drives a terminal."""

from __future__ import annotations

import re
from collections import deque

from entrepot.core.jobs import Log

LONGEST_LINE = 4000
"""Bytes of a line that are kept; the rest of the line is left out."""
MOST_LINES = 20_000
MOST_BYTES = 4 * 1024**2
LAST_LINES = 200
"""Of a log that is longer than that, these many lines of its end are kept as well: they say why a build failed."""
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_LINE_ENDS = re.compile(rb"[\r\n]")


class Lines:
    """Cuts bytes into lines and gives them to `log` as they come.

    A carriage return ends a line too (progress bars); empty lines that come of "\\r\\n" are left out.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._open = b""
        self._was_return = False
        self._lines = self._bytes = self._left_out = 0
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self.latest: deque[str] = deque(maxlen=3)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; at most LONGEST_LINE of them are kept for later."""
        at = 0
        for end in _LINE_ENDS.finditer(data):
            is_newline = end.group() == b"\n"
            line = self._open + data[at : min(end.start(), at + LONGEST_LINE + 1)]
            if line or not (is_newline and self._was_return):
                self._tell(line)
            self._open, self._was_return, at = b"", not is_newline, end.end()
        if at < len(data):
            self._was_return = False
            self._open = (self._open + data[at : at + LONGEST_LINE + 1])[: LONGEST_LINE + 1]

    def finish(self) -> None:
        """Tell what is open, and the end of a log that was too long."""
        if self._open:
            self._tell(self._open)
            self._open = b""
        if self._left_out:
            if self._left_out > len(self._last):
                self._log(f"[... {self._left_out - len(self._last)} lines are left out]")
            for line in self._last:
                self._log(line)
            self._left_out = 0
            self._last.clear()

    def _tell(self, raw: bytes) -> None:
        line = _shown(raw)
        self.latest.append(line)
        if self._lines >= MOST_LINES or self._bytes >= MOST_BYTES:
            self._left_out += 1
            self._last.append(line)
            return
        self._lines += 1
        self._bytes += len(raw)
        self._log(line)


def _shown(raw: bytes) -> str:
    text = _COLOURS.sub("", raw[:LONGEST_LINE].decode(errors="replace"))
    text = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"{text} [...]" if len(raw) > LONGEST_LINE else text
