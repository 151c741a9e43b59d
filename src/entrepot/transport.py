"""Requests to upstreams: made, redirected, and what went wrong with them in our own words.

`http://`, `https://` and `file://` URLs have the same semantics (RFC 9110). Bodies are kept as they were sent: Apache
labels `PACKAGES.gz` with `Content-Encoding: gzip`, and the file, not its content, is what an index's hash speaks of.
No message contains the user name, password or query of a URL.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass  # noqa: TID251 - what the environment says, no request

import urllib3
from urllib3 import exceptions as trouble

from entrepot.core.errors import InvalidSettings, UpstreamInvalid, UpstreamUnavailable
from entrepot.core.urls import shown

GONE = {404, 410}
_CHUNK = 256 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_WORTH_RETRYING = {408, 425, 429}
_SLOWEST = 512
"""Bytes a second below which an answer counts as stalled; else a trickle would hold a thread for days."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
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


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of the `seconds` that something may take; `at` in the time of `time.monotonic`."""

    seconds: float
    at: float

    @classmethod
    def of(cls, seconds: float) -> Deadline:
        """The one that begins now."""
        return cls(seconds, time.monotonic() + seconds)


class Transport:
    """Connections to upstreams; one per process, used by any number of threads. For the arguments see `Fetch`."""

    def __init__(
        self, *, timeout_connect: float, timeout_read: float, user_agent: str, retries: int, backoff: float
    ) -> None:
        self._timeout = urllib3.Timeout(connect=timeout_connect, read=timeout_read)
        self._patience = timeout_read
        self._user_agent = user_agent
        self._retries = retries
        self._backoff = backoff
        self._tls = ssl.create_default_context()
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def retrying(self, attempt: Callable[[], T], deadline: Deadline) -> T:
        """What `attempt` returns, tried again while the upstream is unavailable and there is time."""
        for pause in (self._backoff * 2**n for n in range(self._retries)):
            try:
                return attempt()
            except UpstreamUnavailable:
                if time.monotonic() + pause >= deadline.at:
                    raise
                time.sleep(pause)
        return attempt()

    def open(self, url: str, headers: Mapping[str, str], *, redirects: bool = True) -> Answer:
        """The first answer that is no redirect: 200, 404, 410, or what else `headers` ask for: 304, 206, 416.

        Without `redirects` none is followed: the request goes to `url` and nowhere else.
        """
        if urlsplit(url).scheme == "file":
            return _open_file(url, headers)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask(url, headers)
            if answer.status not in _REDIRECTS:
                return _accepted(answer, headers)
            answer.close()
            if not redirects:
                raise UpstreamInvalid(f"the upstream {shown(url)} redirects, which is not followed here")
            url = _next_url(url, answer.headers.get("Location"))
        raise UpstreamInvalid(f"the upstream {shown(url)} redirects more than {_MOST_REDIRECTS} times")

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a POST, whatever its status is; nothing is redirected."""
        return self._ask(url, headers, body)

    def _ask(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UpstreamInvalid(f"{shown(url)} can't be fetched", hint="use an http, https or file URL")
        sent = {"User-Agent": self._user_agent, "Accept-Encoding": "identity", **headers}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            sent |= urllib3.make_headers(basic_auth=login)
        with _translated(url, self._patience):
            response = self._manager(parts.scheme, parts.netloc.rpartition("@")[2]).request(
                "GET" if body is None else "POST",
                without_login(url),
                headers=sent,
                body=body,
                timeout=self._timeout,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        return Answer(url, response.status, response.headers, response.read1, partial(_leave, response))

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
                without_login(url), num_pools=32, maxsize=16, ssl_context=self._tls, proxy_headers=headers
            )
        except trouble.ProxySchemeUnknown as error:
            hint = "set HTTP_PROXY and HTTPS_PROXY to an http or https URL"
            raise InvalidSettings(f"the proxy {shown(url)} can't be used", hint=hint) from error

    def pieces(
        self, answer: Answer, *, limit: int | None, deadline: Deadline | None, chunk: int = _CHUNK
    ) -> Iterator[bytes]:
        """The body as it comes, up to `chunk` bytes at once.

        Raises:
            UpstreamUnavailable: it is cut short, stalls, or is not done at the deadline.
            UpstreamInvalid: it is larger than `limit`.
        """
        url, length = shown(answer.url), answer.length
        if limit is not None and length is not None and length > limit:
            raise _too_large(url, limit)
        got, mark, since = 0, 0, time.monotonic()
        with _translated(answer.url, self._patience, began=True):
            while piece := answer.read(chunk):
                got += len(piece)
                if limit is not None and got > limit:
                    raise _too_large(url, limit)
                now = time.monotonic()
                if deadline is not None and now > deadline.at:
                    raise UpstreamUnavailable(f"the upstream {url} took longer than {deadline.seconds:g} s")
                if now - since >= self._patience:
                    if got - mark < _SLOWEST * self._patience:
                        raise UpstreamUnavailable(f"the upstream {url} sends less than {_SLOWEST} bytes a second")
                    mark, since = got, now
                yield piece
        if length is not None and got != length:
            raise cut_short(answer.url)


def _leave(response: urllib3.BaseHTTPResponse) -> None:
    """End an answer; its connection is kept for the next request if little of an error page is left to read."""
    if response.status != 200 and (response.length_remaining or 0) <= _CHUNK:
        with suppress(trouble.HTTPError, OSError):
            response.read1(_CHUNK)
    response.close()


def _open_file(url: str, headers: Mapping[str, str]) -> Answer:
    """A local file as a server would answer it; its ETag is made of its time, size and inode."""
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UpstreamInvalid(f"{shown(url)} is not on this machine", hint="write file:///absolute/path")
    try:
        file = Path(unquote(parts.path)).open("rb")  # noqa: SIM115 - closed with the answer
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return Answer(url, 404, {}, lambda _: b"", lambda: None)
    except (OSError, ValueError) as error:
        raise UpstreamUnavailable(f"the upstream {shown(url)} can't be read: {error}") from error
    stat = os.fstat(file.fileno())
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"'
    modified = format_datetime(datetime.fromtimestamp(int(stat.st_mtime), UTC), usegmt=True)
    told = {"ETag": etag, "Last-Modified": modified, "Content-Length": str(stat.st_size)}
    # RFC 9110 13.1.3: If-None-Match decides where both are given.
    wanted, own = ("If-None-Match", etag) if "If-None-Match" in headers else ("If-Modified-Since", modified)
    same = headers.get(wanted) == own
    return Answer(url, 304 if same else 200, told, file.read, file.close)


def _accepted(answer: Answer, asked: Mapping[str, str]) -> Answer:
    """`answer` if it is one of those that a caller can use who sent the headers `asked`."""
    usable = {200, *GONE}
    usable |= {304} if not asked.keys().isdisjoint({"If-None-Match", "If-Modified-Since"}) else set()
    usable |= {206, 416} if "Range" in asked else set()
    if answer.status in usable:
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
        old, new = urlsplit(url), urlsplit(urljoin(without_login(url), location))
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
            raise cut_short(url) from error
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


def cut_short(url: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"the answer of the upstream {shown(url)} was cut short", url=shown(url))


def _too_large(upstream: str, limit: int) -> UpstreamInvalid:
    return UpstreamInvalid(f"the upstream {upstream} sends more than {limit} bytes", limit=limit)


def without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
