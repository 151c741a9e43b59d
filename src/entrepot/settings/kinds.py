"""Kinds of values that several sections of the settings have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, BeforeValidator, ConfigDict

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def cron(value: str) -> str:
    """A cron expression, or nothing. Raises ValueError."""
    if value.strip():
        try:
            CronSim(value, _EPOCH)
        except CronSimError as error:
            raise ValueError(f"a cron expression of five fields, or empty ({error})") from error
    return value.strip()


def _words(value: object) -> object:
    """A text with commas as a list of its parts; anything else as it is."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""Several words: a list, or in a variable of the environment a text with commas."""


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> object:
    """A time such as `90`, `90s`, `5m`, `1h` in seconds; anything else as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if text[:-1].isdecimal() and text[-1] in _UNITS:
        return int(text[:-1]) * _UNITS[text[-1]]
    return value


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A time in seconds, which may be given with a unit: s, m, h or d."""


def parse_listen(value: str) -> tuple[str, int]:
    """`HOST:PORT` as (host, port); an empty host is every address. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("HOST:PORT or :PORT with a port from 0 to 65535")
    return host.strip("[]") or "0.0.0.0", int(port)
