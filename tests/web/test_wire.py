"""Finished answers: given out on the wire, the same bytes as the ordinary way, for as long as they are right."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from entrepot.web.hot import HotAnswers, Ready, body
from tests.support.archives import make_source_package
from tests.support.server import Live

DEMO = make_source_package("demo", "1.0")
INDEX = "/mine/latest/src/contrib/PACKAGES"
FILE = "/mine/latest/src/contrib/demo_1.0.tar.gz"
MISSING = "/mine/latest/src/contrib/nothing_1.0.tar.gz"


@pytest.fixture
def site(live: Live) -> Live:
    """Repository `mine` over source `internal` with demo 1.0 and what makes its index worth compressing."""
    for path, given in (
        ("/sources", {"name": "internal"}),
        ("/repos", {"name": "mine"}),
        ("/repos/mine/sources", {"source": "internal"}),
    ):
        assert live.api("POST", path, given)[0] in (200, 201)
    others = [(f"other{n}_1.0.tar.gz", make_source_package(f"other{n}", "1.0")) for n in range(8)]
    assert live.upload("internal", ("demo_1.0.tar.gz", DEMO), *others)[0] == 200
    return live


@pytest.fixture
def wire(site: Live) -> Iterator[socket.socket]:
    """A connection of one's own."""
    with closing(_connect(site)) as connection:
        yield connection


def _connect(site: Live) -> socket.socket:
    parts = urlsplit(site.address)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.settimeout(10)
    return connection


def _request(path: str, *headers: str, method: str = "GET", protocol: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} {path} {protocol}", "Host: localhost", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _answer(connection: socket.socket, *, is_head: bool = False) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers by name, body."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65536)
        assert piece, f"the connection ended after {got!r}"
        got += piece
    head, _, rest = got.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = 0 if is_head or status.split()[1] == "304" else int(headers["content-length"])
    while len(rest) < size:
        piece = connection.recv(65536)
        assert piece, "the connection ended within a body"
        rest += piece
    assert len(rest) == size
    return int(status.split()[1]), headers, rest


def _is_hot(site: Live, path: str) -> bool:
    return site.hot.find(path.encode()) is not None


@pytest.mark.parametrize("path", [INDEX, f"{INDEX}.gz", f"{INDEX}.rds", FILE, MISSING])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Accept-Encoding: gzip",),
        ("Accept-Encoding: zstd;q=0.5, gzip;q=0.1",),
        ("If-None-Match: *",),
        ('If-None-Match: "x"',),
    ],
)
def test_finished_answers_are_those_of_the_ordinary_way(
    site: Live, wire: socket.socket, path: str, method: str, headers: tuple[str, ...]
) -> None:
    """Status, every header and every byte are the same, whichever way an answer takes."""
    answers = []
    for _ in range(2):
        wire.sendall(_request(path, *headers, method=method))
        status, told, content = _answer(wire, is_head=method == "HEAD")
        told.pop("date")
        answers.append((status, told, content))
        site.get(path)
        assert _is_hot(site, path)
    assert answers[0] == answers[1]


def test_conditional_requests_name_the_form(site: Live, wire: socket.socket) -> None:
    """Each form has its ETag, and only that one makes a 304 of it; lists and weak tags count."""
    site.get(INDEX)
    tags = {}
    for encoding in ("identity", "gzip"):
        wire.sendall(_request(INDEX, f"Accept-Encoding: {encoding}"))
        _, headers, content = _answer(wire)
        tags[encoding] = headers["etag"]
        assert (headers.get("content-encoding") == "gzip") == (encoding == "gzip")
        assert b"Package: demo" in (gzip.decompress(content) if encoding == "gzip" else content)
    assert tags["identity"] != tags["gzip"]
    for given, status in (
        (tags["gzip"], 304),
        (f"W/{tags['gzip']}", 304),
        (f'"a", {tags["gzip"]}', 304),
        (tags["identity"], 200),
    ):
        wire.sendall(_request(INDEX, "Accept-Encoding: gzip", f"If-None-Match: {given}"))
        assert _answer(wire)[0] == status


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (_request(FILE, "Range: bytes=0-9"), 206),
        (_request(FILE, "Connection: close"), 200),
        (_request(FILE, protocol="HTTP/1.0"), 200),
        (_request(FILE, "If-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT"), 304),
        (_request(FILE, "Content-Length: 3") + b"abc", 200),
        (_request(FILE, method="POST"), 405),
        (_request(FILE, "Content-Length : 3"), 400),
        (_request(FILE, "X: a\r\n folded"), 400),
        (_request(FILE + "?a=b"), 200),
    ],
)
def test_the_unusual_goes_the_ordinary_way(site: Live, wire: socket.socket, request_bytes: bytes, status: int) -> None:
    """Ranges, bodies, old protocols and malformed headers are answered as HTTP says, although the path is finished."""
    site.get(FILE)
    assert _is_hot(site, FILE)
    wire.sendall(request_bytes)
    assert _answer(wire)[0] == status


