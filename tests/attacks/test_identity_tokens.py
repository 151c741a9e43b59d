"""Attacks with tokens that vouch for an identity: forged, of others, at the wrong time, or to make us ask somewhere.

Each is sent to the exchange of a server that trusts `connect` and `other`, two federations of different issuers. Each
is refused, nothing is asked of an address that the settings don't name, and no token is made.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from entrepot.settings import Settings
from tests.support.fake_issuer import FakeIssuer, encoded, exchange, federated, reads, rsa_key, unsigned
from tests.support.fake_server import FakeServer
from tests.support.server import Clock, Live, eventually

pytestmark = pytest.mark.one_shape
SOUND = {"sub": "connect", "aud": "package-manager", "azp": "builds", "roles": ["repos:read:*"]}
"""Claims that `connect` takes."""


class World:
    """A site, two issuers that it trusts, and an address that no setting names."""

    def __init__(self, site: Live, issuer: FakeIssuer, other: FakeIssuer, elsewhere: FakeServer, clock: Clock) -> None:
        self.site = site
        self.issuer = issuer
        self.other = other
        self.elsewhere = elsewhere
        self.clock = clock

    def tokens(self) -> int:
        with self.site.app.db.read() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM tokens WHERE kind = 'federation'").scalar_one())

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Claims of a token that `connect` would take."""
        return self.issuer.claims(**SOUND | claims)

    def token(self, *, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        return self.issuer.token(key=key, header=header, **SOUND | claims)

    def refused(self, text: str, said: str, **fields: str) -> None:
        """The attack comes to nothing."""
        before = self.tokens()
        status, body = exchange(self.site, text, **fields)
        assert (status, body["error"]) == (400, "invalid_grant"), body
        assert said in body["error_description"]
        assert text not in json.dumps(body)
        assert self.tokens() == before
        assert self.elsewhere.requests == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    clock, folder = Clock(), tmp_path_factory.mktemp("world")
    with FakeIssuer("/", clock) as issuer, FakeIssuer("", clock) as other, FakeServer() as elsewhere:
        other.rotate(rsa_key("others"), keep=False)
        federations = {
            "connect": {
                "issuer": issuer.issuer,
                "audience": "package-manager",
                "subject": "connect",
                "authorized_party": "builds",
                "role_claim": "roles",
            },
            "other": {
                "issuer": other.issuer,
                "audience": "others",
                "subject": "^(team|tools)-[a-z]+$",
                "scope": ["sources:write:tools"],
            },
        }
        with federated(settings_in(folder), clock, federations) as site:
            yield World(site, issuer, other, elsewhere, clock)


def settings_in(folder: Path) -> Settings:
    values = {
        "server": {"data_dir": folder / "data", "listen": "127.0.0.1:0"},
        "cran": {"upstream": "http://127.0.0.1:9", "sync_schedule": ""},
        "pypi": {"upstream": "http://127.0.0.1:9/simple", "sync_schedule": ""},
        "bioconductor": {"upstream": "http://127.0.0.1:9", "sync_schedule": ""},
        "repos": {"bioconductor": ""},
    }
    return Settings.model_validate(values)


@pytest.fixture(autouse=True)
def _later(world: World) -> None:
    """Half a minute later than the attack before, so that keys may be looked for again; and what is sound is taken."""
    world.clock.wait(seconds=40)
    status, body = exchange(world.site, world.token())
    assert (status, body["scope"]) == (200, "repos:read:*")


# --- forged --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 7, ["RS256"], {"RS256": 1}])
def test_alg_none(world: World, algorithm: Any) -> None:
    """A token that nobody signed, however it says so, is refused, with a signature behind it or none."""
    header = {"alg": algorithm, "kid": "first"}
    signature = world.token().rpartition(".")[2]
    for text in (unsigned(header, world.claims()), unsigned(header, world.claims(), signature)):
        world.refused(text, "tokens signed with")


def test_no_signature(world: World) -> None:
    """A token whose signature was cut off, or is another token's, is refused."""
    head, _, signature = world.token().rpartition(".")
    another = world.token(jti="2").rpartition(".")[0]
    for text in (f"{head}.", f"{another}.{signature}", f"{head}.{signature[:-8]}", f"{head}.AAAA", f"{head}.!"):
        world.refused(text, "the token's signature")


def test_changed_claims(world: World) -> None:
    """Claims that were changed after they were signed are refused."""
    head, claims, signature = world.token().split(".")
    whole = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = encoded(json.dumps({**whole, "roles": ["sources:write:*"]}).encode())
    world.refused(f"{head}.{changed}.{signature}", "the token's signature")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_signed_with_the_public_key(world: World, algorithm: str) -> None:
    """The issuer's public key is no shared secret: HMAC with it, in any form that it may be written, is refused."""
    key = world.issuer.keys[0]
    secrets = [
        key.as_pem(private=False),
        key.as_pem(private=False).strip(),
        key.as_der(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
        str(key.as_dict(private=False)["n"]).encode(),
    ]
    for secret in secrets:
        signed = unsigned({"alg": algorithm, "kid": "first"}, world.claims()).rstrip(".")
        text = f"{signed}.{encoded(hmac.digest(secret, signed.encode(), f'sha{algorithm[2:]}'))}"
        world.refused(text, "tokens signed with")


def test_a_shared_secret_among_the_keys(world: World) -> None:
    """Also where an issuer publishes a symmetric key, nothing signed with it is taken."""
    secret = OctKey.import_key(b"x" * 32, {"kid": "shared"})
    good = world.issuer.keys[0].as_dict(private=False)
    try:
        world.issuer.publish_keys(good, {"kty": "oct", "k": encoded(b"x" * 32), "kid": "shared"})
        world.refused(world.token(key=secret, header={"alg": "HS256", "kid": "shared"}), "tokens signed with")
    finally:
        world.issuer.publish()


def test_unknown_kid(world: World) -> None:
    """A key that the issuer doesn't publish is none, whatever it is called, and is looked for once."""
    before = world.issuer.count(world.issuer.JWKS)
    for kid in ("unknown", "../../etc/passwd", "first' OR '1'='1", "x" * 3000, "\u0000", "first "):
        world.refused(world.token(key=rsa_key(kid), header={"kid": kid}), "a key that its issuer doesn't publish")
    assert world.issuer.count(world.issuer.JWKS) <= before + 1


def test_anothers_key_under_the_right_name(world: World) -> None:
    """A key that calls itself as the issuer's does is not the issuer's."""
    world.refused(world.token(key=rsa_key("first")), "the token's signature")
    world.refused(world.token(key=rsa_key("first"), header={"kid": None}), "the token's signature")


def test_a_key_brought_along(world: World) -> None:
    """`jwk`, `jku` and `x5u` are never followed, and a certificate chain is not looked at."""
    key = rsa_key("own")
    public = key.as_dict(private=False)
    world.elsewhere.put("jwks.json", json.dumps({"keys": [public]}).encode())
    where = f"{world.elsewhere.url}/jwks.json"
    for brought in ({"jwk": public}, {"jku": where}, {"x5u": where}):
        for kid in ("own", "first", None):
            world.refused(world.token(key=key, header={**brought, "kid": kid}), "brings its own key along")
    world.refused(world.token(key=key, header={"x5c": [encoded(b"x")], "kid": "first"}), "the token's signature")


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": True}])
def test_extensions(world: World, header: dict[str, Any]) -> None:
    """A token that asks for what isn't known here is refused."""
    whole = {"alg": "RS256", "kid": "first", **header}
    world.refused(unsigned(whole, world.claims(), world.token().rpartition(".")[2]), "an extension")


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "", 7])
def test_tokens_for_another_use(world: World, kind: Any) -> None:
    """What an issuer signs for another purpose is no identity."""
    world.refused(world.token(header={"typ": kind}), "is no identity")


