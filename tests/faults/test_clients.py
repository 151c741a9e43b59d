"""Clients: two hundred at once, some that go away in the middle, and others that an upstream lets wait."""

from __future__ import annotations

import os
import random
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from entrepot.flights import Flights
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.process import Served, open_files
from tests.support.server import Clock, eventually, running
from tests.support.world import SMALL, opened, with_history

MIB = 2**20
CROWD = 200
SIZES = {"crowd": 20 * MIB, "kept": 6 * MIB, "shared": 6 * MIB, "nobodys": 6 * MIB}
"""Packages, each for one test: nobody has asked for it before."""


def path_of(name: str) -> str:
    return f"{CONTRIB}/{name}_1.0.tar.gz"


@dataclass
class Site:
    """A server process over an upstream that has the packages of `SIZES`."""

    server: Served
    cran: FakeCran
    data_dir: Path
    packages: dict[str, bytes]

    def get(self, path: str) -> bytes:
        answer = urllib3.request("GET", f"{self.server.address}/{path}", retries=False)
        assert answer.status == 200, answer.data
        return answer.data

    def asks(self, path: str) -> socket.socket:
        """A connection on which a client asked for a file of `cran`."""
        host, port = self.server.address.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=30)
        connection.sendall(f"GET /cran/latest/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return connection

    def open_files(self) -> list[str]:
        """What the server has open."""
        return open_files(self.server.process.pid)

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.server.process.pid}/task").iterdir()))

    def burnt(self) -> float:
        """Seconds of processor time that the server took so far (proc(5))."""
        fields = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, shape: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One server for all tests here, in the chosen shape."""
    noise = random.Random(7)
    made = {name: make_source_package(name, "1.0", files={"x": noise.randbytes(size)}) for name, size in SIZES.items()}
    folder = tmp_path_factory.mktemp("clients")
    with shaped(shape, request.getfixturevalue, folder) as settings, FakeCran() as cran:
        for name, data in made.items():
            cran.add(name, "1.0", data)
        cran.publish()
        upstream = settings.cran.model_copy(update={"upstream": cran.url})
        with Served(settings.model_copy(update={"cran": upstream})) as server:
            job = server.api("POST", "/sources/cran/sync", {})[1]["id"]
            eventually(lambda: server.api("GET", f"/jobs/{job}")[1]["state"], lambda state: state == "done")
            yield Site(server, cran, settings.server.data_dir, made)


@contextmanager
def shaped(shape: tuple[str, str], fixture: Callable[[str], Any], folder: Path) -> Iterator[Settings]:
    """Settings of a new installation that outlives a test."""
    values: dict[str, Any] = {"server": {"data_dir": folder / "data"}, "cran": {"sync_schedule": ""}}
    with ExitStack() as stack:
        if "postgres" in shape:
            values["database"] = {"url": stack.enter_context(fixture("postgres_cluster").database())}
        if "s3" in shape:
            values["storage"] = {"url": f"s3://{fixture('s3_server').bucket()}/x"}
        yield Settings.model_validate(values)


def read_all(connections: list[socket.socket], expected: bytes) -> list[bool]:
    """Whether each connection brings status 200 and exactly `expected`; one thread for all."""
    waiting = selectors.DefaultSelector()
    at = dict.fromkeys(range(len(connections)), -1)
    sound = dict.fromkeys(at, True)
    for number, connection in enumerate(connections):
        connection.setblocking(False)
        waiting.register(connection, selectors.EVENT_READ, number)
    until = time.monotonic() + 120
    while waiting.get_map():
        assert time.monotonic() < until
        for key, _ in waiting.select(timeout=5):
            number, connection = key.data, connections[key.data]
            got = connection.recv(256 * 1024)
            if not got:
                waiting.unregister(connection)
                connection.close()
                continue
            if at[number] < 0:
                head, _, got = got.partition(b"\r\n\r\n")  # the head comes in one piece
                sound[number], at[number] = head.startswith(b"HTTP/1.1 200 "), 0
            sound[number] &= expected.startswith(got, at[number])
            at[number] += len(got)
    return [sound[number] and at[number] == len(expected) for number in at]


def hang_up(connection: socket.socket) -> None:
    """Go away as a process that is killed: the kernel resets the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# --- many at once --------------------------------------------------------------------------------------------------


def test_two_hundred_clients_for_one_file_that_nobody_has(site: Site) -> None:
    """One request to the upstream, two hundred whole answers of 20 MiB, and memory for pieces, not for files."""
    path, data = path_of("crowd"), site.packages["crowd"]
    site.cran.fail(path, "slow", seconds=1)
    began = site.server.most_memory
    assert read_all([site.asks(path) for _ in range(CROWD)], data) == [True] * CROWD
    assert site.cran.count(path) == 1
    assert site.server.most_memory - began < CROWD * 2 * MIB
    assert site.get(f"cran/latest/{path}") == data
    assert site.cran.count(path) == 1


# --- clients that go away ------------------------------------------------------------------------------------------


