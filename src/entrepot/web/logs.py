"""The log of a process, on standard error, without what looks like a token."""

from __future__ import annotations

import logging
import sys

from entrepot.core.hiding import without_secrets

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Discreet(logging.Formatter):
    """Hides tokens that came where none belongs: in a path, in the text of somebody else's error."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def begin_log() -> None:
    """Write what is worth a line, from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Discreet(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
