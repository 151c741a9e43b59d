"""Large stored files: streamed, sent by a front server or by the server itself, and let go with their client."""

from __future__ import annotations

import dataclasses
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from entrepot.app import App
from entrepot.web.door import Door
from entrepot.web.hot import LARGEST_FILE, LARGEST_READ
from entrepot.web.serve import Serve
from tests.support.archives import make_source_package
from tests.support.server import Live, eventually, running

PADDING = random.Random(1).randbytes(12 * 1024 * 1024)
LARGE = make_source_package("large", "1.0", files={"inst/padding.bin": PADDING})
PATH = "/mine/latest/src/contrib/large_1.0.tar.gz"


def _fill(site: Live) -> None:
    for path, given in (
        ("/sources", {"name": "internal"}),
        ("/repos", {"name": "mine"}),
        ("/repos/mine/sources", {"source": "internal"}),
    ):
        assert site.api("POST", path, given)[0] in (200, 201)
    assert site.upload("internal", ("large_1.0.tar.gz", LARGE))[0] == 200


@pytest.fixture
def site(live: Live) -> Live:
    """Repository `mine` with one package of 12 MiB."""
    _fill(live)
    return live


def test_whole_and_in_parts(site: Live) -> None:
    """A large file comes whole, and any range of it is that part."""
    assert site.get(PATH).data == LARGE
    size = len(LARGE)
    for start, end in ((0, 1), (1024 * 1024 - 1, 3 * 1024 * 1024 + 5), (size - 1, size), (5, size)):
        part = site.get(PATH, Range=f"bytes={start}-{end - 1}")
        assert (part.status, part.data) == (206, LARGE[start:end])
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"


