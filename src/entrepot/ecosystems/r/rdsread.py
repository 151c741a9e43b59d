"""Reads .rds files: XDR, versions 2 and 3, the vectors, lists and ALTREP forms that `saveRDS` writes of plain data."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from entrepot.core.errors import Invalid
from entrepot.ecosystems.r import rdsvalues
from entrepot.ecosystems.r.altrep import expand
from entrepot.ecosystems.r.rdsunpack import unpack
from entrepot.ecosystems.r.rdsvalues import (
    ATTRIBUTED_PAIRLIST,
    CHARACTERS,
    HAS_ATTRIBUTES,
    HAS_TAG,
    LATIN1,
    NA_INTEGER,
    NULL,
    PAIRLIST,
    REFERENCE,
    SYMBOL,
    Kind,
    RValue,
    RVector,
)

_DEEPEST = 100
_EXPANDED_SIZE = 64
_INT = struct.Struct(">i")
_KINDS = {int(kind): kind for kind in Kind}
# Bytes that an element takes at least; by plain int, as hashing an enum's member is slow.
_WIDTHS = {10: 4, 13: 4, 14: 8, 16: 8, 19: 4, 24: 1}


def read(data: bytes, *, limit: int = 1 << 30) -> RValue:
    """The R value in an .rds file, compressed with gzip, bzip2, xz or not at all.

    Memory is bounded by a multiple of `limit`, the most bytes that `data` may unpack to.

    Raises:
        Invalid: cut, damaged, too large, or an R object that is not plain data.
    """
    with _faults():
        return _Reader(unpack(data, limit), limit).item(0)


class Elements:
    """The elements of the list in an .rds file, one at a time, so that a long one is never in memory as a whole.

    `raw` are the unpacked bytes and `at` is the place in them where the next element begins. R refers back to symbols
    by number: `symbols` is its table so far. An element that `is_plain` adds nothing to the table, so the same bytes
    mean the same wherever the table begins the same.

    Raises:
        Invalid: as `read`, here or when reached; not a list.
    """

    def __init__(self, data: bytes, *, limit: int = 1 << 30) -> None:
        with _faults():
            self._reader = _Reader(unpack(data, limit), limit)
            self.count = self._reader.list_length()
        self.raw = self._reader.raw
        self.is_plain = True

    @property
    def at(self) -> int:
        return self._reader.at

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._reader.references)

    def next(self) -> RValue:
        """The element at `at`, which then is behind it."""
        reader = self._reader
        symbols, budget = len(reader.references), reader.budget
        with _faults():
            value = reader.item(1)
        self.is_plain = len(reader.references) == symbols and reader.budget == budget
        return value

    def go_to(self, at: int, symbols: Sequence[str] | None = None) -> None:
        """Go on at another place, with another table of symbols if it is given."""
        self._reader.at = at
        if symbols is not None:
            self._reader.references[:] = symbols

    def __iter__(self) -> Iterator[RValue]:
        for _ in range(self.count):
            yield self.next()


@contextmanager
def _faults() -> Iterator[None]:
    """Says of bytes that make no sense what they are."""
    try:
        yield
    except (struct.error, IndexError):
        raise Invalid("the R data file is cut short") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise Invalid(f"the R data file is damaged ({error})") from None


class _Reader:
    """One pass over the unpacked bytes. `references` is R's table of symbols, in the order of first appearance."""

    def __init__(self, raw: bytes, limit: int) -> None:
        self.raw = raw
        self.at = 2
        self.budget = limit  # for what compact vectors expand to, all together
        self.references: list[str] = []
        self.strings: dict[bytes, str | None] = {}
        self.recent: dict[str, tuple[bytes, RValue]] = {}
        self.blocks: list[tuple[bytes, dict[str, RValue]]] = []
        self.elements: dict[tuple[int, bytes], tuple[bytes, RValue]] = {}
        self._head()

    def _head(self) -> None:
        if self.raw[:2] != b"X\n":
            raise Invalid("this is not an R data file in XDR form")
        version = self._int()
        self.at += 8
        if version == 3:
            self.at += 4 + self._count_at(self.at, 1)  # the name of an encoding
        elif version != 2:
            raise Invalid(f"the R data file has serialisation version {version}; 2 and 3 can be read")

    def list_length(self) -> int:
        """How many elements follow, where the next item is a list."""
        flags = self._int()
        if flags & 0xFF != Kind.LIST:
            raise Invalid("the R data file does not hold a list")
        self.at += 4
        return self._count_at(self.at - 4, 4)

    def item(self, depth: int) -> RValue:
        """The next item, whatever it is."""
        (flags,) = _INT.unpack_from(self.raw, self.at)
        self.at += 4
        type_ = flags & 0xFF
        kind = _KINDS.get(type_)
        if kind is not None:
            return self._vector(kind, flags, depth)
        if depth > _DEEPEST:
            raise Invalid(f"the R data file is nested deeper than {_DEEPEST} levels")
        match type_:
            case rdsvalues.NULL:
                return None
            case rdsvalues.SYMBOL | rdsvalues.REFERENCE:
                return self._symbol(flags)
            case rdsvalues.PAIRLIST | rdsvalues.ATTRIBUTED_PAIRLIST:
                return self._pairlist(flags, depth)
            case rdsvalues.ALTREP:
                return self._altrep(depth)
            case _:
                raise Invalid(f"the R data file holds an object of type {type_}, which is not plain data")

    def _vector(self, kind: Kind, flags: int, depth: int) -> RVector:
        width = _WIDTHS[flags & 0xFF]
        count = self._count_at(self.at, width)
        start = self.at + 4
        self.at = start + count * width
        values: Sequence[object]
        if kind is Kind.STRING:
            values = self._strings(start, count)
        elif kind is Kind.REAL:
            values = struct.unpack_from(f">{count}d", self.raw, start)
        elif kind is Kind.LIST:
            values = self._list(start, count, depth)
        elif kind is Kind.RAW:
            values = self.raw[start : self.at]
        else:
            values = _with_na(struct.unpack_from(f">{count}i", self.raw, start), kind)
        if flags & HAS_ATTRIBUTES:
            return RVector(kind, values, self._attributes(depth))
        return RVector(kind, values)

    def _count_at(self, at: int, width: int) -> int:
        """A vector's length, refused if so many elements can't be in what is left."""
        count: int = _INT.unpack_from(self.raw, at)[0]
        if count < 0 or count * width > len(self.raw) - at - 4:
            raise Invalid("the R data file is cut short or damaged: a vector is longer than what is left")
        return count

    def _list(self, start: int, count: int, depth: int) -> list[RValue]:
        if depth > _DEEPEST:
            raise Invalid(f"the R data file is nested deeper than {_DEEPEST} levels")
        self.at = start
        return [self._element(number, depth + 1) for number in range(count)]

    def _element(self, number: int, depth: int) -> RValue:
        """A list's element. Columns of thousands of data frames hold the same, such as owners of files: read once."""
        raw, start = self.raw, self.at
        head = number, raw[start : start + 8]  # the type and, of vectors, the length
        seen = self.elements.get(head)
        if seen is not None and raw.startswith(seen[0], start):
            self.at += len(seen[0])
            return seen[1]
        symbols = len(self.references)
        value = self.item(depth)
        if seen is None and len(self.elements) < 4096 and self._is_repeatable(start, symbols, 1024):
            self.elements[head] = (raw[start : self.at], value)
        return value

    def _strings(self, at: int, count: int) -> list[str | None]:
        # The innermost loop: a CRAN archive index has a million strings, most of them seen before.
        raw, known, unpack = self.raw, self.strings, _INT.unpack_from
        found: list[str | None] = []
        for number in range(count):
            length = unpack(raw, at + 4)[0]
            end = at + 8 + (length if length > 0 else 0)
            packed = raw[at:end]
            text = known.get(packed, "")
            if not text and packed not in known:
                if end > len(raw):
                    raise IndexError
                known[packed] = text = _text(packed, length)
            found.append(text)
            if not number and count > 1 and self._repeats(packed, count, at):
                self.at = at + len(packed) * count
                return found * count
            at = end
        self.at = at
        return found

    def _repeats(self, packed: bytes, count: int, at: int) -> bool:
        """Whether `count` strings at `at` are all `packed`: a column of one value, such as the owner of each file."""
        return (
            self.raw.startswith(packed, at + len(packed))
            and len(packed) * count <= len(self.raw) - at
            and self.raw.startswith(packed * count, at)
        )

    def _attributes(self, depth: int) -> dict[str, RValue]:
        """The pairlist of attributes behind a vector. Thousands of columns have the same few: read once."""
        raw, start = self.raw, self.at
        for block, attributes in self.blocks:
            if raw.startswith(block, start):
                self.at += len(block)
                return attributes
        symbols = len(self.references)
        attributes = dict(self._pairs(depth))
        if len(self.blocks) < 8 and self._is_repeatable(start, symbols, 128):
            self.blocks.append((raw[start : self.at], attributes))
        return attributes

    def _pairs(self, depth: int) -> Iterator[tuple[str, RValue]]:
        while (flags := self._int()) & 0xFF != NULL:
            if flags & 0xFF != PAIRLIST or not flags & HAS_TAG:
                raise Invalid("the R data file is damaged: attributes without names")
            name = self._symbol(self._int())
            yield name, self._attribute(name, depth)

    def _attribute(self, name: str, depth: int) -> RValue:
        """An attribute's value. `names` of thousands of data frames are the same bytes: read once."""
        raw, start = self.raw, self.at
        recent = self.recent.get(name)
        if recent is not None and raw.startswith(recent[0], start):
            self.at += len(recent[0])
            return recent[1]
        symbols = len(self.references)
        value = self.item(depth + 1)
        if recent is None and self._is_repeatable(start, symbols, 1024):
            self.recent[name] = (raw[start : self.at], value)
        return value

    def _is_repeatable(self, start: int, symbols: int, longest: int) -> bool:
        """Whether the same bytes would mean the same again: not if they define a symbol."""
        return self.at - start <= longest and len(self.references) == symbols

    def _symbol(self, flags: int) -> str:
        if flags & 0xFF == REFERENCE:
            index = flags >> 8 or self._int()
            if not 0 < index <= len(self.references):
                raise Invalid("the R data file is damaged: a reference to nothing")
            return self.references[index - 1]
        if flags & 0xFF != SYMBOL:
            raise Invalid("the R data file is damaged: a name is expected")
        name = self._strings(self.at, 1)[0] or "NA"
        self.references.append(name)
        return name

    def _pairlist(self, flags: int, depth: int) -> RVector:
        """A pairlist as a list with names."""
        values: list[RValue] = []
        names: list[str] = []
        attributes: dict[str, RValue] = {}
        while flags & 0xFF in (PAIRLIST, ATTRIBUTED_PAIRLIST):
            if flags & HAS_ATTRIBUTES or flags & 0xFF == ATTRIBUTED_PAIRLIST:
                attributes |= self._attributes(depth)
            names.append(self._symbol(self._int()) if flags & HAS_TAG else "")
            values.append(self.item(depth + 1))
            flags = self._int()
        if flags & 0xFF != NULL:
            # A dotted pair: ALTREP states are pairs of two vectors.
            self.at -= 4
            names.append("")
            values.append(self.item(depth + 1))
        if any(names):
            attributes["names"] = RVector(Kind.STRING, names)
        return RVector(Kind.LIST, values, attributes)

    def _altrep(self, depth: int) -> RValue:
        info, state = self.item(depth + 1), self.item(depth + 1)
        attributes = dict(self._pairs(depth))
        class_ = info.values[0] if isinstance(info, RVector) else None
        vector = expand(str(class_), state, attributes, longest=self.budget // _EXPANDED_SIZE)
        self.budget -= len(vector) * _EXPANDED_SIZE
        return vector

    def _int(self) -> int:
        value: int = _INT.unpack_from(self.raw, self.at)[0]
        self.at += 4
        return value


def _with_na(numbers: tuple[int, ...], kind: Kind) -> Sequence[object]:
    if kind is Kind.LOGICAL:
        return [None if n == NA_INTEGER else n != 0 for n in numbers]
    if NA_INTEGER in numbers:
        return [None if n == NA_INTEGER else n for n in numbers]
    return numbers


def _text(packed: bytes, length: int) -> str | None:
    """The string of one serialised CHARSXP."""
    flags = _INT.unpack_from(packed)[0]
    if flags & 0xFF != CHARACTERS:
        raise Invalid("the R data file is damaged: a string is expected")
    if length < 0:
        return None
    if flags & LATIN1:
        return packed[8:].decode("latin-1")
    try:
        return packed[8:].decode("utf-8")
    except UnicodeDecodeError:
        return packed[8:].decode("latin-1")
