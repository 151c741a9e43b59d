"""`/tokens`, `/whoami` and `/bootstrap` of the JSON API."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwe, jwt
from joserfc.jwk import RSAKey
from sqlalchemy import text

from entrepot.core.bootstrapping import AUDIENCE, ENCRYPTED_WITH
from entrepot.settings import Bootstrap, Settings
from tests.support.server import NOON, Clock, Live, installed, running

TIME = NOON.isoformat().replace("+00:00", "Z")
READER = {"scopes": ["repos:read"], "repos": ["cran"], "description": "CI of team x"}


def make(live: Live, **values: Any) -> dict[str, Any]:
    """A token that the administrator makes."""
    status, made = live.api("POST", "/tokens", {**READER, **values})
    assert status == 201, made
    found: dict[str, Any] = made
    return found


def test_a_token_from_its_making_to_its_end(live: Live) -> None:
    """201 with the text, shown this once; listed, found, ended."""
    made = make(live, user="ci@example.org", expires="20d")
    shown = {
        "guid": made["guid"],
        "start": made["token"][:13],
        "kind": "api",
        "via": None,
        "user": "ci@example.org",
        "description": "CI of team x",
        "scopes": ["repos:read:cran"],
        "state": "good",
        "created": TIME,
        "created_by": "admin",
        "expires": "2024-03-21T12:00:00Z",
        "revoked": None,
        "revoked_by": None,
        "last_used": None,
        "last_address": None,
    }
    assert made == {**shown, "token": made["token"]}
    assert live.api("GET", "/tokens") == (200, [shown])
    assert live.api("GET", f"/tokens/{made['guid']}") == (200, shown)
    ended = {**shown, "state": "revoked", "revoked": TIME, "revoked_by": "admin"}
    assert live.api("POST", "/tokens/revoke", {"guid": made["guid"]}) == (200, ended)
    assert live.api("GET", "/tokens") == (200, [])
    assert live.api("GET", "/tokens?revoked=true") == (200, [ended])
    assert live.api("DELETE", f"/tokens/{made['guid']}") == (204, None)
    assert live.api("DELETE", "/tokens/no")[0] == 404


def test_a_token_is_revoked_by_its_text(live: Live) -> None:
    """The administrator who finds one somewhere ends it without knowing its guid; it is refused at once."""
    made = make(live)
    assert live.api("GET", "/whoami", token=made["token"])[0] == 200
    assert live.api("POST", "/tokens/revoke", {"token": made["token"]})[1]["guid"] == made["guid"]
    assert live.api("GET", "/whoami", token=made["token"])[0] == 401
    assert live.api("POST", "/tokens/revoke", {"token": made["token"][:-1]})[0] == 404


@pytest.mark.one_shape
def test_a_revocation_that_names_nothing(live: Live) -> None:
    """A guid or a text, one of them, and text that can be written: else 422."""
    headers = {"Authorization": f"Bearer {live.token}", "Content-Type": "application/json"}
    for body in ({}, {"guid": "x", "token": "y"}, {"token": "\ud800"}, {"guid": "\ud800"}, {"guid": 1}, {"no": "x"}):
        url, sent = f"{live.address}/__api__/tokens/revoke", json.dumps(body)
        assert live.pool.request("POST", url, headers=headers, body=sent).status == 422, body


def test_a_token_ends_itself_and_no_other(live: Live) -> None:
    """Without `global:admin` one may end the token that one sends; of others one isn't told whether they are there."""
    mine, other = make(live)["token"], make(live)
    answers = [
        live.api("POST", "/tokens/revoke", body, token=mine)
        for body in ({"guid": other["guid"]}, {"token": other["token"]}, {"guid": "no"}, {"token": "no"})
    ]
    assert [answer[0] for answer in answers] == [403] * 4
    assert len({str(answer[1]) for answer in answers}) == 1
    assert live.api("POST", "/tokens/revoke", {"token": mine}, token=mine)[1]["state"] == "revoked"
    assert live.api("GET", "/whoami", token=mine)[0] == 401
    assert live.api("GET", "/whoami", token=other["token"])[0] == 200


