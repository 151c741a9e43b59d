"""Licences as people choose among them: what a package says of its own, without what makes it look unlike others."""

from __future__ import annotations

import re
from functools import lru_cache

_OR = re.compile(r"\||\bOR\b")
_FILE = re.compile(r"\s*\+\s*file\s+LICEN[CS]E\b", re.IGNORECASE)
_BOUND = re.compile(r"\s*\(\s*([<>=]+)\s*([^()\s]+)\s*\)")


@lru_cache(maxsize=4096)
def alternatives(text: str) -> tuple[str, ...]:
    """The licences among which a package lets one choose, each once: `GPL(>=2) | MIT + file LICENSE` gives
    `GPL (>= 2)` and `MIT`."""
    parts = (_BOUND.sub(r" (\1 \2)", _FILE.sub("", part)).strip() for part in _OR.split(" ".join(text.split())))
    return tuple(dict.fromkeys(part for part in parts if part))


@lru_cache(maxsize=4096)
def names_of(text: str) -> frozenset[str]:
    """What a licence may be asked for by, casefolded: each alternative, or all of it."""
    return frozenset(name.casefold() for name in (text, *alternatives(text)))
