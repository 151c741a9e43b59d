"""What `Fetch` makes of every way in which an upstream can fail, and what `Flights` promises to those who wait."""

from __future__ import annotations

import asyncio
import errno
import gc
import gzip
import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.core.errors import (
    EntrepotError,
    HashMismatch,
    InvalidSettings,
    UpstreamInvalid,
    UpstreamLacksFile,
    UpstreamUnavailable,
)
from entrepot.fetch import Downloaded, Fetch, Fetched
from entrepot.flights import HELD_BACK, Flight, Flights, Sink
from tests.support.fake_server import EPOCH, FakeServer
from tests.support.process import open_files

MIB = 2**20
DATA = bytes(range(256)) * 1000
MODIFIED = "Mon, 01 Jan 2024 12:00:00 GMT"


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


@pytest.fixture
def flights(tmp_path: Path) -> Iterator[Flights]:
    made = Flights(tmp_path / "tmp")
    yield made
    made.close()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


# --- documents -----------------------------------------------------------------------------------------------------


def test_document_comes_with_its_validators(fetch: Fetch, upstream: FakeServer) -> None:
    """A document is its bytes and the validators as upstream wrote them."""
    served = upstream.find("file")
    assert served is not None
    assert fetch.get(f"{upstream.url}/file", limit=MIB) == Fetched(
        DATA, served.etag, MODIFIED, False, f"{upstream.url}/file"
    )


def test_unchanged_document_comes_without_body(fetch: Fetch, upstream: FakeServer) -> None:
    """With the validators of the copy at hand an unchanged document is not sent again; a changed one is."""
    url = f"{upstream.url}/file"
    had = fetch.get(url, limit=MIB)
    assert had is not None
    again = fetch.get(url, etag=had.etag, last_modified=had.last_modified, limit=MIB)
    assert again == Fetched(None, had.etag, None, True, url)
    assert fetch.get(url, last_modified=had.last_modified, limit=MIB) == Fetched(None, had.etag, None, True, url)
    upstream.put("file", b"new")
    changed = fetch.get(url, etag=had.etag, last_modified=had.last_modified, limit=MIB)
    assert changed is not None
    assert changed.body == b"new"


def test_says_who_asks_and_takes_no_encoding(fetch: Fetch, upstream: FakeServer) -> None:
    """Requests carry the program's name and refuse content encodings."""
    fetch.get(f"{upstream.url}/file", limit=MIB)
    headers = upstream.requests[0].headers
    assert headers["User-Agent"].startswith("entrepot/")
    assert headers["Accept-Encoding"] == "identity"


def test_labelled_gz_file_stays_as_it_is(fetch: Fetch, upstream: FakeServer) -> None:
    """A .gz file that the server labels `Content-Encoding: gzip` is kept compressed: its hash speaks of those bytes."""
    packed = gzip.compress(DATA)
    upstream.put("PACKAGES.gz", packed, headers={"Content-Encoding": "gzip"})
    got = fetch.get(f"{upstream.url}/PACKAGES.gz", limit=MIB)
    assert got is not None
    assert got.body == packed
    into = io.BytesIO()
    fetch.download(f"{upstream.url}/PACKAGES.gz", into, limit=MIB, size=len(packed), md5=md5(packed))
    assert into.getvalue() == packed


@pytest.mark.parametrize("status", [404, 410])
def test_missing_document_is_none(fetch: Fetch, upstream: FakeServer, status: int) -> None:
    """Upstream's word that there is none is an answer, not an error."""
    upstream.fail("file", status)
    assert fetch.get(f"{upstream.url}/file", limit=MIB) is None


UNAVAILABLE = {
    "500": "answered 500",
    "503": "answered 503",
    "429": "answered 429",
    "refuse": "closed without an answer",
    "hang": "sent nothing for 0.4 s",
    "slow": "sent nothing for 0.4 s",
    "cut": "was cut short",
    "cut_chunked": "was cut short",
}


@pytest.mark.parametrize(("kind", "words"), UNAVAILABLE.items())
def test_unavailable_upstream(fetch: Fetch, upstream: FakeServer, kind: str, words: str) -> None:
    """What may be over in a moment is asked three times and then UpstreamUnavailable, in one line with the URL."""
    upstream.fail("file", kind)
    with pytest.raises(UpstreamUnavailable) as caught:
        fetch.get(f"{upstream.url}/file", limit=MIB)
    assert words in str(caught.value)
    assert f"{upstream.url}/file" in str(caught.value)
    assert upstream.count("file") == 3


