"""The beginning of an upstream's file, by ranges (RFC 9110, 14): as much as its reader wants, and little more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from entrepot.core.errors import UpstreamInvalid, UpstreamLacksFile
from entrepot.core.urls import shown
from entrepot.transport import GONE, Answer, Deadline, Transport, cut_short

FIRST = 64 * 1024
_LARGEST = 4 * 1024**2
_SMALL = 16 * 1024
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:(\d{1,18})|\*)")


class _File(NamedTuple):
    """What tells one state of a file from another, as far as upstream says."""

    size: int | None
    etag: str | None
    last_modified: str | None


class Head:
    """A binary stream of what a file begins with: each `read` beyond what came asks for more.

    The first request is for 64 KiB, each next for twice as much, up to 4 MiB. Of an upstream that sends the whole file
    instead, as much is read as is wanted. Close it in the end.

    Args:
        limit: how many bytes may be asked for.
        seconds: what one range may take, all retries included.
        before: called before each request.

    Raises (`read`):
        UpstreamLacksFile: upstream says that there is no such file (404, 410).
        UpstreamInvalid: something else than the range was sent, the file changed meanwhile, or `limit` is too little.
        UpstreamUnavailable: as `Fetch.get`.
    """

    def __init__(
        self, transport: Transport, url: str, *, limit: int, seconds: float, before: Callable[[], object] | None
    ) -> None:
        self._transport = transport
        self._url = url
        self._limit = limit
        self._seconds = seconds
        self._before = before
        self._step = FIRST
        self._came = 0
        self._ready = b""
        self._at = 0
        self._file: _File | None = None
        self._whole: tuple[Answer, Iterator[bytes]] | None = None
        self._is_over = False

    @property
    def size(self) -> int | None:
        """How many bytes the whole file has, as far as upstream has said."""
        return self._file.size if self._file else None

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, without a size all that came and was not read; `b""` at the end."""
        if self._at == len(self._ready):
            self._ready, self._at = b"" if self._is_over else self._next(), 0
        end = len(self._ready) if size < 0 else self._at + size
        data = self._ready[self._at : end]
        self._at += len(data)
        return data

    def ask_no_more(self) -> None:
        """Let what came be all there is."""
        self._is_over = True

    def close(self) -> None:
        """Close the connection if the file is still being sent on it."""
        self.ask_no_more()
        if self._whole is not None:
            self._whole[0].close()
            self._whole = None

    def _next(self) -> bytes:
        length = min(self._step, self._limit - self._came)
        if length <= 0:
            raise UpstreamInvalid(f"more than the first {self._limit:,} bytes of {shown(self._url)} would be needed")
        data = self._go_on(length) if self._whole else self._ask(length)
        self._came += len(data)
        self._step = min(2 * self._step, _LARGEST)
        has_ended = self._whole is not None and len(data) < length
        if has_ended or (self._file and self._came == self._file.size):
            self._is_over = True
        return data

    def _ask(self, length: int) -> bytes:
        deadline = Deadline.of(self._seconds)
        headers = {"Range": f"bytes={self._came}-{self._came + length - 1}"}
        etag = self._file.etag if self._file else None
        if etag and not etag.startswith("W/"):  # RFC 9110, 13.1.5
            headers["If-Range"] = etag

        def attempt() -> bytes:
            if self._before:
                self._before()
            answer = self._transport.open(self._url, headers)
            try:
                return self._take(answer, length, deadline)
            finally:
                if self._whole is None:
                    answer.close()

        return self._transport.retrying(attempt, deadline)

    def _take(self, answer: Answer, length: int, deadline: Deadline) -> bytes:
        """What an answer to our range holds of it."""
        if answer.status in GONE:
            raise UpstreamLacksFile(f"the upstream {shown(self._url)} answered {answer.status}", url=shown(self._url))
        if answer.status == 416:
            return self._nothing_there()
        if answer.status == 206:
            return self._part(answer, length, deadline)
        if self._came:
            raise self._changed()
        pieces = self._transport.pieces(answer, limit=None, deadline=None, chunk=_SMALL)
        data = _some(pieces, length)
        self._file = _File(answer.length, None, None)
        self._whole = answer, pieces
        return data

    def _go_on(self, length: int) -> bytes:
        assert self._whole is not None
        return _some(self._whole[1], length)

    def _part(self, answer: Answer, length: int, deadline: Deadline) -> bytes:
        told = answer.headers.get("Content-Range", "")
        found = _RANGE.fullmatch(told)
        first, last = (int(found[1]), int(found[2])) if found else (-1, -1)
        size = int(found[3]) if found and found[3] else None
        if first != self._came or not first <= last < first + length or (size is not None and last >= size):
            wanted = f"bytes {self._came}-{self._came + length - 1}"
            raise UpstreamInvalid(f"the upstream {shown(self._url)} was asked for {wanted} and sends {told[:60]!r}")
        file = _File(size, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))
        if self._file and any(old and new and old != new for old, new in zip(self._file, file, strict=True)):
            raise self._changed()
        data = b"".join(self._transport.pieces(answer, limit=last - first + 1, deadline=deadline))
        if len(data) != last - first + 1:
            raise cut_short(self._url)
        self._file = self._file or file
        return data

    def _nothing_there(self) -> bytes:
        """An empty file has no range, and one of unknown size may end where the range begins."""
        if self._file and self._file.size is not None:
            raise self._changed()
        self._is_over = True
        return b""

    def _changed(self) -> UpstreamInvalid:
        return UpstreamInvalid(
            f"{shown(self._url)} changed while it was read", hint="try again later", url=shown(self._url)
        )


def _some(pieces: Iterator[bytes], length: int) -> bytes:
    """`length` bytes or a little more, fewer at the end."""
    parts: list[bytes] = []
    while length > 0 and (piece := next(pieces, b"")):
        parts.append(piece)
        length -= len(piece)
    return b"".join(parts)
