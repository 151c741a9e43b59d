"""The installations that faults meet: a mirror with a history, a day's news upstream, one file in the store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import urllib3

from entrepot.app import App, open_app
from entrepot.documents import Documents
from entrepot.fetch import Fetch
from entrepot.operations.setup import ensure_defaults
from entrepot.settings import Settings
from tests.support import pages
from tests.support.archives import make_source_package
from tests.support.checks import Answers, answers, check_store
from tests.support.distributions import wheel
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.fake_pypi import FakePypi, Upload
from tests.support.server import Clock, Live, eventually, running

KEPT, SMALL, BIG = "p00_1.1.tar.gz", "p01_1.1.tar.gz", "big_1.0.tar.gz"
"""A file that is in the store; two that nobody asked for yet. The second is sent before its hash is known."""
OLD_DAYS = ("2024-02-10", "2024-02-29")


def package(name: str, version: str, padding: int = 0) -> bytes:
    noise = random.Random(f"{name}{version}").randbytes(padding)
    return make_source_package(name, version, files={"inst/noise": noise} if padding else None)


def stock(cran: FakeCran) -> None:
    """Thirty packages over February, ten of them with a version in the archive, and a large one."""
    for n in range(30):
        day = datetime(2024, 2, 1 + n % 20, 9, tzinfo=UTC)
        if n < 10:
            cran.add(f"p{n:02}", "1.0", package(f"p{n:02}", "1.0"), day)
        cran.add(f"p{n:02}", "1.1", package(f"p{n:02}", "1.1"), day.replace(day=day.day + 7))
    cran.add("big", "1.0", package("big", "1.0", 400_000), datetime(2024, 2, 28, tzinfo=UTC))
    cran.publish()


def next_day(cran: FakeCran) -> None:
    """A new package, a new version, one that was taken off, one with other bytes."""
    at = datetime(2024, 3, 2, 8, tzinfo=UTC)
    cran.add("news", "0.1", package("news", "0.1"), at)
    cran.add("p20", "1.2", package("p20", "1.2"), at)
    cran.remove("p21")
    cran.replace("p22", "1.1", package("p22", "1.1", 100), at)
    cran.publish()


@dataclass
class World:
    """A live mirror and its upstream."""

    app: App
    live: Live
    cran: FakeCran
    clock: Clock

    def sync(self, *, force: bool = False) -> dict[str, Any]:
        """Ask for a sync; the job when it is over."""
        job = self.live.api("POST", "/sources/cran/sync", {"force": force})[1]["id"]
        return eventually(lambda: self.job(job), lambda found: found["state"] not in ("queued", "running"), seconds=30)

    def job(self, id_: int) -> dict[str, Any]:
        found: dict[str, Any] = self.live.api("GET", f"/jobs/{id_}")[1]
        return found

    def fetched(self, name: str) -> tuple[int, bytes]:
        """(status, body) of a file; status 0 if the connection broke before its end. No cache may keep a failure."""
        try:
            answer = self.live.get(f"/cran/latest/{CONTRIB}/{name}")
        except urllib3.exceptions.ProtocolError:
            return 0, b""
        assert answer.status < 500 or answer.headers["Cache-Control"] == "no-store"
        return answer.status, answer.data

    def answers(self, *more: str) -> Answers:
        """What is served now."""
        return answers(self.live, ("latest", *OLD_DAYS, *more), (KEPT,))

    def wait_a_day(self) -> None:
        """A day goes by here and upstream."""
        self.clock.wait(days=1)
        next_day(self.cran)

    def check_store(self) -> None:
        check_store_soon(self.app)


def check_store_soon(app: App) -> None:
    """`check_store`, as soon as what was just sent is put away."""
    eventually(lambda: _store_fault(app), lambda error: error is None, seconds=5)


def _store_fault(app: App) -> str | None:
    """None if the store is sound."""
    try:
        check_store(app)
    except AssertionError as error:
        return str(error) or "wrong"
    return None


def with_history(world: World) -> World:
    """Its history is imported, one file was asked for."""
    assert world.sync()["state"] == "done"
    assert world.fetched(KEPT) == (200, package("p00", "1.1"))
    return world


@contextmanager
def opened(
    settings: Settings, cran: FakeCran, clock: Clock, *, patience: float = 0.5, login: str = ""
) -> Iterator[World]:
    """A world that waits no longer than `patience` seconds for its upstream; `login` ("user:password@") goes there.

    It remembers no index, neither in memory nor on disk: each one is rendered from what the database has.
    """
    upstream = settings.cran.model_copy(update={"upstream": cran.url.replace("//", f"//{login}")})
    with _hasty(settings.model_copy(update={"cran": upstream}), clock, patience) as app, running(app) as live:
        yield World(app, live, cran, clock)


@contextmanager
def _hasty(settings: Settings, clock: Clock, patience: float) -> Iterator[App]:
    app = open_app(settings, clock)
    fetch = Fetch(timeout_connect=1, timeout_read=patience, retries=0, deadline=20)
    with TemporaryDirectory() as gone:
        forgetful = Documents(Path(gone) / "indexes", version="0", memory_limit=0)
    try:
        ensure_defaults(app)
        yield replace(app, fetch=fetch, documents=forgetful)
    finally:
        fetch.close()
        app.close()


# --- the same for an index of Python packages ----------------------------------------------------------------------

UPLOADED = datetime(2024, 2, 10, 9, tzinfo=UTC)
KNOWN, NEXT = "known", "next"
"""A project that was asked for, one that nobody asked for yet."""


def stock_pypi(pypi: FakePypi) -> None:
    """Two projects, each with a small wheel, one that upstream has no metadata of, and a large one; 60 more names."""
    for project in (KNOWN, NEXT):
        pypi.add(*wheel(project, "1.0"), uploaded=UPLOADED)
        pypi.add(*wheel(project, "1.1"), uploaded=UPLOADED.replace(day=20), has_metadata=False)
        pypi.add(*_large_wheel(project), uploaded=UPLOADED.replace(day=28))
    pypi.add_empty(*(f"p{n:02}" for n in range(60)))


def _large_wheel(project: str) -> tuple[str, bytes]:
    return wheel(project, "2.0", extra_files={"x/noise": random.Random(project).randbytes(400_000)})


PythonAnswers = dict[str, tuple[int, bytes]]


@dataclass
class PythonWorld:
    """A live mirror of an index, and its upstream."""

    app: App
    live: Live
    pypi: FakePypi
    clock: Clock

    def get(self, path: str) -> tuple[int, bytes]:
        """(status, body); status 0 if the connection broke before the end. No cache may keep a failure."""
        try:
            answer = self.live.get(path, accept=pages.JSON)
        except urllib3.exceptions.ProtocolError:
            return 0, b""
        assert answer.status < 500 or answer.headers["Cache-Control"] == "no-store"
        return answer.status, answer.data

    def page(self, project: str, snapshot: str = "latest") -> tuple[int, bytes]:
        return self.get(f"/pypi/{snapshot}/simple/{project}/")

    def fetched(self, upload: Upload, suffix: str = "") -> tuple[int, bytes]:
        """A file, or what lies beside it."""
        return self.get(f"/pypi/latest/packages/{upload.project}/{upload.name}{suffix}")

    def sync(self) -> dict[str, Any]:
        """Ask for a sync of the list of names; the job when it is over."""
        job = self.live.api("POST", "/sources/pypi/sync", {})[1]["id"]
        found: dict[str, Any] = eventually(
            lambda: self.live.api("GET", f"/jobs/{job}")[1], lambda found: found["state"] not in ("queued", "running")
        )
        return found

    def answers(self) -> PythonAnswers:
        """What is served now of what is known; of failures the status alone."""
        first, kept = "/pypi/latest/packages/known/known-1.0-py3-none-any.whl", "/pypi/2024-02-10/simple/known/"
        paths = ["/pypi/latest/simple/", "/pypi/latest/simple/known/", kept, "/pypi/2024-02-29/simple/known/"]
        found = {path: self.get(path) for path in [*paths, first, f"{first}.metadata"]}
        return {path: (status, body if status < 500 else b"") for path, (status, body) in found.items()}


@contextmanager
def opened_python(
    settings: Settings, pypi: FakePypi, clock: Clock, *, patience: float = 0.5, login: str = ""
) -> Iterator[PythonWorld]:
    """A world of an index, as `opened`; nothing was asked for yet."""
    upstream = settings.pypi.model_copy(update={"upstream": pypi.upstream.replace("//", f"//{login}")})
    with _hasty(settings.model_copy(update={"pypi": upstream}), clock, patience) as app, running(app) as live:
        yield PythonWorld(app, live, pypi, clock)
