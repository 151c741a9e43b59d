"""CRAN's Meta/archive.rds and Meta/current.rds: what `file.info()` says of every archived and every current file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple, cast

from entrepot.core.errors import Invalid
from entrepot.core.model import File, Listed
from entrepot.ecosystems.r import paths, rds
from entrepot.ecosystems.r.rdsvalues import Kind, RValue, RVector, Shared, data_frame, strings

LARGEST = 256 << 20
"""Most bytes that such a file may unpack to; CRAN's has some 35 MB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MODE = 0o644
_POSIXCT = {"class": Shared(Kind.STRING, ("POSIXct", "POSIXt"))}
_OCTMODE = {"class": Shared(Kind.STRING, ("octmode",))}


class ArchivedRow(NamedTuple):
    """One archived file; `name` is NAME_VERSION.tar.gz; `size` and `published` (UTC) are None where not told."""

    package: str
    version: str
    name: str
    size: int | None
    published: datetime | None


def render_archive(archived: Iterable[Listed]) -> bytes:
    """Meta/archive.rds of files ordered by package: a list by package of frames with rows `P/P_V.tar.gz`."""
    packages, frames = [], []
    for package, group in groupby((listed.file for listed in archived), key=lambda file: file.package):
        files = list(group)
        packages.append(package)
        frames.append(_frame(files, [f"{package}/{file.name}" for file in files]))
    # R reads a list without elements all the same, with or without names.
    return rds.write(RVector(Kind.LIST, frames, {"names": strings(packages)}))


def render_current(files: Iterable[Listed]) -> bytes:
    """Meta/current.rds: one frame with rows `P_V.tar.gz`."""
    current = [listed.file for listed in files]
    return rds.write(_frame(current, [file.name for file in current]))


def _frame(files: Sequence[File], row_names: Sequence[str]) -> RVector:
    """The columns of R's `file.info()`."""
    times = RVector(Kind.REAL, [file.published_at for file in files], _POSIXCT)
    sizes = RVector(Kind.REAL, [file.size for file in files])
    # Most packages have but a few files; a long column is not worth keeping.
    same = (_kept_constants if len(files) <= 200 else _constants)(len(files))
    columns = {"size": sizes, "isdir": same["isdir"], "mode": same["mode"]}
    return data_frame(columns | {"mtime": times, "ctime": times, "atime": times} | same, row_names)


def _constants(count: int) -> dict[str, RVector]:
    """The columns that say the same of every file. Owners are NA: they are nobody's business and nobody's use."""
    unknown_id = Shared(Kind.INTEGER, (None,) * count)
    unknown_name = Shared(Kind.STRING, (None,) * count)
    return {
        "isdir": Shared(Kind.LOGICAL, (False,) * count),
        "mode": Shared(Kind.INTEGER, (_MODE,) * count, _OCTMODE),
        "uid": unknown_id,
        "gid": unknown_id,
        "uname": unknown_name,
        "grname": unknown_name,
    }


_kept_constants = lru_cache(maxsize=None)(_constants)


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
