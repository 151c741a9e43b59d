"""The license in an index entry, without reading all of it: for very many entries at once."""

from __future__ import annotations

import re

_LINE = re.compile(r"^License:[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)


def license_of(entry: str | None) -> str | None:
    """What an index entry (DCF lines, `File.fields`) says on one line; None if it says none, or isn't known."""
    found = _LINE.search(entry) if entry else None
    return (" ".join(found[1].split()) or None) if found is not None else None
