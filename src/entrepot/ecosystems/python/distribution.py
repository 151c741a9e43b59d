"""Reads what is uploaded: a wheel or an sdist, whole and strictly."""

from __future__ import annotations

import re
from typing import BinaryIO

from entrepot.core.errors import Invalid, InvalidArchive
from entrepot.ecosystems.python import sdist, wheel
from entrepot.ecosystems.python.metadata import Distribution

LONGEST_FILE_NAME = 240
"""Characters: with `.metadata` behind it, it still is a file name everywhere."""
_LEAST_LIMIT = 64 << 20
_RATIO = 100
_ABSOLUTE_LIMIT = 16 << 30
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_WANTED = "upload the .whl or .tar.gz that the build tool made, under the name that it gave"


def read_distribution(stream: BinaryIO, *, file_name: str, size: int) -> Distribution:
    """Read a wheel or an sdist to its last byte, in bounded memory, and check all of it.

    Args:
        stream: the file, which can be sought in.
        file_name: the name that it shall have, which tells its kind, project and version.
        size: its bytes; what it may unpack to depends on them.

    Raises:
        InvalidArchive: anything that is not exactly a distribution of that name; the message is one line and names
            the file.
    """
    shown = file_name[:200].encode("utf-8", "backslashreplace").decode()
    try:
        return _read(stream, file_name, size)
    except Invalid as error:
        raise InvalidArchive(f"{shown}: {error}", hint=error.hint or _WANTED, file=shown) from error


def _read(stream: BinaryIO, file_name: str, size: int) -> Distribution:
    if len(file_name) > LONGEST_FILE_NAME or not _FILE_NAME.fullmatch(file_name) or ".." in file_name:
        raise InvalidArchive("this is not the name of a wheel or sdist")

    def read(start: int, end: int) -> bytes:
        stream.seek(start)
        return stream.read(end - start)

    limit = min(_ABSOLUTE_LIMIT, max(_LEAST_LIMIT, _RATIO * size))
    if file_name.endswith(".whl"):
        return wheel.read_wheel(read, size, file_name=file_name, limit=limit)
    if file_name.endswith(".tar.gz"):
        return sdist.read_tarball(stream, file_name=file_name, limit=limit)
    if file_name.endswith(".zip"):
        return sdist.read_zip(read, size, file_name=file_name, limit=limit)
    raise InvalidArchive("the file's name is neither that of a wheel nor of an sdist")
