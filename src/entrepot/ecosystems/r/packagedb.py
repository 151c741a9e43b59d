"""`web/packages/packages.rds`, the data frame of `tools::CRAN_package_db()`: what CRAN tells of its current packages.

It has some 25,000 rows and 65 columns, most of them long texts of which nothing is wanted here. So the columns are
passed over first, and then the few that count are read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from entrepot.core.errors import Invalid
from entrepot.core.facts import Fact, Version
from entrepot.ecosystems.r import dcf, rds
from entrepot.ecosystems.r.rdsvalues import Kind, RVector

PACKAGE, VERSION, TITLE, REQUIREMENTS = _COLUMNS = ("Package", "Version", "Title", "SystemRequirements")
_MOST_COLUMNS = 1000
_MOST_ROWS = 1_000_000
_LONGEST = 10_000
"""Characters of a text that are kept."""
_PLAIN_STRINGS = (int(Kind.STRING)).to_bytes(4, "big")
"""How a vector of strings begins that has no attributes."""
_INT = struct.Struct(">i")

Progress = Callable[[int, int], object]


def read(data: bytes, *, limit: int, progress: Progress) -> dict[Version, Fact]:
    """What the file tells of each version, by (package, version); of versions that are there twice, the first row.

    Args:
        limit: the most bytes that `data` may unpack to.
        progress: called with how many columns were passed, and how many there are.

    Raises:
        Invalid: cut, damaged, too large, or no such data frame.
    """
    elements = rds.Elements(data, limit=limit)
    if elements.count > _MOST_COLUMNS:
        raise Invalid(f"the R data file has {elements.count} columns")
    places = []
    for number in range(elements.count):
        progress(number, elements.count)
        places.append(elements.at)
        _pass_over(elements)
    columns = _columns(elements, places, _names(elements))
    return _facts(columns)


def _pass_over(elements: rds.Elements) -> None:
    """Go behind the next column; what isn't a plain vector of strings is read for that."""
    raw, at = elements.raw, elements.at
    if not raw.startswith(_PLAIN_STRINGS, at):
        elements.next()
        return
    unpack = _INT.unpack_from
    try:
        count: int = unpack(raw, at + 4)[0]
        at += 8
        if not 0 <= count <= _MOST_ROWS:
            raise Invalid("the R data file has a column that is too long")
        for _ in range(count):
            length = unpack(raw, at + 4)[0]
            at += 8 + (length if length > 0 else 0)
    except struct.error:
        raise Invalid("the R data file is cut short") from None
    elements.go_to(at)


def _names(elements: rds.Elements) -> Sequence[object]:
    """The names of the columns, from the attributes that follow them."""
    attributes = elements.next()
    names = attributes.by_name().get("names") if isinstance(attributes, RVector) else None
    return names.values if isinstance(names, RVector) else ()


def _columns(elements: rds.Elements, places: Sequence[int], names: Sequence[object]) -> dict[str, Sequence[object]]:
    """The wanted columns by their names; of equal names the first."""
    found: dict[str, Sequence[object]] = {}
    symbols = elements.symbols
    for at, name in zip(places, names, strict=False):
        if name in _COLUMNS and name not in found:
            # All symbols are known by now: columns of texts have none of their own.
            elements.go_to(at, symbols)
            column = elements.next()
            if not isinstance(column, RVector) or column.kind is not Kind.STRING:
                raise Invalid(f"the R data file has a column {name} that is no text")
            found[str(name)] = column.values
    for name in (PACKAGE, VERSION):
        if name not in found:
            raise Invalid(f"the R data file is no list of packages: it has no column {name}")
    if len({len(values) for values in found.values()}) > 1:
        raise Invalid("the R data file is damaged: its columns are not equally long")
    return found


def _facts(columns: dict[str, Sequence[object]]) -> dict[Version, Fact]:
    rows = len(columns[PACKAGE])
    nothing: Sequence[object] = [None] * rows
    found: dict[Version, Fact] = {}
    texts = (columns.get(name, nothing) for name in (TITLE, REQUIREMENTS))
    for package, version, title, needs in zip(columns[PACKAGE], columns[VERSION], *texts, strict=True):
        if isinstance(package, str) and isinstance(version, str) and package and version:
            fact = Fact(_clean(package) or "", _clean(version) or "", _clean(title), _clean(needs))
            found.setdefault(fact[:2], fact)
    return found


def _clean(text: object) -> str | None:
    """On one line and without what a database can't keep; None for nothing."""
    if not isinstance(text, str):
        return None
    return dcf.collapse(text.replace("\0", ""))[:_LONGEST] or None
