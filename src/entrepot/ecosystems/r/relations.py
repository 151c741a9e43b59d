"""Which packages an index entry names as needed: the names alone, for very many entries at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from entrepot.ecosystems.r.dependencies import FIELDS

KINDS = tuple(field.lower() for field in FIELDS)
"""The kinds of dependencies, as `dependencies.of_description` names them."""
_NUMBERS = {field: number for number, field in enumerate(FIELDS)}
# A field and what continues it; entries are written with one line a field.
_FIELD = re.compile(rf"^({'|'.join(FIELDS)}):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_NAME = re.compile(r"(?:^|,)\s*([^\s(,]+)")


def names_needed(entry: str) -> Iterator[tuple[int, list[str]]]:
    """The dependency fields of an index entry (DCF lines, `File.fields`): the number of the kind and its names.

    The names are those that `dependencies.of_description` finds, a repeated one as often as it is there.
    """
    for found in _FIELD.finditer(entry):
        yield _NUMBERS[found[1]], _NAME.findall(found[2])