def test_clients_that_leave_a_stored_file(site: Site) -> None:
    """Whoever leaves in the middle costs nothing from then on: no descriptor, no thread, no processor time."""
    path, data = path_of("kept"), site.packages["kept"]
    assert site.get(f"cran/latest/{path}") == data

    def come_and_go() -> None:
        connections = [site.asks(path) for _ in range(40)]
        for connection in connections:
            assert connection.recv(100_000).startswith(b"HTTP/1.1 200 ")
        for number, connection in enumerate(connections):
            hang_up(connection) if number % 2 else connection.close()

    def held() -> int:
        return len(site.open_files()) + site.threads()

    come_and_go()
    time.sleep(1)
    first = held()
    for _ in range(3):
        come_and_go()
    # Pools of connections and threads may still grow to their bounds; what 120 clients leak would be more than that.
    eventually(held, lambda now: now - first < 60, seconds=20)
    eventually(site.open_files, lambda found: not _of_clients(found), seconds=20)
    before = site.burnt()
    time.sleep(0.5)
    assert site.burnt() - before < 0.25
    assert site.get(f"cran/latest/{path}") == data


def _of_clients(open_files: list[str]) -> list[str]:
    """Stored or flying files that are read for somebody."""
    return [name for name in open_files if "/blobs/" in name or "/flights-" in name.rpartition("/")[0]]


@pytest.mark.parametrize(("name", "stays"), [("nobodys", 0), ("shared", 5)])
def test_clients_that_leave_a_download(site: Site, name: str, stays: int) -> None:
    """The download goes on for those who stay, and also for nobody: it is stored, and never asked for again."""
    path, data = path_of(name), site.packages[name]
    site.cran.fail(path, "slow", seconds=1)
    staying = [site.asks(path) for _ in range(stays)]
    early = [site.asks(path) for _ in range(10)]
    eventually(lambda: site.cran.count(path), bool)
    time.sleep(0.3)
    for connection in early:
        hang_up(connection)
    late = [site.asks(path) for _ in range(10)]
    for connection in late:
        assert connection.recv(100_000).startswith(b"HTTP/1.1 200 ")
        hang_up(connection)
    assert read_all(staying, data) == [True] * stays
    eventually(site.open_files, lambda found: not _of_clients(found), seconds=20)
    assert site.get(f"cran/latest/{path}") == data
    assert site.cran.count(path) == 1
    assert unfinished(site) == []


def unfinished(site: Site) -> list[Path]:
    return [path for path in (site.data_dir / "tmp").rglob("*") if path.is_file()]


def test_a_client_that_leaves_its_upload(site: Site) -> None:
    """Half an upload changes nothing and leaves nothing; the same upload succeeds afterwards."""
    site.server.api("POST", "/sources", {"name": "internal"})
    demo = make_source_package("demo", "1.0", files={"inst/noise": random.Random(3).randbytes(3 * MIB)})
    host, port = site.server.address.removeprefix("http://").split(":")
    token = (site.data_dir / "admin.token").read_text().strip()
    head = (
        f"POST /__api__/sources/internal/packages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(demo) + 200}\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="demo_1.0.tar.gz"\r\n\r\n'
    )
    connections = [socket.create_connection((host, int(port)), timeout=30) for _ in range(3)]
    for connection in connections:
        connection.sendall(head.encode() + demo[: 2 * MIB])
        hang_up(connection)
    assert site.server.upload("internal", "demo_1.0.tar.gz", demo)[0] == 200
    assert len(site.server.api("GET", "/sources/internal/transactions")[1]) == 1
    eventually(lambda: unfinished(site), lambda left: left == [])


# --- an upstream that hangs ----------------------------------------------------------------------------------------


def test_an_upstream_that_holds_all_downloads(
    settings: Settings, stocked: FakeCran, clock: Clock, tmp_path: Path
) -> None:
    """Who finds all threads held by downloads that hang is told so soon, and the file comes in its turn."""
    hanging = [f"p{n:02}_1.1.tar.gz" for n in (2, 3)]
    for name in hanging:
        stocked.fail(f"{CONTRIB}/{name}", "hang", times=1)
    flights = Flights(tmp_path / "flights", threads=2, patience=0.3)
    with opened(settings, stocked, clock, patience=2) as world, running(replace(world.app, flights=flights)) as site:
        with_history(world)
        ask: Callable[[str], None] = lambda name: site.get(f"/cran/latest/{CONTRIB}/{name}")  # noqa: E731
        holding = [threading.Thread(target=ask, args=(name,)) for name in hanging]
        for thread in holding:
            thread.start()
        eventually(lambda: [stocked.count(f"{CONTRIB}/{name}") for name in hanging], lambda found: found == [1, 1])
        began = time.monotonic()
        refused = site.get(f"/cran/latest/{CONTRIB}/{SMALL}")
        assert time.monotonic() - began < 1.5
        assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        assert b"will come in its turn" in refused.data
        for thread in holding:
            thread.join()
        eventually(lambda: site.get(f"/cran/latest/{CONTRIB}/{SMALL}").status, lambda status: status == 200)
        assert stocked.count(f"{CONTRIB}/{SMALL}") == 1
    flights.close()
