"""R's vectors as Python values, and the numbers of the serialisation format that reader and writer share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum


class Kind(IntEnum):
    """SEXPTYPEs of the vectors that are read and written."""

    LOGICAL = 10
    INTEGER = 13
    REAL = 14
    STRING = 16
    LIST = 19
    RAW = 24


SYMBOL = 1
PAIRLIST = 2
CHARACTERS = 9
ALTREP = 238
ATTRIBUTED_PAIRLIST = 239
NULL = 254
REFERENCE = 255

IS_OBJECT = 1 << 8
HAS_ATTRIBUTES = 1 << 9
HAS_TAG = 1 << 10
LATIN1 = 1 << 14
UTF8 = 1 << 15
ASCII = 1 << 18

_NO_ATTRIBUTES: Mapping[str, RValue] = {}

NA_INTEGER = -(1 << 31)
NA_REAL_BYTES = b"\x7f\xf0\x00\x00\x00\x00\x07\xa2"


@dataclass(frozen=True, slots=True, eq=True)
class RVector:
    """A vector or list of R.

    `values` holds bool, int, float, str, bytes' integers (raw) or values, and None for NA; NA_real_ is read as a NaN,
    as Python can't keep it apart, and written for None. A pairlist is read as a list with names.
    """

    kind: Kind
    values: Sequence[object]
    attributes: Mapping[str, RValue] = field(default_factory=lambda: _NO_ATTRIBUTES)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> Sequence[object]:
        """The attribute `names`, empty if there is none."""
        names = self.attributes.get("names")
        return names.values if isinstance(names, RVector) else ()

    def by_name(self) -> dict[object, object]:
        """The elements under their names; of equal names the first counts, as for R's `$`."""
        found: dict[object, object] = {}
        for name, value in zip(self.names, self.values, strict=False):
            found.setdefault(name, value)
        return found


RValue = RVector | str | None
"""A vector, a symbol's name, or NULL."""


def strings(values: Sequence[str | None]) -> RVector:
    """A character vector."""
    return RVector(Kind.STRING, values)


def data_frame(columns: Mapping[str, RVector], row_names: Sequence[str]) -> RVector:
    """A data.frame of equally long columns."""
    attributes: dict[str, RValue] = {
        "names": strings(tuple(columns)),
        "class": strings(("data.frame",)),
        "row.names": strings(row_names),
    }
    return RVector(Kind.LIST, tuple(columns.values()), attributes)
