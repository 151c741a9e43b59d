"""What a build writes to its standard error, as lines of a log: bounded, and without what drives a terminal."""

from __future__ import annotations

import re
from collections import deque

from entrepot.core.jobs import Log

LONGEST_LINE = 4000
"""Bytes of a line that are kept; the rest of the line is left out."""
MOST_LINES = 20_000
MOST_BYTES = 4 * 1024**2
TAIL = 32 * 1024
"""Of a log that is longer than that, so many bytes of its end are kept as well: they say why a build failed."""
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_LINE_ENDS = re.compile(rb"[\r\n]")


class Lines:
    """Cuts bytes into lines and gives them to `log` as they come.

    A carriage return ends a line too (progress bars); the empty line within "\\r\\n" is none. Once the log is full,
    only line ends are counted: who writes without end costs next to nothing.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._open = b""
        self._was_return = False
        self._lines = self._bytes = 0
        self._skipped = self._skipped_bytes = 0
        self._tail = b""
        self.latest: deque[str] = deque(maxlen=3)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; at most LONGEST_LINE of them are kept for later."""
        at = 0
        for end in _LINE_ENDS.finditer(data):
            if self._is_full():
                break
            self._end_line(data[at : min(end.start(), at + LONGEST_LINE + 1)], is_newline=end.group() == b"\n")
            at = end.end()
        if self._is_full():
            self._skip(self._open + data[at:])
            self._open = b""
        elif at < len(data):
            self._was_return = False
            self._open = (self._open + data[at : at + LONGEST_LINE + 1])[: LONGEST_LINE + 1]

    def finish(self) -> None:
        """Tell what is open, and the end of a log that was too long."""
        if self._open:
            self._tell(self._open)
            self._open = b""
        kept = [line for line in _LINE_ENDS.split(self._tail) if line]
        if self._skipped_bytes > len(self._tail):
            kept = kept[1:]  # a part of a line
            self._log(f"[... about {max(1, self._skipped - len(kept))} lines are left out]")
        for line in kept:
            self._tell(line)
        self._tail, self._skipped, self._skipped_bytes = b"", 0, 0

    def _is_full(self) -> bool:
        return self._lines >= MOST_LINES or self._bytes >= MOST_BYTES

    def _end_line(self, part: bytes, *, is_newline: bool) -> None:
        line = self._open + part
        if line or not (is_newline and self._was_return):
            self._tell(line)
        self._open, self._was_return = b"", not is_newline

    def _skip(self, data: bytes) -> None:
        self._skipped += data.count(b"\n")
        self._skipped_bytes += len(data)
        self._tail = (self._tail + data)[-TAIL:]

    def _tell(self, raw: bytes) -> None:
        line = _shown(raw)
        self.latest.append(line)
        self._lines += 1
        self._bytes += len(raw) + 1
        self._log(line)


def _shown(raw: bytes) -> str:
    text = _COLOURS.sub("", raw[:LONGEST_LINE].decode(errors="replace"))
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"{text} [...]" if len(raw) > LONGEST_LINE else text
