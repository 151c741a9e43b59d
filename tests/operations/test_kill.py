"""kill -9 at any step: afterwards the old state or the new one is there, and doing it again gives the new one."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from entrepot.app import App
from entrepot.core.model import SourceType
from entrepot.db import schema
from entrepot.operations.packages import Outcome, Upload, add_files
from entrepot.operations.setup import ensure_defaults
from entrepot.operations.sources import create_source
from entrepot.settings import Settings
from entrepot.storage import Key
from entrepot.web.auth import admin_token
from entrepot.web.local import WHERE, alone, open_local
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.process import Served, entrepot, forget_heartbeats
from tests.support.server import NOON, eventually, opened, running, sync
from tests.support.victim import Victims, moments

CONTRIB = "src/contrib"
TABLES: tuple[Table, ...] = (
    *(schema.sources, schema.repositories, schema.subscriptions, schema.transactions),
    *(schema.files, schema.visibility, schema.descriptions, schema.mirrors),
)
State = dict[str, list[Any]]


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as started:
        yield started


def state(settings: Settings) -> State:
    """Every row of the catalogue, but of jobs; what its files say they are is checked against the store."""
    with opened(settings) as app:
        check_store(app)
        with app.db.read() as connection:
            return {table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in TABLES}


def check_store(app: App) -> None:
    """No row names a blob that the store doesn't have whole."""
    with app.db.read() as connection:
        named = set(connection.execute(select(schema.files.c.sha256)).scalars())
    for sha256 in named - {None}:
        digest = hashlib.sha256()
        for chunk in app.storage.stream(Key.blob(sha256)):
            digest.update(chunk)
        assert digest.hexdigest() == sha256


# --- sync ----------------------------------------------------------------------------------------------------------

HUNDREDS = 300


def stock(cran: FakeCran) -> None:
    """Hundreds of packages, each with a version in the archive, over two months."""
    for n in range(HUNDREDS):
        for version in ("1.0", "1.1"):
            day = datetime(2024, 1, 1, 9, tzinfo=UTC) + timedelta(days=n % 50 + (5 if version == "1.1" else 0))
            cran.add(f"p{n:03}", version, make_source_package(f"p{n:03}", version), day)
    cran.publish()


def change(cran: FakeCran) -> None:
    """New versions and packages, replaced, removed and late ones."""
    for n in range(60):
        cran.add(f"p{n:03}", "2.0", make_source_package(f"p{n:03}", "2.0"), NOON + timedelta(days=n % 3, hours=1))
        cran.add(f"q{n:03}", "1.0", make_source_package(f"q{n:03}", "1.0"), NOON + timedelta(days=n % 3 - 9))
    for n in range(100, 120):
        cran.remove(f"p{n:03}")
        changed = make_source_package(f"p{n + 20:03}", "1.1", fields={"Title": "Other"})
        cran.replace(f"p{n + 20:03}", "1.1", changed, NOON + timedelta(hours=2))
    cran.publish()


def with_upstream(settings: Settings, cran: FakeCran) -> Settings:
    return settings.model_copy(update={"cran": settings.cran.model_copy(update={"upstream": cran.url})})


@pytest.fixture
def upstreams(settings: Settings, cran: FakeCran, tmp_path: Path) -> tuple[Settings, Settings]:
    """Settings of two new installations over a stocked upstream: the one that is killed, and one that never is."""
    stock(cran)
    killed = with_upstream(settings, cran)
    never = Settings.model_validate(
        {
            "server": {"data_dir": tmp_path / "never"},
            "cran": killed.cran,
            "pypi": killed.pypi,
            "bioconductor": killed.bioconductor,
            "repos": killed.repos,
        }
    )
    for each in (killed, never):
        with opened(each) as app:
            ensure_defaults(app)
    return killed, never


@pytest.mark.parametrize("which", ["first", "later"])
def test_a_sync_that_is_killed(
    victims: Victims, upstreams: tuple[Settings, Settings], cran: FakeCran, which: str
) -> None:
    """Killed at any step, a sync has written all or nothing; the next one ends as if no other had been before."""
    killed, never = upstreams
    now = NOON
    if which == "later":
        for each in upstreams:
            with opened(each) as app:
                sync(app)
        change(cran)
        now += timedelta(days=3)
    old = state(killed)
    assert old == state(never)
    steps = victims.run("sync", never, now=now).steps
    new = state(never)
    assert new != old
    ends = []
    for at in moments(steps):
        met = victims.run("sync", killed, now=now, at=at)
        assert met.was_killed
        found = state(killed)
        assert found in (old, new), met.steps[-1]
        ends.append(found == new)
        if found == new:
            break
    assert ends == sorted(ends)
    assert ends.count(True) == 1
    victims.run("sync", killed, now=now)
    assert {**state(killed), "mirrors": []} == {**new, "mirrors": []}


