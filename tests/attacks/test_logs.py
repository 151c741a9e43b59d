"""The log scan: no secret that was sent to a server, or given out by it, is anywhere in what it wrote or answered."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import urllib3

from entrepot.core.tokens import make_token
from entrepot.settings import Settings
from entrepot.web.auth import TOKEN_FILE, admin_token
from tests.support.browser import FORM, Browser
from tests.support.distributions import wheel
from tests.support.process import Served

pytestmark = pytest.mark.one_shape

WORD = "correct-horse-battery-staple"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLXNvbWVib2R5"
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
}


class Overheard(Served):
    """A server of which all that it says is kept, and what it answers to those whom it doesn't know."""

    def __init__(self, settings: Settings, log: Path) -> None:
        with log.open("wb") as file:
            super().__init__(settings, stderr=file.fileno())
        self.pool = urllib3.PoolManager(retries=False)
        self.token = admin_token(settings.server.data_dir)
        self.answers: list[str] = []

    def ask(self, method: str, path: str, authorization: str = "", **more: Any) -> urllib3.BaseHTTPResponse:
        """An answer, which is kept to be looked through."""
        headers = {"Authorization": authorization} if authorization else {}
        headers |= more.pop("headers", {})
        answer = self.pool.request(method, self.address + path, headers=headers, redirect=False, **more)
        self.answers.append(f"{answer.status} {dict(answer.headers)} {answer.data.decode('utf-8', 'replace')}")
        return answer

    def form(self, path: str, **fields: str) -> urllib3.BaseHTTPResponse:
        return self.ask("POST", path, body=urlencode(fields), headers={"Content-Type": FORM})

    def made(self, path: str, **body: object) -> dict[str, Any]:
        """What the administrator makes; not kept, since a new token is shown once."""
        status, found = self.api("POST", path, body)
        assert status in (200, 201), found
        return dict(found)

    def ended(self) -> bytes:
        """End it in order; what it said on its standard output."""
        self.pool.clear()
        self.process.terminate()
        said, _ = self.process.communicate(timeout=30)
        return said


def basic(secret: str, user: str = "__token__") -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def forms(secret: str) -> list[bytes]:
    """How a secret may be written: itself, in a URL, in a header; of a long one also its last characters alone."""
    written = [secret, quote(secret, safe=""), basic(secret).removeprefix("Basic ").rstrip("="), secret[-24:]]
    return [text.encode() for text in written]


def found_in(data: bytes, secrets: dict[str, str]) -> list[str]:
    """The names of the secrets that stand there."""
    return [name for name, secret in secrets.items() if any(form in data for form in forms(secret))]


def send_as_credentials(server: Overheard, secret: str) -> None:
    """Wherever a client may put a token, a code or a password."""
    for authorization in (f"Bearer {secret}", basic(secret), basic("x", user=secret), f"Token {secret}", secret):
        for path in ("/closed/latest/src/contrib/PACKAGES", "/__api__/whoami", "/__api__/repos/closed", "/"):
            server.ask("GET", path, authorization)
    for path in ("/__api__/repos/cran", "/__api__/nowhere"):
        server.ask("DELETE", path, f"Bearer {secret}")
    server.ask("POST", "/upload/pypi/local", basic(secret), fields=upload())
    server.form("/__api__/token", **EXCHANGE, subject_token=secret)
    server.form("/__api__/token", grant_type=secret, subject_token=secret)
    server.form("/__api__/device", code_challenge_method=secret, code_challenge=secret)
    server.form("/__api__/device_access", device_code=secret, code_verifier=secret)
    server.form("/__login__", token=secret, csrf_token=secret)
    server.ask("GET", "/", headers={"Cookie": f"entrepot_session={secret}"})
    server.ask("GET", f"/closed/latest/src/contrib/PACKAGES?token={secret}")
    server.ask("GET", f"/?token={secret}")
    server.ask("GET", f"/__ui__/repos/cran/packages?search=x&token={secret}")
    server.ask("GET", f"/__login__/callback?code={secret}&state={secret}")


def send_in_paths(server: Overheard, secret: str) -> None:
    """Wherever no token belongs, and somebody puts one by mistake: in place of names, as a part of a URL."""
    host = urlsplit(server.address).netloc
    for path in (
        f"/{secret}/latest/src/contrib/PACKAGES",
        f"/closed/{secret}/src/contrib/PACKAGES",
        f"/cran/latest/src/contrib/{secret}.tar.gz",
        f"/cran/latest/src/contrib/{quote(f'http://__token__:{secret}@{host}/', safe='')}",
        f"/__api__/repos/{secret}",
        f"/__api__/sources/{secret}/packages?name={secret}",
        f"/__api__/audit?actor={secret}",
        f"/__device__?user_code={secret}",
        f"/upload/pypi/{secret}",
    ):
        server.ask("GET", path)
    for path in (f"/__api__/repos/{secret}", f"/__api__/tokens/{secret}"):
        server.ask("DELETE", path, f"Bearer {secret}")
        server.ask("DELETE", path)
    server.ask("POST", "/__api__/repos", f"Bearer {secret}", json={"name": secret})
    server.ask("POST", f"/upload/pypi/{secret}", basic(secret), fields=upload())
    name, _, port = host.partition(":")
    with suppress(ConnectionError), closing(socket.create_connection((name, int(port)))) as raw:
        raw.sendall(f"GET http://__token__:{secret}@[bad HTTP/9\r\n{secret}\r\n\r\n".encode())
        raw.settimeout(5)
        server.answers.append(raw.recv(65536).decode("latin-1"))


def upload() -> dict[str, Any]:
    return {":action": "file_upload", "content": wheel("demo", "1.0")}


