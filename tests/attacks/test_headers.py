"""Heads of requests that are too large, too many or too slow: they cost little, and nobody else waits for them."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, closing, suppress
from urllib.parse import urlsplit

import pytest

from entrepot.settings import Settings
from entrepot.web.bounds import LARGEST_HEAD, MOST_HEADERS
from tests.support.process import Served
from tests.support.server import Live

pytestmark = pytest.mark.one_shape

MEGABYTE = 1024 * 1024
START = b"GET /__ping__ HTTP/1.1\r\nHost: x\r\n"
MANY = b"".join(b"X-%d: y\r\n" % n for n in range(10_000))
LONG = b"X-Long: " + b"a" * MEGABYTE + b"\r\n"
TOO_LARGE = "431 Request Header Fields Too Large"


def connect(address: str) -> closing[socket.socket]:
    parts = urlsplit(address)
    return closing(socket.create_connection((str(parts.hostname), parts.port or 80), timeout=10))


def answer(connection: socket.socket) -> str:
    """The status of the answer, or nothing if the connection ends without."""
    received = b""
    with suppress(ConnectionError):
        while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
            received += piece
    return received.partition(b"\r\n")[0].decode().removeprefix("HTTP/1.1 ")


def is_closed(connection: socket.socket) -> bool:
    """Whether the server ends the connection, whatever it says before."""
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


@pytest.mark.parametrize(
    "head", [LONG, MANY, b"GET /" + b"a" * MEGABYTE], ids=["1-mb-header", "10000-headers", "1-mb-url"]
)
@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["whole", "endless"])
def test_large_heads_are_refused(live: Live, head: bytes, end: bytes) -> None:
    """A megabyte, ten thousand headers or an endless line: 431, and the connection is closed."""
    with connect(live.address) as connection:
        connection.sendall(head if head.startswith(b"GET") else START + head + end)
        assert answer(connection) == TOO_LARGE
        assert is_closed(connection)
    assert live.get("/__ping__").status == 200


def test_a_large_head_in_small_pieces_is_refused(live: Live) -> None:
    """What comes drop by drop is counted together, and not much more than the limit is taken."""
    with connect(live.address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(START + b"X-Long: ")
        for _ in range(LARGEST_HEAD // 1024 + 1):
            connection.sendall(b"a" * 1024)
        assert answer(connection) == TOO_LARGE


def test_usual_heads_are_taken(live: Live) -> None:
    """Cookies and tokens of tens of kilobytes, and hundreds of headers, are nothing unusual; nor in several pieces."""
    heads = [
        b"Cookie: " + b"a" * (LARGEST_HEAD - 1000) + b"\r\n",
        b"".join(b"X-%d: y\r\n" % n for n in range(MOST_HEADERS - 10)),
    ]
    with connect(live.address) as connection:
        for head in heads:
            connection.sendall(START + head + b"\r\n")
            assert answer(connection) == "200 OK"
            connection.sendall(START + head[: len(head) // 2])
            connection.sendall(head[len(head) // 2 :] + b"\r\n")
            assert answer(connection) == "200 OK"


def test_headers_behind_a_body_are_counted(live: Live) -> None:
    """A body in chunks may be followed by headers: ten thousand of them end the connection."""
    start = b"POST /__api__/repos HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
    with connect(live.address) as connection:
        with suppress(ConnectionError):
            connection.sendall(start + MANY)
        assert is_closed(connection)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads have to be there within half a second."""
    monkeypatch.setattr("entrepot.web.bounds.HEAD_WITHIN", 0.5)


@pytest.mark.usefixtures("impatient")
def test_slow_heads_are_ended(live: Live) -> None:
    """A head that never ends is answered 408 however busily it comes; others are answered meanwhile."""
    with connect(live.address) as slow:
        slow.sendall(b"GET /__ping__ HTTP/1.1\r\n")
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 0.4:
                slow.sendall(b"X-A: b\r\n")
                assert live.get("/__ping__").status == 200
                time.sleep(0.05)
        assert answer(slow) == "408 Request Timeout"
        assert is_closed(slow)


@pytest.mark.usefixtures("impatient")
def test_silent_connections_are_ended(live: Live) -> None:
    """Whoever connects and says nothing is not waited for."""
    with connect(live.address) as silent:
        assert (answer(silent), is_closed(silent)) == ("", True)


@pytest.mark.usefixtures("impatient")
def test_patience_is_for_heads_alone(live: Live) -> None:
    """A connection that was used stays open between requests, and a body may take its time."""
    with connect(live.address) as connection:
        connection.sendall(START + b"\r\n")
        assert answer(connection) == "200 OK"
        time.sleep(0.7)
        connection.sendall(START + b"Content-Length: 2\r\n\r\na")
        time.sleep(0.7)
        connection.sendall(b"b")
        assert answer(connection) == "200 OK"


def test_many_large_heads_take_little_memory(settings: Settings) -> None:
    """A hundred connections with a megabyte each: the server keeps little of any of them, and answers others."""
    with Served(settings) as served, ExitStack() as stack:
        before = served.most_memory
        connections = [stack.enter_context(connect(served.address)) for _ in range(100)]
        for connection in connections:
            with suppress(ConnectionError):
                connection.sendall(START + LONG)
        with connect(served.address) as other:
            other.settimeout(5)
            other.sendall(START + b"\r\n")
            assert answer(other) == "200 OK"
        assert {answer(connection) for connection in connections} <= {TOO_LARGE, ""}
        assert served.most_memory - before < 60 * MEGABYTE