@pytest.mark.parametrize("kind", UNAVAILABLE)
def test_unavailable_only_once(fetch: Fetch, upstream: FakeServer, kind: str) -> None:
    """An upstream that recovers within the retries was never seen to fail."""
    upstream.fail("file", kind, times=1)
    got = fetch.get(f"{upstream.url}/file", limit=MIB)
    assert got is not None
    assert got.body == DATA


def test_trickle_is_given_up(upstream: FakeServer) -> None:
    """An upstream that keeps a reader alive with a byte a second does not hold it for days."""
    upstream.fail("file", "drip")
    fetch = Fetch(timeout_read=1.5, retries=0)
    began = time.monotonic()
    with pytest.raises(UpstreamUnavailable, match="less than 512 bytes a second"):
        fetch.get(f"{upstream.url}/file", limit=MIB)
    assert time.monotonic() - began < 5
    fetch.close()


def test_deadline_ends_a_document(upstream: FakeServer) -> None:
    """All attempts and the body together end at the deadline."""
    upstream.fail("file", "drip")
    fetch = Fetch(timeout_read=10, retries=5, deadline=0.5)
    with pytest.raises(UpstreamUnavailable, match=r"longer than 0\.5 s"):
        fetch.get(f"{upstream.url}/file", limit=MIB)
    assert upstream.count("file") == 1
    fetch.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}/x", "connection refused"),
        ("http://no-such-host.invalid/x", "name can't be resolved"),
    ],
)
def test_unreachable_upstream(fetch: Fetch, url: str, words: str) -> None:
    """A refused connection or an unknown host is UpstreamUnavailable in the system's words."""
    with pytest.raises(UpstreamUnavailable, match=words):
        fetch.get(url.format(port=closed_port()), limit=MIB)


@pytest.mark.parametrize("status", [400, 401, 403, 206, 304])
def test_other_status_is_invalid(fetch: Fetch, upstream: FakeServer, status: int) -> None:
    """Any other status is UpstreamInvalid at once: asking again would not help."""
    upstream.fail("file", status)
    with pytest.raises(UpstreamInvalid, match=f"answered {status}"):
        fetch.get(f"{upstream.url}/file", limit=MIB)
    assert upstream.count("file") == 1


@pytest.mark.parametrize("kind", [None, "chunked"])
def test_too_large_document(fetch: Fetch, upstream: FakeServer, kind: str | None) -> None:
    """More bytes than the limit are refused, told or not; exactly the limit is fine."""
    if kind:
        upstream.fail("file", kind)
    got = fetch.get(f"{upstream.url}/file", limit=len(DATA))
    assert got is not None
    assert got.body == DATA
    with pytest.raises(UpstreamInvalid, match="more than"):
        fetch.get(f"{upstream.url}/file", limit=len(DATA) - 1)


def test_page_instead_of_document_is_the_readers_matter(fetch: Fetch, upstream: FakeServer) -> None:
    """A page with status 200 comes as it is: only its reader can know better."""
    upstream.fail("file", "html")
    got = fetch.get(f"{upstream.url}/file", limit=MIB)
    assert got is not None
    assert got.body is not None
    assert got.body.startswith(b"<html>")


def test_connection_is_kept(fetch: Fetch, upstream: FakeServer) -> None:
    """Documents, unchanged answers and 404s of one upstream share a connection."""
    etag = fetch.get(f"{upstream.url}/file", limit=MIB)
    assert etag is not None
    for _ in range(5):
        fetch.get(f"{upstream.url}/file", etag=etag.etag, limit=MIB)
        assert fetch.get(f"{upstream.url}/missing", limit=MIB) is None
    assert upstream.connections == 1


# --- redirects and secrets -----------------------------------------------------------------------------------------