@pytest.mark.parametrize("size", [LARGEST_FILE, LARGEST_READ // 2, LARGEST_READ])
def test_files_of_middle_size_are_read_for_each_answer(site: Live, size: int) -> None:
    """A file that is not kept in memory is finished all the same: the answer is where it is, not its bytes."""
    if not site.app.settings.storage_url.startswith("file"):
        pytest.skip("the store has no folder")
    middle = make_source_package("middle", "1.0", files={"inst/padding.bin": PADDING[:size]})
    path = "/mine/latest/src/contrib/middle_1.0.tar.gz"
    assert site.upload("internal", ("middle_1.0.tar.gz", middle))[0] == 200
    first = site.get(path)
    hit = site.hot.find(path.encode())
    assert hit is not None
    body = hit.ready.bodies[""]
    assert body.content is None
    # At the limit the ordinary way takes over, for the bytes alone.
    assert hit.content(body) == (middle if len(middle) <= LARGEST_READ else None)
    again = site.get(path)
    assert first.data == again.data == middle
    assert _told(first) == _told(again) == _told(site.get(path, "HEAD"))
    assert site.get(path, If_None_Match=first.headers["ETag"]).status == 304
    assert site.get(path, Range="bytes=7-11").data == middle[7:12]
    stored = Path(body.path or "")
    stored.rename(stored.with_suffix(".away"))
    assert site.get(path).status == 503
    stored.with_suffix(".away").rename(stored)
    assert site.get(path).data == middle


def _told(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items() if name.lower() != "date"}


def test_a_client_that_goes_away_stops_the_reading(site: Live) -> None:
    """Clients that leave within a file take their descriptors and the work for them along; others get theirs."""
    before = _open_files()
    parts = urlsplit(site.address)
    for _ in range(20):
        with socket.create_connection((parts.hostname, parts.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(1024).startswith(b"HTTP/1.1 200")
    assert site.get(PATH).data == LARGE
    eventually(_open_files, lambda now: now <= before + 2)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the number alone


def test_a_server_that_sends_files_is_given_the_path(site: Live) -> None:
    """ASGI's pathsend: the whole file's path and its headers instead of its bytes; a range is streamed all the same."""
    if site.app.storage.local_path is None or not site.app.settings.storage_url.startswith("file"):
        pytest.skip("the store has no folder")
    sent = _ask(site.app, PATH)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.pathsend"]
    assert Path(sent[1]["path"]).read_bytes() == LARGE
    headers = dict(sent[0]["headers"])
    assert headers[b"content-length"] == str(len(LARGE)).encode()
    assert b"etag" in headers
    part = _ask(site.app, PATH, (b"range", b"bytes=0-9"))
    assert [message["type"] for message in part] == ["http.response.start", *["http.response.body"] * 2]


def _ask(app: App, path: str, *headers: tuple[bytes, bytes]) -> list[dict[str, Any]]:
    """The messages that the handler sends to a server with the extension."""
    import asyncio

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": list(headers),
        "extensions": {"http.response.pathsend": {}},
    }
    asyncio.run(Serve(app, Door(app, "no token"))(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("setting", "header", "value"),
    [("x-accel-redirect", "X-Accel-Redirect", "/__files__/blobs/"), ("x-sendfile", "X-Sendfile", "file store")],
)
def test_a_front_server_is_told_which_file(app: App, setting: Any, header: str, value: str) -> None:
    """With [server] send_files the front server gets the file's place in the header that it knows, and no bytes."""
    if not app.settings.storage_url.startswith("file"):
        pytest.skip("the store has no folder")
    with running(_with_front(app, setting)) as site:
        _fill(site)
        response = site.get(PATH)
        where = urlsplit(app.settings.storage_url).path + "/blobs/" if value == "file store" else value
        assert response.headers[header].startswith(where)
        assert response.data == b""
        assert response.headers["Content-Type"] == "application/gzip"


def test_nginx_sends_files_itself(app: App, tmp_path: Path) -> None:
    """Behind nginx with the documented configuration a client gets file, ranges and headers; nothing else is open."""
    nginx = _nginx()
    if not app.settings.storage_url.startswith("file"):
        pytest.skip("the store has no folder")
    with running(_with_front(app, "x-accel-redirect")) as site:
        _fill(site)
        with _in_front(nginx, tmp_path, site.address, urlsplit(app.settings.storage_url).path) as address:
            pool = urllib3.PoolManager(retries=False)
            whole = pool.request("GET", address + PATH, decode_content=False)
            assert (whole.status, whole.data) == (200, LARGE)
            assert whole.headers["Content-Type"] == "application/gzip"
            told = site.get(PATH).headers
            for name in ("ETag", "X-Repository-Type", "X-Package-Type", "Cache-Control", "Content-Disposition"):
                assert whole.headers[name] == told[name]
            part = pool.request("GET", address + PATH, headers={"Range": "bytes=5-99"}, decode_content=False)
            assert (part.status, part.data) == (206, LARGE[5:100])
            inside = site.get(PATH).headers["X-Accel-Redirect"]
            assert pool.request("GET", address + inside).status == 404
            pool.clear()


def _with_front(app: App, setting: str) -> App:
    server = app.settings.server.model_copy(update={"send_files": setting})
    return dataclasses.replace(app, settings=app.settings.model_copy(update={"server": server}))


def _nginx() -> str:
    for folder in (*os.environ["PATH"].split(":"), "/usr/sbin", "/usr/local/sbin"):
        if (Path(folder) / "nginx").exists():
            return str(Path(folder) / "nginx")
    pytest.skip("no nginx on this machine (apt-get install nginx-light)")


@contextmanager
def _in_front(nginx: str, folder: Path, upstream: str, store: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = "user root;" if os.geteuid() == 0 else ""
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    kept = "".join(
        f"add_header {name} $upstream_http_{name.lower().replace('-', '_')};"
        for name in ("ETag", "X-Repository-Type", "X-Package-Type")
    )
    (folder / "nginx.conf").write_text(
        f"{own} daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {places}\n"
        f"server {{ listen 127.0.0.1:{port};\n"
        f"location / {{ proxy_pass {upstream}; proxy_set_header Host $host; }}\n"
        f"location /__files__/ {{ internal; alias {store}/; etag off; {kept} }} }} }}\n"
    )
    command = [nginx, "-c", f"{folder}/nginx.conf", "-p", str(folder), "-e", f"{folder}/error.log"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 10
            while time.monotonic() < until and not _listens(port):
                threading.Event().wait(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
