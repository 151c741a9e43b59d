"""Gzip both ways with the guards that untrusted bytes need: a limit while unpacking, checked to the very end."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Protocol

from entrepot.core.errors import Invalid

CHUNK = 1 << 18
_MAGIC = b"\x1f\x8b"
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class ByteStream(Protocol):
    """What is read here: the `read` of a binary file."""

    def read(self, size: int = -1, /) -> bytes: ...


class NotGzip(Invalid):
    """The bytes don't begin as a gzip stream."""


class DamagedGzip(Invalid):
    """A gzip stream that is cut, fails its checksum, or is followed by something else."""


class TooMuch(Invalid):
    """A stream that unpacks to more than it may."""


def compress(data: bytes, *, level: int = 6) -> bytes:
    """One gzip member (RFC 1952) without name, time or system, so that equal input gives equal output.

    `gzip.compress` writes a header that differs between Python versions.
    """
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    tail = struct.pack("<LL", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return b"".join((_HEADER, packer.compress(data), packer.flush(), tail))


class Reader:
    """Unpacks a gzip stream (RFC 1952, several members allowed) piece by piece, holding one chunk at a time.

    Args:
        stream: the packed bytes.
        limit: how many bytes may come out.
    """

    def __init__(self, stream: ByteStream, *, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._packed = stream.read(CHUNK)
        self._unpacked = 0
        self._ended = False
        if not self._packed.startswith(_MAGIC):
            raise NotGzip("not a gzip stream")
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def read(self, size: int) -> bytes:
        """Up to `size` (> 0) bytes, fewer only at the end; `b""` once the checksum of the last member was found right.

        Raises:
            DamagedGzip, TooMuch.
        """
        parts = []
        while size and (piece := self._piece(size)):
            parts.append(piece)
            size -= len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, size: int) -> bytes:
        """Between 1 and `size` bytes, `b""` at the end."""
        while not self._ended:
            if self._member.eof and not self._next_member():
                break
            if not self._packed and not self._member.unconsumed_tail:
                self._packed = self._stream.read(CHUNK)
            source = self._member.unconsumed_tail or self._packed
            try:
                piece = self._member.decompress(source, size)
            except zlib.error as error:
                raise DamagedGzip(f"damaged gzip stream ({error})") from None
            if not piece and not source and not self._member.eof:
                raise DamagedGzip("the gzip stream is cut short")
            self._packed = b""
            if piece:
                return self._count(piece)
        return b""

    def _next_member(self) -> bool:
        """Whether another member follows the one that has ended."""
        # The magic may be split over two reads.
        rest = self._member.unused_data + self._packed
        if len(rest) < len(_MAGIC):
            rest += self._stream.read(CHUNK)
        if not rest:
            self._ended = True
            return False
        if not rest.startswith(_MAGIC):
            raise DamagedGzip("something follows the end of the gzip stream")
        self._packed = rest
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return True

    def _count(self, piece: bytes) -> bytes:
        self._unpacked += len(piece)
        if self._unpacked > self._limit:
            raise TooMuch(f"unpacks to more than {self._limit:,} bytes")
        return piece


def decompress(data: bytes, *, limit: int) -> bytes:
    """All of `data` unpacked, at most `limit` bytes.

    Raises:
        NotGzip, DamagedGzip, TooMuch.
    """
    reader = Reader(BytesIO(data), limit=limit)
    parts = []
    while piece := reader.read(CHUNK):
        parts.append(piece)
    return b"".join(parts)
