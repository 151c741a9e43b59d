"""Finished answers, found by the request's path alone: no thread, no database, nothing to compute.

An answer holds as long as the catalogue has the version that it was made at (`Database.version`); it is made by
`web.serve` in the ordinary way and kept here on the way out. `web.wire` gives it out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from entrepot.documents import Rendered
from entrepot.web.reply import ALWAYS, Headers, of_unchanged

REASONS = {200: b"OK", 304: b"Not Modified", 404: b"Not Found"}
LARGEST_FILE = 128 * 1024
"""Files up to this size are kept whole; larger ones are streamed from the store each time."""
_ENTRY = 1500
"""About what an entry costs besides its body."""


@dataclass(frozen=True, slots=True)
class Body:
    """One form of an entity. `head` and `unchanged` are status line and headers, without a date and the empty line.

    `content` is None for a rendered index: that is in the memory of `Documents`, which may let it go.
    """

    head: bytes
    content: bytes | None
    etag: bytes | None
    unchanged: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer, its gzip twin if it has one, and the version of the catalogue that it was made at.

    `document` is the key of the rendered index that it is, `digest` that of its bytes.
    """

    version: int
    plain: Body
    gzip: Body | None = None
    document: str | None = None
    digest: str = ""

    @property
    def weight(self) -> int:
        return _ENTRY + len(self.plain.content or b"")


class Hit(NamedTuple):
    """An answer that holds, with its rendered index if it is one."""

    ready: Ready
    rendered: Rendered | None

    def content(self, body: Body) -> bytes:
        """The bytes of one of its forms."""
        if self.rendered is None:
            return body.content or b""
        return (self.rendered.compressed or b"") if body is self.ready.gzip else self.rendered.body


@dataclass
class HotAnswers:
    """Answers by path, the least used dropped where they weigh more than `limit` bytes.

    `version` tells the catalogue's present version; `document` gives the rendered index of a key if it is in memory.
    """

    version: Callable[[], int]
    document: Callable[[str], Rendered | None]
    limit: int = 48 * 1024**2
    _kept: OrderedDict[bytes, Ready] = field(default_factory=OrderedDict)
    _weight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, path: bytes) -> Hit | None:
        """The answer to GET and HEAD of `path` as it stands in the request line."""
        found = self._kept.get(path)
        if found is None:
            return None
        rendered = self.document(found.document) if found.document is not None else None
        is_whole = found.document is None or (rendered is not None and rendered.digest == found.digest)
        if found.version != self.version() or not is_whole:
            self._drop(path)
            return None
        # Without the lock: another thread may just have dropped it.
        try:
            self._kept.move_to_end(path)
        except KeyError:
            return None
        return Hit(found, rendered)

    def keep(self, path: bytes, ready: Ready) -> None:
        """Keep an answer, unless the catalogue has changed since it was made."""
        if ready.version != self.version():
            return
        with self._lock:
            self._forget(path)
            self._kept[path] = ready
            self._weight += ready.weight
            while self._weight > self.limit:
                self._forget(next(iter(self._kept)))

    def _drop(self, path: bytes) -> None:
        with self._lock:
            self._forget(path)

    def _forget(self, path: bytes) -> None:
        old = self._kept.pop(path, None)
        if old is not None:
            self._weight -= old.weight


def body(status: int, headers: Headers, etag: str | None, content: bytes, *, is_document: bool = False) -> Body:
    """An entity as it goes over the wire; `headers` without Content-Length and ETag."""
    sent = [*headers, (b"content-length", str(len(content)).encode())]
    if status == 200:
        sent.append((b"accept-ranges", b"bytes"))
    if etag:
        sent.append((b"etag", etag.encode()))
    kept = None if is_document else content
    return Body(_head(status, sent), kept, etag.encode() if etag else None, _head(304, of_unchanged(headers, etag)))


def _head(status: int, headers: Headers) -> bytes:
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, REASONS[status])]
    return b"".join([*lines, *(b"%s: %s\r\n" % header for header in [*headers, *ALWAYS])])
