"""Values as pages show them. What others wrote (packages, commits, logs) may hold anything."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from entrepot.core import plaintext

LONGEST = 20_000
"""Characters of one value that are shown; logs and READMEs have bounds of their own."""
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS and their like: titles, links
    r"|\x1b[@-Z\\-_]?",
    re.DOTALL,
)
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def plain(text: str) -> str:
    """A text without what changes more than itself: escapes of terminals, control and direction characters."""
    return plaintext.plain(_ESCAPES.sub("", text) if "\x1b" in text else text)


def shown(value: object) -> object:
    """What an expression of a template becomes before it is escaped: texts are made plain and bounded."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = plain(value[: LONGEST + 1])
    return text if len(value) <= LONGEST else text[:LONGEST] + " …"


def log(text: str, most: int = 400_000) -> Markup:
    """The last part of a log."""
    return escape(plain(text[-most:]))


def number(value: int) -> str:
    """12345 -> 12,345"""
    return f"{value:,}"


def size(value: int | None) -> str:
    """Bytes as people read them: 1.2 MB."""
    if value is None:
        return "–"
    amount, unit = float(value), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 99.5 else f"{amount:.1f} {_UNITS[unit]}"


def moment(value: str | datetime | None) -> Markup:
    """A time of the API, to the minute."""
    when = _parsed(value)
    if when is None:
        return Markup("–")
    return Markup('<time datetime="{}">{} UTC</time>').format(f"{when:%Y-%m-%dT%H:%M:%SZ}", f"{when:%Y-%m-%d %H:%M}")


def day(value: str | datetime | None) -> Markup:
    """A day, or that of a time of the API."""
    when = _parsed(value)
    return Markup("–") if when is None else Markup('<time datetime="{0}">{0}</time>').format(f"{when:%Y-%m-%d}")


def ago(value: str | datetime | None, now: datetime) -> str:
    """How long ago a time is: 5 minutes ago. Of a time to come how long it will be."""
    when = _parsed(value)
    if when is None:
        return "never"
    seconds = (now - when).total_seconds()
    for length, unit in ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(abs(seconds) // length)
        if count:
            words = f"{count} {unit}{'s' * (count != 1)}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now"


def _parsed(value: str | datetime | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
