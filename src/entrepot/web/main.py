"""The server process: opens everything, listens, works off jobs, until a signal."""

from __future__ import annotations

import logging
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from entrepot.app import App, open_app
from entrepot.core.errors import EntrepotError, InvalidSettings
from entrepot.core.model import SourceType
from entrepot.jobs.runner import Runner
from entrepot.operations import building, repositories
from entrepot.operations.resolving import RESOLVING
from entrepot.operations.setup import ensure_defaults
from entrepot.settings import Settings, parse_listen
from entrepot.sources.names import SPOOL
from entrepot.web.auth import TOKEN_FILE, admin_token
from entrepot.web.context import UPLOADS, Context
from entrepot.web.door import Door
from entrepot.web.local import alone, announce
from entrepot.web.logs import begin_log
from entrepot.web.site import configure

_log = logging.getLogger(__name__)
BACKLOG = 2048
LOOK_EVERY = 0.5
"""Seconds until a finished answer of this node gives way to what another one wrote."""
KEEP_ALIVE = 30
TELL_AFTER = 2.0
"""Seconds after which is looked for what builds from Git: the first answers go before."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        InvalidSettings: the address can't be listened on, or something that the settings name can't be used.
        ServerRunning: another server uses the data folder.
    """
    begin_log()
    data_dir = settings.server.data_dir
    token = admin_token(data_dir)
    with alone(data_dir):
        app = open_app(settings)
        try:
            ensure_defaults(app)
            _sweep_received(data_dir)
            threading.Thread(target=_sweep_store, args=(app, time.time()), name="sweep", daemon=True).start()
            runner = Runner(app, is_alone=True, schedules=True)
            with _listen(settings) as listener:
                host, port = listener.getsockname()[:2]
                announce(data_dir, host, port)
                _greet(app, port)
                _tell_builders(settings)
                runner.start()
                door = Door(app, token)
                config = configure(
                    Context(app, runner, door),
                    backlog=BACKLOG,
                    timeout_keep_alive=KEEP_ALIVE,
                    timeout_graceful_shutdown=10,
                )
                with _watching(app):
                    _Server(config).run(sockets=[listener])
                door.close()
                runner.stop()
        finally:
            app.close()


class _Server(uvicorn.Server):
    """A server that ends in order: uvicorn's own raises the signal again, before jobs and locks are put away."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _watching(app: App) -> Iterator[None]:
    """Look now and then for what other nodes write. A look that failed doesn't matter: the next one follows."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_EVERY):
            with suppress(Exception):
                app.db.look()

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)


def _sweep_store(app: App, began: float) -> None:
    """Beside the serving: a store of many files takes long to walk. With an embedded database there is no other node
    that might be writing to it."""
    try:
        app.storage.sweep(before=began if app.db.is_sqlite else None)
    except OSError as error:
        _log.warning("the store could not be swept: %s", error)


def _sweep_received(data_dir: Path) -> None:
    """Remove what a killed server was receiving or working out; nobody else has the data folder now."""
    for prefix in (UPLOADS, SPOOL, RESOLVING):
        for left in (data_dir / "tmp").glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
    building.sweep(data_dir)


def _listen(settings: Settings) -> socket.socket:
    host, port = parse_listen(settings.server.listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        raise InvalidSettings(
            f"can't listen on {settings.server.listen}: {error.strerror}",
            hint="another program uses that port? set [server] listen, for example to :4243",
        ) from error
    return listener


def _tell_builders(settings: Settings) -> None:
    """Say what builds packages from Git, or why nothing does: beside the serving, as each has to be started for it.

    Raises:
        InvalidSettings: the R or Python that is configured doesn't work.
    """
    for type_, named in ((SourceType.GIT, settings.git.r), (SourceType.GIT_PYTHON, settings.git.python)):
        if named:
            building.LANGUAGES[type_].find(settings)

    def tell() -> None:
        for type_, what in ((SourceType.GIT, "R"), (SourceType.GIT_PYTHON, "Python")):
            try:
                found = building.check_can_build(settings, type_)
                _log.info("%s packages are built from Git by %s", what, found)
            except EntrepotError as error:
                _log.warning("no %s packages are built from Git: %s (%s)", what, error.message, error.hint)

    telling = threading.Timer(TELL_AFTER, tell)
    telling.daemon = True
    telling.start()


def _greet(app: App, port: int) -> None:
    """Say which URLs to use."""
    base = app.settings.server.address or f"http://localhost:{port}"
    print(f"Entrepot is ready: {base}/", flush=True)
    for info in repositories.list_repositories(app):
        repository = info.repository
        print(f"  repository {repository.name} ({repository.type.value}): {base}/{repository.name}/latest", flush=True)
        if repository.type.value == "r":
            print(f'    in R: options(repos = c({repository.name} = "{base}/{repository.name}/latest"))', flush=True)
    print(f"  data in {app.settings.server.data_dir}; the administrator's token in {TOKEN_FILE} there", flush=True)
