"""kill -9 of the server while it works: the next one finishes what was begun, and nothing shows that it happened.

The steps inside of syncs, adds and downloads are killed one by one in `tests/operations/test_kill.py`; here it is the
whole program, with its jobs.
"""

from __future__ import annotations

import random
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from entrepot.operations import syncing, working
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.checks import Answers, answers, check_store
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.process import Served, forget_heartbeats, installation
from tests.support.server import eventually, running
from tests.support.victim import Victims

PACKAGES, VERSIONS = 200, 4
KILLS = 8
"""At least so often is each job cut off."""


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as started:
        yield started


def stock(cran: FakeCran) -> None:
    """Hundreds of packages with several versions each, over two months."""
    for n in range(PACKAGES):
        for version in range(VERSIONS):
            day = datetime(2024, 1, 1, 9, tzinfo=UTC) + timedelta(days=n % 40 + 6 * version)
            cran.add(f"p{n:03}", f"1.{version}", make_source_package(f"p{n:03}", f"1.{version}"), day)
    cran.publish()


def next_day(cran: FakeCran) -> None:
    for n in range(40):
        cran.add(f"p{n:03}", "2.0", make_source_package(f"p{n:03}", "2.0"), datetime(2024, 3, 2, tzinfo=UTC))
        cran.add(f"q{n:03}", "1.0", make_source_package(f"q{n:03}", "1.0"), datetime(2024, 3, 2, tzinfo=UTC))
        cran.remove(f"p{n + 100:03}")
    cran.publish()


def with_upstream(settings: Settings, cran: FakeCran) -> Settings:
    return settings.model_copy(update={"cran": settings.cran.model_copy(update={"upstream": cran.url})})


def ask(settings: Settings) -> int:
    """A sync that waits for a server."""
    with installation(settings) as app:
        return syncing.request_sync(app, "cran").id


def shown(settings: Settings) -> Answers:
    """What is served now; the store is checked as well."""
    with installation(settings) as app, running(app) as live:
        check_store(app)
        return answers(live, ("latest", "2024-01-20", "2024-02-10", "2024-03-10"))


@pytest.mark.parametrize("which", ["the history import", "a day's sync"])
def test_a_server_that_is_killed_again_and_again(
    victims: Victims, settings: Settings, cran: FakeCran, tmp_path: Path, which: str
) -> None:
    """Each server takes the job up that the one before left, is killed a little later in it, until one finishes it."""
    stock(cran)
    killed = with_upstream(settings, cran)
    never = Settings.model_validate(
        {
            "server": {"data_dir": tmp_path / "never", "listen": "127.0.0.1:0"},
            "cran": killed.cran,
            "pypi": killed.pypi,
            "bioconductor": killed.bioconductor,
            "repos": killed.repos,
        }
    )
    for each in (killed, never):
        if which != "the history import":
            ask(each)
            assert not victims.run("serve", each).was_killed
    if which != "the history import":
        next_day(cran)
    before = shown(killed)
    ask(never)
    steps = victims.run("serve", never, thread="job-").steps
    after = shown(never)
    assert after != before
    job, ends = ask(killed), []
    for at in range(1, len(steps) + 1, max(1, len(steps) // (KILLS + 10))):
        met = victims.run("serve", killed, at=at, thread="job-")
        if not met.was_killed:
            break
        found = shown(killed)
        assert found in (before, after), met.steps[-1]
        ends.append(found == after)
        forget_heartbeats(killed)
    assert len(ends) >= KILLS
    assert ends == sorted(ends)
    victims.run("serve", killed)
    with installation(killed) as app:
        assert working.get_job(app, job).job.state == "done"
    assert shown(killed) == after


def test_a_server_killed_in_the_middle_of_a_download(settings: Settings, cran: FakeCran) -> None:
    """Killed while a client reads along, and right after its last byte: the next one has the file whole or gets it."""
    big = make_source_package("big", "1.0", files={"inst/noise": random.Random(1).randbytes(6_000_000)})
    path = f"{CONTRIB}/big_1.0.tar.gz"
    cran.add("big", "1.0", big)
    cran.publish()
    settings = with_upstream(settings, cran)
    ask(settings)
    cran.fail(path, "slow", times=1, seconds=5)
    with Served(settings) as first:
        synced(first)
        with downloading(first, path):
            kill(first)
    with Served(settings) as second:
        assert left(settings) == []
        assert urllib3.request("GET", f"{second.address}/cran/latest/{path}", retries=False).data == big
        kill(second)
    with Served(settings) as third:
        assert left(settings) == []
        assert urllib3.request("GET", f"{third.address}/cran/latest/{path}", retries=False).data == big
        assert cran.count(path) <= 3
    with installation(settings) as app:
        check_store(app)


def synced(server: Served) -> None:
    def is_synced(source: tuple[int, Any]) -> bool:
        return bool(source[1]["sync"]["state"] == "ok")

    eventually(lambda: server.api("GET", "/sources/cran"), is_synced, seconds=30)


@contextmanager
def downloading(server: Served, path: str) -> Iterator[None]:
    """A client asked for the file, and the server for its upstream's."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(f"GET /cran/latest/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        yield


def kill(server: Served) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


def left(settings: Settings) -> list[Path]:
    """Files of downloads and uploads that no living process writes."""
    return [path for path in (settings.server.data_dir / "tmp").rglob("*") if path.is_file()]


def test_what_killed_processes_left_is_removed(settings: Settings) -> None:
    """Halves of uploads, downloads, indexes and blobs are gone soon after the next server started."""
    data_dir = settings.server.data_dir
    halves = ["tmp/upload-killed/0", "tmp/flights-killed/1", "cache/indexes/killed.tmp"]
    if settings.storage_url.startswith("file:") and settings.database_url.startswith("sqlite"):
        # Else another node may be writing it, and it goes when it is a day old.
        halves.append(f"../files/blobs/ab/cd/abcd{'0' * 60}#1")
    for half in halves:
        (data_dir / half).parent.mkdir(parents=True)
        (data_dir / half).write_bytes(b"half of a pack")
    with Served(settings):
        eventually(lambda: [half for half in halves if (data_dir / half).exists()], lambda found: found == [])
