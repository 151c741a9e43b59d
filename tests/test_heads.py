"""What `Fetch.head` asks for, and what it makes of servers that answer otherwise."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from entrepot.core.errors import EntrepotError, UpstreamInvalid, UpstreamLacksFile, UpstreamUnavailable
from entrepot.fetch import Fetch
from entrepot.heads import FIRST, Head
from tests.support.fake_server import EPOCH, FakeServer

KIB = 1024
MIB = KIB * KIB
DATA = random.Random(1).randbytes(3 * MIB)
PATH = "some.tar.gz"


@pytest.fixture
def upstream() -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.put(PATH, DATA)
        yield server


@pytest.fixture
def fetch() -> Iterator[Fetch]:
    made = Fetch(timeout_connect=2, timeout_read=0.4, backoff=0.01, deadline=5)
    yield made
    made.close()


def at_least(head: Head, size: int) -> bytes:
    """What was read once it is `size` bytes, or all there is."""
    data = b""
    while len(data) < size and (piece := head.read(FIRST)):
        data += piece
    return data


def read(fetch: Fetch, url: str, size: int, limit: int = 64 * MIB) -> bytes:
    with closing(fetch.head(url, limit=limit)) as head:
        return at_least(head, size)


def asked(upstream: FakeServer) -> list[str]:
    return [request.headers.get("Range", "") for request in upstream.requests]


def test_the_first_piece_is_all_that_is_asked_for(fetch: Fetch, upstream: FakeServer) -> None:
    """Who reads no more than 64 KiB makes one request for them, and nothing more is sent."""
    assert read(fetch, f"{upstream.url}/{PATH}", FIRST) == DATA[:FIRST]
    assert asked(upstream) == ["bytes=0-65535"]
    assert upstream.sent[PATH] == FIRST


def test_the_steps_grow(fetch: Fetch, upstream: FakeServer) -> None:
    """Who wants more gets it on one connection, each piece twice as large, and the end without a request of its own."""
    assert read(fetch, f"{upstream.url}/{PATH}", 3 * MIB + 1) == DATA
    ends = [64 * KIB, 192 * KIB, 448 * KIB, 960 * KIB, 1984 * KIB, 4032 * KIB]
    starts = [0, *ends]
    assert asked(upstream) == [f"bytes={start}-{end - 1}" for start, end in zip(starts, ends, strict=False)]
    assert all(request.headers["If-Range"] for request in upstream.requests[1:])
    assert upstream.connections == 1
    assert upstream.sent[PATH] == len(DATA)


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST])
def test_a_small_file_is_one_request(fetch: Fetch, upstream: FakeServer, size: int) -> None:
    """A file that fits into the first piece ends there; an empty one has no range and is empty."""
    upstream.put("small", DATA[:size])
    assert read(fetch, f"{upstream.url}/small", MIB) == DATA[:size]
    assert asked(upstream) == ["bytes=0-65535"]


def test_nothing_more_is_asked_for_once_it_is_enough(fetch: Fetch, upstream: FakeServer) -> None:
    """After `ask_no_more` what came can still be read, and then it ends."""
    with closing(fetch.head(f"{upstream.url}/{PATH}", limit=MIB)) as head:
        begin = head.read(10)
        head.ask_no_more()
        assert begin + at_least(head, MIB) == DATA[:FIRST]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("kind", ["no_ranges", "chunked"])
def test_a_server_without_ranges(fetch: Fetch, upstream: FakeServer, kind: str) -> None:
    """A server that sends the whole file instead is read as far as it is wanted, and hung up on."""
    big = random.Random(2).randbytes(48 * MIB)
    upstream.put("big", big)
    upstream.fail("big", kind)
    data = read(fetch, f"{upstream.url}/big", 100 * KIB)
    assert data == big[: len(data)]
    assert 100 * KIB <= len(data) < 256 * KIB
    assert len(upstream.requests) == 1
    assert upstream.sent["big"] < 40 * MIB


@pytest.mark.parametrize("kind", ["no_ranges", "chunked"])
def test_a_server_without_ranges_to_the_end(fetch: Fetch, upstream: FakeServer, kind: str) -> None:
    """The whole file comes by one request if it is wanted."""
    upstream.fail(PATH, kind)
    assert read(fetch, f"{upstream.url}/{PATH}", 4 * MIB) == DATA
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "label", ["", "bytes 1-65536/99999", "bytes 0-99999/99999", "bytes 0-65535/100", "bytes 0-65535", "items 0-1/2"]
)
def test_another_range_than_the_one_asked_for(fetch: Fetch, upstream: FakeServer, label: str) -> None:
    """A piece that doesn't say that it is the one asked for is UpstreamInvalid, with both in the message."""
    if label:
        upstream.fail(PATH, f"range:{label}")
    else:
        upstream.put(PATH, DATA, headers={"Content-Range": ""})
    with pytest.raises(UpstreamInvalid, match="was asked for bytes 0-65535 and sends"):
        read(fetch, f"{upstream.url}/{PATH}", 1)


def test_a_size_that_is_not_told(fetch: Fetch, upstream: FakeServer) -> None:
    """Where upstream doesn't say how large the file is, the end is where no range is left."""
    upstream.put("odd", DATA[:FIRST], headers={"Content-Range": "bytes 0-65535/*"})
    assert read(fetch, f"{upstream.url}/odd", MIB) == DATA[:FIRST]
    assert asked(upstream) == ["bytes=0-65535", "bytes=65536-196607"]


