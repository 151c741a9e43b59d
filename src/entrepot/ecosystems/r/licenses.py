"""Single fields of index entries and DESCRIPTIONs, without reading all of them: for very many at once."""

from __future__ import annotations

import re
from functools import lru_cache


def license_of(entry: str | None) -> str | None:
    """What an index entry (DCF lines, `File.fields`) says on one line; None if it says none, or isn't known."""
    return field_of("License", entry)


def title_of(document: str | None) -> str | None:
    """As `license_of`, the title in a DESCRIPTION."""
    return field_of("Title", document)


def field_of(name: str, text: str | None) -> str | None:
    """As `license_of`, any field."""
    found = _line(name).search(text) if text else None
    return (" ".join(found[1].split()) or None) if found is not None else None


@lru_cache(maxsize=8)
def _line(name: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(name)}:[ \t]*(.*(?:\r?\n[ \t].*)*)", re.MULTILINE)