def test_redirects_are_followed(fetch: Fetch, upstream: FakeServer) -> None:
    """Up to five redirects lead to the document, relative or to another server."""
    with FakeServer() as other:
        other.put("there", b"found")
        for number in range(4):
            upstream.fail(f"hop{number}", f"redirect:/hop{number + 1}")
        upstream.fail("hop4", f"redirect:{other.url}/there")
        got = fetch.get(f"{upstream.url}/hop0", limit=MIB)
        assert got is not None
        assert got.body == b"found"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("loop", "more than 5 times"),
        ("redirect:", "to nowhere"),
        ("redirect:http://[", "no URL"),
        ("redirect:ftp://host/x", "to a ftp URL"),
        ("redirect:file:///etc/passwd", "to a file URL"),
    ],
)
def test_wrong_redirect(fetch: Fetch, upstream: FakeServer, kind: str, words: str) -> None:
    """A redirect that never ends or leaves the web is UpstreamInvalid; a file of this machine is never read."""
    upstream.fail("file", kind)
    with pytest.raises(UpstreamInvalid, match=words):
        fetch.get(f"{upstream.url}/file", limit=MIB)


def test_login_goes_to_its_own_server_only(fetch: Fetch, upstream: FakeServer) -> None:
    """The login of a URL is sent to that server, also after a redirect within it, and to no other."""
    with FakeServer() as other:
        other.put("there", b"x")
        upstream.fail("first", "redirect:/second")
        upstream.fail("second", f"redirect:{other.url}/there")
        fetch.get(upstream.url.replace("//", "//me:p%40ss@") + "/first", limit=MIB)
        assert [asked.headers.get("Authorization") for asked in upstream.requests] == ["Basic bWU6cEBzcw=="] * 2
        assert [asked.headers.get("Authorization") for asked in other.requests] == [None]


@pytest.mark.parametrize("kind", [*UNAVAILABLE, "403", "loop", "404"])
def test_no_message_has_a_secret(fetch: Fetch, upstream: FakeServer, kind: str) -> None:
    """Neither password nor query of a URL is in a message or its payload."""
    upstream.fail("file", kind)
    url = upstream.url.replace("//", "//me:secret@") + "/file?token=hidden"
    with pytest.raises(EntrepotError) as caught:
        fetch.download(url, io.BytesIO(), limit=MIB)
    told = f"{caught.value} {caught.value.as_json()}"
    assert "secret" not in told
    assert "hidden" not in told
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "nonsense", "http://", "file://elsewhere/x"])
def test_url_that_is_not_fetchable(fetch: Fetch, url: str) -> None:
    """Other URLs are refused with a hint."""
    with pytest.raises(UpstreamInvalid) as caught:
        fetch.get(url, limit=MIB)
    assert caught.value.hint


# --- proxies and TLS -----------------------------------------------------------------------------------------------


