"""How people write the time that a token is good for: `30s`, `15m`, `5h`, `20d`, `never`."""

from __future__ import annotations

import re

from entrepot.core.errors import Invalid

NEVER = "never"
LONGEST = 100 * 366 * 86400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"([0-9]{1,10})([smhd])", re.ASCII)


def parse_lifetime(text: str) -> int | None:
    """Seconds; None for `never`. Raises Invalid."""
    plain = text.strip().lower()
    if plain == NEVER:
        return None
    match = _SPAN.fullmatch(plain)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 1 <= seconds <= LONGEST:
        raise Invalid(
            f"{text[:40]!r} is no time after which a token ends",
            hint="write a number with s, m, h or d, such as 15m or 20d, up to a hundred years; or never",
        )
    return seconds