def use_all_doors(server: Overheard, secrets: dict[str, str]) -> None:
    """Sign in, let a device in, exchange and revoke as people do; all that is given out goes to `secrets`."""
    browser = Browser(server)  # type: ignore[arg-type]
    assert browser.sign_in(secrets["administrator of the API"]).status == 303
    secrets["session"] = browser.session or ""
    secrets["wrong in the form"] = f"{WORD}-form"
    assert Browser(server).sign_in(secrets["wrong in the form"]).status in (401, 429)  # type: ignore[arg-type]
    secrets["verifier"] = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(secrets["verifier"].encode()).digest()).rstrip(b"=").decode()
    body = urlencode({"code_challenge_method": "S256", "code_challenge": challenge})
    asked = server.pool.request("POST", f"{server.address}/__api__/device", body=body, headers={"Content-Type": FORM})
    device = asked.json()
    secrets["device code"] = device["device_code"]
    page = browser.get(f"/__device__?user_code={device['user_code']}")
    assert browser.send(page, decision="allow").status == 200
    login = {"device_code": device["device_code"], "code_verifier": secrets["verifier"]}
    identity = _unkept(server, "/__api__/device_access", login)["id_token"]
    secrets["identity"] = identity
    given = _unkept(server, "/__api__/token", {**EXCHANGE, "subject_token": identity})
    secrets["token of a device"] = given["access_token"]
    assert server.ask("GET", "/__api__/whoami", f"Bearer {given['access_token']}").status == 200
    server.made("/tokens/revoke", token=secrets["revoked"])
    server.made("/git-credentials", kind="https", name="git", username="ann", password=secrets["password of git"])


def _unkept(server: Overheard, path: str, fields: dict[str, str]) -> dict[str, Any]:
    answer = server.pool.request("POST", server.address + path, body=urlencode(fields), headers={"Content-Type": FORM})
    assert answer.status == 200, answer.data
    return dict(answer.json())


@pytest.fixture
def scanned(settings: Settings, tmp_path: Path) -> Callable[[dict[str, str]], dict[str, list[str]]]:
    """Finds which secrets stand in which files of the whole installation."""

    def scan(secrets: dict[str, str]) -> dict[str, list[str]]:
        kept = settings.server.data_dir / TOKEN_FILE
        files = [path for path in tmp_path.rglob("*") if path.is_file() and path != kept]
        assert any(path.suffix == ".db" for path in files), "the database is one of them"
        found = {str(path.relative_to(tmp_path)): found_in(path.read_bytes(), secrets) for path in files}
        return {path: names for path, names in found.items() if names}

    return scan


def test_secrets_are_nowhere(
    settings: Settings, tmp_path: Path, scanned: Callable[[dict[str, str]], dict[str, list[str]]]
) -> None:
    """Tokens, cookies, codes, verifiers and passwords, right and wrong ones, sent in all ways: not in the log, not in
    any file or the database, not in an answer's text or headers."""
    secrets = {
        "administrator": admin_token(settings.server.data_dir),
        "unknown": make_token(),
        "identity token": JWT,
        "password": WORD,
        "password of git": f"{WORD}-git",
    }
    with Overheard(settings, tmp_path / "server.log") as server:
        server.made("/repos", name="closed", type="r", authenticated=True)
        server.made("/sources", name="local", type="local-python")
        for name, scopes in (
            ("administrator of the API", ["global:admin"]),
            ("reader", ["repos:read"]),
            ("revoked", []),
        ):
            repos = {"repos": ["closed"]} if scopes == ["repos:read"] else {}
            wanted = scopes or ["metadata:read"]
            secrets[name] = server.made("/tokens", scopes=wanted, description="a scan", **repos)["token"]
        for name in ("unknown", "identity token", "reader"):
            send_as_credentials(server, secrets[name])
            send_in_paths(server, secrets[name])
        send_as_credentials(server, WORD)
        use_all_doors(server, secrets)
        said = server.ended()
        answers = list(server.answers)
    assert b"Entrepot is ready" in said
    assert found_in(said, secrets) == []
    assert scanned(secrets) == {}
    assert [answer for answer in answers if found_in(answer.encode(), secrets)] == []


def test_the_scan_finds_what_is_there(
    settings: Settings, tmp_path: Path, scanned: Callable[[dict[str, str]], dict[str, list[str]]]
) -> None:
    """Else the test above would say nothing: a secret in a file is found in each of its forms."""
    secrets = {"one": make_token()}
    (tmp_path / "empty.db").touch()
    for number, form in enumerate(forms(secrets["one"])):
        (tmp_path / f"{number}.log").write_bytes(b"x" * 100 + form + b"y")
    assert scanned(secrets) == {f"{number}.log": ["one"] for number in range(4)}


def test_the_command_line_tells_no_token(settings: Settings, tmp_path: Path) -> None:
    """From the environment or a flag, with -v, to a server that refuses it and to none: it isn't in the output."""
    token = make_token()
    env = {**os.environ, "ENTREPOT_TOKEN": token, "HOME": str(tmp_path)}
    with Overheard(settings, tmp_path / "server.log") as server:
        odd = f"http://__token__:{token}@127.0.0.1:9"
        for address, words in (
            (server.address, ["list", "repos"]),
            (server.address, ["delete", "repo", "--name=cran", "-o", "json"]),
            (server.address, ["audit", f"--token={token}"]),
            (server.address, ["revoke", "token", f"--token={token}"]),
            ("http://127.0.0.1:9", ["list", "repos"]),
            (odd, ["list", "repos"]),
        ):
            command = [sys.executable, "-m", "entrepot.cli.main", *words, "-v", f"--address={address}"]
            done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
            assert found_in(done.stdout + done.stderr, {"token": token}) == []
            assert done.stderr
