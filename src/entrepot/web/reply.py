"""HTTP as packages need it (RFC 9110): what matters of a request, and entities with conditions, ranges and HEAD."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Any

from entrepot.core.errors import EntrepotError, RangeNotSatisfiable
from entrepot.documents import ENCODINGS
from entrepot.web.errors import plain, status_of

_log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Chunks = Callable[[int, int | None], AsyncIterator[bytes]]
"""The bytes [start, end) of an entity; to the end where `end` is None."""

PATHSEND = "http.response.pathsend"
SENT = "entrepot.sent"
"""A message of type `PATHSEND` may have a function under this key: the server calls it when all is sent."""
REASON = "entrepot.reason"
"""The server takes a message of type `http.response.start` with the reason phrase as bytes under this key."""
NOT_KEPT = "no-store"
NOT_THERE = b"public, max-age=60"
MOVED = b"public, max-age=3600"
CHALLENGE: list[tuple[bytes, bytes]] = [
    (b"www-authenticate", b'Basic realm="entrepot", charset="UTF-8"'),
    (b"www-authenticate", b'Bearer realm="entrepot"'),
]
"""What a 401 says of how to prove who one is (RFC 9110, 11.6.1)."""
LONGEST_REASON = 150
LONGEST_ACCEPT = 200
"""Characters of an Accept-Encoding that are looked at."""
ALWAYS: Headers = [
    (b"x-repository-type", b"RSPM"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]
"""The headers of every answer to a package client."""
_Q = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_OF_UNCHANGED = (b"cache-control", b"last-modified", b"vary")


@dataclass(frozen=True, slots=True)
class Request:
    """What matters of a request to a package client's URL; `path` still has its percent-encoding.

    `sends_path` says whether the server takes a file's path and sends the file itself (ASGI's extension
    `http.response.pathsend`), `sends_reason` whether it takes a reason phrase (an extension of our own, `REASON`).
    `base` is this server's own address as the client knows it, without a slash at the end, where somebody needs it.
    """

    method: str
    path: str
    has_query: bool
    headers: dict[str, str]
    sends_path: bool = False
    sends_reason: bool = False
    query: str = ""
    base: str = ""

    @classmethod
    def of(cls, scope: Scope, *, base: str = "") -> Request:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        path, mark, _ = raw.decode("latin-1").partition("?")
        query = (scope.get("query_string") or b"").decode("latin-1")
        told, has_query = scope.get("extensions") or {}, bool(mark or query)
        return cls(scope["method"], path, has_query, headers, PATHSEND in told, REASON in told, query, base)


class Reply:
    """One answer on its way: conditional requests, ranges and HEAD are the same for all that has bytes."""

    def __init__(self, request: Request, receive: Receive, send: Send) -> None:
        self.request = request
        self.started = False
        self.is_whole = False
        """Whether a whole entity was sent to somebody who asked for it, as far as that is known."""
        self.is_private = False
        """Whether the answer is of a closed repository: no cache that others use may keep it."""
        self._receive = receive
        self._send = send

    async def entity(self, headers: Headers, etag: str | None, size: int | None, chunks: Chunks) -> None:
        """Answer with an entity; `size` is None if nobody knows it yet."""
        if self.not_modified(etag, None):
            await self.unchanged(headers, etag)
            return
        headers = _with_etag([*headers, (b"accept-ranges", b"bytes")], etag)
        start, end, status = 0, size, 200
        wanted = self.request.headers.get("range")
        if wanted and size is not None and self.request.method == "GET" and self._range_applies(etag):
            part = parse_range(wanted, size)
            if part is not None:
                (start, end), status = part, 206
                headers.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode()))
        if end is not None:
            headers.append((b"content-length", str(end - start).encode()))
        await self._start(status, headers)
        if self.request.method == "HEAD":
            await self._send({"type": "http.response.body", "body": b""})
            return
        async with aclosing(chunks(start, end)) as pieces, self._watch() as gone:  # type: ignore[type-var]
            async for piece in pieces:
                if gone.done():
                    return
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self.is_whole = start == 0 and end == size and not gone.done()
        await self._send({"type": "http.response.body", "body": b""})

    async def path(self, headers: Headers, etag: str | None, size: int, path: str) -> None:
        """Let the server send a whole file of `size` bytes by itself (ASGI's `http.response.pathsend`)."""
        told = [*headers, (b"accept-ranges", b"bytes"), (b"content-length", str(size).encode())]
        await self._start(200, _with_etag(told, etag))
        await self._send({"type": PATHSEND, "path": path, SENT: self._note_whole})

    async def by_front(self, headers: Headers, etag: str | None, size: int, where: tuple[bytes, bytes]) -> None:
        """Let the front server send a file, `size` bytes, or ranges of it; `where` is the header that it looks for."""
        self.is_whole = self.request.method == "GET" and self._wants_all(etag, size)
        await self._start(200, [*_with_etag(headers, etag), where, (b"content-length", b"0")])
        await self._send({"type": "http.response.body", "body": b""})

    def not_modified(self, etag: str | None, modified: bytes | None) -> bool:
        """Whether the client's copy is the one it would get. `modified` only for what never changes under its name."""
        given = self.request.headers.get("if-none-match")
        if given is not None:
            return etag is not None and matches(given, etag)
        since = self.request.headers.get("if-modified-since")
        if since is None or modified is None:
            return False
        try:
            return parsedate_to_datetime(since) >= parsedate_to_datetime(modified.decode())
        except (ValueError, TypeError):
            return False

    async def unchanged(self, headers: Headers, etag: str | None) -> None:
        await self._start(304, of_unchanged(headers, etag))
        await self._send({"type": "http.response.body", "body": b""})

    async def text(self, status: int, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        body = text.encode()
        await self._start(status, [*text_headers(body), *headers], reason_of(text) if status >= 400 else b"")
        await self._send({"type": "http.response.body", "body": b"" if self.request.method == "HEAD" else body})

    async def redirect(self, location: str) -> None:
        """Answer that it is elsewhere for good; `location` is an absolute path, percent-encoded."""
        await self.text(308, moved_text(location), moved_headers(location))

    async def error(self, error: EntrepotError) -> None:
        """An error as package clients show it. After the first byte only a cut connection can still tell."""
        if self.started:
            # The server closes the connection of an answer that was not completed, so the client sees it is not whole.
            _log.warning("%s was broken off: %s", self.request.path, error)
            return
        status = status_of(error)
        headers: Headers = [(b"cache-control", NOT_THERE if status == 404 else NOT_KEPT.encode())]
        if status == 416:
            headers.append((b"content-range", f"bytes */{error.payload.get('size', '*')}".encode()))
        if status == 503:
            headers.append((b"retry-after", b"30"))
        if status == 429:
            headers.append((b"retry-after", str(math.ceil(float(str(error.payload.get("seconds", 1))))).encode()))
        if status == 401:
            headers += CHALLENGE
        # Whoever proves who they are may be told what others aren't.
        self.is_private |= not {"authorization", "cookie"}.isdisjoint(self.request.headers)
        if status >= 500:
            _log.warning("%s: %s", self.request.path, error)
        await self.text(status, plain(error), headers)

    def _wants_all(self, etag: str | None, size: int) -> bool:
        """Whether a request for `size` bytes is for all of them."""
        wanted = self.request.headers.get("range")
        if not wanted or not self._range_applies(etag):
            return True
        try:
            return parse_range(wanted, size) == (0, size)
        except RangeNotSatisfiable:
            return False

    def _note_whole(self) -> None:
        self.is_whole = True

    @asynccontextmanager
    async def _watch(self) -> AsyncIterator[asyncio.Task[None]]:
        """A task that is done when the client has gone away: nothing else stops the reading of a large file for it."""
        gone = asyncio.create_task(self._until_gone())
        try:
            yield gone
        finally:
            gone.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _range_applies(self, etag: str | None) -> bool:
        condition = self.request.headers.get("if-range")
        return condition is None or condition.strip() == etag

    async def _start(self, status: int, headers: Headers, reason: bytes = b"") -> None:
        self.started = True
        told = {REASON: reason} if reason and self.request.sends_reason else {}
        headers = as_private(headers) if self.is_private else headers
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *ALWAYS], **told})