def test_a_key_of_another_kind(world: World) -> None:
    """A key is used for its own algorithm alone."""
    for algorithm in ("ES256", "RS512", "PS256", "EdDSA"):
        text = unsigned({"alg": algorithm, "kid": "first"}, world.claims(), encoded(b"\0" * 64))
        world.refused(text, "the key that the token names is not for")


def test_keys_not_for_signatures(world: World) -> None:
    """A key that the issuer publishes for encryption, or for other operations, verifies nothing."""
    good = world.issuer.keys[0].as_dict(private=False)
    sealed = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
    derived = ECKey.generate_key("P-256", {"kid": "derive", "key_ops": ["deriveKey"]})
    try:
        world.issuer.publish_keys(good, sealed.as_dict(private=False), derived.as_dict(private=False))
        for kid in ("enc", "derive"):
            text = unsigned({"alg": "ES256", "kid": kid}, world.claims(), encoded(b"\1" * 64))
            world.refused(text, "not one for signatures")
    finally:
        world.issuer.publish()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "....",
        "a.b.c",
        "é.é.é",
        "W10.W10.W10",
        "bnVsbA.bnVsbA.",
        encoded(b"[" * 8000) + "." + encoded(b"[" * 3000) + ".",
        encoded(b'{"alg":"RS256"}') + "." + encoded(b'{"exp":' + b"9" * 5000 + b"}") + ".x",
        encoded(b'{"alg":"RS256","kid":"first"}') + "." + encoded(b"\xff") + ".x",
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA",
    ],
)
def test_what_is_no_token(world: World, text: str) -> None:
    """Nonsense, deep nesting, long numbers and encrypted tokens are refused, and are no error of the server."""
    status, body = exchange(world.site, text)
    assert (status, body["error"]) == (400, "invalid_grant" if text else "invalid_request")