@pytest.mark.parametrize("changed", [DATA[:-1] + b"x", DATA[:FIRST], DATA + b"more"])
def test_a_file_that_changes_meanwhile(fetch: Fetch, upstream: FakeServer, changed: bytes) -> None:
    """Pieces of two states of a file are never put together: it is UpstreamInvalid, in words."""
    with closing(fetch.head(f"{upstream.url}/{PATH}", limit=MIB)) as head:
        at_least(head, FIRST)
        upstream.put(PATH, changed)
        with pytest.raises(UpstreamInvalid, match="changed while it was read"):
            head.read(1)


def test_a_change_that_only_the_range_tells(fetch: Fetch, upstream: FakeServer) -> None:
    """Another total size, or another time, shows a change too where the server has no strong ETags."""
    for other in ({"ETag": 'W/"1"', "Last-Modified": "Tue, 02 Jan 2024 12:00:00 GMT"}, {"ETag": 'W/"2"'}):
        upstream.put(PATH, DATA, headers={"ETag": 'W/"1"'})
        with closing(fetch.head(f"{upstream.url}/{PATH}", limit=MIB)) as head:
            at_least(head, FIRST)
            upstream.put(PATH, DATA, EPOCH, headers=other)
            with pytest.raises(UpstreamInvalid, match="changed while it was read"):
                head.read(1)
    assert all("If-Range" not in request.headers for request in upstream.requests)


def test_the_limit(fetch: Fetch, upstream: FakeServer) -> None:
    """No more than the limit is asked for; who wants more hears so."""
    with pytest.raises(UpstreamInvalid, match="more than the first 100,000 bytes"):
        read(fetch, f"{upstream.url}/{PATH}", MIB, limit=100_000)
    assert asked(upstream) == ["bytes=0-65535", "bytes=65536-99999"]


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there(fetch: Fetch, upstream: FakeServer, status: int) -> None:
    """Upstream's word that there is none is UpstreamLacksFile, at the first piece and at a later one."""
    upstream.fail("missing", status)
    with pytest.raises(UpstreamLacksFile):
        read(fetch, f"{upstream.url}/missing", 1)
    with closing(fetch.head(f"{upstream.url}/{PATH}", limit=MIB)) as head:
        at_least(head, FIRST)
        upstream.fail(PATH, status)
        with pytest.raises(UpstreamLacksFile):
            head.read(1)


@pytest.mark.parametrize("kind", ["500", "refuse", "hang", "cut", "cut_chunked"])
def test_an_upstream_in_trouble(fetch: Fetch, upstream: FakeServer, kind: str) -> None:
    """A piece that fails once is asked for again and nothing is lost or doubled; for good it is UpstreamUnavailable."""
    url = f"{upstream.url}/{PATH}"
    upstream.fail(PATH, kind, times=1)
    with closing(fetch.head(url, limit=MIB)) as head:
        data = at_least(head, FIRST)
        upstream.fail(PATH, kind, times=1)
        assert data + at_least(head, FIRST) == DATA[: 3 * FIRST][: len(data) + FIRST]
    upstream.fail(PATH, kind)
    with pytest.raises(UpstreamUnavailable):
        read(fetch, url, 1)


def test_a_whole_file_that_is_cut(fetch: Fetch, upstream: FakeServer) -> None:
    """A server that breaks off the whole file that it sends is UpstreamUnavailable, not a short file."""
    upstream.put(PATH, DATA, headers={"Content-Length": str(len(DATA) + 1), "Connection": "close"})
    upstream.fail(PATH, "no_ranges")
    with pytest.raises(UpstreamUnavailable, match=r"cut short|sent nothing"):
        read(fetch, f"{upstream.url}/{PATH}", 4 * MIB)


def test_redirects_are_followed(fetch: Fetch, upstream: FakeServer) -> None:
    """Each piece is asked for where the redirect leads."""
    upstream.fail("moved", f"redirect:/{PATH}")
    assert read(fetch, f"{upstream.url}/moved", 100 * KIB)[: 100 * KIB] == DATA[: 100 * KIB]
    assert upstream.sent[PATH] == 3 * FIRST


def test_each_request_is_announced(fetch: Fetch, upstream: FakeServer) -> None:
    """`before` hears of each request, repeated ones too, and what it raises ends the reading."""
    heard = []

    def before() -> None:
        heard.append(len(upstream.requests))
        if len(heard) == 3:
            raise EntrepotError("stop")

    upstream.fail(PATH, "500", times=1)
    with closing(fetch.head(f"{upstream.url}/{PATH}", limit=MIB, before=before)) as head:
        at_least(head, FIRST)
        with pytest.raises(EntrepotError, match="stop"):
            head.read(1)
    assert heard == [0, 1, 2]


def test_file_urls(fetch: Fetch, tmp_path: Path) -> None:
    """A file of this machine is read as far as it is wanted; a missing one is UpstreamLacksFile."""
    file = tmp_path / "a b"
    file.write_bytes(DATA)
    assert read(fetch, f"file://{tmp_path}/a%20b", 4 * MIB) == DATA
    assert len(read(fetch, f"file://{tmp_path}/a%20b", 1)) == FIRST
    with pytest.raises(UpstreamLacksFile):
        read(fetch, f"file://{tmp_path}/none", 1)
