"""Processes that die by SIGKILL at a chosen step of what they do with an installation.

    with Victims() as victims:
        met = victims.run("sync", settings, at=7)     # killed at its 7th step
        assert met.was_killed

Steps are: before each SQL statement, before each COMMIT, when a connection is given back (so after it), and before
and after what the store and a download do; with `thread`, those of threads whose name begins so. A process with
everything imported forks one victim per run, so a kill costs no start of Python.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, Self

from entrepot.settings import Settings
from tests.support.server import NOON

ROOT = Path(__file__).parents[2]
_LONGEST = 60
"""Seconds that a server has for its jobs."""
_WRITES = 3
"""How many pieces of a download are steps."""


@dataclass(frozen=True, slots=True)
class Met:
    """How a victim ended: the steps that it came to, and what it raised."""

    was_killed: bool
    steps: list[str]
    error: str


class Victims:
    """The process that forks victims; a context manager."""

    def __enter__(self) -> Self:
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.victim"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def run(
        self,
        what: str,
        settings: Settings,
        *,
        now: datetime = NOON,
        at: int | str = 0,
        after: float = 0,
        thread: str = "",
        **arguments: Any,
    ) -> Met:
        """Let a victim do `what`, killed `after` seconds from step `at`: its number (0: the start) or first its name.

        Without both it comes to its end.
        """
        order = {
            "what": what,
            "settings": settings.model_dump(mode="json"),
            "now": now.isoformat(),
            "at": at,
            "after": after,
            "thread": thread,
            "arguments": arguments,
            "aws": {name: value for name, value in os.environ.items() if name.startswith("AWS_")},
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        met = Met(**json.loads(self._process.stdout.readline()))
        assert met.was_killed or not met.error, met.error
        return met


def moments(steps: list[str], *, before: int = 4) -> list[int]:
    """Numbers of steps to be killed at: all of the last write transaction and after it, some of those before."""
    lock = ("before BEGIN IMMEDIATE", "before SELECT pg_adv")
    first = max(n for n, name in enumerate(steps, 1) if name.startswith(lock))
    return [*range(1, first, max(1, first // before)), *range(first, len(steps) + 1)]


# --- in the process that forks -------------------------------------------------------------------------------------


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(_fork(json.loads(line))), flush=True)


def _fork(order: Mapping[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_a_victim(order, writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        lines = told.read().splitlines()
    _, status = os.waitpid(child, 0)
    was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    errors = [line.removeprefix("! ") for line in lines if line.startswith("! ")]
    steps = [line for line in lines if not line.startswith("! ")]
    error = errors[0] if errors else "" if was_killed or status == 0 else f"the victim ended with status {status}"
    return {"was_killed": was_killed, "steps": steps, "error": error}


def _be_a_victim(order: Mapping[str, Any], writing: int) -> NoReturn:
    status = 1
    try:
        os.environ.update(order["aws"])
        _carry_out(order, _Steps(writing, order["at"], order["after"], order["thread"]))
        status = 0
    except BaseException as error:
        os.write(writing, f"! {type(error).__name__}: {error}".splitlines()[0].encode() + b"\n")
    finally:
        os._exit(status)


# --- in the victim -------------------------------------------------------------------------------------------------


class _Steps:
    """Counts and tells steps, and ends the process at the chosen one or time."""

    def __init__(self, writing: int, at: int | str, after: float, thread: str) -> None:
        self._writing, self._at, self._after, self._thread = writing, at, after, thread
        self._count = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        if self._after and not self._at:
            self._end()

    def step(self, name: str) -> None:
        if not threading.current_thread().name.startswith(self._thread):
            return
        with self._lock:
            self._count += 1
            os.write(self._writing, name.encode() + b"\n")
            if self._at and self._at in (self._count, name):
                self._end()
                self._at = 0

    def around(self, owner: type, name: str, times: int = 1000) -> None:
        """Make a step of the beginning and of the end of a method, in its first `times` calls."""
        original = getattr(owner, name)
        calls = 0

        @wraps(original)
        def stepping(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > times:
                return original(*args, **more)
            self.step(f"before {name}")
            result = original(*args, **more)
            self.step(f"after {name}")
            return result

        setattr(owner, name, stepping)

    def _end(self) -> None:
        if not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Thread(target=self._end_later, daemon=True).start()

    def _end_later(self) -> None:
        time.sleep(self._after)
        os.kill(os.getpid(), signal.SIGKILL)


def _carry_out(order: Mapping[str, Any], steps: _Steps) -> None:
    from entrepot.app import open_app
    from entrepot.flights import Sink
    from entrepot.storage import Storage

    app = open_app(Settings.model_validate(order["settings"]), lambda: datetime.fromisoformat(order["now"]))
    _listen(steps)
    for owner, name, times in ((Storage, "put_file", 99), (Storage, "_flush", 99), (Sink, "verified", 1)):
        steps.around(owner, name, times)
    steps.around(Sink, "write", _WRITES)
    steps.start()
    DO[order["what"]](app, **order["arguments"])
    app.close()


def _listen(steps: _Steps) -> None:
    from sqlalchemy import Engine, Pool, event

    def statement(_: Any, __: Any, text: str, *___: Any) -> None:
        steps.step(f"before {' '.join(text.split())[:60]}")

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", lambda _: steps.step("before COMMIT"))
    event.listen(Pool, "checkin", lambda *_: steps.step("given back"))


def _sync(app: Any, *, source: str = "cran") -> None:
    from tests.support.server import sync

    sync(app, source)


def _add(app: Any, *, files: list[tuple[str, str]], replace: bool) -> None:
    from entrepot.operations.packages import Upload, add_files

    uploads = [Upload(name, Path(path)) for name, path in files]
    add_files(app, "internal", uploads, actor="test", replace=replace)


def _fetch(app: Any, *, package: str) -> None:
    from entrepot.core.model import PackageName
    from entrepot.operations import serving, view

    async def read() -> None:
        (listed,) = serving.open_view(app, "cran", "latest", who=serving.inside).view.of_package(PackageName(package))
        flight = view.fetch(app, listed)
        async for _ in flight.chunks():
            pass
        await flight.result()

    asyncio.run(read())


def _read(app: Any, *, project: str) -> None:
    from entrepot.core.model import PackageName
    from entrepot.db import sources
    from entrepot.sources import projects

    with app.db.read() as connection:
        source = sources.get(connection, "pypi")
    asyncio.run(projects.read(app, source, PackageName(project)).result())


def _ask(app: Any, *, tail: str) -> None:
    """What the server does with a request to repository `pypi`, but for the bytes on the wire."""
    from entrepot.core.answers import Ask, Document, SendFile
    from entrepot.operations import serving, view

    def answer() -> Any:
        opened = serving.open_view(app, "pypi", "latest", who=serving.inside)
        return serving.answer(opened, Ask(tail.rstrip("/"), is_folder=tail.endswith("/")))

    async def read(listed: Any) -> None:
        flight = view.fetch(app, listed)
        async for _ in flight.chunks():
            pass
        await flight.result()

    match serving.patiently(answer):
        case Document(render=render):
            render()
        case SendFile(listed=listed):
            asyncio.run(read(listed))


def _describe(app: Any, *, batch: int) -> None:
    from entrepot.core.jobs import no_log, no_report
    from entrepot.operations import describing
    from entrepot.sources import describe

    describe.BATCH = batch
    days = describing.completeness(app, "cran", start=None, end=None)
    describing.describe(app, 1, start=days.start, end=days.end, report=no_report, log=no_log)


def _serve(app: Any) -> None:
    """The server itself, on the real clock, until no job waits or runs."""
    import urllib3

    from entrepot.operations import working
    from entrepot.web.local import WHERE
    from entrepot.web.main import serve

    def answers() -> bool:
        with suppress(OSError, ValueError, urllib3.exceptions.HTTPError):
            told = json.loads((app.settings.server.data_dir / WHERE).read_text())
            return urllib3.request("GET", f"{told['address']}/__ping__", retries=False).status == 200
        return False

    def watch() -> None:
        until = time.monotonic() + _LONGEST
        while not answers() or working.waiting(app):
            time.sleep(0.05)
            if time.monotonic() > until:
                os._exit(3)
        os.kill(os.getpid(), signal.SIGTERM)

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the test listens
    threading.Thread(target=watch, daemon=True).start()
    serve(app.settings)


def _commit(app: Any, *, source: str, proposal: int) -> None:
    from entrepot.operations import proposals

    proposals.commit(app, source, proposal, actor="test")


def _update(app: Any, *, source: str, list_text: str | None, snapshot: str) -> None:
    from entrepot.operations import proposals

    wish = proposals.Wish("update", list_text=list_text, snapshot=snapshot)
    proposals.propose_and_commit(app, source, wish, actor="test")


def _take_out(app: Any, *, source: str, package: str, scope: str) -> None:
    from entrepot.operations.packages import remove_package

    remove_package(app, source, package, scope=scope, actor="test")


DO: dict[str, Callable[..., None]] = {
    "sync": _sync,
    "add": _add,
    "fetch": _fetch,
    "read": _read,
    "ask": _ask,
    "describe": _describe,
    "serve": _serve,
    "commit": _commit,
    "update": _update,
    "take out": _take_out,
}


if __name__ == "__main__":
    # Here, so that no victim has to load them.
    import tests.support.server  # noqa: F401

    main()
