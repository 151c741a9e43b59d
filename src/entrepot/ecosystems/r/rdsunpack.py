"""The compressions that `saveRDS` knows: gzip, bzip2, xz and none."""

from __future__ import annotations

import bz2
import lzma

from entrepot.core.errors import Invalid
from entrepot.ecosystems.archives import gzips

_XZ_MEMORY = 128 << 20


def unpack(data: bytes, limit: int) -> bytes:
    """The serialised bytes in an .rds file, at most `limit` of them.

    Raises:
        Invalid: cut, damaged or too large.
    """
    if data.startswith(b"\x1f\x8b"):
        return gzips.decompress(data, limit=limit)
    if data.startswith(b"BZh"):
        return _unpack_with(bz2.BZ2Decompressor(), data, limit)
    if data.startswith(b"\xfd7zXZ"):
        return _unpack_with(lzma.LZMADecompressor(memlimit=_XZ_MEMORY), data, limit)
    if len(data) > limit:
        raise Invalid(f"the R data file is larger than {limit:,} bytes")
    return data


def _unpack_with(unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: bytes, limit: int) -> bytes:
    try:
        raw = unpacker.decompress(data, limit + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise Invalid(f"the R data file is damaged ({error})") from None
    if len(raw) > limit:
        raise Invalid(f"the R data file unpacks to more than {limit:,} bytes")
    if not unpacker.eof:
        raise Invalid("the R data file is cut short")
    return raw