def as_private(headers: Headers) -> Headers:
    """The headers of an answer that is for whoever sent this token alone: no shared cache keeps it (RFC 9111, 5.2.2.7),
    and none gives what it has of one to another."""
    told = b"authorization, cookie"
    result: Headers = []
    for name, value in headers:
        if name == b"cache-control":
            value = value.replace(b"public", b"private")
        elif name == b"vary":
            told = value + b", " + told
            continue
        result.append((name, value))
    return [*result, (b"vary", told)]


def of_unchanged(headers: Headers, etag: str | None) -> Headers:
    """The headers of a 304 to an answer with `headers`."""
    kept = [header for header in headers if header[0] in _OF_UNCHANGED]
    return _with_etag(kept, etag)


def _with_etag(headers: Headers, etag: str | None) -> Headers:
    return [*headers, (b"etag", etag.encode())] if etag else headers


def text_headers(body: bytes) -> Headers:
    return [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]


def matches(given: str, etag: str) -> bool:
    """Whether an If-None-Match names `etag`."""
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag in tags or "*" in tags


def encodings(header: str) -> tuple[str, ...]:
    """Which of `ENCODINGS` an Accept-Encoding likes better than none, the best first (RFC 9110, 12.5.3)."""
    return _encodings(header[:LONGEST_ACCEPT])


