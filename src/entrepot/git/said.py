"""What git writes to its standard error: lines for the log and for finding out what went wrong, without secrets."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from entrepot.core.jobs import Log

MASK: Final = "***"
_LONGEST_LINE: Final = 2000
"""Characters of a line that are told."""
_LONGEST_OPEN: Final = 64 * 1024
"""Bytes of a line that are looked at: a secret in them is found before the line is cut."""
_MOST_LINES: Final = 2000
_KEPT: Final = 200
"""Last lines that are kept to tell a fault by."""
_ENDS = re.compile(rb"[\r\n]")


class Mask:
    """Takes secrets out of text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: one may be a part of another.
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


class Said:
    """Cuts bytes into lines, masked and printable; each goes to `log` at once, up to a number of them."""

    def __init__(self, log: Log, mask: Mask) -> None:
        self._log, self._mask = log, mask
        self._open = bytearray()
        self._told = 0
        self.lines: deque[str] = deque(maxlen=_KEPT)

    def take(self, data: bytes) -> None:
        """The next bytes."""
        at = 0
        for end in _ENDS.finditer(data):
            self._keep(data[at : end.start()])
            self._tell()
            at = end.end()
        self._keep(data[at:])

    def finish(self) -> None:
        """There are no more."""
        self._tell()

    def _keep(self, data: bytes) -> None:
        self._open += data[: max(0, _LONGEST_OPEN - len(self._open))]

    def _tell(self) -> None:
        line = self._mask(self._open.decode(errors="replace"))[:_LONGEST_LINE]
        self._open.clear()
        line = "".join(c if c.isprintable() else " " for c in line).strip()
        if not line:
            return
        self.lines.append(line)
        self._told += 1
        if self._told <= _MOST_LINES:
            self._log(line if self._told < _MOST_LINES else "[... git says more than is kept here]")