def test_a_sync_killed_at_odd_moments(victims: Victims, upstreams: tuple[Settings, Settings]) -> None:
    """Killed by the clock, in the middle of a request, a statement or a commit, it is all or nothing as well."""
    killed, never = upstreams
    old = state(killed)
    began = time.monotonic()
    victims.run("sync", never)
    took, new = time.monotonic() - began, state(never)
    for part in (0.15, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95):
        victims.run("sync", killed, after=took * part)
        if state(killed) != old:
            break
    assert state(killed) in (old, new)
    victims.run("sync", killed)
    assert {**state(killed), "mirrors": []} == {**new, "mirrors": []}


# --- add -----------------------------------------------------------------------------------------------------------


@dataclass
class Shelf:
    """A source of our own with demo 1.0, and what is to be added: demo 1.0 again with other bytes, demo 1.1, other."""

    settings: Settings
    files: list[tuple[str, str]]

    def add(self, app: App) -> Outcome:
        uploads = [Upload(name, Path(path)) for name, path in self.files]
        return add_files(app, "internal", uploads, actor="test", replace=True)


def put(folder: Path, name: str, version: str, padding: int = 0) -> tuple[str, str]:
    noise = random.Random(f"{name}{version}").randbytes(padding)
    path = folder / f"{name}_{version}_{padding}"
    path.write_bytes(make_source_package(name, version, files={"inst/noise": noise}))
    return f"{name}_{version}.tar.gz", str(path)


@pytest.fixture
def shelf(app: App, tmp_path: Path) -> Shelf:
    create_source(app, "internal", type_=SourceType.LOCAL)
    name, path = put(tmp_path, "demo", "1.0")
    add_files(app, "internal", [Upload(name, Path(path))], actor="test")
    large = put(tmp_path, "demo", "1.1", padding=300_000)
    return Shelf(app.settings, [put(tmp_path, "demo", "1.0", padding=10), large, put(tmp_path, "other", "0.1")])


def never_killed(shelf: Shelf, tmp_path: Path) -> State:
    """The state of an installation to which the same was added without a kill."""
    given = shelf.settings
    shown = {name: getattr(given, name) for name in ("cran", "pypi", "bioconductor", "repos")}
    settings = Settings.model_validate({"server": {"data_dir": tmp_path / "never"}, **shown})
    with opened(settings) as app:
        ensure_defaults(app)
        create_source(app, "internal", type_=SourceType.LOCAL)
        add_files(app, "internal", [Upload("demo_1.0.tar.gz", tmp_path / "demo_1.0_0")], actor="test")
        shelf.add(app)
    return state(settings)


def test_an_add_that_is_killed(victims: Victims, shelf: Shelf, tmp_path: Path) -> None:
    """Killed at any step of store and database, an add has done all or nothing, and the same add again succeeds."""
    old, new = state(shelf.settings), never_killed(shelf, tmp_path)
    at = 0
    while state(shelf.settings) == old:
        at += 1
        met = victims.run("add", shelf.settings, at=at, files=shelf.files, replace=True)
        assert met.was_killed, met
        assert state(shelf.settings) in (old, new), met.steps[-1]
    assert met.steps[-2:] == ["before COMMIT", "given back"]
    with opened(shelf.settings) as app:
        assert shelf.add(app) == Outcome(None, ())
    assert state(shelf.settings) == new


def test_an_add_killed_while_its_bytes_are_stored(victims: Victims, shelf: Shelf, tmp_path: Path) -> None:
    """Killed while a large file is on its way to the store: nothing of it shows, or it is whole; the same add again is
    whole."""
    old = state(shelf.settings)
    name, path = put(tmp_path, "huge", "1.0", padding=20 << 20)
    for moment in (0.001, 0.01, 0.03, 0.1, 0.2):
        if not victims.run(
            "add", shelf.settings, at="before put_file", after=moment, files=[(name, path)], replace=False
        ).was_killed:
            break
        found = state(shelf.settings)
        if moment > 0.01 and len(found["files"]) > len(old["files"]):
            break  # it had committed before its end; what the row says is whole in the store, or `state` had failed
        assert found == old
    with opened(shelf.settings) as app, running(app) as live:
        live.api("POST", "/repos", {"name": "mine"})
        live.api("POST", "/repos/mine/sources", {"source": "internal"})
        assert live.get("/mine/latest/src/contrib/huge_1.0.tar.gz").status in (200, 404)
        add_files(app, "internal", [Upload(name, Path(path))], actor="test")
        assert live.get("/mine/latest/src/contrib/huge_1.0.tar.gz").data == Path(path).read_bytes()


