"""One server a data folder: the lock that tells whether it runs, and the way for local commands to reach the API.

A server holds the folder's lock alone; commands that run the application in their own process share it. So the
command line speaks HTTP in every case, and there is one code path.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from entrepot.core.errors import InvalidSettings, ServerRunning, ServerUnreachable
from entrepot.settings import Settings
from entrepot.web.auth import admin_token

LOCK = "server.lock"
WHERE = "server.json"
PATIENCE = 15.0
"""Seconds that a command waits for a server that is just starting, and a server for commands to end."""


class Local(NamedTuple):
    """Where a local command finds the API; `in_process` if the command runs it itself."""

    address: str
    token: str
    in_process: bool


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Have the data folder to oneself, as a server does.

    Raises:
        ServerRunning: another server has it.
    """
    with _lock_file(data_dir) as lock:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if _is_served(data_dir) or time.monotonic() > until:
                    raise ServerRunning(
                        f"another Entrepot uses the data folder {data_dir}"
                        + ("" if _is_served(data_dir) else ": a command is at work on it"),
                        hint="stop it or let it end, or give this one a [server] data_dir of its own",
                    ) from None
                time.sleep(0.1)
        (data_dir / WHERE).unlink(missing_ok=True)
        try:
            yield
        finally:
            (data_dir / WHERE).unlink(missing_ok=True)


@contextmanager
def beside_no_server(data_dir: Path) -> Iterator[None]:
    """Use the data folder as local commands do, for as long as no server has it.

    Raises:
        ServerRunning: a server has it.
    """
    with _lock_file(data_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerRunning(
                f"a server uses the data folder {data_dir}, and does its background work itself",
                hint="a worker of its own needs PostgreSQL and a [server] data_dir of its own",
            ) from None
        # No server lives now; one that was killed left this.
        (data_dir / WHERE).unlink(missing_ok=True)
        yield


def announce(data_dir: Path, host: str, port: int) -> None:
    """Tell local commands where the server listens."""
    text = json.dumps({"address": f"http://{_reachable(host)}:{port}", "pid": os.getpid()})
    aside = data_dir / f".{WHERE}.{os.getpid()}"
    aside.write_text(text)
    aside.replace(data_dir / WHERE)


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


@contextmanager
def open_local(settings: Settings) -> Iterator[Local]:
    """The API for a local command: that of the server on this data folder, else one in this process for the moment."""
    data_dir = settings.server.data_dir
    token = admin_token(data_dir)
    with _lock_file(data_dir) as lock:
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                # No server lives now; one that was killed left this, and the next would take it for one that runs.
                (data_dir / WHERE).unlink(missing_ok=True)
                break
            address = _announced(data_dir)
            if address:
                yield Local(address, token, in_process=False)
                return
            if time.monotonic() > until:
                raise ServerUnreachable(
                    f"the server on {data_dir} does not say where it listens", hint="is it still starting? try again"
                )
            time.sleep(0.1)
        with _in_process(settings, token) as local:
            yield local


@contextmanager
def _in_process(settings: Settings, token: str) -> Iterator[Local]:
    # Here, not at the top: a command that finds a server running needs none of it, and it takes seconds to load.
    import uvicorn

    from entrepot.app import open_app
    from entrepot.jobs.runner import Runner
    from entrepot.operations.setup import ensure_defaults
    from entrepot.web.context import Context
    from entrepot.web.door import Door
    from entrepot.web.site import configure

    class Quiet(uvicorn.Server):
        """A server in a thread: signals stay the command's."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    # What goes wrong is told by the API's answer; there is no log for a traceback to go to.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    logging.getLogger("entrepot").addHandler(logging.NullHandler())
    app = open_app(settings)
    runner = Runner(app, is_alone=False, schedules=False)
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        ensure_defaults(app)
        door = Door(app, token)
        server = Quiet(configure(Context(app, runner, door)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        runner.start()
        thread.start()
        try:
            yield Local(f"http://127.0.0.1:{listener.getsockname()[1]}", token, in_process=True)
        finally:
            server.should_exit = True
            thread.join(10)
            door.close()
            runner.stop()
    finally:
        listener.close()
        app.close()


@contextmanager
def _lock_file(data_dir: Path) -> Iterator[int]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        # Read-only is enough for a lock, so a member of the server's group may take it.
        descriptor = os.open(data_dir / LOCK, os.O_RDONLY | os.O_CREAT, 0o640)
    except OSError as error:
        raise InvalidSettings(
            f"the data folder {data_dir} can't be used: {error.strerror}",
            hint="run as the server's user or a member of its group, or set [server] data_dir",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _announced(data_dir: Path) -> str | None:
    try:
        return str(json.loads((data_dir / WHERE).read_text())["address"])
    except (OSError, ValueError, KeyError):
        return None


def _is_served(data_dir: Path) -> bool:
    return _announced(data_dir) is not None
