"""Writes R values as .rds: XDR, serialisation version 2, which every R since 2.3 reads."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.r.rdsvalues import (
    ASCII,
    CHARACTERS,
    HAS_ATTRIBUTES,
    HAS_TAG,
    IS_OBJECT,
    NA_INTEGER,
    NA_REAL_BYTES,
    NULL,
    PAIRLIST,
    REFERENCE,
    SYMBOL,
    UTF8,
    Kind,
    RValue,
    RVector,
    strings,
)

# Format X (XDR), version 2, "written by" R 4.2.2, readable from R 2.3.0.
_HEAD = b"X\n" + struct.pack(">iii", 2, 0x00040202, 0x00020300)
_CHUNK = 1 << 20
_NULL = struct.pack(">i", NULL)
_PAIR = struct.pack(">i", PAIRLIST | HAS_TAG)
_PLAIN_STRINGS = struct.pack(">i", Kind.STRING)
_INT = struct.Struct(">i")
_TWO = struct.Struct(">ii")
_DOUBLE = struct.Struct(">d")
_IN_ASCII, _IN_UTF8 = CHARACTERS | ASCII, CHARACTERS | UTF8
NA_STRING = _TWO.pack(CHARACTERS, -1)
"""`string(None)`."""


def string(text: str | None) -> bytes:
    """One element of a character vector as it is written (a CHARSXP); None is NA_character_."""
    if text is None:
        return NA_STRING
    raw = text.encode("utf-8", "replace")
    if b"\0" in raw:  # R's strings can't hold it
        raw = raw.replace(b"\0", b"")
    return _TWO.pack(_IN_ASCII if raw.isascii() else _IN_UTF8, len(raw)) + raw


def string_each(texts: Sequence[str]) -> list[bytes]:
    """As `string` of each; fast for many that are plain."""
    together = "".join(texts)
    if not together.isascii() or "\0" in together:
        return [string(text) for text in texts]
    return [_TWO.pack(_IN_ASCII, len(text)) + text.encode() for text in texts]


class Strings(dict[str | None, bytes]):
    """As `string`, each made once; indexes repeat their strings a great deal."""

    def __missing__(self, text: str | None) -> bytes:
        self[text] = made = string(text)
        return made


class Writer:
    """Serialises one object; R numbers symbols in the order in which they first appear in the stream."""

    def __init__(self, made: Strings | None = None) -> None:
        self._packed = gzips.Writer()
        self._out = bytearray(_HEAD)
        self._strings = Strings() if made is None else made
        self._symbols: dict[str, bytes] = {}

    def finish(self) -> bytes:
        """What was written, as the content of an .rds file."""
        self._packed.write(self._out)
        return self._packed.finish()

    def value(self, value: RValue) -> None:
        """Append `value`: NULL or a vector."""
        if value is None:
            self._out += _NULL
        elif isinstance(value, str):
            self._symbol(value)
        else:
            self._vector(value)

    def _vector(self, vector: RVector) -> None:
        out = self._out
        attributes = vector.attributes
        flags = int(vector.kind)
        if attributes:
            flags |= HAS_ATTRIBUTES | (IS_OBJECT if "class" in attributes else 0)
        out += _TWO.pack(flags, len(vector.values))
        if vector.kind is Kind.LIST:
            for element in vector.values:
                self.value(cast(RValue, element))
        else:
            out += self._elements(vector)
        if attributes:
            self._attributes(attributes)

    def vector(self, kind: Kind, count: int, parts: Iterable[bytes], attributes: Mapping[str, RValue]) -> None:
        """Append a vector without a class whose elements are written already; `parts` may have one or many each."""
        self._out += _TWO.pack(kind | HAS_ATTRIBUTES, count)
        for part in parts:
            if len(self._out) > _CHUNK:
                self._packed.write(self._out)
                self._out.clear()
            self._out += part
        self._attributes(attributes)

    def part(self, value: RValue) -> bytes:
        """What `value` would append.

        The first part with a symbol defines it and has to stand in the stream before all others with that symbol.
        """
        start = len(self._out)
        self.value(value)
        made = bytes(self._out[start:])
        del self._out[start:]
        return made

    def _elements(self, vector: RVector) -> bytes:
        match vector.kind:
            case Kind.STRING:
                return b"".join(map(self._strings.__getitem__, cast(Sequence[str | None], vector.values)))
            case Kind.REAL:
                return reals(cast(Sequence[float | None], vector.values))
            case Kind.RAW:
                return bytes(cast(Sequence[int], vector.values))
            case _:
                return _integers(cast(Sequence[int | None], vector.values))

    def _attributes(self, attributes: Mapping[str, RValue]) -> None:
        for name, value in attributes.items():
            self._out += _PAIR
            self._symbol(name)
            self.value(value)
        self._out += _NULL

    def _symbol(self, name: str) -> None:
        known = self._symbols.get(name)
        if known is not None:
            self._out += known
            return
        # The reference's number sits in the upper bits of its flags.
        self._symbols[name] = _INT.pack((len(self._symbols) + 1) << 8 | REFERENCE)
        self._out += _INT.pack(SYMBOL) + self._strings[name]


def reals(values: Sequence[float | None]) -> bytes:
    """The elements of a numeric vector as they are written, 8 bytes each; None is NA_real_."""
    if None not in values:
        return struct.pack(f">{len(values)}d", *values)
    return b"".join(NA_REAL_BYTES if value is None else _DOUBLE.pack(value) for value in values)


def _integers(values: Sequence[int | None]) -> bytes:
    if None in values:
        values = [NA_INTEGER if value is None else value for value in values]
    return struct.pack(f">{len(values)}i", *values)


def write(value: RValue) -> bytes:
    """`value` as the content of an .rds file, gzip-compressed and the same for equal input."""
    writer = Writer()
    writer.value(value)
    return writer.finish()


def write_matrix(
    columns: Mapping[str, Sequence[bytes]],
    row_names: Sequence[str] | None = None,
    *,
    made: Strings | None = None,
) -> bytes:
    """A character matrix with column names, as the content of an .rds file.

    Args:
        columns: name -> cells as `string` makes them, equally many in all columns.
        row_names: one for each row, None for a matrix without.
        made: strings that were made already.
    """
    rows = len(next(iter(columns.values()), ()))
    names = RVector(Kind.LIST, [strings(row_names) if row_names is not None else None, strings(list(columns))])
    writer = Writer(made)
    attributes = {"dim": RVector(Kind.INTEGER, (rows, len(columns))), "dimnames": names}
    writer.vector(Kind.STRING, rows * len(columns), map(b"".join, columns.values()), attributes)
    return writer.finish()
