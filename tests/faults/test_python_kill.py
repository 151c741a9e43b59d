"""kill -9 while Python packages are read, fetched and uploaded: the old state or the new one, and every blob whole."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from sqlalchemy import Table, select

from entrepot.app import App, open_app
from entrepot.core.model import SourceType
from entrepot.db import schema
from entrepot.operations.setup import ensure_defaults
from entrepot.operations.sources import create_source
from entrepot.settings import Settings
from tests.support import pages
from tests.support.checks import check_blobs
from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi, Upload
from tests.support.process import Served
from tests.support.server import NOON, Clock, eventually, running
from tests.support.victim import Victims, moments

TABLES: tuple[Table, ...] = (
    *(schema.sources, schema.repositories, schema.subscriptions, schema.transactions),
    *(schema.files, schema.visibility, schema.projects, schema.names, schema.name_lists, schema.origins),
    schema.metadata_files,
)
State = dict[str, list[str]]
SPRING = datetime(2023, 4, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as started:
        yield started


@contextmanager
def opened(settings: Settings, now: datetime = NOON) -> Iterator[App]:
    """The installation as a process that starts now sees it."""
    app = open_app(settings, Clock(now))
    try:
        yield app
    finally:
        app.close()


def state(settings: Settings) -> State:
    """Every row of the catalogue, but of jobs and mirrors; the store is checked as well, but for what was killed."""
    with opened(settings) as app:
        check_blobs(app)
        with app.db.read() as connection:
            return {table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in TABLES}


@pytest.fixture
def upstreams(settings: Settings, pypi: FakePypi, tmp_path: Path) -> tuple[Settings, Settings]:
    """Settings of two new installations over one upstream: the one that is killed, and one that never is."""
    pypi.add(*wheel("demo", "1.0", extra_files={"x/noise": random.Random(1).randbytes(300_000)}), uploaded=SPRING)
    pypi.add(*wheel("demo", "1.1"), uploaded=SPRING, has_metadata=False)
    pypi.add(*sdist("demo", "1.1"), uploaded=SPRING)
    pypi.add_empty("alpha", "beta")
    read = settings.pypi.model_copy(update={"upstream": pypi.upstream})
    killed = settings.model_copy(update={"pypi": read})
    given = {name: getattr(killed, name) for name in ("cran", "pypi", "bioconductor", "repos")}
    never = Settings.model_validate({"server": {"data_dir": tmp_path / "never"}, **given})
    for each in (killed, never):
        with opened(each) as app:
            ensure_defaults(app)
    return killed, never


def changed(pypi: FakePypi) -> None:
    """A new file, a yank, a deletion, other names."""
    pypi.add(*wheel("demo", "2.0"), uploaded=NOON)
    pypi.change("demo-1.0-py3-none-any.whl", yanked="broken")
    pypi.remove("demo-1.1.tar.gz")
    pypi.remove_project("alpha")
    pypi.add_empty("gamma")


def check_all_or_nothing(victims: Victims, upstreams: tuple[Settings, Settings], what: str, **more: Any) -> None:
    """Killed at one step after the other, all is as it was until all is new; a run without a kill leaves it so."""
    killed, never = upstreams
    old = state(killed)
    steps = victims.run(what, never, **more).steps
    new = state(never)
    assert old == state(killed) != new
    ends = []
    for at in moments(steps, before=25):
        met = victims.run(what, killed, at=at, **more)
        assert met.was_killed
        found = state(killed)
        assert found in (old, new), met.steps[-1]
        ends.append(found == new)
        if found == new:
            break
    assert ends.count(False) > 5
    assert ends[-1]
    victims.run(what, killed, **more)
    assert state(killed) == new


@pytest.mark.parametrize("which", ["the first", "a later one"])
def test_a_reading_that_is_killed(
    victims: Victims, upstreams: tuple[Settings, Settings], pypi: FakePypi, which: str
) -> None:
    """Of a project's page all is recorded or nothing; the next reading ends as if no other had been before."""
    now = NOON
    if which != "the first":
        for each in upstreams:
            victims.run("read", each, project="demo")
        changed(pypi)
        now = LATER
    check_all_or_nothing(victims, upstreams, "read", now=now, project="demo")


@pytest.mark.parametrize("which", ["the first", "a later one"])
def test_a_sync_of_the_names_that_is_killed(
    victims: Victims, upstreams: tuple[Settings, Settings], pypi: FakePypi, which: str
) -> None:
    """The list is the old one or the new one, whole."""
    now = NOON
    if which != "the first":
        for each in upstreams:
            victims.run("sync", each, source="pypi")
        changed(pypi)
        now = LATER
    check_all_or_nothing(victims, upstreams, "sync", now=now, source="pypi")


# --- files and metadata --------------------------------------------------------------------------------------------

FILES = {
    "a file": "demo-1.0-py3-none-any.whl",
    "a file whose metadata is learnt": "demo-1.1-py3-none-any.whl",
    "metadata": "demo-1.0-py3-none-any.whl.metadata",
}


