"""A strict, streaming reader of tar archives (POSIX.1-2001 ustar and pax, GNU long names)."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from entrepot.core.errors import InvalidArchive
from entrepot.ecosystems.archives.gzips import Reader

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_PIECE = 1 << 18
_LONGEST_EXTENSION = 1 << 20
_FILES = (b"0", b"\0", b"7")
_HARD_LINK, _SYMBOLIC_LINK = b"1", b"2"
_FOLDER = b"5"
_GNU_NAME, _GNU_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_WHAT = {
    _HARD_LINK: "a hard link",
    _SYMBOLIC_LINK: "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One member: its path as it stands (a folder's ends with a slash), its type flag, the size that it says it has,
    and what it leads to if it is a link."""

    path: str
    type: bytes
    size: int
    link: str

    @property
    def is_file(self) -> bool:
        return self.type in _FILES

    @property
    def is_folder(self) -> bool:
        return self.type == _FOLDER

    @property
    def is_hard_link(self) -> bool:
        return self.type == _HARD_LINK

    @property
    def is_link(self) -> bool:
        return self.type in (_HARD_LINK, _SYMBOLIC_LINK)

    @property
    def what(self) -> str:
        """Words for its type, where it is neither file nor folder."""
        return _WHAT.get(self.type, "neither a file nor a folder")

    @property
    def shown(self) -> str:
        """Its path for a message."""
        return repr(self.path if len(self.path) <= 100 else self.path[:100] + "...")


class Tar:
    """Iterates over the entries of an archive once; `content` gives what belongs to the latest.

    Raises:
        InvalidArchive: damaged or cut, no end mark, something behind the end mark; and what `stream` raises.
    """

    def __init__(self, stream: Reader | BinaryIO) -> None:
        self._stream = stream
        self._left = 0  # of the present entry's content
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        extensions: dict[str, str] = {}
        while (block := self._block()) != _ZEROS:
            header = _header(block)
            if header.type in (_PAX, _GNU_NAME, _GNU_LINK, _PAX_GLOBAL):
                self._begin(header.size)
                extensions |= self._extension(header)
                continue
            entry = _entry(header, extensions)
            extensions = {}
            # Folders, links and devices have no content, whatever their header says.
            self._begin(0 if entry.is_folder or entry.type in _WHAT else entry.size)
            yield entry
            self._skip()
        if extensions:
            raise InvalidArchive("the tar archive is damaged: a long name belongs to nothing")
        self._check_end()

    def content(self) -> bytes:
        """What is left of the present entry's content, all at once: look at its size first."""
        data = self._exactly(self._left)
        self._left = 0
        return data

    def part(self, most: int) -> bytes:
        """What is left of the present entry's content, and no more than `most` bytes."""
        data = self._exactly(min(self._left, most))
        self._left -= len(data)
        return data

    def _begin(self, size: int) -> None:
        self._left, self._padding = size, -size % _BLOCK

    def _skip(self) -> None:
        left = self._left + self._padding
        while left:
            piece = self._stream.read(min(left, _PIECE))
            if not piece:
                raise _cut()
            left -= len(piece)
        self._left = self._padding = 0

    def _block(self) -> bytes:
        block = self._stream.read(_BLOCK)
        if not block:
            raise InvalidArchive("the tar archive is cut short: it has no end mark")
        if len(block) < _BLOCK:
            raise _cut()
        return block

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size) if size else b""
        if len(data) < size:
            raise _cut()
        return data

    def _extension(self, header: tarfile.TarInfo) -> dict[str, str]:
        """What a header that only says something of the next entry says: "path", "linkpath", "size" or none of them."""
        if header.size > _LONGEST_EXTENSION:
            raise InvalidArchive("the tar archive has an extended header of absurd size")
        data = self.content()
        self._skip()
        if header.type == _GNU_NAME:
            return {"path": _decode(data.rstrip(b"\0"))}
        if header.type == _GNU_LINK:
            return {"linkpath": _decode(data.rstrip(b"\0"))}
        if header.type == _PAX:
            return _pax(data)
        if header.type == _PAX_GLOBAL and not {"path", "size", "linkpath"}.isdisjoint(_pax(data)):
            # git archive writes a comment; a path for all entries is a trick.
            raise InvalidArchive("the tar archive has a global header that renames entries")
        return {}

    def _check_end(self) -> None:
        """Nothing but zeros may follow: unpackers disagree on whether to go on there."""
        while piece := self._stream.read(_PIECE):
            if piece.count(0) != len(piece):
                raise InvalidArchive("something follows the end mark of the tar archive")


def _cut() -> InvalidArchive:
    return InvalidArchive("the tar archive is cut short")


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise InvalidArchive(f"the tar archive is damaged ({error})") from None
    if header.size < 0:
        raise InvalidArchive("the tar archive is damaged (negative size)")
    return header


def _entry(header: tarfile.TarInfo, extensions: dict[str, str]) -> Entry:
    size = header.size
    if "size" in extensions:
        if not (extensions["size"].isascii() and extensions["size"].isdigit()) or len(extensions["size"]) > 18:
            raise InvalidArchive("the tar archive is damaged (bad size in a pax header)")
        size = int(extensions["size"])
    path = extensions.get("path", header.name)
    type_ = header.type
    # Before 1988 a folder was a file whose name ends with a slash.
    if type_ in _FILES and path.endswith("/"):
        type_ = _FOLDER
    if type_ == _FOLDER:
        path = path if path.endswith("/") else path + "/"
    return Entry(path, type_, size, extensions.get("linkpath", header.linkname))


def _pax(data: bytes) -> dict[str, str]:
    """The records `LENGTH KEY=VALUE\\n` of a pax header (POSIX.1-2001, pax)."""
    records: dict[str, str] = {}
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 20].partition(b" ")
        end = at + int(digits) if space and digits.isdigit() else at
        key, equals, value = data[at + len(digits) + 1 : end - 1].partition(b"=")
        if not equals or data[end - 1 : end] != b"\n":
            raise InvalidArchive("the tar archive is damaged (bad pax header)")
        records[_decode(key)] = _decode(value)
        at = end
    if any(key.startswith("GNU.sparse") for key in records):
        raise InvalidArchive("the tar archive has a sparse file", hint="pack it without --sparse")
    return records


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
