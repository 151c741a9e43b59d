"""A running server and the command line in this process."""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from entrepot.cli.main import build
from tests.cli.stub import Stub, running

VARIABLES = ("ADDRESS", "TOKEN", "CONFIG")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"ENTREPOT_{name}", raising=False)
        monkeypatch.delenv(f"PACKAGEMANAGER_{name}", raising=False)


_command = functools.cache(lambda: typer.main.get_command(build()))


@pytest.fixture(autouse=True)
def _build_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner takes one command tree for all tests: building it costs more than most commands."""
    monkeypatch.setattr("typer.testing._get_command", lambda _: _command())


@pytest.fixture
def stub() -> Iterator[Stub]:
    """The stand-in server, with its knobs."""
    with running() as server:
        yield server


@pytest.fixture
def live_server(stub: Stub) -> Stub:
    """The server that the commands are tried on (`.address`, `.token`); with `live` in place of `stub`, a real one."""
    return stub


@dataclass
class Entrepot:
    """The command line with the address and token of a server."""

    address: str | None = None
    token: str | None = None
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *args: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
        server = []
        if self.address:
            server = [f"--address={self.address}", f"--token={self.token}"]
        return CliRunner().invoke(typer.Typer(), [*args, *server], env={**self.env, **(env or {})}, input=stdin)

    def said(self, *args: str) -> list[str]:
        """The lines on standard output of a command that succeeds."""
        result = self(*args)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout.splitlines()

    def json(self, *args: str) -> Any:
        """The one document of a command that succeeds."""
        result = self(*args, "--output-format=json")
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return json.loads(result.stdout)

    def failed(self, *args: str) -> tuple[int, list[str]]:
        """Exit code and the lines on standard error of a command that fails and prints no result."""
        result = self(*args)
        assert result.stdout == ""
        return result.exit_code, result.stderr.splitlines()


@pytest.fixture
def entrepot(live_server: Any) -> Entrepot:
    """The command line for the server that may be a real one."""
    return Entrepot(live_server.address, live_server.token)


@pytest.fixture
def stubbed(stub: Stub) -> Entrepot:
    """The command line for the stub."""
    return Entrepot(stub.address, stub.token)


@pytest.fixture
def bare() -> Entrepot:
    """The command line without an address."""
    return Entrepot()


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., Path]:
    """Makes an R source package: `package("demo", "1.0")`."""

    def make(name: str, version: str, title: str = "A Demo") -> Path:
        description = f"""Package: {name}
Version: {version}
Title: {title}
Description: Shows that it works.
License: MIT
Author: A. Person
Maintainer: A. Person <a@example.org>
""".encode()
        path = tmp_path / f"{name}_{version}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            entry = tarfile.TarInfo(f"{name}/DESCRIPTION")
            entry.size = len(description)
            archive.addfile(entry, io.BytesIO(description))
        return path

    return make
