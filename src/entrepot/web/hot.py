"""Finished answers, found by the request's path and what it accepts: no thread, no database, nothing to compute.

An answer holds as long as nothing is written that may change it (`Database.is_fresh`), and no longer than what was
known of an upstream then; it is made by `web.serve` in the ordinary way and kept here on the way out. `web.wire` gives
it out.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, NamedTuple

from entrepot.core.usage import Download
from entrepot.documents import Rendered
from entrepot.web.reply import ALWAYS, Headers, of_unchanged

LARGEST_FILE = 128 * 1024
"""Files up to this size are kept whole."""
LARGEST_READ = 1024 * 1024
"""Files up to this size are read at once for each answer; larger ones are streamed in the ordinary way."""
_ENTRY = 500
_BODY = 1000
"""About what an entry and each of its forms cost besides the bytes."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How one of several answers at a path is chosen: by the header `accept` or `user-agent`, `form` names it."""

    header: Literal["accept", "user-agent"]
    form: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Body:
    """One form of an entity. `head` and `unchanged` are status line and headers, without a date and the empty line.

    `content` is None for what is elsewhere: a file at `path`, or a rendered index in the memory of `Documents`, which
    may let it go.
    """

    head: bytes
    content: bytes | None
    etag: bytes | None
    unchanged: bytes
    encoding: str = ""
    path: str | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer by its encodings ("" for the plain bytes), the version of the catalogue that it was made at, and the
    topics that it is of.

    `document` is the key of the rendered index that it is, `digest` that of its bytes. `expires` is when it has to be
    made anew, in seconds since 1970. `tally` is called each time that it is given out; a whole one is counted as
    `download`. `closed` is the id of the repository if that is read with a token alone: the answer is then for those
    who may.
    """

    version: int
    bodies: Mapping[str, Body]
    document: str | None = None
    digest: str = ""
    expires: float | None = None
    topics: Collection[str] = ()
    tally: Callable[[], None] | None = None
    download: Download | None = None
    closed: int | None = None

    @property
    def weight(self) -> int:
        return _ENTRY + sum(_BODY + len(body.content or b"") for body in self.bodies.values())


class Hit(NamedTuple):
    """An answer that holds, with its rendered index if it is one."""

    ready: Ready
    rendered: Rendered | None

    def content(self, body: Body) -> bytes | bytearray | None:
        """The bytes of one of its forms; None if they are not at hand: a large file, or one that a disk has."""
        if self.rendered is not None:
            return self.rendered.form(body.encoding)
        return body.content if body.path is None else _read(body.path, body.size)


class _Entry(NamedTuple):
    """What is kept of a path: one answer, under "", or one for each form of which `choose` tells by a header."""

    choose: Choice | None
    forms: dict[str, Ready]


@dataclass
class HotAnswers:
    """Answers by path, the least used dropped where they weigh more than `limit` bytes.

    `is_fresh` tells whether what was read at a version of the catalogue, of these topics, still is so, and `now` the
    time in seconds since 1970; `document` gives the rendered index of a key if it is in memory.
    """

    is_fresh: Callable[[int, Collection[str]], bool]
    document: Callable[[str], Rendered | None]
    now: Callable[[], float]
    limit: int = 32 * 1024**2
    _kept: OrderedDict[bytes, _Entry] = field(default_factory=OrderedDict)
    _weight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __contains__(self, path: bytes) -> bool:
        """Whether there may be an answer for `path`."""
        return path in self._kept

    def find(self, path: bytes, accept: str = "", agent: str = "") -> Hit | None:
        """The answer to GET and HEAD of `path` as it stands in the request line, with these Accept and User-Agent."""
        entry = self._kept.get(path)
        if entry is None:
            return None
        form = "" if entry.choose is None else _form(entry.choose, accept, agent)
        found = entry.forms.get(form)
        if found is None:
            return None
        rendered = self.document(found.document) if found.document is not None else None
        is_whole = found.document is None or (rendered is not None and rendered.digest == found.digest)
        if not is_whole or not self.is_fresh(found.version, found.topics) or self._is_over(found):
            self._drop(path)
            return None
        # Without the lock: another thread may just have dropped it.
        try:
            self._kept.move_to_end(path)
        except KeyError:
            return None
        return Hit(found, rendered)

    def keep(
        self, path: bytes, ready: Ready, *, choose: Choice | None = None, accept: str = "", agent: str = ""
    ) -> None:
        """Keep an answer, unless the catalogue has changed since it was made.

        Args:
            choose: tells the form by a header, where the path alone doesn't decide.
            accept, agent: those headers of the request that was answered.
        """
        if not self.is_fresh(ready.version, ready.topics) or self._is_over(ready):
            return
        form = "" if choose is None else _form(choose, accept, agent)
        with self._lock:
            entry = self._kept.get(path)
            if entry is None or entry.choose != choose:
                self._forget(path)
                entry = self._kept[path] = _Entry(choose, {})
            old = entry.forms.get(form)
            entry.forms[form] = ready
            self._weight += ready.weight - (old.weight if old is not None else 0)
            self._kept.move_to_end(path)
            while self._weight > self.limit:
                self._forget(next(iter(self._kept)))

    def _is_over(self, ready: Ready) -> bool:
        return ready.expires is not None and self.now() >= ready.expires

    def _drop(self, path: bytes) -> None:
        with self._lock:
            self._forget(path)

    def _forget(self, path: bytes) -> None:
        old = self._kept.pop(path, None)
        if old is not None:
            self._weight -= sum(ready.weight for ready in old.forms.values())


def _form(choose: Choice, accept: str, agent: str) -> str:
    return choose.form(accept if choose.header == "accept" else agent)


def body(
    status: int, headers: Headers, etag: str | None, content: bytes | None, *, size: int = 0, encoding: str = "",
    path: str | None = None, reason: bytes = b"",
) -> Body:  # fmt: skip
    """An entity as it goes over the wire.

    Args:
        headers: without Content-Length, Content-Encoding and ETag.
        content: None for a rendered index and for a file at `path`, of `size` bytes.
        reason: the reason phrase, where it is not the usual one.
    """
    size = len(content) if content is not None else size
    sent = [*headers, (b"content-length", str(size).encode())]
    if encoding:
        sent.append((b"content-encoding", encoding.encode()))
    if status == 200:
        sent.append((b"accept-ranges", b"bytes"))
    if etag:
        sent.append((b"etag", etag.encode()))
    head, unchanged = _head(status, sent, reason), _head(304, of_unchanged(headers, etag))
    return Body(head, content, etag.encode() if etag else None, unchanged, encoding, path, size)


def _head(status: int, headers: Headers, reason: bytes = b"") -> bytes:
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, reason or HTTPStatus(status).phrase.encode())]
    return b"".join([*lines, *(b"%s: %s\r\n" % header for header in [*headers, *ALWAYS])])


def _read(path: str, size: int) -> bytearray | None:
    """A whole file if that needs nobody to wait for a disk: what the kernel has in memory."""
    if size > LARGEST_READ:
        return None
    content = bytearray(size)
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            is_whole = os.preadv(file, [content], 0, os.RWF_NOWAIT) == size
        finally:
            os.close(file)
    except (OSError, AttributeError):  # it is gone, not in memory, or the system can't tell
        return None
    return content if is_whole else None
