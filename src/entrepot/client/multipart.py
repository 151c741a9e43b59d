"""Bodies of uploads, read from disk only while they are sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from entrepot.core.errors import Invalid

_BLOCK = 256 * 1024


class Multipart:
    """A `multipart/form-data` body (RFC 7578) whose files are read from disk only while they are sent.

    Raises:
        OSError: a file can't be read.
    """

    def __init__(self, fields: Mapping[str, str], files: Sequence[Path]) -> None:
        self._boundary = secrets.token_hex(16)
        self._fields = b"".join(
            self._head(f'name="{name}"') + value.encode() + b"\r\n" for name, value in fields.items()
        )
        self._files = [(path, self._file_head(path), path.stat().st_size) for path in files]
        self._end = f"--{self._boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self.length = len(self._fields) + len(self._end) + sum(len(h) + size + 2 for _, h, size in self._files)

    def stream(self, on_progress: Callable[[int, int], None] | None = None) -> Iterator[bytes]:
        """The body in blocks; `on_progress(sent, length)` is called before each."""
        sent = 0
        for block in filter(None, self._blocks()):
            if on_progress:
                on_progress(sent, self.length)
            sent += len(block)
            yield block

    def _blocks(self) -> Iterator[bytes]:
        yield self._fields
        for path, head, size in self._files:
            yield head
            yield from _exactly(path, size)
            yield b"\r\n"
        yield self._end

    def _head(self, disposition: str, content_type: str | None = None) -> bytes:
        kind = f"\r\nContent-Type: {content_type}" if content_type else ""
        return f"--{self._boundary}\r\nContent-Disposition: form-data; {disposition}{kind}\r\n\r\n".encode()

    def _file_head(self, path: Path) -> bytes:
        name = path.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        name = name.encode(errors="replace").decode()
        return self._head(f'name="files"; filename="{name}"', "application/octet-stream")


def _exactly(path: Path, size: int) -> Iterator[bytes]:
    """The `size` bytes of a file in blocks; a file that changed its size meanwhile is refused."""
    with path.open("rb") as file:
        left = size
        while left:
            block = file.read(min(_BLOCK, left))
            if not block:
                break
            left -= len(block)
            yield block
        if left or file.read(1):
            raise Invalid(f"'{path}' changed while it was sent; nothing was added", hint="try again", path=str(path))