@lru_cache(maxsize=256)
def _encodings(header: str) -> tuple[str, ...]:
    weights: dict[str, float] = {}
    for item in header.lower().split(","):
        name, _, parameters = item.partition(";")
        weights[name.strip()] = _weight(parameters)
    # "*" is for those who look no further; gzip is what all of them can read.
    weights.setdefault("gzip", weights.get("*", 0.0))
    least = weights.get("identity", 0.0)
    liked = [name for name in ENCODINGS if weights.get(name, 0.0) > 0 and weights[name] >= least]
    return tuple(sorted(liked, key=lambda name: -weights[name]))


def _weight(parameters: str) -> float:
    """The q of an item; 0 if it can't be read."""
    name, _, value = parameters.partition("=")
    if name.strip() != "q":
        return 1.0
    return float(value) if _Q.fullmatch(value := value.strip()) else 0.0


def reason_of(text: str) -> bytes:
    """A text as a reason phrase: pip and twine show a person nothing else of an error. One bounded line in Latin-1."""
    line = "".join(c if c.isprintable() else " " for c in text.strip())
    return line.encode("latin-1", "replace")[:LONGEST_REASON]


def moved_text(location: str) -> str:
    return f"moved to {location}\n"


def moved_headers(location: str) -> Headers:
    return [(b"location", location.encode("ascii")), (b"cache-control", MOVED)]


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """`bytes=a-b`, `bytes=a-` or `bytes=-n` as [start, end); None for forms that may be ignored.

    Raises:
        RangeNotSatisfiable: it lies outside.
    """
    unit, _, ranges = header.partition("=")
    first, dash, last = ranges.strip().partition("-")
    if (
        unit.strip() != "bytes"
        or not dash
        or "," in ranges
        or not (first + last).isdecimal()
        or not ranges.isascii()
        or len(header) > 60
    ):
        return None
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    else:
        start, end = max(0, size - int(last)), size
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"the file has {size} bytes", size=size)
    return start, end


def pieces(body: bytes) -> Chunks:
    """The chunks of an entity that is in memory."""

    async def chunks(start: int, end: int | None) -> AsyncIterator[bytes]:
        yield body[start:end] if (start, end) != (0, len(body)) else body

    return chunks


def http_date(when: datetime) -> bytes:
    return format_datetime(when.astimezone(UTC).replace(microsecond=0), usegmt=True).encode()