def test_tokens_are_the_administrators(live: Live) -> None:
    """401 without a token, 403 with one that may less than everything."""
    admin_of_rules = make(live, scopes=["metadata:admin", "blocklist:admin"], repos=[])["token"]
    guid = make(live)["guid"]
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/tokens", None),
        ("POST", "/tokens", READER),
        ("GET", f"/tokens/{guid}", None),
        ("DELETE", f"/tokens/{guid}", None),
    ]
    for method, path, body in asked:
        assert live.api(method, path, body, token="")[0] == 401
        assert live.api(method, path, body, token=admin_of_rules)[0] == 403
    assert live.api("GET", f"/tokens/{guid}")[1]["state"] == "good"


def test_an_administrators_token_makes_others(live: Live) -> None:
    """A token with `global:admin` does what the administrator of the data folder does."""
    admin = make(live, scopes=["global:admin"], repos=[], user="ann")["token"]
    status, made = live.api("POST", "/tokens", READER, token=admin)
    assert (status, made["user"], made["created_by"]) == (201, "ann", "ann")


def test_a_token_expires(live: Live, clock: Clock) -> None:
    """Also one that was used just before is refused when its time is over."""
    made = make(live, expires="15m")
    clock.wait(minutes=14, seconds=59)
    assert live.api("GET", "/whoami", token=made["token"])[1]["expires"] == "2024-03-01T12:15:00Z"
    clock.wait(seconds=1)
    assert live.api("GET", "/whoami", token=made["token"])[0] == 401
    assert live.api("GET", "/tokens") == (200, [])
    assert [row["state"] for row in live.api("GET", "/tokens?expired=true")[1]] == ["expired"]


NOT_MADE: list[dict[str, Any]] = [
    {"expires": "soon"},
    {"expires": "0s"},
    {"expires": "-5h"},
    {"expires": "99999999999d"},
    {"expires": "5"},
    {"scopes": []},
    {"scopes": ["repos:write"]},
    {"scopes": ["repos:read:cran"]},
    {"repos": []},
    {"repos": ["*", "cran"]},
    {"sources": ["*"]},
    {"description": ""},
    {"description": "\x00"},
    {"user": "x" * 201},
    {"token": "entrepot_mine"},
]


@pytest.mark.one_shape
def test_tokens_that_are_not_made(live: Live) -> None:
    """422 says what is wrong, and nothing is made."""
    for values in NOT_MADE:
        status, answer = live.api("POST", "/tokens", {**READER, **values})
        assert (status, bool(answer["error"])) == (422, True), values
    assert live.api("GET", "/tokens") == (200, [])


@pytest.mark.one_shape
def test_a_list_in_pages(live: Live) -> None:
    """`_limit` and `_page`, with the number of all in a header; other kinds if they are asked for."""
    guids = [make(live)["guid"] for _ in range(3)]
    answer = live.get("/__api__/tokens?_limit=2&_page=2", Authorization=f"Bearer {live.token}")
    assert [row["guid"] for row in answer.json()] == [guids[0]]
    assert (answer.headers["X-Total-Count"], answer.headers["Cache-Control"]) == ("3", "no-store")
    assert live.api("GET", "/tokens?kind=session") == (200, [])
    assert len(live.api("GET", "/tokens?kind=all")[1]) == 3
    assert live.api("GET", "/tokens?kind=no")[0] == 422


def test_who_one_is(live: Live) -> None:
    """`/whoami` tells what a token is and may; without one 401."""
    made = make(live, scopes=["repos:read", "sources:write"], repos=["*"], sources=["*"], user="ann")
    assert live.api("GET", "/whoami", token=made["token"]) == (
        200,
        {
            "actor": "ann",
            "scopes": ["repos:read:*", "sources:write:*"],
            "guid": made["guid"],
            "kind": "api",
            "via": None,
            "expires": None,
            "is_session": False,
        },
    )
    assert live.api("GET", "/whoami")[1]["scopes"] == ["global:admin"]
    assert live.api("GET", "/whoami", token="")[0] == 401


