"""Writes Meta/archive.rds and Meta/current.rds: what `file.info()` says of every archived and every current file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from entrepot.core.model import Brief, PackageName
from entrepot.ecosystems.r import rds
from entrepot.ecosystems.r.rdsvalues import Kind, RVector, data_frame, strings

_MODE = 0o644
_POSIXCT = {"class": strings(("POSIXct", "POSIXt"))}
_OCTMODE = {"class": strings(("octmode",))}

# What can be no size, time or name of a file: where these are put in a template.
_SIZE, _TIME, _NAME = -1.5, -2.5, "\x01"


def render_archive(archived: Sequence[Brief]) -> bytes:
    """Meta/archive.rds of files ordered by package: a list by package of frames with rows `P/P_V.tar.gz`."""
    packages = Counter(file.package for file in archived)
    writer = rds.Writer()
    # R reads a list without elements all the same, with or without names.
    writer.vector(Kind.LIST, len(packages), _frames(writer, archived, packages), {"names": strings(list(packages))})
    return writer.finish()


def render_current(files: Sequence[Brief]) -> bytes:
    """Meta/current.rds: one frame with rows `P_V.tar.gz`."""
    sizes, times = [file.size for file in files], [file.published_at for file in files]
    return rds.write(_frame(sizes, times, [file.name for file in files]))


def _frames(writer: rds.Writer, archived: Sequence[Brief], packages: Counter[PackageName]) -> Iterator[bytes]:
    """A frame for each package and its number of files.

    There are 25,000 of CRAN, alike but for sizes, times and names of some files. So all but the first, which defines
    the symbols, are put together of bytes; those around the values are made once for each number of files.
    """
    sizes = rds.reals([file.size for file in archived])
    times = rds.reals([file.published_at for file in archived])
    names = rds.string_each([f"{file.package}/{file.name}" for file in archived])
    templates: dict[int, list[bytes]] = {}
    start = 0
    for count in packages.values():
        template = templates.get(count)
        if template is None:
            template = _template(writer, count)
            if start:
                templates[count] = template
        end = start + count
        before, mode, mtime, ctime, atime, after = template
        size, time, name = sizes[8 * start : 8 * end], times[8 * start : 8 * end], b"".join(names[start:end])
        yield b"".join((before, size, mode, time, mtime, time, ctime, time, atime, name, after))
        start = end


def _template(writer: rds.Writer, count: int) -> list[bytes]:
    """A frame of so many files, cut where the sizes, the times (thrice) and the names are."""
    frame = writer.part(_frame([_SIZE] * count, [_TIME] * count, [_NAME] * count))
    before, rest = frame.split(rds.reals([_SIZE] * count))
    *between, rest = rest.split(rds.reals([_TIME] * count))
    return [before, *between, *rest.split(rds.string(_NAME) * count)]


def _frame(sizes: Sequence[float | None], times: Sequence[float | None], row_names: Sequence[str]) -> RVector:
    """The columns of R's `file.info()`. Owners are NA: they are nobody's business and nobody's use."""
    count = len(row_names)
    time = RVector(Kind.REAL, times, _POSIXCT)
    columns = {
        "size": RVector(Kind.REAL, sizes),
        "isdir": RVector(Kind.LOGICAL, (False,) * count),
        "mode": RVector(Kind.INTEGER, (_MODE,) * count, _OCTMODE),
        "mtime": time,
        "ctime": time,
        "atime": time,
        "uid": RVector(Kind.INTEGER, (None,) * count),
        "gid": RVector(Kind.INTEGER, (None,) * count),
        "uname": RVector(Kind.STRING, (None,) * count),
        "grname": RVector(Kind.STRING, (None,) * count),
    }
    return data_frame(columns, row_names)
