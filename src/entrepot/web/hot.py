"""Finished answers, found by the request's path alone: no thread, no database, nothing to compute.

An answer holds as long as the catalogue has the version that it was made at (`Database.version`); it is made by
`web.serve` in the ordinary way and kept here on the way out. `web.wire` gives it out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from entrepot.web.reply import ALWAYS, Headers, of_unchanged

REASONS = {200: b"OK", 304: b"Not Modified", 404: b"Not Found"}
LARGEST_FILE = 128 * 1024
"""Files up to this size are kept whole; larger ones are streamed from the store each time."""
_ENTRY = 1500
"""About what an entry costs besides its body."""


@dataclass(frozen=True, slots=True)
class Body:
    """One form of an entity. `head` and `unchanged` are status line and headers, without a date and the empty line."""

    head: bytes
    body: bytes
    etag: bytes | None
    unchanged: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer, its gzip twin if it has one, and the version of the catalogue that it was made at.

    `document` names the rendered index that the bodies belong to: it is in the memory of `Documents`, not ours.
    """

    version: int
    plain: Body
    gzip: Body | None = None
    document: str | None = None

    @property
    def weight(self) -> int:
        return _ENTRY + (0 if self.document else len(self.plain.body))


@dataclass
class HotAnswers:
    """Answers by path, the least used dropped where they weigh more than `limit` bytes.

    `version` tells the catalogue's present version; `touch` says of a rendered index that it was used, and False if
    it is no longer in memory.
    """

    version: Callable[[], int]
    touch: Callable[[str], bool]
    limit: int = 48 * 1024**2
    _kept: OrderedDict[bytes, Ready] = field(default_factory=OrderedDict)
    _weight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, path: bytes) -> Ready | None:
        """The answer to GET and HEAD of `path` as it stands in the request line."""
        found = self._kept.get(path)
        if found is None:
            return None
        if found.version != self.version() or (found.document is not None and not self.touch(found.document)):
            self._drop(path)
            return None
        # Without the lock: another thread may just have dropped it.
        try:
            self._kept.move_to_end(path)
        except KeyError:
            return None
        return found

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


def body(status: int, headers: Headers, etag: str | None, content: bytes) -> Body:
    """An entity as it goes over the wire; `headers` without Content-Length and ETag."""
    sent = [*headers, (b"content-length", str(len(content)).encode())]
    if status == 200:
        sent.append((b"accept-ranges", b"bytes"))
    if etag:
        sent.append((b"etag", etag.encode()))
    return Body(_head(status, sent), content, etag.encode() if etag else None, _head(304, of_unchanged(headers, etag)))


def _head(status: int, headers: Headers) -> bytes:
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, REASONS[status])]
    return b"".join([*lines, *(b"%s: %s\r\n" % header for header in [*headers, *ALWAYS])])
