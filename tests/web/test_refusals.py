"""What may not be uploaded is refused over HTTP in one line, and nothing of it stays; what may come at once does."""

from __future__ import annotations

import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from entrepot.db import accessschema, schema
from entrepot.settings import Settings
from tests.support.archives import BAD_NAME, bad_source_packages, folder_entry, make_source_package, pack_tar
from tests.support.process import Served
from tests.support.server import Live, eventually

GOOD = make_source_package("demo", "1.0")
WRONG_NAMES: dict[str, tuple[str, bytes]] = {
    "a path that climbs": ("../demo_1.0.tar.gz", GOOD),
    "an absolute path": ("/etc/demo_1.0.tar.gz", GOOD),
    "a Windows path": ("share\\demo_1.0.tar.gz", GOOD),
    "another package": ("other_1.0.tar.gz", GOOD),
    "another version": ("demo_1.1.tar.gz", GOOD),
    "another case": ("Demo_1.0.tar.gz", GOOD),
    "a zip": ("demo_1.0.zip", GOOD),
    "no version": ("demo.tar.gz", GOOD),
    "an encoded slash": ("..%2Fdemo_1.0.tar.gz", GOOD),
    "a NUL": ("demo_1.0.tar.gz\0", GOOD),
    "an escape": ("\x1b[31mdemo_1.0.tar.gz", GOOD),
    "a line break": ("demo_1.0.tar.gz\n", GOOD),
    "a very long name": ("x" * 1000 + "_1.0.tar.gz", GOOD),
    "an empty file": ("demo_1.0.tar.gz", b""),
}
WRONG = {**{f"bad: {what}": (BAD_NAME, data) for what, data in bad_source_packages().items()}, **WRONG_NAMES}


@pytest.fixture
def site(live: Live) -> Live:
    live.api("POST", "/sources", {"name": "internal"})
    live.api("POST", "/repos", {"name": "mine"})
    live.api("POST", "/repos/mine/sources", {"source": "internal"})
    return live


def rows(site: Live) -> list[int]:
    """How many rows each table has, but for the audit log, which has one of every attempt."""
    with site.app.db.read() as connection:
        tables = [table for table in schema.metadata.sorted_tables if table is not accessschema.audit]
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]


def left(site: Live) -> list[Path]:
    """Files of uploads on their way."""
    return [path for path in (site.app.settings.server.data_dir / "tmp").rglob("*") if path.is_file()]


def assert_nothing_came(site: Live, before: list[int]) -> None:
    """No row was written, nothing is listed or stored, and nothing was left."""
    assert rows(site) == before
    assert site.api("GET", "/sources/internal/packages") == (200, [])
    assert site.get("/mine/latest/src/contrib/PACKAGES").data == b""
    assert left(site) == []
    assert list(site.app.storage.list_keys("blobs")) == []


def verdict(answer: tuple[int, Any]) -> tuple[int, str, bool, list[str]]:
    """Status, code, whether the message is a line that can be read, and the keys of an error."""
    status, error = answer
    message = error.get("error", "")
    is_line = message.isprintable() and 10 < len(message) < 1000
    return status, error.get("code", ""), is_line, sorted(error)


def test_bad_uploads_are_refused(site: Live) -> None:
    """Every bad archive and every wrong file name: 422, a stable code, a line of text, and nothing is there."""
    before = rows(site)
    verdicts = {what: verdict(site.upload("internal", file)) for what, file in WRONG.items()}
    refused = (422, "invalid-archive", True, ["code", "error", "hint", "payload"])
    assert {what: found for what, found in verdicts.items() if found != refused} == {}
    assert_nothing_came(site, before)


@pytest.mark.parametrize("disposition", ['form-data; name="files"', 'form-data; name="files"; filename=""'])
def test_an_upload_without_a_file_name_is_refused(site: Live, disposition: str) -> None:
    """A part without a file name is no file: 422 in the shape of all errors."""
    before = rows(site)
    head = f"--x\r\nContent-Disposition: {disposition}\r\nContent-Type: application/gzip\r\n\r\n".encode()
    answer = raw_upload(site, head + GOOD + b"\r\n--x--\r\n")
    assert verdict((answer.status, answer.json()))[:3] in [(422, "invalid", True), (422, "invalid-archive", True)]
    assert_nothing_came(site, before)


