"""The dependency fields of DESCRIPTION, read as R reads them ("Writing R Extensions", 1.1.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from entrepot.core.releases import Dependency

__all__ = ["FIELDS", "Dependency", "of_description", "parse"]

FIELDS = ("Depends", "Imports", "LinkingTo", "Suggests", "Enhances")
"""The fields that name packages, in the order of DESCRIPTIONs."""

# As `tools:::.split_dependencies`, and also where R asks for a space that some packages leave out.
_ITEM = re.compile(r"([^\s(]+)\s*(?:\(([^)]*)\))?")
_BOUND = re.compile(r"([<>=!]+)\s*([^\s<>=!]+)")


def parse(value: str) -> list[Dependency]:
    """The items of one field in their order, each once: `R (>= 3.5), methods`.

    Never raises: these texts come from upstreams. A bound that can't be read is left out, an item without a name too.
    """
    found: dict[Dependency, None] = {}
    for item in value.split(","):
        match = _ITEM.match(item.strip())
        if match is None:
            continue
        bound = _BOUND.fullmatch((match[2] or "").strip())
        found[Dependency(match[1], bound[1], bound[2]) if bound else Dependency(match[1])] = None
    return list(found)


def of_description(fields: Mapping[str, str]) -> dict[str, list[Dependency]]:
    """All dependency fields by their names in lower case; a missing field is an empty list."""
    return {field.lower(): parse(fields.get(field, "")) for field in FIELDS}
