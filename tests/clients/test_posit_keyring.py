"""posit-keyring, unchanged: pip, uv and twine sign in through it, while a person allows it on the page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.core.access import INSIDE, Scope
from entrepot.operations import tokens
from tests.support.browser import Browser
from tests.support.distributions import wheel
from tests.support.python import LONGEST, ROOT, Tools, program
from tests.support.server import Live

BACKEND = "posit_keyring.backends.PackageManagerKeyring"
CLIENTS = ROOT / ".tools/clients/bin"
_PAGE = re.compile(r"http://\S+/__device__\?user_code=[A-Z-]+")


@pytest.fixture
def closed(live_proxied: Live) -> Live:
    """A site with the closed repository `vault` over the local source `hoard`, which has the project `app`."""
    live = live_proxied
    assert live.api("POST", "/repos", {"name": "vault", "type": "Python", "authenticated": True})[0] == 201
    assert live.api("POST", "/sources", {"name": "hoard", "type": "local-python"})[0] == 201
    assert live.api("POST", "/repos/vault/sources", {"source": "hoard"})[0] in (200, 201)
    name, data = wheel("app", "1.0")
    assert live.upload("hoard", (name, data))[0] in (200, 201)
    return live


@pytest.fixture
def person(closed: Live) -> Browser:
    """Somebody who may read the closed repository and publish to its source, signed in."""
    program("keyring")
    made = tokens.create_token(
        closed.app,
        scopes=[Scope.REPOS_READ, Scope.SOURCES_WRITE],
        repos=frozenset({"vault"}),
        sources=frozenset({"hoard"}),
        description="hers",
        by=INSIDE,
        user="ann",
    )
    browser = Browser(closed)
    browser.sign_in(made.text)
    return browser


class Run:
    """A client with posit-keyring at work; `said` is what it printed, `pages` how often it asked for a person."""

    def __init__(self, tools: Tools, live: Live) -> None:
        self._tools = tools
        self.home = tools.folder / "home"
        self.said = ""
        self.pages = 0
        self._environment = {
            **tools.environment(),
            "PACKAGEMANAGER_ADDRESS": live.address,
            "PYTHON_KEYRING_BACKEND": BACKEND,
            "BROWSER": "true",  # a program that opens nothing
            "PYTHONUNBUFFERED": "1",
        }
        self._environment["PATH"] = os.pathsep.join([str(CLIENTS), self._environment["PATH"]])

    def __call__(self, name: str, *arguments: str, person: Browser, decision: str = "allow") -> int:
        """The status with which a client ends; the person decides each time that a page is named."""
        command = [str(program(name)), *arguments]
        self.said = ""
        running = subprocess.Popen(
            command,
            env=self._environment,
            cwd=self._tools.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        timer = threading.Timer(LONGEST, os.killpg, (running.pid, signal.SIGKILL))
        timer.start()
        with running:
            try:
                self._listen(running, person, decision)
                return running.wait(LONGEST)
            finally:
                timer.cancel()
                if running.poll() is None:
                    os.killpg(running.pid, signal.SIGKILL)

    def _listen(self, running: subprocess.Popen[str], person: Browser, decision: str) -> None:
        assert running.stdout is not None
        for line in running.stdout:
            self.said += line
            if found := _PAGE.search(line):
                self.pages += 1
                assert person.send(person.get(found[0]), decision=decision).status == 200

    @property
    def kept(self) -> list[dict[str, str]]:
        """What the backend keeps, in the file that other clients of the product share."""
        return list(tomllib.loads((self.home / ".ppm" / "tokens.toml").read_text())["connections"])


@pytest.fixture
def run(tools: Tools, closed: Live) -> Iterator[Run]:
    return Run(tools, closed)


def index(live: Live) -> str:
    return f"{live.address.replace('//', '//__token__@')}/vault/latest/simple/"


def install(client: str, live: Live, folder: Path) -> list[str]:
    """The arguments that install `app` of the closed repository into a folder."""
    common = ["--no-deps", "--target", str(folder)]
    if client == "pip":  # it imports the backend; as a program of its own nobody would see what that says
        return ["install", "--keyring-provider", "import", "--no-cache-dir", "--index-url", index(live), *common, "app"]
    head = ["pip", "install", "--keyring-provider", "subprocess", "--no-cache", "--python", sys.executable]
    return [*head, "--default-index", index(live), *common, "app"]


def has(folder: Path) -> bool:
    """Whether `app` was installed there."""
    return any(folder.glob("app-1.0.dist-info"))


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_a_project_of_a_closed_repository(run: Run, tools: Tools, closed: Live, person: Browser, client: str) -> None:
    """The client signs in over the page and installs; the second time the kept token will do, and no page is named."""
    first, second = tools.folder / "first", tools.folder / "second"
    assert run(client, *install(client, closed, first), person=person) == 0, run.said
    assert (has(first), run.pages) == (True, 1)
    (kept,) = run.kept
    assert (kept["address"], kept["auth_type"]) == (closed.address, "sso")
    assert closed.api("GET", "/repos/vault", token=kept["token"])[0] == 200
    assert run(client, *install(client, closed, second), person=person) == 0, run.said
    assert (has(second), run.pages) == (True, 1)


def test_a_revoked_token_is_asked_for_again(run: Run, tools: Tools, closed: Live, person: Browser) -> None:
    """The backend sees by the home page's 401 that what it kept is over, and begins anew."""
    first, second = tools.folder / "first", tools.folder / "second"
    assert run("uv", *install("uv", closed, first), person=person) == 0, run.said
    guid = tokens.guid_of(closed.app, run.kept[0]["token"])
    tokens.revoke_token(closed.app, guid, by="admin")
    closed.door.forget()
    assert run("uv", *install("uv", closed, second), person=person) == 0, run.said
    assert (has(second), run.pages) == (True, 2)


def test_a_person_denies_it(run: Run, tools: Tools, closed: Live, person: Browser) -> None:
    """The client is told so and installs nothing."""
    folder = tools.folder / "first"
    assert run("uv", *install("uv", closed, folder), person=person, decision="deny") != 0
    assert "Access denied by user: the person denied it" in run.said
    assert not has(folder)


def test_an_upload_with_twine(run: Run, tools: Tools, closed: Live, person: Browser) -> None:
    """twine gets its password in the same way."""
    name, data = wheel("app", "1.1")
    (tools.folder / name).write_bytes(data)
    url = f"{closed.address}/upload/pypi/hoard"
    arguments = ["upload", "--non-interactive", "--username", "__token__", "--repository-url", url, name]
    assert run("twine", *arguments, person=person) == 0, run.said
    assert run.pages == 1
    (_, found) = closed.api("GET", "/sources/hoard/packages/app")
    assert found["version"] == "1.1"