def test_long_tokens(world: World) -> None:
    """A token of more than 16 KiB isn't looked at."""
    world.refused(world.token(padding="x" * 16_000), "longer than")


# --- sound, but not for us, not now, not theirs --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ({"exp": -61}, "has expired"),
        ({"exp": -86400, "iat": -90000, "nbf": -90000}, "has expired"),
        ({"nbf": 61}, "not valid yet"),
        ({"iat": 61}, "not valid yet"),
    ],
)
def test_wrong_times(world: World, seconds: dict[str, int], said: str) -> None:
    """Expired, or not valid yet, by more than the minute that clocks may differ."""
    now = int(world.clock().timestamp())
    world.refused(world.token(**{name: now + span for name, span in seconds.items()}), said)


@pytest.mark.parametrize("value", [None, "", "9999999999", True, [], float("inf"), float("nan")])
def test_times_that_are_none(world: World, value: Any) -> None:
    """A token that doesn't say when it ends, or not with a number, is refused."""
    before = world.tokens()
    status, body = exchange(world.site, world.token(exp=value))
    assert (status, body["error"], world.tokens()) == (400, "invalid_grant", before)


def test_wrong_issuer(world: World) -> None:
    """The issuer is exactly one that the settings name; another isn't asked for anything."""
    own = world.issuer.issuer
    for name in (
        world.elsewhere.url,
        own.rstrip("/"),
        own.upper(),
        f"{own}?",
        f"{own} ",
        own.replace("127.0.0.1", "localhost"),
        None,
        [own],
        {"x": own},
    ):
        world.refused(world.token(iss=name), "no identity federation has the issuer")


def test_wrong_audience(world: World) -> None:
    """A token for somebody else is refused, also for somebody with a name like ours."""
    for audience in (
        "package-manager2",
        "package",
        "Package-Manager",
        ["a", "b"],
        [],
        [["package-manager"]],
        None,
        7,
        {"package-manager": 1},
    ):
        world.refused(world.token(aud=audience), "has the token's audience")
    world.refused(world.token(aud=["package-manager", 7]), "the token is for")


@pytest.mark.parametrize(
    "subject", ["connect2", "my-connect", "connect\n", "CONNECT", " connect", "con", "", None, ["connect"]]
)
def test_wrong_subject(world: World, subject: Any) -> None:
    """A subject that only contains the allowed one, or looks like it, is another."""
    world.refused(world.token(sub=subject), "connect: the token")


@pytest.mark.parametrize(
    "subject", ["team-", "xteam-a", "team-a1", "team-a\n", "team", "tools-a team-b", "team-a|tools-b"]
)
def test_wrong_subject_of_a_pattern(world: World, subject: str) -> None:
    """A pattern is of the whole subject."""
    assert exchange(world.site, world.other.token(sub="team-a", aud="others"))[0] == 200
    world.refused(world.other.token(sub=subject, aud="others"), "the token's subject")


@pytest.mark.parametrize("party", [None, "", "builds2", ["builds"], "package-manager"])
def test_wrong_authorized_party(world: World, party: Any) -> None:
    """A token that another program had made is refused."""
    world.refused(world.token(azp=party), "authorized party")