def test_one_connection_mixes_all_kinds(site: Live, wire: socket.socket) -> None:
    """Finished and other answers, requests in pieces and several at once come in the order of their requests."""
    site.get(FILE)
    head = _request(FILE)
    for piece in (head[:20], head[20:-2], head[-2:]):
        wire.sendall(piece)
    assert _answer(wire)[2] == DEMO
    wire.sendall(_request(FILE) + _request(MISSING) + _request("/__ping__"))
    got = b""
    while got.count(b"HTTP/1.1 ") < 3 or not got.endswith(b"pong\n"):
        got += wire.recv(65536)
    assert re.findall(rb"HTTP/1\.1 (\d+)", got) == [b"200", b"404", b"200"]
    wire.sendall(_request("/__ping__"))
    assert _answer(wire)[2] == b"pong\n"
    wire.sendall(_request(FILE))
    assert _answer(wire)[2] == DEMO


def test_a_change_counts_for_the_next_request(site: Live) -> None:
    """Whoever added a package finds it: no finished answer outlives what it was made from."""
    demo2 = make_source_package("demo", "2.0")
    later = "/mine/latest/src/contrib/demo_2.0.tar.gz"
    for _ in range(2):
        assert b"Version: 1.0" in site.get(INDEX).data
        assert site.get(later).status == 404
    assert _is_hot(site, INDEX)
    assert site.upload("internal", ("demo_2.0.tar.gz", demo2))[0] == 200
    assert b"Version: 2.0" in site.get(INDEX).data
    assert site.get(later).data == demo2


def test_another_process_wrote(site: Live) -> None:
    """A write of another node counts as soon as this one has looked."""
    site.get(INDEX)
    with site.app.db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE catalogue SET version = version + 1")
    assert _is_hot(site, INDEX)
    site.app.db.look()
    assert not _is_hot(site, INDEX)


def test_a_deleted_repository_is_gone_at_once(site: Live) -> None:
    """Nothing is given out of a repository that no longer exists."""
    assert site.get(FILE).status == site.get(FILE).status == 200
    assert site.api("DELETE", "/repos/mine")[0] in (200, 204)
    assert site.get(FILE).status == 404


def test_indexes_are_in_memory_once(site: Live) -> None:
    """A finished answer holds no bytes of an index: when the cache of indexes lets it go, it is gone."""
    site.get(INDEX)
    hit = site.hot.find(INDEX.encode())
    assert hit is not None
    assert sorted(hit.ready.bodies) == ["", "gzip", "zstd"]
    assert all(form.content is None for form in hit.ready.bodies.values())
    assert hit.rendered is site.app.documents.in_memory(str(hit.ready.document))


def test_finished_answers_are_bounded() -> None:
    """The least used go when they weigh too much; answers of an older catalogue are not kept."""
    hot = HotAnswers(is_fresh=lambda version, _: version == 7, document=lambda _: None, now=lambda: 0, limit=100_000)
    for number in range(40):
        hot.keep(b"/%d" % number, Ready(7, {"": body(200, [], None, bytes(10_000))}))
        hot.find(b"/0")
    assert hot.find(b"/0") is not None
    assert hot.find(b"/1") is None
    assert sum(hot.find(b"/%d" % number) is not None for number in range(40)) == 8
    hot.keep(b"/old", Ready(6, {"": body(200, [], None, b"")}))
    hot.keep(b"/dropped", Ready(7, {"": body(200, [], None, None)}, "an index that is no longer in memory"))
    assert hot.find(b"/old") is hot.find(b"/dropped") is None
