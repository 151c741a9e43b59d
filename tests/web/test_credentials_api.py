"""`/git-credentials`, `/encrypt` and `/rotate-key` of the JSON API."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.support.server import NOON, Live

SECRET = "hunter2-is-not-a-good-one"
TIME = NOON.isoformat().replace("+00:00", "Z")
KEY = (
    ed25519.Ed25519PrivateKey.generate()
    .private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    .decode()
)
HTTPS = {"kind": "https", "name": "token", "username": "git", "password": SECRET}
SSH = {"kind": "ssh", "name": "deploy", "key": KEY}
TOLD = {
    "name": "token",
    "kind": "https",
    "username": "git",
    "fingerprint": None,
    "created": TIME,
    "changed": TIME,
    "builders": [],
}


def test_a_credential_from_import_to_delete(live: Live) -> None:
    """201 and 200; told without its secret; changed, encrypted anew, and deleted with 204."""
    assert live.api("POST", "/git-credentials", HTTPS) == (201, TOLD)
    assert live.api("POST", "/git-credentials", HTTPS)[0] == 409
    assert live.api("POST", "/git-credentials", HTTPS | {"succeed_on_existing": True}) == (200, TOLD)
    status, deploy = live.api("POST", "/git-credentials", SSH)
    assert (status, deploy["kind"], deploy["username"], deploy["fingerprint"][:7]) == (201, "ssh", None, "SHA256:")
    assert live.api("GET", "/git-credentials") == (200, [deploy, TOLD])
    assert live.api("GET", "/git-credentials?_limit=1&_page=2") == (200, [TOLD])
    assert live.api("POST", "/rotate-key", {}) == (200, {"credentials": 2})
    changed = live.api("PUT", "/git-credentials/https/token", {"name": "pat", "password": "new"})
    assert changed == (200, TOLD | {"name": "pat"})
    status, made = live.api("POST", "/encrypt", {"text": SECRET})
    assert (status, made["encrypted"][:10], list(made)) == (200, "encrypted:", ["encrypted"])
    assert live.api("PUT", "/git-credentials/https/pat", {"password": made["encrypted"]})[0] == 200
    assert live.api("DELETE", "/git-credentials/https/pat") == (204, None)
    assert live.api("DELETE", "/git-credentials/https/pat")[0] == 404
    assert live.api("GET", "/git-credentials") == (200, [deploy])


def test_all_of_it_needs_the_token(live: Live) -> None:
    """Also to list them: 401 without a token and with a wrong one."""
    live.api("POST", "/git-credentials", HTTPS)
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/git-credentials", None),
        ("POST", "/git-credentials", SSH),
        ("PUT", "/git-credentials/https/token", {"name": "x"}),
        ("DELETE", "/git-credentials/https/token", None),
        ("POST", "/encrypt", {"text": SECRET}),
        ("POST", "/rotate-key", {}),
    ]
    for method, path, body in asked:
        for token, status in (("", 401), ("wrong", 401)):
            answered, said = live.api(method, path, body, token=token)
            assert (answered, said["payload"]) == (status, None), path
    assert live.api("GET", "/git-credentials") == (200, [TOLD])


BAD: list[tuple[str, str, Any, int]] = [
    ("POST", "/git-credentials", {"kind": "https", "name": "x", "password": SECRET}, 422),
    ("POST", "/git-credentials", {"kind": "https", "name": "x", "username": [SECRET], "password": SECRET}, 422),
    ("POST", "/git-credentials", {"kind": "https", "name": "x", "username": "a", "password": [SECRET]}, 422),
    ("POST", "/git-credentials", {"kind": "https", "name": "x", "username": "a", "password": {"a": SECRET}}, 422),
    ("POST", "/git-credentials", {"kind": SECRET, "name": "x"}, 422),
    ("POST", "/git-credentials", {"password": SECRET}, 422),
    ("POST", "/git-credentials", {"kind": "ssh", "name": "x", "password": SECRET}, 422),
    ("POST", "/git-credentials", SSH | {"password": SECRET}, 422),
    ("POST", "/git-credentials", HTTPS | {"key": KEY}, 422),
    ("POST", "/git-credentials", HTTPS | {"more": SECRET}, 422),
    ("POST", "/git-credentials", HTTPS | {"name": "a b"}, 422),
    ("POST", "/git-credentials", HTTPS | {"password": SECRET + "\n"}, 422),
    ("POST", "/git-credentials", HTTPS | {"password": "encrypted:" + SECRET}, 422),
    ("POST", "/git-credentials", HTTPS | {"password": SECRET * 1000}, 413),
    ("POST", "/git-credentials", SSH | {"key": SECRET}, 422),
    ("POST", "/git-credentials", SSH | {"key": SECRET * 2000}, 413),
    ("POST", "/git-credentials", SSH | {"passphrase": SECRET}, 422),
    ("POST", "/git-credentials", SECRET, 422),
    ("POST", "/git-credentials", [SECRET], 422),
    ("POST", "/git-credentials", SSH | {"key": SECRET * 100_000}, 413),
    ("PUT", "/git-credentials/https/none", {"password": SECRET}, 404),
    ("PUT", "/git-credentials/ssh/none", {"password": SECRET}, 422),
    ("PUT", "/git-credentials/ftp/none", {"password": SECRET}, 422),
    ("PUT", "/git-credentials/https/none", {"pasword": SECRET}, 422),
    ("POST", "/encrypt", {"text": [SECRET]}, 422),
    ("POST", "/encrypt", {"text": SECRET * 1000}, 413),
    ("POST", "/encrypt", {"test": SECRET}, 422),
]


def test_no_answer_and_no_log_repeats_a_secret(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    """However wrong a request is: its answer is one of our errors, without what was sent."""
    caplog.set_level(logging.DEBUG)
    for method, path, body, status in BAD:
        answered, said = live.api(method, path, body)
        asked = f"{method} {path} {body}"[:200]
        assert answered == status, asked
        assert set(said) == {"code", "error", "hint", "payload"}, asked
        assert SECRET not in json.dumps(said), asked
        assert KEY.splitlines()[1] not in json.dumps(said), asked
    assert SECRET not in caplog.text
    assert KEY.splitlines()[1] not in caplog.text


def test_bodies_that_are_no_json(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    """They are not repeated either, nor is text that can't be written as UTF-8."""
    caplog.set_level(logging.DEBUG)
    user = json.dumps(HTTPS | {"username": SECRET + "\ud800"})
    for path, sent in (
        ("/encrypt", f'{{"text": "{SECRET}'),
        ("/encrypt", f'{{"text": "{SECRET}\\ud800"}}'),
        ("/encrypt", f"text={SECRET}"),
        ("/git-credentials", user),
    ):
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            headers = {"Authorization": f"Bearer {live.token}", "Content-Type": kind}
            answer = live.pool.request("POST", f"{live.address}/__api__{path}", body=sent.encode(), headers=headers)
            assert (answer.status, SECRET.encode() in answer.data) == (422, False), sent
    assert SECRET not in caplog.text


def test_an_unexpected_error_keeps_it_too(
    live: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log of a bug has its place, not the values that were at hand."""
    monkeypatch.setattr("entrepot.db.credentials.git_credentials", None)
    for body in (HTTPS, SSH):
        live.pool.clear()  # after such an error the server ends the connection
        assert live.api("POST", "/git-credentials", body)[0] == 500
    assert "Traceback" in caplog.text
    assert SECRET not in caplog.text
    assert KEY.splitlines()[1] not in caplog.text
