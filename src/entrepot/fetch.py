"""Files and documents of upstreams.

`Fetch` reads `http://`, `https://` and `file://` URLs with the same semantics (RFC 9110 for conditional requests).
Bodies are kept as they were sent: Apache labels `PACKAGES.gz` with `Content-Encoding: gzip`, and the file, not its
content, is what an index's hash speaks of. No message contains the user name, password or query of a URL.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import BinaryIO, Protocol

from entrepot import __version__
from entrepot.core.errors import (
    HashMismatch,
    UpstreamInvalid,
    UpstreamLacksFile,
    UpstreamLacksParts,
)
from entrepot.core.urls import shown
from entrepot.heads import Head
from entrepot.transport import GONE, Deadline, Transport, without_login

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_PIECE = 1024 * 1024


class Into(Protocol):
    """Where a download goes: a file opened for writing, or the sink of a flight."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document. `body` is None if and only if `not_modified`; the validators are as upstream wrote them.

    `url` is where it came from in the end, `serial` what an index of Python packages counts its changes by.
    """

    body: bytes | None
    etag: str | None
    last_modified: str | None
    not_modified: bool
    url: str = ""
    serial: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a file that were asked for, and how many the whole file has."""

    body: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Posted:
    """The answer to a form that was sent."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was downloaded; the hashes in lower-case hexadecimal digits, the time in UTC."""

    size: int
    md5: str
    sha256: str
    last_modified: datetime | None