# --- a file from upstream ------------------------------------------------------------------------------------------

BIG = make_source_package("big", "1.0", files={"inst/noise": random.Random(1).randbytes(3_000_000)})


@pytest.fixture
def mirror_of(settings: Settings, cran: FakeCran) -> Settings:
    """Settings of an installation that was synced with an upstream that has a large package."""
    cran.add("big", "1.0", BIG)
    cran.publish()
    settings = with_upstream(settings, cran)
    with opened(settings) as app:
        ensure_defaults(app)
        sync(app)
    return settings


def test_a_download_that_is_killed(victims: Victims, mirror_of: Settings, cran: FakeCran) -> None:
    """Killed at any step of a download, no part of it is ever stored; the next request fetches the file whole."""
    old = state(mirror_of)
    for at in ("before write", "after write", "before verified", "after verified"):
        assert victims.run("fetch", mirror_of, at=at, package="big").was_killed
    assert state(mirror_of) == old
    with opened(mirror_of) as app, running(app) as live:
        assert list(app.storage.list_keys("blobs")) == []
        asked = cran.count(f"{CONTRIB}/big_1.0.tar.gz")
        assert live.get("/cran/latest/src/contrib/big_1.0.tar.gz").data == BIG
        assert cran.count(f"{CONTRIB}/big_1.0.tar.gz") == asked + 1


def test_a_download_killed_while_it_is_recorded(victims: Victims, mirror_of: Settings, cran: FakeCran) -> None:
    """Killed at any step from the store to the last commit, the row says "stored" of a whole file or not at all."""
    old = state(mirror_of)
    steps = victims.run("fetch", mirror_of, at="before put_file", package="big").steps
    at = len(steps)
    while state(mirror_of) == old:
        at += 1
        met = victims.run("fetch", mirror_of, at=at, package="big")
        assert met.was_killed, met
    assert met.steps[-2:] == ["before COMMIT", "given back"]
    asked = cran.count(f"{CONTRIB}/big_1.0.tar.gz")
    with opened(mirror_of) as app, running(app) as live:
        assert live.get("/cran/latest/src/contrib/big_1.0.tar.gz").data == BIG
    assert cran.count(f"{CONTRIB}/big_1.0.tar.gz") == asked


# --- the server ----------------------------------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_of_a_sync(settings: Settings, cran: FakeCran) -> None:
    """The next server on the same data finishes the job; meanwhile the command line works without a server."""
    cran.add("demo", "1.0", make_source_package("demo", "1.0"))
    cran.publish()
    cran.fail(f"{CONTRIB}/PACKAGES.gz", "hang", times=1)
    settings = with_upstream(settings, cran)
    with Served(settings) as first:
        job = first.api("POST", "/sources/cran/sync", {})[1]["id"]
        eventually(lambda: cran.count(f"{CONTRIB}/PACKAGES.gz"), bool)
        assert first.api("GET", f"/jobs/{job}")[1]["state"] == "running"
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    assert (settings.server.data_dir / WHERE).exists()
    command = entrepot(settings, "list", "repos")
    assert b"cran" in command.communicate(timeout=60)[0]
    assert command.returncode == 0
    if settings.database_url.startswith("postgresql"):
        # Other nodes may be alive there: a job is taken over when its heart was silent for a while, here at once.
        forget_heartbeats(settings)
    with Served(settings) as second:
        done = eventually(lambda: second.api("GET", f"/jobs/{job}")[1], lambda j: j["state"] != "running", seconds=30)
        assert (done["state"], done["result"]["added"]) == ("done", 1)
        second.process.send_signal(signal.SIGTERM)
        second.process.wait(20)
    assert not (settings.server.data_dir / WHERE).exists()


def test_a_server_waits_for_a_command_where_another_was_killed(settings: Settings) -> None:
    """What a killed server announced does not make the next one think that it lives, while a command has the lock."""
    data_dir = settings.server.data_dir
    admin_token(data_dir)
    (data_dir / WHERE).write_text(json.dumps({"address": "http://127.0.0.1:9", "pid": 1}))
    began = threading.Event()

    def serve() -> None:
        with alone(data_dir):
            began.set()

    server = threading.Thread(target=serve)
    with open_local(settings) as local:
        assert local.in_process
        server.start()
        time.sleep(0.3)
        assert not began.is_set()
    server.join(10)
    assert began.is_set()
