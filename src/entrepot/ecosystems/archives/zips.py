"""A reader of zip archives (APPNOTE 6.3) by ranges, as strict as files of unknown origin need.

Not `zipfile`: that takes what comes before an archive, members that overlap and two directories without a word, and
wants a file to seek in. Compressions are stored and deflate, as wheels have them.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from entrepot.core.errors import InvalidArchive
from entrepot.ecosystems.archives.members import check_path, shown

Read = Callable[[int, int], bytes]
"""The bytes [start, end) of an archive."""

MOST_MEMBERS = 200_000
_LARGEST_DIRECTORY = 64 << 20
_PIECE = 1 << 18
_MOST_EXTRA = 256
"""Bytes that may be between the header before a member and its contents; more of them cost another range."""
_TAIL = 32 << 10
"""What is read of the end at first: most directories and, before them, the metadata of wheels are in it."""
_END = Struct("<4s4H2IH")
_LOCATOR = Struct("<4sIQI")
_END64 = Struct("<4sQ2H2I4Q")
_ENTRY = Struct("<4s2B5H3I5H2I")
_LOCAL = Struct("<4s5H3I2H")
_NO_NUMBER = 0xFFFFFFFF
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 1, 8, 0x800
_STORED, _DEFLATED = 0, 8


class Member(NamedTuple):
    """One entry of the directory: `packed` and `size` are its bytes before and after unpacking, `mode` as on Unix."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