def test_no_file_at_all_is_refused(site: Live) -> None:
    """A form without files, and one that is no form: 422."""
    before = rows(site)
    for body in (
        b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="comment"\r\n\r\nhi\r\n--x--\r\n',
        b"x" * 999,
    ):
        answer = raw_upload(site, body)
        assert answer.status in (400, 422), answer.data
        assert sorted(answer.json()) == ["code", "error", "hint", "payload"]
    assert_nothing_came(site, before)


def raw_upload(site: Live, body: bytes) -> Any:
    headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "multipart/form-data; boundary=x"}
    url = f"{site.address}/__api__/sources/internal/packages"
    return site.pool.request("POST", url, headers=headers, body=body)


def bomb(megabytes: int) -> bytes:
    """A .tar.gz with a file of that many megabytes of nothing, about a thousandth of it in size."""
    heading = pack_tar([folder_entry("demo")])[:512]
    file = bytearray(pack_tar([folder_entry("demo/zeros")])[:512])
    file[124:136], file[156:157], file[148:156] = b"%011o\0" % (megabytes << 20), b"0", b" " * 8
    file[148:156] = b"%06o\0 " % sum(file)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(heading + bytes(file)) + packer.flush(zlib.Z_FULL_FLUSH)
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed + one * megabytes + packer.flush() + bytes(8)


def test_a_bomb_is_refused(settings: Settings) -> None:
    """A file that unpacks to a hundred times and more of its size is refused soon, without being held in memory."""
    data = bomb(4096)
    assert 2 << 20 < len(data) < 8 << 20
    with Served(settings) as server:
        server.api("POST", "/sources", {"name": "internal"})
        assert server.upload("internal", "warm_1.0.tar.gz", make_source_package("warm", "1.0"))[0] == 200
        before, began = server.most_memory, time.monotonic()
        status, error = server.upload("internal", "demo_1.0.tar.gz", data)
        took = time.monotonic() - began
        assert (status, error["code"]) == (422, "invalid-archive")
        assert server.most_memory - before < 48 << 20
        assert took < 15


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_an_upload_that_is_cut_short_leaves_nothing(site: Live, part: float) -> None:
    """A client that goes away in the middle of an upload: no row, no file, and the next upload is fine."""
    before = rows(site)
    data = make_source_package("demo", "1.0", files={"inst/noise": bytes(range(256)) * 20_000})
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="demo_1.0.tar.gz"\r\n\r\n'
    body = head + data + b"\r\n--x--\r\n"
    host, _, port = site.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /__api__/sources/internal/packages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + f"Authorization: Bearer {site.token}\r\nContent-Length: {len(body)}\r\n".encode()
            + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            + body[: int(len(body) * part)]
        )
        time.sleep(0.05)
    time.sleep(0.2)
    eventually(lambda: left(site), lambda files: not files)
    assert_nothing_came(site, before)
    assert site.upload("internal", ("demo_1.0.tar.gz", data))[0] == 200


def test_two_uploads_of_one_version_at_once(site: Live) -> None:
    """Of two different files for the same new version one wins; the other is told that the version exists."""
    for number in range(8):
        version = f"1.{number}"
        files = [make_source_package("demo", version, fields={"Title": f"By {who}"}) for who in ("Ada", "Bob")]

        def upload(data: bytes, version: str = version) -> tuple[int, Any]:
            return site.upload("internal", (f"demo_{version}.tar.gz", data))

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(upload, files))
        assert sorted(status for status, _ in answers) == [200, 409]
        winner = files[0] if answers[0][0] == 200 else files[1]
        assert [answer["code"] for status, answer in answers if status == 409] == ["file-exists"]
        assert site.get(f"/mine/latest/src/contrib/demo_{version}.tar.gz").data == winner


def test_many_uploads_at_once(site: Live) -> None:
    """Twenty uploads of different packages at the same time all land, each as a transaction of its own."""
    packages = [f"p{n:02}" for n in range(20)]

    def upload(name: str) -> tuple[int, Any]:
        return site.upload("internal", (f"{name}_1.0.tar.gz", make_source_package(name, "1.0")))

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(upload, packages))
    assert [status for status, _ in answers] == [200] * 20
    assert len({outcome["transaction"] for _, outcome in answers}) == 20
    assert [row["name"] for row in site.api("GET", "/sources/internal/packages")[1]] == packages
    for name, (_, outcome) in zip(packages, answers, strict=True):
        record = site.api("GET", f"/transactions/{outcome['transaction']}")[1]
        assert [change["name"] for change in record["changes"]] == [name]
    assert left(site) == []
