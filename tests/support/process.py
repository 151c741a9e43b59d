"""The real program in a process of its own, on the installation that a test's settings name."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import urllib3
from sqlalchemy import text, update

from entrepot.app import App, open_app
from entrepot.db import schema
from entrepot.db.engine import Database
from entrepot.operations.setup import ensure_defaults
from entrepot.settings import Settings
from entrepot.web.auth import admin_token
from entrepot.web.local import WHERE
from tests.support.server import eventually


def entrepot(settings: Settings, *arguments: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """The command `entrepot` with these arguments; its standard output can be read."""
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "ENTREPOT_SERVER__DATA_DIR": str(settings.server.data_dir),
        "ENTREPOT_SERVER__LISTEN": "127.0.0.1:0",
        "ENTREPOT_DATABASE__URL": settings.database_url,
        "ENTREPOT_STORAGE__URL": settings.storage_url,
        "ENTREPOT_CRAN__UPSTREAM": settings.cran.upstream,
        "ENTREPOT_CRAN__SYNC_SCHEDULE": "",
        "ENTREPOT_PYPI__UPSTREAM": settings.pypi.upstream,
        "ENTREPOT_PYPI__SYNC_SCHEDULE": "",
        "ENTREPOT_BIOCONDUCTOR__UPSTREAM": settings.bioconductor.upstream,
        "ENTREPOT_BIOCONDUCTOR__SYNC_SCHEDULE": "",
        "ENTREPOT_REPOS__BIOCONDUCTOR": settings.repos.bioconductor,
    }
    program = [sys.executable, "-c", "from entrepot.cli.main import main; main()", *arguments]
    return subprocess.Popen(program, env=env, stdout=subprocess.PIPE, stderr=stderr)


def forget_heartbeats(settings: Settings) -> None:
    """Let the jobs of processes that were killed look as if they had been silent for a minute."""
    db = Database(settings.database_url)
    with db.write() as connection:
        connection.execute(update(schema.jobs).values(heartbeat=datetime.now(UTC) - timedelta(minutes=1)))
        if not db.is_sqlite:
            connection.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"))
    db.close()


class Served:
    """`entrepot serve`, a context manager that is entered when it listens; killed at the end if it still runs."""

    def __init__(self, settings: Settings, *, stderr: int = subprocess.DEVNULL) -> None:
        self.process = entrepot(settings, "serve", stderr=stderr)
        self.address = ""
        self._data_dir = settings.server.data_dir
        self._pool = urllib3.PoolManager(retries=False)

    def __enter__(self) -> Self:
        self.address = eventually(self._announced, bool, seconds=30) or ""
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON) of `/__api__` + path, as the administrator."""
        response = self._pool.request(method, self._url(path), headers=self._login(), json=body)
        return response.status, response.json()

    def upload(self, source: str, name: str, data: bytes) -> tuple[int, Any]:
        """POST a file to a source."""
        fields = [("files", (name, data, "application/gzip"))]
        response = self._pool.request(
            "POST", self._url(f"/sources/{source}/packages"), headers=self._login(), fields=fields
        )
        return response.status, response.json()

    @property
    def most_memory(self) -> int:
        """Bytes of memory that the process had at most (VmHWM, proc(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))

    def _url(self, path: str) -> str:
        return f"{self.address}/__api__{path}"

    def _login(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {admin_token(self._data_dir)}"}

    def _announced(self) -> str | None:
        assert self.process.poll() is None, "the server ended"
        try:
            told = json.loads((self._data_dir / WHERE).read_text())
        except (OSError, ValueError):
            return None
        return str(told["address"]) if told["pid"] == self.process.pid else None


def open_files(process: int | str = "self") -> list[str]:
    """What a process has open: where its descriptors point to, but for those that are closed in this moment."""
    found = []
    for entry in os.scandir(f"/proc/{process}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(entry.path))  # noqa: PTH115 - it may be no file's name
    return found


def processes_with(text: str) -> list[str]:
    """Command lines of processes that have `text` in it, or in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        line = variables = b""
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            variables = (entry / "environ").read_bytes()  # not of programs with rights of their own
        if text.encode() in line + variables:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


@contextmanager
def installation(settings: Settings) -> Iterator[App]:
    """An installation with its defaults, on the real clock."""
    app = open_app(settings)
    try:
        ensure_defaults(app)
        yield app
    finally:
        app.close()