class Zip:
    """An archive whose directory was read.

    Args:
        read: gives ranges of it.
        size: its bytes.
        is_strict: whether anything besides members, directory and end mark is refused.

    Raises:
        InvalidArchive: not a zip, cut, damaged; and what `read` raises.
    """

    def __init__(self, read: Read, size: int, *, is_strict: bool) -> None:
        self._read, self._size = read, size
        self._tail_at = max(0, size - _TAIL)
        self._tail = read(self._tail_at, size)
        self._near_at, self._near = 0, b""
        self._directory_at, self.members = self._directory(is_strict)
        if is_strict:
            self._check_layout()

    def pieces(self, member: Member) -> Iterator[bytes]:
        """The contents of a member, unpacked, in pieces; its size and checksum are checked to the end."""
        if member.flags & _ENCRYPTED:
            raise InvalidArchive(f"{shown(member.name)} in it is encrypted")
        if member.method not in (_STORED, _DEFLATED):
            raise InvalidArchive(f"{shown(member.name)} in it is compressed in a way that is not known here")
        start = self._content_at(member)
        crc = came = 0
        for piece in self._unpacked(member, start):
            crc, came = zlib.crc32(piece, crc), came + len(piece)
            if came > member.size:
                break
            yield piece
        if came != member.size or crc != member.crc:
            raise InvalidArchive(f"{shown(member.name)} in it is damaged")

    def content(self, member: Member, *, largest: int) -> bytes:
        """All of a member's contents, at most `largest` bytes; of a small one by a single range."""
        if member.size > largest:
            raise InvalidArchive(f"{shown(member.name)} in it is larger than {largest:,} bytes")
        end = member.offset + _LOCAL.size + len(member.raw_name) + _MOST_EXTRA + member.packed
        if member.offset < min(self._tail_at, self._directory_at) and member.packed <= _PIECE:
            self._near_at, self._near = member.offset, self._read(member.offset, min(end, self._directory_at))
        return b"".join(self.pieces(member))

    def _range(self, start: int, end: int) -> bytes:
        if not 0 <= start <= end <= self._size:
            raise InvalidArchive("the zip archive is cut short or damaged")
        if start >= self._tail_at:
            return self._tail[start - self._tail_at : end - self._tail_at]
        if self._near_at <= start and end <= self._near_at + len(self._near):
            return self._near[start - self._near_at : end - self._near_at]
        data = self._read(start, end)
        if len(data) != end - start:
            raise InvalidArchive("the zip archive is cut short")
        return data

    def _directory(self, is_strict: bool) -> tuple[int, list[Member]]:
        end_at, count, size, start = self._end(is_strict)
        if count > MOST_MEMBERS or size > _LARGEST_DIRECTORY:
            raise InvalidArchive(f"there are more than {MOST_MEMBERS:,} members in it")
        if start + size > end_at or (is_strict and start + size != end_at):
            raise InvalidArchive("the zip archive is damaged: something is before or behind what belongs to it")
        data = self._range(start, start + size)
        members, at = [], 0
        for _ in range(count):
            member, at = _member(data, at)
            members.append(member)
        if at != size:
            raise InvalidArchive("the zip archive is damaged: its directory is longer than its entries")
        return start, members

    def _end(self, is_strict: bool) -> tuple[int, int, int, int]:
        """(where the end marks begin, entries, bytes of the directory, where it begins)."""
        at = self._size - _END.size
        tail = self._tail if at >= 0 else b""
        place = at - self._tail_at
        if not _is_end(tail, place):
            # A comment may follow; in a wheel it is of no use but to hide something.
            place = -1 if is_strict else tail.rfind(b"PK\5\6")
            if not _is_end(tail, place):
                raise InvalidArchive("not a zip archive, or cut short")
        _, disk, first_disk, here, count, size, start, _ = _END.unpack_from(tail, place)
        at = self._tail_at + place
        if disk or first_disk or here != count:
            raise InvalidArchive("the zip archive has several parts")
        if count == 0xFFFF or _NO_NUMBER in (size, start):
            return self._end64(at)
        return at, count, size, start

    def _end64(self, end_at: int) -> tuple[int, int, int, int]:
        at = end_at - _LOCATOR.size
        signature, disk, end64_at, disks = _LOCATOR.unpack(self._range(at, end_at)) if at >= 0 else (b"", 0, 0, 0)
        if signature != b"PK\6\7" or disk or disks > 1 or end64_at + _END64.size > at:
            raise InvalidArchive("the zip archive is damaged (end of directory)")
        found = _END64.unpack(self._range(end64_at, end64_at + _END64.size))
        signature, length, _, _, disk, first_disk, here, count, size, start = found
        if signature != b"PK\6\6" or disk or first_disk or here != count or end64_at + 12 + length != at:
            raise InvalidArchive("the zip archive is damaged (end of directory)")
        return end64_at, count, size, start

    def _local(self, member: Member) -> tuple[tuple[int, ...], bytes, int]:
        """(fields of the header before a member's contents, the name in it, where the contents begin)."""
        head_end = member.offset + _LOCAL.size + len(member.raw_name)
        head = self._range(member.offset, head_end)
        signature, *fields = _LOCAL.unpack_from(head)
        if signature != b"PK\3\4":
            raise InvalidArchive(f"the zip archive is damaged before {shown(member.name)}")
        return tuple(fields), head[_LOCAL.size :], member.offset + _LOCAL.size + fields[8] + fields[9]

    def _content_at(self, member: Member) -> int:
        return self._local(member)[2]

    def _unpacked(self, member: Member, start: int) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
        at, end = start, start + member.packed
        while at < end:
            data = self._range(at, min(at + _PIECE, end))
            at += len(data)
            if unpacker is None:
                yield data
                continue
            while data:
                try:
                    piece = unpacker.decompress(data, _PIECE)
                except zlib.error:
                    raise InvalidArchive(f"{shown(member.name)} in it is damaged") from None
                if piece:
                    yield piece
                if unpacker.unused_data:
                    raise InvalidArchive(f"{shown(member.name)} in it is damaged")
                data = unpacker.unconsumed_tail
        if unpacker is not None and not unpacker.eof:
            # What a piece could not hold may still be inside.
            yield unpacker.flush(_PIECE)

    def _check_layout(self) -> None:
        """Every byte belongs to one member, and what stands before a member says what the directory does.

        Unpackers disagree on which of two to believe, so that one could see another file than the others.
        """
        at = 0
        for member in sorted(self.members, key=lambda one: one.offset):
            if member.offset != at:
                raise InvalidArchive("the zip archive is damaged: its members overlap, or leave gaps")
            fields, name, start = self._local(member)
            _, flags, method, _, _, crc, packed, size, length, _ = fields
            if (name, length, flags, method) != (member.raw_name, len(member.raw_name), member.flags, member.method):
                raise InvalidArchive(f"the zip archive is damaged: {shown(member.name)} is there under another name")
            at = start + member.packed
            if flags & _SIZES_FOLLOW:
                at += self._descriptor(member, at)
            elif (
                crc != member.crc or packed not in (member.packed, _NO_NUMBER) or size not in (member.size, _NO_NUMBER)
            ):
                raise InvalidArchive(f"the zip archive is damaged: {shown(member.name)} has two sizes")
        if at != self._directory_at:
            raise InvalidArchive("the zip archive is damaged: something is between its members and its directory")

    def _descriptor(self, member: Member, at: int) -> int:
        """Bytes of the data descriptor behind a member: with or without signature, of 32 or 64 bits."""
        data = self._range(at, min(at + 24, self._directory_at))
        for head in (b"PK\7\x08", b""):
            for sizes in (Struct("<3I"), Struct("<I2Q")):
                end = len(head) + sizes.size
                if data.startswith(head) and len(data) >= end:
                    told = sizes.unpack_from(data, len(head))
                    if told == (member.crc, member.packed, member.size):
                        return end
        raise InvalidArchive(f"the zip archive is damaged behind {shown(member.name)}")