def test_a_token_is_shown_once_and_kept_nowhere(live: Live, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Its secret part is in no list, no log, no table and no file of the data folder; its answer is not to be kept."""
    caplog.set_level(logging.DEBUG)
    response = live.pool.request(
        "POST", f"{live.address}/__api__/tokens", headers={"Authorization": f"Bearer {live.token}"}, json=READER
    )
    made = response.json()
    secret = made["token"].removeprefix(made["start"])
    assert (response.headers["Cache-Control"], len(secret)) == ("no-store", 42)
    live.api("GET", "/whoami", token=made["token"])
    live.door.flush()
    live.api("POST", "/tokens/revoke", {"token": made["token"]})
    assert secret not in json.dumps(live.api("GET", "/tokens?revoked=true"))
    assert secret not in caplog.text
    with live.app.db.read() as connection:
        for table in ("tokens", "audit"):
            assert secret not in str(connection.execute(text(f"SELECT * FROM {table}")).all())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


# --- bootstrap -----------------------------------------------------------------------------------------------------

KEY = RSAKey.generate_key(2048)


@pytest.fixture
def booting(settings: Settings, clock: Clock) -> Any:
    """A server that knows the public half of KEY."""
    bootstrap = Bootstrap(public_key=KEY.as_pem(private=False).decode())
    with installed(settings.model_copy(update={"bootstrap": bootstrap}), clock) as app, running(app) as site:
        yield site


def signed(key: RSAKey = KEY, algorithm: str = "PS256", **changes: Any) -> dict[str, str]:
    """A request for the first token; what is None is left out."""
    now = NOON.timestamp()
    claims = {"aud": AUDIENCE, "iat": now, "exp": now + 300, "jti": "0123456789abcdef", **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return {"request": jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])}


def opened(answer: dict[str, Any], key: RSAKey = KEY) -> Any:
    return json.loads(jwe.decrypt_compact(answer["answer"], key, algorithms=ENCRYPTED_WITH).plaintext or b"")


def test_the_first_token(booting: Live) -> None:
    """It may do everything, is readable with the private key alone, and is the only one that is given."""
    status, answer = booting.api("POST", "/bootstrap", signed(lifetime=3600), token="")
    told = opened(answer)
    assert (status, told["guid"], told["expires"]) == (201, answer["guid"], "2024-03-01T13:00:00+00:00")
    assert told["token"] not in str(answer)
    assert booting.api("GET", "/whoami", token=told["token"])[1]["scopes"] == ["global:admin"]
    status, refusal = booting.api("POST", "/bootstrap", signed(jti="another-request-0"), token="")
    assert (status, refusal["code"]) == (409, "conflict")


def test_a_request_is_good_once(booting: Live) -> None:
    """Also after the token of it was revoked, the request that somebody recorded gets nothing; a new one does."""
    guid = booting.api("POST", "/bootstrap", signed(), token="")[1]["guid"]
    assert booting.api("DELETE", f"/tokens/{guid}")[0] == 204
    assert booting.api("POST", "/bootstrap", signed(), token="")[0] == 401
    assert booting.api("POST", "/bootstrap", signed(jti="another-request-0"), token="")[0] == 201


def test_a_request_that_was_refused_is_used(booting: Live) -> None:
    """One that came too late can't be kept for the day on which nobody is administrator."""
    admin = make(booting, scopes=["global:admin"], repos=[])
    assert booting.api("POST", "/bootstrap", signed(), token="")[0] == 409
    booting.api("DELETE", f"/tokens/{admin['guid']}")
    assert booting.api("POST", "/bootstrap", signed(), token="")[0] == 401


def test_tokens_that_may_less_are_no_hindrance(booting: Live, clock: Clock) -> None:
    """What counts is a good token with `global:admin`: neither others, nor one that has ended."""
    make(booting)
    make(booting, scopes=["global:admin"], repos=[], expires="1m")
    assert booting.api("POST", "/bootstrap", signed(), token="")[0] == 409
    clock.wait(minutes=1)
    assert booting.api("POST", "/bootstrap", signed(jti="another-request-0"), token="")[0] == 201


WRONG_REQUESTS = [
    signed(RSAKey.generate_key(2048)),
    signed(algorithm="RS256"),
    signed(aud="entrepot"),
    signed(aud=None),
    signed(jti=None),
    signed(jti="short"),
    signed(jti=["0123456789abcdef"]),
    signed(exp=None),
    signed(iat=None),
    signed(exp=NOON.timestamp() + 3600),
    signed(iat=NOON.timestamp() - 400, exp=NOON.timestamp() - 100),
    signed(iat=NOON.timestamp() + 200),
    signed(exp="never"),
    signed(lifetime=0),
    signed(lifetime=True),
    {"request": "a.b.c"},
    {"request": ""},
    {"request": "eyJhbGciOiJub25lIn0.e30."},
]


@pytest.mark.one_shape
def test_requests_that_get_nothing(booting: Live) -> None:
    """Another key or algorithm, other claims, too old, of the future, good for too long: 401, and no token is made."""
    for number, body in enumerate(WRONG_REQUESTS):
        assert booting.api("POST", "/bootstrap", body, token="")[0] == 401, number
    assert booting.api("GET", "/tokens") == (200, [])


@pytest.mark.one_shape
def test_no_signature_with_the_public_key(booting: Live) -> None:
    """A request whose HMAC is made with the public key, which is no secret, is refused."""
    from joserfc.jwk import OctKey

    key = OctKey.import_key(KEY.as_dict(private=False)["n"])
    claims = {"aud": AUDIENCE, "iat": NOON.timestamp(), "exp": NOON.timestamp() + 300, "jti": "0123456789abcdef"}
    request = jwt.encode({"alg": "HS256"}, claims, key)
    assert booting.api("POST", "/bootstrap", {"request": request}, token="")[0] == 401


def test_two_at_once(booting: Live) -> None:
    """Of several requests at the same moment one gets a token."""
    statuses: list[int] = []
    ready = threading.Barrier(5)

    def ask(number: int) -> None:
        body = signed(jti=f"request-number-{number}")
        ready.wait(10)
        statuses.append(booting.api("POST", "/bootstrap", body, token="")[0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [201, 409, 409, 409, 409]
    assert len(booting.api("GET", "/tokens")[1]) == 1


@pytest.mark.one_shape
def test_a_server_without_a_key(live: Live) -> None:
    """There is no bootstrap where nobody configured one."""
    status, answer = live.api("POST", "/bootstrap", signed(), token="")
    assert (status, answer["error"]) == (404, "this server has no key for a bootstrap")


_SHORT = (
    rsa.generate_private_key(65537, 1024)
    .public_key()
    .public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def _in_base64(pem: bytes) -> str:
    return "".join(pem.decode().splitlines()[1:-1])


@pytest.mark.one_shape
@pytest.mark.parametrize(
    ("key", "status"),
    [
        (KEY.as_pem(private=False).decode().replace("\n", "\\n"), 201),
        (_in_base64(KEY.as_pem(private=False)), 201),
        ("rubbish", 503),
        (KEY.as_pem(private=True).decode(), 503),
        (_SHORT, 503),
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_keys_that_servers_are_given(settings: Settings, clock: Clock, key: str, status: int) -> None:
    """In one line too, for variables of the environment; what is no public key of enough bits is not used."""
    bootstrap = Bootstrap(public_key=key)
    with installed(settings.model_copy(update={"bootstrap": bootstrap}), clock) as app, running(app) as site:
        found, answer = site.api("POST", "/bootstrap", signed(), token="")
        assert (found, "rubbish" in str(answer)) == (status, False)


@pytest.mark.one_shape
def test_the_key_in_a_file(settings: Settings, clock: Clock, tmp_path: Path) -> None:
    """It is read when it is needed, so it may come after the server."""
    bootstrap = Bootstrap(public_key_file=str(tmp_path / "key.pub"))
    with installed(settings.model_copy(update={"bootstrap": bootstrap}), clock) as app, running(app) as site:
        assert site.api("POST", "/bootstrap", signed(), token="")[0] == 503
        (tmp_path / "key.pub").write_bytes(KEY.as_pem(private=False))
        assert site.api("POST", "/bootstrap", signed(), token="")[0] == 201


@pytest.mark.one_shape
def test_large_requests_are_refused_quickly(booting: Live) -> None:
    """A megabyte is no signed request."""
    began = time.monotonic()
    assert booting.api("POST", "/bootstrap", {"request": "x" * 900_000}, token="")[0] == 422
    assert time.monotonic() - began < 10
