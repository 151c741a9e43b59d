"""What the build of a Python package needs: fetched as wheels by uv, so that nothing is run for it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from entrepot.app import App
from entrepot.core.errors import (
    BuildFailed,
    EntrepotError,
    Unavailable,
    UpstreamUnavailable,
)
from entrepot.core.jobs import Log
from entrepot.core.model import RepositoryType
from entrepot.core.room import out_of_space
from entrepot.db import repositories as db_repositories
from entrepot.ecosystems.python import resolution
from entrepot.operations.pythonprogram import PythonProgram
from entrepot.operations.repositoryindex import RepositoryIndex
from entrepot.operations.resolver import program, run_uv
from entrepot.sandbox.task import Check

LONGEST = 600.0
"""Seconds that it may take."""
LARGEST = 4 * 1024**3
"""Bytes that it may come to."""
LONGEST_TOLD = 16 * 1024
"""Characters of what uv says."""
_LOOK_EVERY = 0.1
_WEIGH_EVERY = 2.0
_OPTIONS = (
    *("--only-binary", ":all:", "--no-sources", "--link-mode", "hardlink"),
    *("--no-config", "--keyring-provider", "disabled", "--no-python-downloads", "--no-managed-python"),
    *("--color", "never", "--no-progress"),
)
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables of the server's environment that say how other machines are reached; in lower case as well."""
_AWAY = re.compile(
    r"error sending request|request failed after|timed out|connection (?:refused|reset|closed)|dns error"
    r"|status server error|\(5\d\d|too many requests",
    re.IGNORECASE,
)
_NO_ROOM = re.compile(r"os error (?:28|122)\)")
_HINT = "[git] python_index says where builds get what they need; only wheels are taken"


@dataclass(frozen=True, slots=True)
class _Index:
    """Where uv asks, and how it gets there; `repository` if that is one of ours."""

    address: str
    environment: Mapping[str, str]
    repository: RepositoryIndex | None = None


def fetch_needs(
    app: App, python: PythonProgram, requirements: Sequence[str], folder: Path, *, log: Log, check: Check
) -> Path:
    """Install requirements for a Python into a new folder below `folder`, as a folder of its path; nothing is run.

    Args:
        requirements: of PEP 508, without URLs; without any, the folder is empty.
        folder: an empty one, for all that uv writes.

    Raises:
        BuildFailed: they can't be had together, or not as wheels.
        UpstreamUnavailable: the index does not answer.
        Unavailable, OutOfSpace: this installation can't do it.
    """
    site = folder / "site"
    site.mkdir(parents=True)
    if not requirements:
        return site
    log(f"fetching what the build needs: {', '.join(requirements)[:1000]}")
    (folder / "requirements.in").write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    command = [program(), "pip", "install", "--target", str(site), "-r", "requirements.in", *_OPTIONS]
    command += ["--python", str(python.path)]
    with _index(app) as index:
        environment = {**_environment(folder), **index.environment}
        # Not among the arguments, which everybody on this machine may read.
        environment |= {"UV_DEFAULT_INDEX": index.address}
        told = folder / "said.txt"
        status = run_uv(command, folder, environment, told, lambda process: _wait(process, folder, check))
        said = _text(told)
        if status:
            raise _failure(status, said, index)
    for line in said.splitlines():
        if line.startswith(" + "):
            log(line)
    return site


@contextmanager
def _index(app: App) -> Iterator[_Index]:
    """The index of `[git] python_index`.

    Raises:
        Unavailable: there is none.
    """
    named = app.settings.git.python_index or app.settings.repos.pypi
    if urlsplit(named).scheme:
        names = [name for name in _PASSED_ON for name in (name, name.lower())]
        found = {name: os.environ[name] for name in names if name in os.environ}
        # The whole build is tried again later.
        yield _Index(named, found | {"UV_SYSTEM_CERTS": "true", "UV_HTTP_RETRIES": "1"})
        return
    hint = "set [git] python_index to a Python repository of this server, or to the URL of an index"
    if not named:
        raise Unavailable("there is no index of what builds of Python packages need", hint=hint)
    with app.db.read() as connection:
        repository = db_repositories.named(connection, named)
    if repository is None or repository.type is not RepositoryType.PYTHON:
        raise Unavailable(f"builds can't get what they need: there is no Python repository {named!r}", hint=hint)
    with RepositoryIndex(app, named) as index:
        # All other requests go where nothing is passed on.
        proxies = {f"{kind}_PROXY": index.server for kind in ("HTTP", "HTTPS", "ALL")}
        # The index waits for upstream and retries itself.
        yield _Index(index.address, {**proxies, "NO_PROXY": "127.0.0.1", "UV_HTTP_RETRIES": "0"}, index)


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours: no settings of uv or pip, no login, no program to be found."""
    return {
        "PATH": "",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_HTTP_TIMEOUT": str(int(LONGEST) + 1),
    }


def _wait(process: subprocess.Popen[bytes], folder: Path, check: Check) -> int:
    begun = weighed = time.monotonic()
    while (now := time.monotonic()) - begun < LONGEST:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK_EVERY)
        check()
        if now - weighed > _WEIGH_EVERY:
            if _weight(folder) > LARGEST:
                raise BuildFailed(f"what its build needs comes to more than {LARGEST:,} bytes")
            weighed = time.monotonic()
    raise UpstreamUnavailable(f"what its build needs was not fetched within {LONGEST:g} seconds")


def _weight(folder: Path) -> int:
    """Bytes of all files below a folder that something else writes to; one with several names counts once."""
    sizes: dict[int, int] = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found = os.lstat(f"{path}/{name}")
                sizes[found.st_ino] = found.st_size
    return sum(sizes.values())


def _text(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(LONGEST_TOLD)


def _failure(status: int, said: str, index: _Index) -> Exception:
    """Why it ended: what the index met, before what uv made of it."""
    met = index.repository.failure() if index.repository is not None else None
    if met is not None:
        return met if isinstance(met, EntrepotError) else Unavailable(f"the index of builds failed: {met}")
    if _NO_ROOM.search(said):
        return out_of_space("what the build needs could not be kept")
    line = resolution.explain(_without_secrets(said, index)).line or f"uv ended with status {status}"
    if status > 1 and _AWAY.search(said):
        return UpstreamUnavailable(f"the index of what builds need does not answer: {line}", hint=_HINT)
    return BuildFailed(f"what its build needs can't be had: {line}", hint=_HINT)


def _without_secrets(said: str, index: _Index) -> str:
    if index.repository is not None:
        return said.replace(index.repository.base, "")
    parts = urlsplit(index.address)
    for secret in filter(None, (parts.password, unquote(parts.password or ""), parts.query)):
        said = said.replace(secret, "***")
    return said