@pytest.mark.parametrize("name", FILES.values(), ids=FILES.keys())
def test_a_download_that_is_killed(
    victims: Victims, upstreams: tuple[Settings, Settings], pypi: FakePypi, name: str
) -> None:
    """Killed at any step, no part is ever stored and no row names what isn't there; the next request gets it whole."""
    killed, _ = upstreams
    victims.run("read", killed, project="demo")
    tail = f"packages/demo/{name}"
    begins = victims.run("ask", killed, at="before verified", tail=tail)
    assert begins.was_killed
    with opened(killed) as app:
        assert list(app.storage.list_keys("blobs")) == []
    steps = len(begins.steps)
    for at in range(steps, steps + 40):
        if not victims.run("ask", killed, at=at, tail=tail).was_killed:
            break
        state(killed)
    else:
        pytest.fail("it never comes to its end")
    assert at > steps + 2
    upload = pypi.upload(name.removesuffix(".metadata"))
    with opened(killed) as app, running(app) as live:
        for suffix, data in (("", upload.data), (".metadata", upload.metadata)):
            answer = pages.download(live, "demo", f"{upload.name}{suffix}")
            # What is learnt of a file is told from the next change on.
            assert (answer.status, answer.data) == (200, data) or (suffix and not upload.has_metadata)
        check_blobs(app)


# --- uploads -------------------------------------------------------------------------------------------------------


def test_an_upload_that_is_killed(victims: Victims, app: App, tmp_path: Path) -> None:
    """Two files and their metadata are there together or not at all, and the same upload again succeeds."""
    create_source(app, "internal", type_=SourceType.LOCAL_PYTHON)
    files = []
    for name, data in (wheel("own", "1.0", extra_files={"x": bytes(100_000)}), sdist("own", "1.0")):
        (tmp_path / name).write_bytes(data)
        files.append((name, str(tmp_path / name)))

    def add(at: int) -> bool:
        return victims.run("add", app.settings, at=at, files=files, replace=False).was_killed

    old, at = state(app.settings), 0
    while (found := state(app.settings)) == old:
        at += 1 if at > 20 else 4
        assert add(at), "it came to its end without a change"
    assert at > 10
    new = {table: len(rows) - len(old[table]) for table, rows in found.items()}
    assert (new["files"], new["visibility"], new["transactions"]) == (2, 2, 1)
    assert not add(0)
    assert state(app.settings) == found


# --- the whole server ----------------------------------------------------------------------------------------------

PROJECTS = [f"p{n:02}" for n in range(24)]
KILLS = 3


def test_a_server_killed_again_and_again(settings: Settings, pypi: FakePypi) -> None:
    """Killed among page readings, downloads and uploads of many clients: what was confirmed is there, all is whole."""
    uploads = [
        pypi.add(*wheel(name, "1.0", extra_files={"x/noise": random.Random(name).randbytes(200_000)}), uploaded=SPRING)
        for name in PROJECTS
    ]
    own = [wheel(f"own-{n}", "1.0") for n in range(40)]
    settings = settings.model_copy(update={"pypi": settings.pypi.model_copy(update={"upstream": pypi.upstream})})
    with opened(settings, datetime.now(UTC)) as app:
        ensure_defaults(app)
        create_source(app, "internal", type_=SourceType.LOCAL_PYTHON)
    confirmed: set[str] = set()
    for number in range(KILLS):
        with Served(settings) as server, crowd(server, uploads, own, confirmed):
            wanted = len(confirmed) + 1 + 3 * number
            eventually(lambda: len(confirmed), lambda count, wanted=wanted: count >= wanted, seconds=20)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
    assert confirmed
    with opened(settings, datetime.now(UTC)) as app, running(app) as live:
        check_blobs(app)
        live.api("POST", "/repos", {"name": "own", "type": "python"})
        live.api("POST", "/repos/own/sources", {"source": "internal"})
        listed = {name for project in pages.names(live, repo="own") for name in pages.files(live, project, repo="own")}
        assert confirmed <= listed <= {name for name, _ in own}
        for upload in uploads:
            assert list(pages.files(live, upload.project)) == [upload.name]
            assert pages.download(live, upload.project, upload.name).data == upload.data
        assert live.upload("internal", *own)[0] in (200, 201)
        check_blobs(app)


@contextmanager
def crowd(server: Served, uploads: list[Upload], own: list[tuple[str, bytes]], confirmed: set[str]) -> Iterator[None]:
    """Clients that ask for pages and files and upload, each until the server is gone."""
    pool = urllib3.PoolManager(retries=False, maxsize=16)

    def read(mine: list[Upload]) -> None:
        for upload in mine:
            pool.request("GET", f"{server.address}/pypi/latest/simple/{upload.project}/")
            pool.request("GET", f"{server.address}/pypi/latest/packages/{upload.project}/{upload.name}")
            pool.request("GET", f"{server.address}/pypi/latest/packages/{upload.project}/{upload.name}.metadata")

    def publish(mine: list[tuple[str, bytes]]) -> None:
        for name, data in mine:
            status, _ = server.upload("internal", name, data)
            assert status in (200, 201)
            confirmed.add(name)

    def quietly(work: Callable[[list[Any]], None], mine: list[Any]) -> None:
        with suppress(urllib3.exceptions.HTTPError):
            work(mine)

    works = [*((read, uploads[n::4]) for n in range(4)), *((publish, own[n::2]) for n in range(2))]
    threads = [threading.Thread(target=quietly, args=work) for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(30)
    pool.clear()
