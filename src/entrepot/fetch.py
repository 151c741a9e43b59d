"""Files and documents of upstreams.

`Fetch` reads `http://`, `https://` and `file://` URLs with the same semantics (RFC 9110 for conditional requests).
Bodies are kept as they were sent: Apache labels `PACKAGES.gz` with `Content-Encoding: gzip`, and the file, not its
content, is what an index's hash speaks of. No message contains the user name, password or query of a URL.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass  # noqa: TID251 - what the environment says, no request

import urllib3
from urllib3 import exceptions as trouble

from entrepot import __version__
from entrepot.core.errors import (
    HashMismatch,
    InvalidSettings,
    UpstreamInvalid,
    UpstreamLacksFile,
    UpstreamUnavailable,
)
from entrepot.core.urls import shown

_CHUNK = 256 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_GONE = {404, 410}
_WORTH_RETRYING = {408, 425, 429}
_SLOWEST = 512
"""Bytes a second below which an answer counts as stalled; else a trickle would hold a thread for days."""

T = TypeVar("T")


class Into(Protocol):
    """Where a download goes: a file opened for writing, or the sink of a flight."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document. `body` is None if and only if `not_modified`; the validators are as upstream wrote them."""

    body: bytes | None
    etag: str | None
    last_modified: str | None
    not_modified: bool


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was downloaded; the hashes in lower-case hexadecimal digits, the time in UTC."""

    size: int
    md5: str
    sha256: str
    last_modified: datetime | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """An upstream's answer before its body was read; `read(n)` gives up to n bytes, none at the end."""

    url: str
    status: int
    headers: Mapping[str, str]
    read: Callable[[int], bytes]
    close: Callable[[], None]

    @property
    def length(self) -> int | None:
        told = self.headers.get("Content-Length", "")
        return int(told) if told.isdecimal() else None


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
        self._timeout = urllib3.Timeout(connect=timeout_connect, read=timeout_read)
        self._patience = timeout_read
        self._user_agent = user_agent
        self._retries = retries
        self._backoff = backoff
        self._deadline = deadline
        self._tls = ssl.create_default_context()
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def get(self, url: str, *, etag: str | None = None, last_modified: str | None = None, limit: int) -> Fetched | None:
        """The document at `url`, at most `limit` bytes; None if upstream says that there is none (404, 410).

        `etag` and `last_modified` are those of the copy at hand: an unchanged document comes without its body.

        Raises:
            UpstreamUnavailable: no answer, a server's error, or a body that was cut short; `retries` did not help.
            UpstreamInvalid: another status, too many redirects or one to another scheme, larger than `limit`.
        """
        wanted = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in wanted.items() if value}
        until = time.monotonic() + self._deadline

        def attempt() -> Fetched | None:
            with closing(self._open(url, headers)) as answer:
                if answer.status in _GONE:
                    return None
                unchanged = answer.status == 304
                body = None if unchanged else b"".join(self._pieces(answer, limit, until))
                tag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
                return Fetched(body, tag or (etag if unchanged else None), modified, unchanged)

        return self._retrying(attempt, until)

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
        until = time.monotonic() + self._deadline
        with closing(self._retrying(lambda: self._open(url, {}), until)) as answer:
            if answer.status in _GONE:
                raise UpstreamLacksFile(f"the upstream {shown(url)} answered {answer.status}", url=shown(url))
            if answer.length is not None:
                _same(url, "size", size, answer.length)
            if began:
                began(answer.length)
            hashes = hashlib.md5(usedforsecurity=False), hashlib.sha256()
            got = 0
            for piece in self._pieces(answer, limit, None):
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

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def _retrying(self, attempt: Callable[[], T], until: float) -> T:
        for pause in (self._backoff * 2**n for n in range(self._retries)):
            try:
                return attempt()
            except UpstreamUnavailable:
                if time.monotonic() + pause >= until:
                    raise
                time.sleep(pause)
        return attempt()

    def _open(self, url: str, headers: Mapping[str, str]) -> _Answer:
        """The first answer that is no redirect: 200, 404, 410, or 304 if `headers` ask for it."""
        if urlsplit(url).scheme == "file":
            return _open_file(url, headers)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask(url, headers)
            if answer.status not in _REDIRECTS:
                return _accepted(answer, conditional=bool(headers))
            answer.close()
            url = _next_url(url, answer.headers.get("Location"))
        raise UpstreamInvalid(f"the upstream {shown(url)} redirects more than {_MOST_REDIRECTS} times")

    def _ask(self, url: str, headers: Mapping[str, str]) -> _Answer:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UpstreamInvalid(f"{shown(url)} can't be fetched", hint="use an http, https or file URL")
        sent = {"User-Agent": self._user_agent, "Accept-Encoding": "identity", **headers}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            sent |= urllib3.make_headers(basic_auth=login)
        with _translated(url, self._patience):
            response = self._manager(parts.scheme, parts.netloc.rpartition("@")[2]).request(
                "GET",
                _without_login(url),
                headers=sent,
                timeout=self._timeout,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        return _Answer(url, response.status, response.headers, response.read1, partial(_leave, response))

    def _manager(self, scheme: str, host: str) -> urllib3.PoolManager:
        """The connections to use for `host`: direct ones or those of the proxy that the environment names."""
        proxies = getproxies()
        proxy = proxies.get(scheme) or proxies.get("all")
        if proxy and proxy_bypass(host):
            proxy = None
        with self._lock:
            if proxy not in self._managers:
                self._managers[proxy] = self._new_manager(proxy)
            return self._managers[proxy]

    def _new_manager(self, proxy: str | None) -> urllib3.PoolManager:
        if not proxy:
            return urllib3.PoolManager(num_pools=32, maxsize=16, ssl_context=self._tls)
        url = proxy if "://" in proxy else f"http://{proxy}"
        parts = urlsplit(url)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        headers = urllib3.make_headers(proxy_basic_auth=login)
        try:
            return urllib3.ProxyManager(
                _without_login(url), num_pools=32, maxsize=16, ssl_context=self._tls, proxy_headers=headers
            )
        except trouble.ProxySchemeUnknown as error:
            hint = "set HTTP_PROXY and HTTPS_PROXY to an http or https URL"
            raise InvalidSettings(f"the proxy {shown(url)} can't be used", hint=hint) from error

    def _pieces(self, answer: _Answer, limit: int, until: float | None) -> Iterator[bytes]:
        """The body as it comes; ends with an error if it is cut short, too large, too slow or not done at `until`."""
        url, length = shown(answer.url), answer.length
        if length is not None and length > limit:
            raise _too_large(url, limit)
        got, mark, since = 0, 0, time.monotonic()
        with _translated(answer.url, self._patience, began=True):
            while piece := answer.read(_CHUNK):
                got += len(piece)
                if got > limit:
                    raise _too_large(url, limit)
                now = time.monotonic()
                if until is not None and now > until:
                    raise UpstreamUnavailable(f"the upstream {url} took longer than {self._deadline:g} s")
                if now - since >= self._patience:
                    if got - mark < _SLOWEST * self._patience:
                        raise UpstreamUnavailable(f"the upstream {url} sends less than {_SLOWEST} bytes a second")
                    mark, since = got, now
                yield piece
        if length is not None and got != length:
            raise _cut_short(answer.url)


def _leave(response: urllib3.BaseHTTPResponse) -> None:
    """End an answer; its connection is kept for the next request if little of an error page is left to read."""
    if response.status != 200 and (response.length_remaining or 0) <= _CHUNK:
        with suppress(trouble.HTTPError, OSError):
            response.read1(_CHUNK)
    response.close()


def _open_file(url: str, headers: Mapping[str, str]) -> _Answer:
    """A local file as a server would answer it; its ETag is made of its time, size and inode."""
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UpstreamInvalid(f"{shown(url)} is not on this machine", hint="write file:///absolute/path")
    try:
        file = Path(unquote(parts.path)).open("rb")  # noqa: SIM115 - closed with the answer
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _Answer(url, 404, {}, lambda _: b"", lambda: None)
    except (OSError, ValueError) as error:
        raise UpstreamUnavailable(f"the upstream {shown(url)} can't be read: {error}") from error
    stat = os.fstat(file.fileno())
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"'
    modified = format_datetime(datetime.fromtimestamp(int(stat.st_mtime), UTC), usegmt=True)
    told = {"ETag": etag, "Last-Modified": modified, "Content-Length": str(stat.st_size)}
    # RFC 9110 13.1.3: If-None-Match decides where both are given.
    wanted, own = ("If-None-Match", etag) if "If-None-Match" in headers else ("If-Modified-Since", modified)
    same = headers.get(wanted) == own
    return _Answer(url, 304 if same else 200, told, file.read, file.close)


def _accepted(answer: _Answer, *, conditional: bool) -> _Answer:
    """`answer` if it is one of those that a caller can use."""
    if answer.status in {200, *_GONE} or (answer.status == 304 and conditional):
        return answer
    answer.close()
    message = f"the upstream {shown(answer.url)} answered {answer.status}"
    if answer.status >= 500 or answer.status in _WORTH_RETRYING:
        raise UpstreamUnavailable(message, url=shown(answer.url), status=answer.status)
    hint = "check the credentials in the source's URL" if answer.status in {401, 403, 407} else None
    raise UpstreamInvalid(message, hint=hint, url=shown(answer.url), status=answer.status)


def _next_url(url: str, location: str | None) -> str:
    """Where a redirect leads; a login goes along only within one server, and never to a file of this machine."""
    if not location:
        raise UpstreamInvalid(f"the upstream {shown(url)} redirects to nowhere")
    try:
        old, new = urlsplit(url), urlsplit(urljoin(_without_login(url), location))
    except ValueError as error:
        raise UpstreamInvalid(f"the upstream {shown(url)} redirects to something that is no URL") from error
    if new.scheme not in {"http", "https"}:
        raise UpstreamInvalid(f"the upstream {shown(url)} redirects to a {new.scheme} URL")
    if (old.scheme, old.netloc.rpartition("@")[2]) == (new.scheme, new.netloc):
        new = new._replace(netloc=old.netloc)
    return urlunsplit(new)


@contextmanager
def _translated(url: str, patience: float, *, began: bool = False) -> Iterator[None]:
    """Turn what urllib3 and the system raise into the error that it means; `began`: within the body."""
    upstream = f"the upstream {shown(url)}"
    try:
        yield
    except (trouble.LocationValueError, trouble.InvalidHeader) as error:
        raise UpstreamInvalid(f"{upstream} can't be asked: not a usable URL or header") from error
    except trouble.ReadTimeoutError as error:
        raise UpstreamUnavailable(f"{upstream} sent nothing for {patience:g} s") from error
    except (trouble.HTTPError, OSError) as error:
        if _is_about_certificate(error):
            hint = "if your organisation has its own authority, name its certificates in SSL_CERT_FILE"
            raise UpstreamInvalid(f"{upstream} shows a certificate that can't be verified", hint=hint) from error
        if began and not isinstance(error, OSError):
            raise _cut_short(url) from error
        raise UpstreamUnavailable(f"{upstream} can't be reached: {_reason(error)}") from error


def _is_about_certificate(error: BaseException) -> bool:
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in (error, error.__cause__, *error.args))


def _reason(error: Exception) -> str:
    """The system's own words, without urllib3's object names."""
    inner = error.original_error if isinstance(error, trouble.ProxyError) else error
    prefix = "the proxy: " if inner is not error else ""
    if isinstance(inner, trouble.NameResolutionError):
        return prefix + "its name can't be resolved"
    for each in (inner, inner.__cause__, *inner.args):
        if isinstance(each, OSError) and each.strerror:
            return prefix + each.strerror.lower()
    if isinstance(inner, trouble.ConnectTimeoutError):
        return prefix + "no connection in time"
    return prefix + "the connection was closed without an answer"


def _cut_short(url: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"the answer of the upstream {shown(url)} was cut short", url=shown(url))


def _too_large(upstream: str, limit: int) -> UpstreamInvalid:
    return UpstreamInvalid(f"the upstream {upstream} sends more than {limit} bytes", limit=limit)


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


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
