"""Any tree of files over HTTP on loopback, with validators, ranges, counted requests and faults on demand.

    with FakeServer() as server:
        server.put("some/file", data)
        server.fail("some/file", "cut", times=1)
        ... server.url ...
        assert server.count("some/file") == 2

Paths have no slash at the beginning.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

EPOCH = datetime(2024, 1, 1, 12, tzinfo=UTC)
"""When a file was changed last unless the test says otherwise."""
KINDS = {
    *("refuse", "hang", "slow", "drip", "cut", "cut_chunked", "chunked"),
    *("wrong_bytes", "html", "redirect", "loop"),
    *("no_ranges", "range"),
}


class Asked(NamedTuple):
    """One request that came; the names of headers in title case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Served:
    """One file of the tree."""

    data: bytes
    modified: datetime
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}-{self.modified.timestamp():.0f}"'


@dataclass(slots=True)
class Fault:
    """How a path misbehaves, and how many times still (None: until `heal`)."""

    kind: str
    times: int | None
    seconds: float


class FakeServer:
    """Any tree of files over HTTP/1.1 with validators, ranges, counted requests and faults; a context manager.

    Files are those of `put`, then those below `folder`. `sent` counts the bytes of the bodies of each path.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.requests: list[Asked] = []
        self.sent: Counter[str] = Counter()
        self._folder = folder
        self._files: dict[str, Served] = {}
        self._faults: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._close()

    def _listen(self) -> None:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _close(self) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Refuse connections, as a server that doesn't run, until the end of the block."""
        self._close()
        try:
            yield
        finally:
            self._server = _Server(self, self._server.server_port)
            self._listen()

    def put(
        self, path: str, data: bytes, modified: datetime = EPOCH, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Serve `data` at `path`, with more or other headers if given."""
        with self._lock:
            self._files[path] = Served(data, modified, headers or {})

    def fail(self, path: str, kind: str | int, times: int | None = None, *, seconds: float = 60) -> None:
        """Misbehave when `path` ("*": any path) is asked for, `times` times or until `heal`.

        Kinds: a status ("500", 404, ...); `refuse` (close at once); `hang` (no answer for `seconds`); `slow` (`seconds`
        between head and body); `drip` (a byte a second); `cut` (half of the Content-Length); `cut_chunked`; `chunked`
        (sound, but without Content-Length and ranges); `wrong_bytes` (same length); `html` (a page with status 200);
        `redirect:URL`; `loop`; `no_ranges` (the whole file where a range was asked for); `range:CONTENT-RANGE` (the
        range, so labelled).
        """
        if str(kind).partition(":")[0] not in KINDS and not str(kind).isdecimal():
            raise ValueError(f"no such kind of fault: {kind}")
        with self._lock:
            self._faults[path] = Fault(str(kind), times, seconds)

    def heal(self, path: str | None = None) -> None:
        """End the misbehaviour of `path`, or all of it."""
        with self._lock:
            self._faults = {other: fault for other, fault in self._faults.items() if path not in {None, other}}

    def count(self, path: str) -> int:
        """How many requests for `path` came."""
        return sum(asked.path == path for asked in list(self.requests))

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._server.accepted

    def wrap(self, wrapping: Callable[[socket.socket], socket.socket]) -> None:
        """Wrap each connection to come, for TLS."""
        self._server.wrapping = wrapping

    def find(self, path: str) -> Served | None:
        with self._lock:
            served = self._files.get(path)
        place = self._folder / path if self._folder else None
        if served or place is None or ".." in Path(path).parts or not place.is_file():
            return served
        return Served(place.read_bytes(), datetime.fromtimestamp(int(place.stat().st_mtime), UTC))

    def take_fault(self, path: str) -> Fault | None:
        with self._lock:
            name = path if path in self._faults else "*"
            fault = self._faults.get(name)
            if fault and fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    del self._faults[name]
            return fault

    def take_form(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the JSON that a POST is answered with; subclasses know some."""
        del path, headers, body
        return 405, b"{}"

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the server's end."""
        self._stopping.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that the end waits for them
    request_queue_size = 256

    def __init__(self, fake: FakeServer, port: int = 0) -> None:
        self.fake = fake
        self.accepted = 0
        self.wrapping: Callable[[socket.socket], socket.socket] | None = None
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = self.socket.accept()
        self.accepted += 1
        return (self.wrapping(connection) if self.wrapping else connection), address

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End kept connections: a server that is gone answers nobody."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        fake = self.server.fake
        fake.requests.append(Asked(self.command, path, {name.title(): value for name, value in self.headers.items()}))
        fault = fake.take_fault(path)
        served = fake.find(path)
        if fault:
            self._misbehave(fault, served or Served(b"", EPOCH))
        elif served is None:
            self._plain(404, b"not found\n")
        elif self._has(served):
            self._head(304, {"ETag": served.etag})
        else:
            self._send(served)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        fake, headers = self.server.fake, {name.title(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("Content-Length", "0")))
        fake.requests.append(Asked(self.command, path, headers))
        fault = fake.take_fault(path)
        if fault:
            self._misbehave(fault, Served(b"", EPOCH))
            return
        status, told = fake.take_form(path, headers, body)
        self._plain(status, told, {"Content-Type": "application/json"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests have enough to say."""

    def _has(self, served: Served) -> bool:
        if wanted := self.headers.get("If-None-Match"):
            return wanted == served.etag
        since = self.headers.get("If-Modified-Since")
        return since is not None and parsedate_to_datetime(since) >= served.modified.replace(microsecond=0)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _plain(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        told = {"Content-Type": "text/plain", "Content-Length": str(len(body)), **(headers or {})}
        self._head(status, told)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send(
        self,
        served: Served,
        write: Callable[[bytes], object] | None = None,
        *,
        chunked: bool = False,
        ranges: bool = True,
        label: str = "",
    ) -> None:
        span = self._range(served) if ranges else None
        data = served.data[span] if span else served.data
        told = {"Content-Type": "application/octet-stream"}
        told |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(data))}
        told |= {"ETag": served.etag, "Last-Modified": format_datetime(served.modified, usegmt=True)}
        if span and not data:
            self._plain(416, b"", {"Content-Range": f"bytes */{len(served.data)}"})
            return
        if span:
            last = span.start + len(data) - 1
            told["Content-Range"] = label or f"bytes {span.start}-{last}/{len(served.data)}"
        self._head(206 if span else 200, {**told, **served.headers})
        if self.command != "HEAD":
            (write or self._write)(data)

    def _range(self, served: Served) -> slice | None:
        """What is asked for of the file: one range, if the file is still the one that is meant."""
        found = re.fullmatch(r"bytes=(\d*)-(\d+)", self.headers.get("Range", ""))
        if not found or self.headers.get("If-Range", served.etag) != served.etag:
            return None
        if not found[1]:
            return slice(max(0, len(served.data) - int(found[2])), len(served.data))
        return slice(int(found[1]), int(found[2]) + 1)

    def _write(self, data: bytes) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        for at in range(0, len(data), 65536):
            piece = data[at : at + 65536]
            self.server.fake.sent[path] += len(piece)
            self.wfile.write(piece)

    def _misbehave(self, fault: Fault, served: Served) -> None:
        kind, _, value = fault.kind.partition(":")
        if kind.isdecimal():
            self._plain(int(kind), f"status {kind}\n".encode())
        elif kind == "redirect":
            self._plain(302, b"", {"Location": value})
        elif kind == "loop":
            self._plain(302, b"", {"Location": self.path})
        elif kind == "html":
            self._plain(200, b"<html>Welcome to the guest network</html>", {"Content-Type": "text/html"})
        elif kind == "wrong_bytes":
            self._send(Served(bytes(byte ^ 0xFF for byte in served.data), served.modified))
        elif kind == "slow":
            self._send(served, lambda data: self._late(data, fault.seconds))
        elif kind == "chunked":
            self._send(served, lambda data: self._chunks(data, whole=True), chunked=True, ranges=False)
        elif kind == "no_ranges":
            self._send(served, ranges=False)
        elif kind == "range":
            self._send(served, label=value)
        else:
            self.close_connection = True
            self._break_off(kind, fault.seconds, served)

    def _break_off(self, kind: str, seconds: float, served: Served) -> None:
        def half(data: bytes) -> bytes:
            return data[: len(data) // 2]

        if kind == "hang":
            self.server.fake.pause(seconds)
        elif kind == "cut":
            self._send(served, lambda data: self.wfile.write(half(data)))
        elif kind == "cut_chunked":
            self._send(served, lambda data: self._chunks(half(data), whole=False), chunked=True)
        elif kind == "drip":
            self._send(served, self._drip)
        # else refuse: nothing at all

    def _chunks(self, data: bytes, *, whole: bool) -> None:
        for at in range(0, len(data), 65536):
            piece = data[at : at + 65536]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if whole:
            self.wfile.write(b"0\r\n\r\n")

    def _late(self, data: bytes, seconds: float) -> None:
        self.wfile.flush()
        self.server.fake.pause(seconds)
        self.wfile.write(data)

    def _drip(self, data: bytes) -> None:
        for byte in data:
            if self.server.fake._stopping.is_set():
                return
            self.wfile.write(bytes([byte]))
            self.server.fake.pause(1)
