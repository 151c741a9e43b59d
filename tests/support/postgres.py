"""A PostgreSQL of our own: a cluster in a temporary folder, run by a plain user, reached by a private socket."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 60


class PostgresMissing(Exception):
    """No server program of PostgreSQL on this machine."""


def programs() -> Path:
    """The folder of initdb and postgres: the newest that Debian installed, else where PATH finds them."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest := max(installed, key=lambda path: int(path.parts[-3]), default=None):
        return newest.parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise PostgresMissing("no initdb in /usr/lib/postgresql/*/bin or on PATH; install Debian's package postgresql")


class Cluster:
    """A running server; `database()` lends a fresh empty database.

    Making one takes about a tenth of a second, so the next is made while a test uses the last.
    """

    def __init__(self, socket_folder: Path, launch: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._folder = socket_folder
        self._launch = launch
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres")
        self._next: Future[str] | None = None

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to the administrative database, in autocommit mode."""
        return psycopg.connect(host=str(self._folder), dbname="postgres", user="entrepot", autocommit=True)

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh database's SQLAlchemy URL; dropped at the end, whoever is still connected."""
        ready = self._next or self._maker.submit(self._create)
        self._next = self._maker.submit(self._create)
        name = ready.result()
        try:
            yield f"postgresql+psycopg://entrepot@/{name}?host={self._folder}"
        finally:
            with self.connect() as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def start(self) -> None:
        """Let the server run; returns when it takes connections."""
        self._server = self._launch()
        _wait_until_ready(self, self._server, self._folder / "log")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server with all its connections, by default in order ("fast shutdown")."""
        if self._server is None:
            return
        self._server.send_signal(how)
        try:
            self._server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def close(self) -> None:
        """Wait for the database that is being made."""
        self._maker.shutdown(cancel_futures=True)

    def _create(self) -> str:
        name = f"test_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return name


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster and stop it at the end; nothing of it stays.

    Its collation is a language's (ICU en-US), as an installation's mostly is: a query that leaves the order of names
    to the database's locale shows here.

    Raises:
        PostgresMissing: nothing to start.
    """
    bin_folder = programs()
    plain = _plain_user()
    # Not below pytest's own temporary folder: another user can't enter it, and a socket's path is at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="entrepot-pg-", dir="/tmp"))
    try:
        if plain:
            os.chown(folder, plain["user"], plain["group"])
        data = folder / "data"
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
        run = [str(bin_folder / "initdb"), "-D", str(data), "-U", "entrepot", "--auth=trust", "--no-sync", *locale]
        made = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False, **plain)
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        yield from _served(bin_folder, folder, data, plain)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _served(bin_folder: Path, folder: Path, data: Path, plain: dict[str, Any]) -> Iterator[Cluster]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
        "shared_buffers": "64MB",
        "autovacuum": "off",
        "jit": "off",
        "timezone": "UTC",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def launch() -> subprocess.Popen[bytes]:
        with (folder / "log").open("ab") as output:
            return subprocess.Popen(
                [*_ending_with_parent(), str(bin_folder / "postgres"), "-D", str(data), *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to pytest, which then stops the server in its own time
                **plain,
            )

    running = Cluster(folder, launch)
    try:
        running.start()
        yield running
    finally:
        running.close()
        running.stop(signal.SIGQUIT)  # at once: the folder goes away anyway


def _wait_until_ready(running: Cluster, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            running.connect().close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                output = log.read_text(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{output}") from None
            time.sleep(0.05)
        else:
            return


def _plain_user() -> dict[str, Any]:
    """Arguments for subprocess that drop root's rights, which PostgreSQL refuses; empty for anyone else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL must not run as root, and there is neither a user postgres nor nobody")


def _ending_with_parent() -> list[str]:
    """Words before a command that make it end with its parent, however that dies (Linux, where setpriv is)."""
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "QUIT"] if program else []
