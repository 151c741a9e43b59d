"""A full disk, and a real one: what changes nothing and says so, what is served on, and that it mends with room."""

from __future__ import annotations

import gzip
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.documents import Documents
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.checks import answers
from tests.support.disk import Disk, NoDisk, mounted
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.process import Served, entrepot
from tests.support.server import Clock, running
from tests.support.world import BIG, KEPT, SMALL, World, opened, package, with_history

MIB = 2**20
FULL = 507
OUT = "out-of-space"


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Where the data folder is; needs root, and database and files on it."""
    if request.config.getoption("--db") != "sqlite" or request.config.getoption("--storage") != "local":
        pytest.skip("the disk of PostgreSQL or S3 is not ours to fill")
    try:
        with mounted(tmp_path / "disk", size=24 * MIB) as made:
            yield made
    except NoDisk as error:
        pytest.skip(f"a disk to fill can't be mounted here: {error}")


@pytest.fixture
def on_disk(settings: Settings, disk: Disk) -> Settings:
    """Settings of an installation that has all on that disk."""
    server = settings.server.model_copy(update={"data_dir": disk.path / "data"})
    database = settings.database.model_copy(update={"url": f"sqlite:///{disk.path}/data/entrepot.db"})
    storage = settings.storage.model_copy(update={"url": f"file://{disk.path}/files"})
    return settings.model_copy(update={"server": server, "database": database, "storage": storage})


@pytest.fixture
def world(on_disk: Settings, stocked: FakeCran, clock: Clock) -> Iterator[World]:
    """A mirror with its history, a source `internal` of our own in repository `mine`, and room on the disk."""
    with opened(on_disk, stocked, clock, patience=5) as made:
        with_history(made)
        for path, body in (
            ("/sources", {"name": "internal"}),
            ("/repos", {"name": "mine"}),
            ("/repos/mine/sources", {"source": "internal"}),
        ):
            assert made.live.api("POST", path, body)[0] in (200, 201)
        yield made


@contextmanager
def nothing_lost(world: World) -> Iterator[None]:
    """What is served before the block is served after it, byte for byte, and the store is sound."""
    before = world.answers(), world.live.api("GET", "/repos/mine/packages")
    yield
    assert (world.answers(), world.live.api("GET", "/repos/mine/packages")) == before
    world.check_store()


def publish_much(cran: FakeCran) -> None:
    """News that take more than a MiB of database."""
    needed = ", ".join(f"package{n:04}" for n in range(400))
    for n in range(200):
        data = make_source_package(f"m{n:03}", "1.0", fields={"Imports": needed})
        cran.add(f"m{n:03}", "1.0", data, datetime(2024, 3, 2, 8, tzinfo=UTC))
    cran.publish()


def test_a_sync(world: World, disk: Disk, stocked: FakeCran) -> None:
    """The job fails in words, nothing of the day shows; with room the next sync brings it whole."""
    world.clock.wait(days=1)
    publish_much(stocked)
    with nothing_lost(world):
        disk.fill(leave=300_000)
        job = world.sync()
        assert (job["state"], job["error"]["code"]) == ("failed", OUT)
        assert "the database could not be written: there is no space left" in job["error"]["error"]
    disk.make_room()
    assert world.sync()["result"]["added"] == 200
    world.check_store()


@pytest.mark.parametrize("leave", [0, 100_000])
def test_a_download(world: World, disk: Disk, leave: int) -> None:
    """A file that there is no room for is 507 in words, before its first byte; with room it comes."""
    with nothing_lost(world):
        disk.fill(leave=leave)
        status, body = world.fetched(BIG)
        assert (status, body.count(b"\n")) == (FULL, 1)
        assert b"there is no space left" in body
        assert world.fetched(SMALL)[0] == (200 if leave else FULL)
        assert world.fetched(KEPT) == (200, package("p00", "1.1"))
    disk.make_room()
    for name in (BIG, SMALL):
        assert world.fetched(name)[0] == 200
    world.check_store()


def test_a_download_of_unknown_size(world: World, disk: Disk, stocked: FakeCran) -> None:
    """Where the disk gets full in the middle of an answer its connection breaks, and nothing of it is kept."""
    stocked.fail(f"{CONTRIB}/{BIG}", "chunked")
    with nothing_lost(world):
        disk.fill(leave=250_000)
        assert world.fetched(BIG)[0] in (0, FULL)
    disk.make_room()
    assert world.fetched(BIG) == (200, package("big", "1.0", 400_000))
    world.check_store()


def test_a_download_that_the_store_has_no_room_for(
    world: World, disk: Disk, stocked: FakeCran, caplog: pytest.LogCaptureFixture
) -> None:
    """Room to receive a file, none to keep it: clients get it whole, the log says so, the next request asks again."""
    big = package("big", "1.0", 400_000)
    with nothing_lost(world):
        disk.fill(leave=600_000)
        assert world.fetched(BIG) == (200, big)
    assert "was passed on, but not kept" in caplog.text
    disk.make_room()
    for _ in range(2):
        assert world.fetched(BIG) == (200, big)
        world.check_store()
    assert stocked.count(f"{CONTRIB}/{BIG}") == 2


@pytest.mark.parametrize("leave", [0, 200_000, 600_000], ids=["nothing fits", "it can't be received", "nor stored"])
def test_an_upload(world: World, disk: Disk, leave: int) -> None:
    """It is refused with 507 and nothing of it stays; with room the same upload succeeds."""
    demo = package("demo", "1.0", 400_000)
    with nothing_lost(world):
        disk.fill(leave=leave)
        status, body = world.live.upload("internal", ("demo_1.0.tar.gz", demo))
        assert (status, body["code"]) == (FULL, OUT)
        assert "room" in body["hint"]
    disk.make_room()
    assert world.live.upload("internal", ("demo_1.0.tar.gz", demo))[0] == 200
    assert world.live.get(f"/mine/latest/{CONTRIB}/demo_1.0.tar.gz").data == demo
    world.check_store()


def test_an_upload_that_fills_the_systems_temporary_folder(
    world: World, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a malformed request, as the framework would have it, but 507 with the name of the folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
    disk.fill(leave=500_000)
    status, body = world.live.upload("internal", ("demo_1.0.tar.gz", os.urandom(3 * MIB)))
    assert (status, body["code"]) == (FULL, OUT)
    assert str(disk.path) in body["error"]


def test_an_index(world: World, disk: Disk) -> None:
    """It is rendered and answered although it can't be kept, and so is every other one."""
    cache = disk.path / "cache"
    app = replace(world.app, documents=Documents(cache, version="1"))
    disk.fill()
    with running(app) as site:
        assert gzip.decompress(site.get(f"/cran/latest/{CONTRIB}/PACKAGES.gz").data).count(b"Package:") == 31
        assert {status for status, _ in answers(site, ("latest", "2024-02-10")).values()} == {200}
    assert [path.name for path in cache.iterdir() if path.stat().st_size] == []


def test_the_program(on_disk: Settings, disk: Disk, tmp_path: Path) -> None:
    """A command ends with exit code 8 and says why, and so does a server that starts; with room both work again."""
    file = tmp_path / "demo_1.0.tar.gz"
    file.write_bytes(package("demo", "1.0", 400_000))
    add = ("add", "--source=internal", f"--path={file}")
    with Served(on_disk) as server:
        assert server.api("POST", "/sources", {"name": "internal"})[0] == 201
        disk.fill(leave=100_000)
        code, said = ran(on_disk, *add)
        assert (code, "there is no space left" in said) == (8, True)
        assert server.api("GET", "/sources/internal")[1]["packages"] == 0
    disk.fill()
    code, said = ran(on_disk, "serve")
    assert (code, "no space left" in said) == (8, True)
    disk.make_room()
    with Served(on_disk):
        assert ran(on_disk, *add)[0] == 0


def ran(settings: Settings, *arguments: str) -> tuple[int, str]:
    """(exit code, what the command said)."""
    process = entrepot(settings, *arguments, stderr=subprocess.STDOUT)
    out = process.communicate(timeout=60)[0]
    return process.returncode, out.decode()
