"""What `Fetch` asks of indexes of packages: parts of files, compressed documents, documents into a file."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator

import pytest

from entrepot.core.errors import UpstreamInvalid, UpstreamLacksFile, UpstreamLacksParts, UpstreamUnavailable
from entrepot.fetch import Fetch, Part
from tests.support.fake_server import FakeServer

DATA = bytes(range(256)) * 100
ACCEPT = "application/json"
LIMIT = 1024 * 1024


@pytest.fixture
def upstream() -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.put("file", DATA)
        yield server


@pytest.fixture
def fetch() -> Iterator[Fetch]:
    made = Fetch(timeout_connect=2, timeout_read=0.4, backoff=0.01, deadline=5)
    yield made
    made.close()


@pytest.mark.parametrize(("start", "end"), [(0, 10), (100, 25_600), (-50, None), (-99_999, None), (25_000, 99_999)])
def test_parts(fetch: Fetch, upstream: FakeServer, start: int, end: int | None) -> None:
    """The bytes that were asked for, as far as there are so many, and the size of the whole."""
    assert fetch.part(f"{upstream.url}/file", start, end) == Part(DATA[start:end], len(DATA))


def test_an_upstream_without_parts(fetch: Fetch, upstream: FakeServer) -> None:
    """One that sends the whole file is told from one that has none, and from one that sends another part."""
    url = f"{upstream.url}/file"
    upstream.fail("file", "no_ranges")
    with pytest.raises(UpstreamLacksParts, match="gives no parts"):
        fetch.part(url, 0, 10)
    with pytest.raises(UpstreamLacksFile):
        fetch.part(f"{upstream.url}/missing", 0, 10)
    upstream.fail("file", "range:bytes 5-14/25600")
    with pytest.raises(UpstreamInvalid, match="another part"):
        fetch.part(url, 0, 10)


def test_a_compressed_document_is_unpacked(fetch: Fetch, upstream: FakeServer) -> None:
    """Where media types are named, gzip is asked for and taken off again; elsewhere a document stays as it is."""
    upstream.put("page", gzip.compress(DATA), headers={"Content-Encoding": "gzip", "X-PyPI-Last-Serial": "17"})
    found = fetch.get(f"{upstream.url}/page", limit=LIMIT, accept=ACCEPT)
    assert found is not None
    assert (found.body, found.serial, found.url) == (DATA, 17, f"{upstream.url}/page")
    asked = upstream.requests[-1].headers
    assert (asked["Accept"], asked["Accept-Encoding"]) == (ACCEPT, "gzip")


def test_a_bomb_and_a_cut_document(fetch: Fetch, upstream: FakeServer) -> None:
    """The limit is that of the unpacked bytes; one that ends early, or is no gzip, is refused."""
    packed = gzip.compress(bytes(50 * LIMIT))
    labelled = {"Content-Encoding": "gzip"}
    for body, words in ((packed, "larger than"), (packed[:-20], "larger than"), (b"hello", "can't be unpacked")):
        upstream.put("page", body, headers=labelled)
        with pytest.raises(UpstreamInvalid, match=words):
            fetch.get(f"{upstream.url}/page", limit=LIMIT, accept=ACCEPT)
    upstream.put("page", gzip.compress(DATA)[:-20], headers=labelled)
    with pytest.raises(UpstreamInvalid, match="ends early"):
        fetch.get(f"{upstream.url}/page", limit=LIMIT, accept=ACCEPT)


def test_a_document_into_a_file_is_tried_again_from_its_start(fetch: Fetch, upstream: FakeServer) -> None:
    """What a broken attempt wrote is gone."""
    into = io.BytesIO()
    upstream.fail("file", "cut", times=1)
    found = fetch.get(f"{upstream.url}/file", limit=LIMIT, into=into)
    assert found is not None
    assert (found.body, into.getvalue()) == (b"", DATA)
    assert upstream.count("file") == 2
    upstream.fail("file", "cut")
    with pytest.raises(UpstreamUnavailable):
        fetch.get(f"{upstream.url}/file", limit=LIMIT, into=into)
