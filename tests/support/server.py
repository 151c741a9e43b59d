"""A whole Entrepot in the test's process: the application with a clock of the test's own, and its site on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import urllib3
import uvicorn

from entrepot.app import App, open_app
from entrepot.db import sources as db_sources
from entrepot.jobs.runner import Runner
from entrepot.operations import syncing
from entrepot.operations.setup import ensure_defaults
from entrepot.settings import Settings
from entrepot.sources.mirror import Synced
from entrepot.web.auth import admin_token
from entrepot.web.context import Context
from entrepot.web.door import Door
from entrepot.web.hot import HotAnswers
from entrepot.web.site import configure

T = TypeVar("T")
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that goes on only when the test says so."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)


class Ticking(Clock):
    """A clock that goes on by itself, and leaps when it is told to."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        return self.now + timedelta(seconds=time.monotonic() - self._began)


@contextmanager
def opened(settings: Settings, clock: Clock | None = None) -> Iterator[App]:
    """An installation as a process that starts now sees it."""
    app = open_app(settings, clock or Clock())
    try:
        yield app
    finally:
        app.close()


@contextmanager
def installed(settings: Settings, clock: Clock) -> Iterator[App]:
    """An installation with its defaults."""
    with opened(settings, clock) as app:
        ensure_defaults(app)
        yield app


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Live:
    """A running site; `get` and `api` ask it without following redirects or retrying."""

    app: App
    address: str
    token: str
    hot: HotAnswers
    door: Door
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def get(self, path: str, method: str = "GET", **headers: str) -> urllib3.BaseHTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.pool.request(method, self.address + path, headers=named, decode_content=False)

    def api(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        """(status, JSON) of `/__api__` + path, as the administrator."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        if token == "":
            headers = {}
        response = self.pool.request(method, f"{self.address}/__api__{path}", headers=headers, json=body)
        return response.status, response.json() if response.data else None

    def upload(self, source: str, *files: tuple[str, bytes], **fields: str) -> tuple[int, Any]:
        """POST files to a source."""
        parts: list[tuple[str, Any]] = [("files", (name, data, "application/gzip")) for name, data in files]
        response = self.pool.request(
            "POST",
            f"{self.address}/__api__/sources/{source}/packages",
            headers={"Authorization": f"Bearer {self.token}"},
            fields=[*parts, *fields.items()],
        )
        return response.status, response.json()


@contextmanager
def running(app: App, *, schedules: bool = False) -> Iterator[Live]:
    """The site of `app` on a loopback port, with a runner that does what it is asked for; nothing by itself, unless it
    has `schedules`."""
    runner = Runner(app, is_alone=True, schedules=schedules)
    token = admin_token(app.settings.server.data_dir)
    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(app, token)
    # A connection that is closed while a test uses it again would be a fault of neither.
    config = configure(Context(app, runner, door), timeout_keep_alive=300, timeout_graceful_shutdown=2)
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    runner.start()
    thread.start()
    while not server.started:
        time.sleep(0.01)
    hot: HotAnswers = config.http.hot  # type: ignore[union-attr]
    live = Live(app, f"http://127.0.0.1:{listener.getsockname()[1]}", token, hot, door)
    try:
        yield live
    finally:
        live.pool.clear()
        server.should_exit = True
        thread.join(15)
        door.close()
        runner.stop()
        listener.close()


def sync(app: App, source: str = "cran", *, force: bool = False) -> Synced:
    """Sync a mirror in the test's own thread."""
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
    return syncing.sync(app, found.id, force=force, report=lambda *_: None)


def eventually(look: Callable[[], T], is_so: Callable[[T], object], *, seconds: float = 10) -> T:
    """What `look` gives once `is_so` of it; for what is recorded after a client has its last byte."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if is_so(found):
            return found
        assert time.monotonic() < until, f"still {found!r} after {seconds} s"
        time.sleep(0.02)