def test_proxy_of_the_environment(fetch: Fetch, upstream: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is used, with its login, and NO_PROXY is heeded."""
    upstream.put("x", b"through the proxy")
    monkeypatch.setenv("http_proxy", upstream.url.replace("//", "//me:secret@"))
    got = fetch.get("http://cran.invalid/x", limit=MIB)
    assert got is not None
    assert got.body == b"through the proxy"
    assert upstream.requests[-1].headers["Proxy-Authorization"].startswith("Basic ")
    monkeypatch.setenv("no_proxy", "cran.invalid")
    with pytest.raises(UpstreamUnavailable, match="can't be resolved"):
        fetch.get("http://cran.invalid/x", limit=MIB)


def test_unusable_proxy(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is away is UpstreamUnavailable, one of another kind a wrong setting; neither shows its login."""
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{closed_port()}")
    with pytest.raises(UpstreamUnavailable, match="the proxy: connection refused"):
        fetch.get("http://cran.invalid/x", limit=MIB)
    monkeypatch.setenv("http_proxy", "socks5://me:secret@127.0.0.1:1")
    with pytest.raises(InvalidSettings) as caught:
        fetch.get("http://cran.invalid/x", limit=MIB)
    assert "secret" not in str(caught.value)


def test_plain_server_behind_an_https_url(fetch: Fetch, upstream: FakeServer) -> None:
    """An https URL that is answered in the clear is UpstreamUnavailable, not a crash."""
    with pytest.raises(UpstreamUnavailable):
        fetch.get(upstream.url.replace("http:", "https:") + "/file", limit=MIB)


def test_unknown_certificate(
    fetch: Fetch, upstream: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of an unknown authority is UpstreamInvalid; SSL_CERT_FILE makes it known."""
    trusted = serve_tls(upstream, tmp_path)
    url = upstream.url.replace("http:", "https:").replace("127.0.0.1", "localhost") + "/file"
    with pytest.raises(UpstreamInvalid, match="certificate") as caught:
        fetch.get(url, limit=MIB)
    assert "SSL_CERT_FILE" in (caught.value.hint or "")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    believing = Fetch()
    got = believing.get(url, limit=MIB)
    assert got is not None
    assert got.body == DATA
    believing.close()


def serve_tls(server: FakeServer, folder: Path) -> Path:
    """Let `server` speak TLS with a certificate of its own; returns the certificate."""
    import ssl

    key, certificate = folder / "key.pem", folder / "certificate.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.wrap(lambda plain: context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False))
    return certificate


# --- files of this machine -----------------------------------------------------------------------------------------


def test_file_url_has_the_same_semantics(fetch: Fetch, tmp_path: Path) -> None:
    """A file is a document with validators: unchanged, changed, too large and missing as over HTTP."""
    file = tmp_path / "with space"
    file.write_bytes(DATA)
    url = f"file://{tmp_path}/with%20space"
    had = fetch.get(url, limit=MIB)
    assert had is not None
    assert had.body == DATA
    again = fetch.get(url, etag=had.etag, last_modified=had.last_modified, limit=MIB)
    assert again == Fetched(None, had.etag, had.last_modified, True, url)
    with pytest.raises(UpstreamInvalid, match="more than"):
        fetch.get(url, limit=10)
    file.unlink()
    file.write_bytes(DATA)
    replaced = fetch.get(url, etag=had.etag, last_modified=had.last_modified, limit=MIB)
    assert replaced is not None
    assert replaced.body == DATA
    for missing in (f"{url}x", f"file://{tmp_path}/no/such/folder", f"file://{tmp_path}", f"{url}/below"):
        assert fetch.get(missing, limit=MIB) is None
    with pytest.raises(UpstreamLacksFile):
        fetch.download(f"{url}x", io.BytesIO(), limit=MIB)


# --- downloads -----------------------------------------------------------------------------------------------------


def test_download_is_checked_and_described(fetch: Fetch, upstream: FakeServer) -> None:
    """A download is its bytes, in order, with size, hashes and time."""
    into, told, steps = io.BytesIO(), [], []
    got = fetch.download(
        f"{upstream.url}/file",
        into,
        limit=MIB,
        size=len(DATA),
        md5=md5(DATA),
        began=told.append,
        progress=steps.append,
    )
    assert got == Downloaded(len(DATA), md5(DATA), hashlib.sha256(DATA).hexdigest(), EPOCH)
    assert into.getvalue() == DATA
    assert told == [len(DATA)]
    assert steps == sorted(steps)
    assert steps[-1] == len(DATA)


def test_download_of_a_file_url(fetch: Fetch, tmp_path: Path) -> None:
    """A file of this machine is downloaded like any other."""
    (tmp_path / "file").write_bytes(DATA)
    os.utime(tmp_path / "file", (86400, 86400))
    into = io.BytesIO()
    got = fetch.download(f"file://{tmp_path}/file", into, limit=MIB, md5=md5(DATA))
    assert into.getvalue() == DATA
    assert got.last_modified == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["404", "410"])
def test_listed_file_that_upstream_lacks(fetch: Fetch, upstream: FakeServer, kind: str) -> None:
    """A missing file is UpstreamLacksFile, at once."""
    upstream.fail("file", kind)
    with pytest.raises(UpstreamLacksFile):
        fetch.download(f"{upstream.url}/file", io.BytesIO(), limit=MIB)
    assert upstream.count("file") == 1


@pytest.mark.parametrize(
    ("kind", "size", "what", "found", "passed_on"),
    [
        ("wrong_bytes", len(DATA), "MD5", md5(bytes(255 - byte for byte in DATA)), len(DATA)),
        ("html", len(DATA), "size", 40, 0),
        ("html", None, "MD5", md5(b"<html>Welcome to the guest network</html>"), 41),
    ],
)
def test_wrong_file(
    fetch: Fetch, upstream: FakeServer, kind: str, size: int | None, what: str, found: object, passed_on: int
) -> None:
    """Other bytes than the index promised are HashMismatch with both values; a wrong length shows before any byte."""
    page = len(b"<html>Welcome to the guest network</html>")
    upstream.fail("file", kind)
    into = io.BytesIO()
    with pytest.raises(HashMismatch) as caught:
        fetch.download(f"{upstream.url}/file", into, limit=MIB, size=size, md5=md5(DATA))
    expected = len(DATA) if what == "size" else md5(DATA)
    assert caught.value.payload == {
        "url": f"{upstream.url}/file",
        "what": what,
        "expected": expected,
        "found": page if what == "size" else found,
    }
    assert len(into.getvalue()) == passed_on


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_wrong_size_without_length(fetch: Fetch, upstream: FakeServer, size: int) -> None:
    """A file of another size is refused also where upstream tells no length, and no more than `size` is passed on."""
    upstream.fail("file", "chunked")
    into = io.BytesIO()
    with pytest.raises(HashMismatch):
        fetch.download(f"{upstream.url}/file", into, limit=MIB, size=size)
    assert len(into.getvalue()) <= size


@pytest.mark.parametrize("kind", ["cut", "cut_chunked"])
def test_no_retry_after_bytes_were_passed_on(fetch: Fetch, upstream: FakeServer, kind: str) -> None:
    """A cut download is UpstreamUnavailable and not begun anew: what it goes into has the first half already."""
    upstream.fail("file", kind)
    into = io.BytesIO()
    with pytest.raises(UpstreamUnavailable, match="cut short"):
        fetch.download(f"{upstream.url}/file", into, limit=MIB)
    assert into.getvalue() == DATA[: len(into.getvalue())]
    assert upstream.count("file") == 1


def test_retry_before_the_first_byte(fetch: Fetch, upstream: FakeServer) -> None:
    """An upstream that answers at the second try gives the whole file."""
    upstream.fail("file", "503", times=1)
    into = io.BytesIO()
    fetch.download(f"{upstream.url}/file", into, limit=MIB, md5=md5(DATA))
    assert into.getvalue() == DATA


# --- flights -------------------------------------------------------------------------------------------------------


def downloading(fetch: Fetch, url: str, data: bytes, *, size: int | None = None) -> Callable[[Sink], Downloaded]:
    """What a mirror does: download, check, and (were there a store) put."""

    def start(sink: Sink) -> Downloaded:
        got = fetch.download(url, sink, limit=1000 * MIB, size=size, md5=md5(data), began=sink.expect)
        sink.verified()
        return got

    return start


async def read(flight: Flight[object], start: int = 0, end: int | None = None) -> bytes:
    await flight.started()
    return b"".join([chunk async for chunk in flight.chunks(start=start, end=end)])


def test_a_hundred_readers_of_one_file(fetch: Fetch, flights: Flights, upstream: FakeServer) -> None:
    """A hundred clients who want one file at once cause one request, and each gets all of it."""
    data = os.urandom(20 * MIB)
    upstream.put("big", data)
    upstream.fail("big", "slow", seconds=0.2)

    async def client() -> tuple[int, Downloaded, int | None]:
        flight = flights.join("big", downloading(fetch, f"{upstream.url}/big", data))
        at = 0
        await flight.started()
        async for chunk in flight.chunks():
            assert chunk == data[at : at + len(chunk)]
            at += len(chunk)
        return at, await flight.result(), flight.size

    async def crowd() -> set[tuple[int, Downloaded, int | None]]:
        return set(await asyncio.gather(*(client() for _ in range(100))))

    described = Downloaded(len(data), md5(data), hashlib.sha256(data).hexdigest(), EPOCH)
    assert asyncio.run(crowd()) == {(len(data), described, len(data))}
    assert upstream.count("big") == 1


def test_readers_on_several_event_loops(fetch: Fetch, flights: Flights, upstream: FakeServer) -> None:
    """Threads with event loops of their own share a flight."""
    data = os.urandom(2 * MIB)
    upstream.put("big", data)
    upstream.fail("big", "slow", seconds=0.2)
    got: list[bytes] = []

    def client() -> None:
        flight = flights.join("big", downloading(fetch, f"{upstream.url}/big", data))
        got.append(asyncio.run(read(flight)))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [data] * 8
    assert upstream.count("big") == 1


@pytest.mark.parametrize("size", [1, HELD_BACK, HELD_BACK + 1, 3 * MIB])
def test_nobody_gets_a_whole_wrong_file(fetch: Fetch, flights: Flights, upstream: FakeServer, size: int) -> None:
    """Readers of a file with a wrong hash get an error and never the last 64 KiB; of a small file not one byte."""
    upstream.put("file", os.urandom(size))
    start = downloading(fetch, f"{upstream.url}/file", b"promised")

    async def client() -> int:
        got = 0
        with pytest.raises(HashMismatch):  # noqa: PT012 - how far it comes is the point
            async for chunk in flights.join("file", start).chunks():
                got += len(chunk)
        return got

    async def crowd() -> list[int]:
        return await asyncio.gather(*(client() for _ in range(20)))

    assert max(asyncio.run(crowd())) <= max(0, size - HELD_BACK)


def test_failure_shows_before_anything_is_sent(fetch: Fetch, flights: Flights, upstream: FakeServer) -> None:
    """`started` raises the flight's error, to every reader its own, so that the answer can still be a clean 502."""
    upstream.fail("file", "500")

    async def client() -> BaseException:
        with pytest.raises(UpstreamUnavailable) as caught:
            await flights.join("file", downloading(fetch, f"{upstream.url}/file", DATA)).started()
        return caught.value

    async def crowd() -> list[BaseException]:
        return await asyncio.gather(*(client() for _ in range(5)))

    errors = asyncio.run(crowd())
    assert {str(error) for error in errors} == {f"the upstream {upstream.url}/file answered 500"}
    assert len(set(map(id, errors))) == 5


def test_next_flight_after_a_failure(fetch: Fetch, flights: Flights, upstream: FakeServer) -> None:
    """A failed flight is forgotten: who comes next starts another."""
    upstream.fail("file", "404", times=1)
    start = downloading(fetch, f"{upstream.url}/file", DATA)

    async def twice() -> bytes:
        with pytest.raises(UpstreamLacksFile):
            await flights.join("file", start).result()
        return await read(flights.join("file", start))

    assert asyncio.run(twice()) == DATA


def test_reader_that_goes_away(fetch: Fetch, flights: Flights, upstream: FakeServer) -> None:
    """The flight goes on when a reader, or the last one, goes away."""
    upstream.put("big", data := os.urandom(3 * MIB))
    upstream.fail("big", "slow", seconds=0.2)
    done = threading.Event()
    download = downloading(fetch, f"{upstream.url}/big", data)

    def start(sink: Sink) -> Downloaded:
        got = download(sink)
        done.set()
        return got

    async def leave() -> None:
        flight = flights.join("big", start)
        reader = asyncio.create_task(read(flight))
        await asyncio.sleep(0.05)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    asyncio.run(leave())
    assert done.wait(5)


def test_bytes_come_while_the_download_runs(flights: Flights) -> None:
    """A reader follows the download, 64 KiB behind, and gets the rest at `verified`, before `start` has ended."""
    data = os.urandom(4 * HELD_BACK)
    go_on, verify, end = threading.Event(), threading.Event(), threading.Event()

    def start(sink: Sink) -> str:
        sink.expect(len(data))
        sink.write(data[: 2 * HELD_BACK])
        assert go_on.wait(5)
        sink.write(data[2 * HELD_BACK :])
        assert verify.wait(5)
        sink.verified()
        assert sink.path.read_bytes() == data
        assert end.wait(5)
        return "stored"

    async def follow() -> list[int]:
        flight = flights.join("file", start)
        await flight.started()
        assert flight.size == len(data)
        at, seen = 0, []
        async for chunk in flight.chunks():
            assert chunk == data[at : at + len(chunk)]
            at += len(chunk)
            seen.append(at)
            if at == HELD_BACK:
                go_on.set()
            elif at == 3 * HELD_BACK:
                verify.set()
        end.set()
        assert await flight.result() == "stored"
        return seen

    assert asyncio.run(follow()) == [HELD_BACK, 3 * HELD_BACK, 4 * HELD_BACK]


def test_part_waits_for_the_whole(flights: Flights) -> None:
    """A range is an answer complete in itself, so not a byte of it leaves before the whole file was verified."""
    data = os.urandom(4 * HELD_BACK)
    verify = threading.Event()

    def start(sink: Sink) -> None:
        sink.expect(len(data))
        sink.write(data)
        assert verify.wait(5)
        sink.verified()

    async def part() -> bytes:
        flight = flights.join("file", start)
        await flight.started()
        reader = asyncio.create_task(read(flight, 10, 20))
        done, _ = await asyncio.wait([reader], timeout=0.1)
        assert not done
        verify.set()
        assert await read(flight, HELD_BACK) == data[HELD_BACK:]
        assert await read(flight, 5, len(data)) == data[5:]
        return await reader

    assert asyncio.run(part()) == data[10:20]


def test_failed_put_does_not_cut_verified_bytes(flights: Flights) -> None:
    """Right bytes reach their readers even if the store fails afterwards; `result` tells of that."""

    def start(sink: Sink) -> None:
        sink.write(DATA)
        sink.verified()
        raise OSError(errno.ENOSPC, "disk full")

    async def follow() -> bytes:
        flight = flights.join("file", start)
        with pytest.raises(OSError, match="disk full") as caught:
            await flight.result()
        assert caught.value.errno == errno.ENOSPC
        return await read(flight)

    assert asyncio.run(follow()) == DATA


def test_bug_in_start_is_logged_and_raised(flights: Flights, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception reaches the readers and leaves one line in the log."""

    def start(sink: Sink) -> None:
        raise KeyError("oops")

    async def follow() -> None:
        with pytest.raises(KeyError):
            await flights.join("file", start).started()

    asyncio.run(follow())
    assert [record.getMessage() for record in caplog.records] == ["the download of file failed"]


@pytest.mark.parametrize("kind", [None, "wrong_bytes", "cut"])
def test_nothing_is_left_of_a_flight(
    fetch: Fetch, flights: Flights, upstream: FakeServer, tmp_path: Path, kind: str | None
) -> None:
    """When the last reader lets go, neither file nor descriptor of a flight is left, without a garbage collection."""
    upstream.put("file", data := os.urandom(MIB))
    fetch.get(f"{upstream.url}/file", limit=10 * MIB)
    if kind:
        upstream.fail("file", kind)

    async def client() -> None:
        flight = flights.join("file", downloading(fetch, f"{upstream.url}/file", data))
        try:
            await read(flight)
        except EntrepotError:
            return

    def mine() -> list[str]:
        links = [link for link in open_files() if str(tmp_path) in link]
        return [link for link in links if "/flights-" in link and not link.endswith("tmp")]

    gc.collect()
    gc.disable()
    try:
        asyncio.run(client())
        deadline = time.monotonic() + 2
        while len(mine()) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [Path(link).name.startswith("flights-") for link in mine()] == [True]  # the folder's lock
    finally:
        gc.enable()
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()] == []


def test_close_ends_running_flights(tmp_path: Path) -> None:
    """A server that stops does not wait for a download to end, and says so to whoever follows it."""
    flights = Flights(tmp_path / "tmp")

    def start(sink: Sink) -> None:
        while True:
            sink.write(b"x" * 1000)
            time.sleep(0.01)

    async def follow() -> None:
        flight = flights.join("endless", start)
        await flight.started()
        began = time.monotonic()
        await asyncio.to_thread(flights.close)
        assert time.monotonic() - began < 2
        with pytest.raises(UpstreamUnavailable, match="stopping"):
            await flight.result()
        with pytest.raises(UpstreamUnavailable, match="stopping"):
            flights.join("another", start)

    asyncio.run(follow())
    assert list((tmp_path / "tmp").iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from entrepot.flights import Flights

def start(sink):
    sink.write(b"x" * 100_000)
    print("flying", flush=True)
    time.sleep(60)

Flights(Path(sys.argv[1])).join("file", start)
"""


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """The next start removes the files of dead processes, and leaves those of living ones alone."""
    folder = tmp_path / "tmp"
    living = Flights(folder)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        Flights(folder).close()
        assert len(list(folder.iterdir())) == 2
        process.send_signal(signal.SIGKILL)
    assert len(list(folder.rglob("flights-*/1"))) == 1
    Flights(folder).close()
    assert len(list(folder.iterdir())) == 1
    living.close()
    assert list(folder.iterdir()) == []
