"""Real Python clients, started clean: no configuration, cache or keyring of the user's, nothing beyond loopback.

tools = Tools(tmp_path)
venv = tools.venv()
tools.pip("install", "--index-url", index, "demo", venv=venv)
assert tools.installed(venv) == {"demo": "1.0"}
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.server import Live

ROOT = Path(__file__).parents[2]
CLIENTS = {"uv": ".tools/bin", "pdm": ".tools/clients-pdm/bin"}
"""Where a program is; the others are in `.tools/clients/bin` (tools/setup)."""
NOWHERE = "http://127.0.0.1:9"
LONGEST = 120
"""Seconds that a client has."""


def program(name: str) -> Path:
    """Where a client is; a test that asks for a missing one is skipped."""
    found = ROOT / CLIENTS.get(name, ".tools/clients/bin") / name
    if not found.exists():
        pytest.skip(f"no {name} in {found.parent} (make test installs it)")
    return found


def index(live: Live, snapshot: str = "latest", *, repo: str = "pypi") -> str:
    """The URL that clients are given."""
    return f"{live.address}/{repo}/{snapshot}/simple/"


class Tools:
    """The clients with a home and caches of their own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._home = folder / "home"
        self._home.mkdir(parents=True, exist_ok=True)
        self._venvs = 0

    def run(
        self,
        name: str,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        fails: bool = False,
    ) -> str:
        """Run a client and return all that it said.

        Args:
            env: variables to add to a clean environment.
            fails: it is expected to end with an error.

        Raises:
            AssertionError: it did not end as expected; the message holds its output.
        """
        status, said = self.attempt(name, *arguments, cwd=cwd, env=env)
        assert (status != 0) == fails, f"{name} {' '.join(arguments)}: {status}\n{said}"
        return said

    def attempt(
        self, name: str, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """(status, all that it said) of a client."""
        done = subprocess.run(
            [str(program(name)), *arguments],
            cwd=cwd or self.folder,
            env=self.environment() | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=LONGEST,
            check=False,
        )
        return done.returncode, done.stdout

    def pip(self, *arguments: str, venv: Path, fails: bool = False) -> str:
        return self.run("pip", "--python", str(venv), *arguments, fails=fails)

    def uv(self, *arguments: str, cwd: Path | None = None, fails: bool = False) -> str:
        return self.run("uv", *arguments, cwd=cwd, fails=fails)

    def venv(self) -> Path:
        """A new, empty virtual environment."""
        self._venvs += 1
        folder = self.folder / f"venv-{self._venvs}"
        self.uv("venv", "--quiet", "--python", sys.executable, str(folder))
        return folder

    def installed(self, venv: Path) -> dict[str, str]:
        """Project -> version of all that is installed."""
        told = self.uv("pip", "list", "--quiet", "--format=json", "--python", str(venv))
        return {package["name"]: package["version"] for package in json.loads(told)}

    def says(self, venv: Path, code: str) -> str:
        """What Python code prints that runs in an environment."""
        done = subprocess.run([venv / "bin" / "python", "-Ic", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def environment(self) -> dict[str, str]:
        """What a client sees of this machine."""
        proxies = {f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "all")}
        return {
            **proxies,
            "no_proxy": "127.0.0.1,localhost,::1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(self._home),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "NO_COLOR": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_RETRIES": "0",
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_HTTP_RETRIES": "0",
            "UV_NO_PROGRESS": "1",
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "POETRY_NO_INTERACTION": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PDM_CHECK_UPDATE": "0",
            "PDM_USE_VENV": "1",
            "PDM_NON_INTERACTIVE": "1",
            "PIPENV_VENV_IN_PROJECT": "1",
            "PIPENV_NOSPIN": "1",
            "PIPENV_YES": "1",
            "PIPENV_VERBOSITY": "-1",
        }