def test_a_token_of_another_federation(world: World) -> None:
    """An issuer vouches for its own federation: neither its signature nor its audience is good for another."""
    other, own = world.other, world.issuer
    # by `other`, as if it were for `connect`
    world.refused(other.token(**world.claims(iss=other.issuer)), "has the token's audience")
    # by `other`, as if it were of `connect`
    world.refused(other.token(**world.claims()), "a key that its issuer doesn't publish")
    world.refused(other.token(header={"kid": "first"}, **world.claims()), "the token's signature")
    # by `connect`, as if it were of `other`
    claims = {"iss": other.issuer, "sub": "team-a", "aud": "others"}
    world.refused(own.token(**claims), "a key that its issuer doesn't publish")
    # by `connect`, for the audience of `other`
    world.refused(world.token(aud="others", sub="team-a"), "has the token's audience")


def test_escalation(world: World) -> None:
    """Neither a role nor the parameter `scope` makes more of an identity than the settings give."""
    for role in ("global:admin", "metadata:admin", "blocklist:admin"):
        status, body = exchange(world.site, world.token(roles=[role]))
        assert (status, body["error"]) == (400, "access_denied")
    for scope in ("global:admin", "sources:write:tools", "repos:read:* global:admin"):
        status, body = exchange(world.site, world.token(), scope=scope)
        assert (status, body["error"]) == (400, "invalid_scope")
    _, body = exchange(world.site, world.token(roles=["repos:read:*", "global:admin"]))
    assert body["scope"] == "repos:read:*"
    assert world.site.api("GET", "/tokens", token=body["access_token"])[0] == 403
    assert world.site.api("POST", "/repos", {"name": "x", "type": "r"}, token=body["access_token"])[0] == 403


def test_the_identity_itself_opens_nothing(world: World) -> None:
    """An ID token is exchanged, and is no token of ours."""
    assert reads(world.site, world.token()) == 401


# --- issuers that turn on us ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["10 MB", "loop", "redirect", "moved keys", "500", "hang"])
def test_trouble_of_an_issuer_slows_no_other(settings: Settings, clock: Clock, trouble: str) -> None:
    """10 MB of keys, redirects, keys at another address, errors and silence: the server asks nobody else, and goes on
    exchanging the tokens of others, and serving, meanwhile."""
    with (
        FakeIssuer("/", clock) as bad,
        FakeIssuer("", clock) as good,
        FakeServer() as elsewhere,
        ThreadPoolExecutor(20) as pool,
    ):
        section = {"audience": "package-manager", "subject": "connect", "role_claim": "roles"}
        federations = {name: {"issuer": each.issuer, **section} for name, each in {"bad": bad, "good": good}.items()}
        elsewhere.put("jwks.json", json.dumps({"keys": [bad.keys[0].as_dict(private=False)]}).encode())
        if trouble == "10 MB":
            bad.put(bad.JWKS, b'{"keys": [' + b" " * 10_000_000 + b"]}")
        elif trouble == "redirect":
            bad.fail(bad.JWKS, f"redirect:{elsewhere.url}/jwks.json")
        elif trouble == "moved keys":
            bad.publish(jwks_uri=f"{elsewhere.url}/jwks.json")
        else:
            bad.fail(bad.JWKS, trouble)
        with federated(settings, clock, federations) as site:

            def token(issuer: FakeIssuer) -> str:
                return issuer.token(sub="connect", aud="package-manager", roles=["repos:read:*"])

            asked = [pool.submit(exchange, site, token(bad)) for _ in range(50)]
            eventually(lambda: bad.count(bad.discovery), bool)
            began = time.monotonic()
            for _ in range(5):
                status, body = exchange(site, token(good))
                assert status == 200
                assert reads(site, body["access_token"]) == 200
            assert time.monotonic() - began < 3
            answers = [each.result() for each in asked]
        assert {(status, body["error"]) for status, body in answers} <= {
            (502, "temporarily_unavailable"),
            (503, "temporarily_unavailable"),
        }
        assert bad.count(bad.JWKS) <= 2
        assert elsewhere.requests == []


def test_nothing_secret_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither identities nor tokens are in the log, whether they are taken or refused."""
    caplog.set_level(logging.DEBUG)
    good, bad = world.token(), world.token(aud="x")
    _, body = exchange(world.site, good)
    world.refused(bad, "audience")
    for text in (good, bad, body["access_token"]):
        assert text.rpartition(".")[2] not in caplog.text
