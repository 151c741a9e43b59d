"""Reads Meta/archive.rds and Meta/current.rds of a CRAN: what `file.info()` says of all archived and current files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from entrepot.core.errors import Invalid
from entrepot.ecosystems.r import paths, rds
from entrepot.ecosystems.r.rdsvalues import Kind, RValue, RVector

LARGEST = 256 << 20
"""Most bytes that such a file may unpack to; CRAN's has some 35 MB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ArchivedRow(NamedTuple):
    """One archived file; `name` is NAME_VERSION.tar.gz; `size` and `published` (UTC) are None where not told."""

    package: str
    version: str
    name: str
    size: int | None
    published: datetime | None


def parse_archive(data: bytes) -> list[ArchivedRow]:
    """The rows of Meta/archive.rds in their order; rows that aren't NAME/NAME_VERSION.tar.gz are left out.

    Raises:
        Invalid: not readable, or not a list.
    """
    found = []
    for frame in rds.Elements(data, limit=LARGEST):
        found += archived_rows(frame)
    return found


def archived_rows(frame: RValue) -> list[ArchivedRow]:
    """The rows of one element of archive.rds, nothing of a thing that isn't a `file.info()` frame."""
    found = []
    for path, size, published in _rows(frame):
        folder, _, name = path.rpartition("/")
        parts = paths.split_file_name(name)
        # The folder is the package's, whatever CRAN's list calls the frame.
        if parts is not None and folder in (parts[0], ""):
            found.append(ArchivedRow(parts[0], parts[1], name, size, published))
    return found


def parse_current(data: bytes) -> dict[str, tuple[int | None, datetime | None]]:
    """File name -> (size, published) of Meta/current.rds, for rows NAME_VERSION.tar.gz.

    Raises:
        Invalid: not readable, or not a data frame.
    """
    frame = rds.read(data, limit=LARGEST)
    if not isinstance(frame, RVector) or frame.kind is not Kind.LIST:
        raise Invalid("current.rds is not a data frame")
    rows = ((path.rpartition("/")[2], size, published) for path, size, published in _rows(frame))
    return {name: (size, published) for name, size, published in rows if paths.split_file_name(name)}


def _rows(frame: RValue) -> Iterator[tuple[str, int | None, datetime | None]]:
    """(row name, size, mtime) of a `file.info()` frame; nothing of a thing that isn't one."""
    if not isinstance(frame, RVector) or frame.kind is not Kind.LIST:
        return
    names = frame.attributes.get("row.names")
    if not isinstance(names, RVector) or names.kind is not Kind.STRING:
        return
    columns = frame.by_name()
    sizes = _numbers(columns.get("size"), len(names))
    times = _numbers(columns.get("mtime"), len(names))
    for name, size, time in zip(names.values, sizes, times, strict=False):
        if isinstance(name, str):
            yield name, _size(size), _time(time)


def _numbers(column: object, count: int) -> Sequence[float | None]:
    """A numeric column of `count` rows; all unknown if it is missing, of another type or another length."""
    is_numeric = isinstance(column, RVector) and column.kind in (Kind.REAL, Kind.INTEGER) and len(column) == count
    return cast(Sequence[float | None], cast(RVector, column).values) if is_numeric else (None,) * count


def _size(number: float | None) -> int | None:
    return int(number) if number is not None and 0 <= number < 2**53 else None


def _time(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # ValueError: NaN
        return None