class Fetch:
    """Asks upstreams; one per process, used by any number of threads.

    Args:
        timeout_connect: seconds for a connection to be made.
        timeout_read: seconds of silence that an upstream is granted, before and within a body.
        retries: how many times an upstream that is unavailable is asked again, within `deadline`.
        backoff: seconds before the first of those; each next waits twice as long.
        deadline: seconds for all of one `get`; for a `download` it bounds the time to the first byte of its body only.
    """

    def __init__(
        self,
        *,
        timeout_connect: float = 10,
        timeout_read: float = 30,
        user_agent: str = f"entrepot/{__version__}",
        retries: int = 2,
        backoff: float = 0.25,
        deadline: float = 300,
    ) -> None:
        self._deadline = deadline
        self._transport = Transport(
            timeout_connect=timeout_connect,
            timeout_read=timeout_read,
            user_agent=user_agent,
            retries=retries,
            backoff=backoff,
        )

    def get(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        limit: int,
        accept: str | None = None,
        into: BinaryIO | None = None,
        redirects: bool = True,
    ) -> Fetched | None:
        """The document at `url`, at most `limit` bytes; None if upstream says that there is none (404, 410).

        Args:
            etag, last_modified: those of the copy at hand; an unchanged document comes without its body.
            accept: the media types that are taken (RFC 9110, 12.5.1); such a document may come compressed, and is
                unpacked.
            into: a file that the body takes the place of; it is empty in the answer then.
            redirects: whether they are followed; else one is an error.

        Raises:
            UpstreamUnavailable: no answer, a server's error, or a body that was cut short; `retries` did not help.
            UpstreamInvalid: another status, too many redirects or one to another scheme, larger than `limit`.
        """
        wanted = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        if accept is not None:
            wanted |= {"Accept": accept, "Accept-Encoding": "gzip"}
        headers = {name: value for name, value in wanted.items() if value}
        deadline = Deadline.of(self._deadline)

        def attempt() -> Fetched | None:
            with closing(self._transport.open(url, headers, redirects=redirects)) as answer:
                if answer.status in GONE:
                    return None
                unchanged = answer.status == 304
                body = None
                if not unchanged:
                    pieces = self._transport.pieces(answer, limit=limit, deadline=deadline)
                    if accept is not None and answer.headers.get("Content-Encoding", "").lower() == "gzip":
                        pieces = _unpacked(pieces, url, limit)
                    body = b"".join(pieces) if into is None else _written(pieces, into)
                tag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
                tag = tag or (etag if unchanged else None)
                return Fetched(body, tag, modified, unchanged, without_login(answer.url), _serial(answer.headers))

        return self._transport.retrying(attempt, deadline)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, limit: int) -> Posted:
        """Send a body once, without following redirects, and take the answer, whatever its status is.

        Raises:
            UpstreamUnavailable: no whole answer in time.
            UpstreamInvalid: more than `limit` bytes.
        """
        deadline = Deadline.of(self._deadline)
        with closing(self._transport.post(url, headers, body)) as answer:
            return Posted(answer.status, b"".join(self._transport.pieces(answer, limit=limit, deadline=deadline)))

    def part(self, url: str, start: int, end: int | None) -> Part:
        """The bytes [start, end) of the file at `url`; with a negative `start` and no `end` its last bytes.

        Raises:
            UpstreamLacksFile: upstream says that there is no such file.
            UpstreamLacksParts: upstream gives no parts of files.
            UpstreamInvalid: it gave another part.
            UpstreamUnavailable: as `get`.
        """
        asked = f"bytes={start}-{end - 1}" if end is not None else f"bytes={start}"
        deadline = Deadline.of(self._deadline)

        def attempt() -> Part:
            with closing(self._transport.open(url, {"Range": asked})) as answer:
                if answer.status in GONE:
                    raise UpstreamLacksFile(f"the upstream {shown(url)} answered {answer.status}", url=shown(url))
                told = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
                if answer.status != 206 or told is None:
                    raise UpstreamLacksParts(f"the upstream {shown(url)} gives no parts of files")
                first, last, size = map(int, told.groups())
                body = b"".join(self._transport.pieces(answer, limit=last - first + 1, deadline=deadline))
                expected = (start, min(end, size)) if end is not None else (max(0, size + start), size)
                if (first, last + 1) != expected or len(body) != last + 1 - first:
                    raise UpstreamInvalid(f"the upstream {shown(url)} sent another part than the one asked for")
                return Part(body, size)

        return self._transport.retrying(attempt, deadline)

    def download(
        self,
        url: str,
        into: Into,
        *,
        limit: int,
        size: int | None = None,
        md5: str | None = None,
        sha256: str | None = None,
        began: Callable[[int | None], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Downloaded:
        """Write the file at `url` to `into` and check it against `size`, `md5` and `sha256` where they are known.

        `began` is called once, before the first byte, with the Content-Length; `progress` with the bytes so far.
        Nothing is retried once bytes were written.

        Raises:
            UpstreamLacksFile: upstream says that there is no such file (404, 410).
            HashMismatch: what came has another size or hash; a wrong Content-Length shows before anything is written.
            UpstreamUnavailable, UpstreamInvalid: as `get`.
        """
        deadline = Deadline.of(self._deadline)
        with closing(self._transport.retrying(lambda: self._transport.open(url, {}), deadline)) as answer:
            if answer.status in GONE:
                raise UpstreamLacksFile(f"the upstream {shown(url)} answered {answer.status}", url=shown(url))
            if answer.length is not None:
                _same(url, "size", size, answer.length)
            if began:
                began(answer.length)
            hashes = hashlib.md5(usedforsecurity=False), hashlib.sha256()
            got = 0
            for piece in self._transport.pieces(answer, limit=limit, deadline=None):
                got += len(piece)
                if size is not None and got > size:
                    _same(url, "size", size, got)
                for each in hashes:
                    each.update(piece)
                into.write(piece)
                if progress:
                    progress(got)
            found = Downloaded(got, hashes[0].hexdigest(), hashes[1].hexdigest(), _when(answer.headers))
        _same(url, "size", size, found.size)
        _same(url, "MD5", md5, found.md5)
        _same(url, "SHA-256", sha256, found.sha256)
        return found

    def head(self, url: str, *, limit: int, before: Callable[[], object] | None = None) -> Head:
        """The beginning of the file at `url`, asked for piece by piece as it is read, at most `limit` bytes of it.

        `before` is called before each request; what it raises ends the reading.
        """
        return Head(self._transport, url, limit=limit, seconds=self._deadline, before=before)

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()


def _unpacked(pieces: Iterable[bytes], url: str, limit: int) -> Iterator[bytes]:
    """A gzip body as it was before, at most `limit` bytes."""
    unpacker, got = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), 0
    try:
        for packed in pieces:
            rest = packed
            while rest:
                piece = unpacker.decompress(rest, _PIECE)
                rest = unpacker.unconsumed_tail
                got += len(piece)
                if got > limit:
                    raise UpstreamInvalid(f"{shown(url)} is larger than {limit} bytes")
                yield piece
        yield unpacker.flush()
    except zlib.error as error:
        raise UpstreamInvalid(f"what {shown(url)} sent as gzip can't be unpacked") from error
    if not unpacker.eof:
        raise UpstreamInvalid(f"what {shown(url)} sent as gzip ends early")


def _written(pieces: Iterable[bytes], into: BinaryIO) -> bytes:
    """Nothing, after all was written in place of what an attempt before left."""
    into.seek(0)
    into.truncate()
    into.writelines(pieces)
    return b""


def _serial(headers: Mapping[str, str]) -> int | None:
    told = headers.get("X-PyPI-Last-Serial", "")
    return int(told) if told.isdecimal() and len(told) < 19 else None


def _same(url: str, what: str, expected: object, found: object) -> None:
    if expected is not None and expected != found:
        message = f"{shown(url)} has the {what} {found} where {expected} was expected"
        raise HashMismatch(message, url=shown(url), what=what, expected=expected, found=found)


def _when(headers: Mapping[str, str]) -> datetime | None:
    """Last-Modified as a time in UTC; None if there is none or it is no date."""
    try:
        return parsedate_to_datetime(headers.get("Last-Modified", "")).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