def check_paths(members: Sequence[Member]) -> None:
    """See that unpacking them writes files and folders below the place of unpacking, each once.

    Raises:
        InvalidArchive: a path that leads elsewhere, a link or device, a name that is there twice.
    """
    files: set[str] = set()
    folders: set[str] = set()
    for member in members:
        kind = stat.S_IFMT(member.mode)
        if kind not in (0, stat.S_IFDIR if member.is_folder else stat.S_IFREG):
            what = "a symbolic link" if kind == stat.S_IFLNK else "neither a file nor a folder"
            raise InvalidArchive(f"{shown(member.name)} in it is {what}")
        if member.is_folder and member.size:
            raise InvalidArchive(f"{shown(member.name)} in it is a folder that claims to have content")
        path = member.name.removesuffix("/")
        check_path(path)
        if path in files or (path in folders and member.is_folder):
            raise InvalidArchive(f"{shown(member.name)} is in it twice")
        (folders if member.is_folder else files).add(path)
    if both := files & {parent for path in files | folders for parent in _parents(path)}:
        raise InvalidArchive(f"{shown(min(both))} in it is a file and a folder")


def _parents(path: str) -> Iterator[str]:
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)


def _is_end(tail: bytes, place: int) -> bool:
    """Whether the end mark is there, with a comment that goes to the last byte."""
    if place < 0 or place + _END.size > len(tail) or not tail.startswith(b"PK\5\6", place):
        return False
    return place + _END.size + int(_END.unpack_from(tail, place)[7]) == len(tail)


def _member(data: bytes, at: int) -> tuple[Member, int]:
    """(the entry of the directory at a place, where the next one begins)."""
    if at + _ENTRY.size > len(data):
        raise InvalidArchive("the zip archive is damaged: its directory is cut short")
    signature, _, system, _, flags, method, _, _, *rest = _ENTRY.unpack_from(data, at)
    crc, packed, size, name_length, extra_length, comment_length, disk, _, attributes, offset = rest
    if signature != b"PK\1\2":
        raise InvalidArchive("the zip archive is damaged (directory)")
    name_at = at + _ENTRY.size
    extra_at = name_at + name_length
    end = extra_at + extra_length + comment_length
    if end > len(data):
        raise InvalidArchive("the zip archive is damaged: its directory is cut short")
    raw_name = data[name_at:extra_at]
    if _NO_NUMBER in (packed, size, offset):
        packed, size, offset = _wide(data[extra_at : extra_at + extra_length], packed, size, offset)
    mode = attributes >> 16 if system == 3 else 0
    if disk:
        raise InvalidArchive("the zip archive has several parts")
    return Member(_name(raw_name, flags), raw_name, flags, method, crc, packed, size, offset, mode), end


def _name(raw: bytes, flags: int) -> str:
    try:
        return raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise InvalidArchive(f"the name {raw[:100]!r} in it is not in UTF-8") from None


def _wide(extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int, int]:
    """The numbers of an entry that don't fit into 32 bits (APPNOTE 4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        id_, length = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if id_ == 1:
            field = extra[at + 4 : at + 4 + length]
            numbers = [int.from_bytes(field[i : i + 8], "little") for i in range(0, len(field) - 7, 8)]
            wide = [numbers.pop(0) if n == _NO_NUMBER and numbers else n for n in (size, packed, offset)]
            return wide[1], wide[0], wide[2]
        at += 4 + length
    raise InvalidArchive("the zip archive is damaged (a size is missing)")
