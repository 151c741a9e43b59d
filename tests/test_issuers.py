"""Issuers of identities: what is read of them and how often, what is never asked, and who waits for whom."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from entrepot.core.errors import EntrepotError, IdentityRefused, UpstreamInvalid, UpstreamUnavailable
from entrepot.issuers import WAITING, Issuers
from tests.support.fake_issuer import AnyKey, FakeIssuer, first_key, rsa_key
from tests.support.fake_server import FakeServer
from tests.support.server import Clock, eventually


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    with FakeIssuer(clock=clock) as server:
        yield server


@pytest.fixture
def issuers(clock: Clock) -> Iterator[Issuers]:
    known = Issuers(clock, patience=10)
    yield known
    known.close()


def claims(issuers: Issuers, issuer: FakeIssuer, text: str | None = None, **rules: Any) -> Any:
    """What a token of that issuer says, once it was verified."""
    text = text or issuer.token(sub="x", aud="here")
    return issuers.verify(issuer.issuer, text, **{"audience": "here", **rules})


def test_documents_are_read_once(issuers: Issuers, issuer: FakeIssuer) -> None:
    """Many tokens cost one request for each of the two documents."""
    for number in range(5):
        assert claims(issuers, issuer, issuer.token(sub=str(number), aud="here"))["sub"] == str(number)
    assert (issuer.count(issuer.discovery), issuer.count(issuer.JWKS)) == (1, 1)


def test_documents_are_read_again_after_an_hour(issuers: Issuers, issuer: FakeIssuer, clock: Clock) -> None:
    """A key that the issuer took back counts for an hour at most while the issuer answers."""
    old = issuer.keys[0]
    claims(issuers, issuer)
    issuer.rotate(keep=False)
    clock.wait(minutes=59)
    assert claims(issuers, issuer, issuer.token(key=old, sub="x", aud="here"))
    clock.wait(minutes=2)
    with pytest.raises(IdentityRefused, match="doesn't publish"):
        claims(issuers, issuer, issuer.token(key=old, sub="x", aud="here"))
    assert issuer.count(issuer.JWKS) == 2


def test_a_new_key_is_looked_for_at_once(issuers: Issuers, issuer: FakeIssuer) -> None:
    """Keys that are rotated in the middle hold nobody up: tokens of the old and of the new one are good."""
    before = issuer.token(sub="x", aud="here")
    claims(issuers, issuer)
    issuer.rotate()
    assert claims(issuers, issuer)["sub"] == "x"
    assert claims(issuers, issuer, before)["sub"] == "x"
    assert issuer.count(issuer.JWKS) == 2


def test_unknown_keys_cost_one_reading_in_half_a_minute(issuers: Issuers, issuer: FakeIssuer, clock: Clock) -> None:
    """Whoever makes up names of keys can't have an issuer asked again and again."""
    claims(issuers, issuer)
    for number in range(20):
        with pytest.raises(IdentityRefused, match="doesn't publish"):
            claims(issuers, issuer, issuer.token(sub="x", aud="here", header={"kid": f"made-up-{number}"}))
    assert issuer.count(issuer.JWKS) == 2
    clock.wait(seconds=31)
    with pytest.raises(IdentityRefused, match="doesn't publish"):
        claims(issuers, issuer, issuer.token(sub="x", aud="here", header={"kid": "made-up"}))
    assert issuer.count(issuer.JWKS) == 3


def test_a_key_without_a_name_is_rotated(issuers: Issuers, issuer: FakeIssuer, clock: Clock) -> None:
    """An issuer that doesn't name its only key may rotate it all the same."""
    for number in range(2):
        key = issuer.rotate(RSAKey.generate_key(2048, {"use": "sig"}), keep=False)
        issuer.publish_keys({name: value for name, value in key.as_dict(private=False).items() if name != "kid"})
        clock.wait(seconds=31)
        text = issuer.token(sub=str(number), aud="here", header={"kid": None})
        assert claims(issuers, issuer, text)["sub"] == str(number)


def test_known_keys_count_for_a_day_while_the_issuer_is_away(
    issuers: Issuers, issuer: FakeIssuer, clock: Clock
) -> None:
    """An outage of an issuer isn't one of ours until a day has passed; then its tokens are refused as 'away'."""
    claims(issuers, issuer)
    with issuer.closed():
        clock.wait(hours=23)
        assert claims(issuers, issuer)["sub"] == "x"
        clock.wait(hours=2)
        with pytest.raises(UpstreamUnavailable, match="can't be asked"):
            claims(issuers, issuer)
    clock.wait(seconds=11)
    assert claims(issuers, issuer)["sub"] == "x"


def test_a_failure_is_remembered(issuers: Issuers, issuer: FakeIssuer, clock: Clock) -> None:
    """An issuer that failed is left alone for ten seconds; until then everybody is told so at once."""
    issuer.fail(issuer.discovery, 404)
    for _ in range(5):
        with pytest.raises(UpstreamInvalid, match="has no"):
            claims(issuers, issuer)
    assert issuer.count(issuer.discovery) == 1
    issuer.heal()
    clock.wait(seconds=11)
    assert claims(issuers, issuer)["sub"] == "x"


def test_one_reading_for_all_who_wait(issuers: Issuers, issuer: FakeIssuer) -> None:
    """A hundred tokens that come at once share one reading, and hold no thread while they wait."""
    issuer.fail(issuer.discovery, "slow", times=1, seconds=0.3)
    text = issuer.token(sub="x", aud="here")

    async def all_at_once() -> None:
        await asyncio.gather(*(issuers.prepare(issuer.issuer, text) for _ in range(100)))

    before = threading.active_count()
    runner = threading.Thread(target=asyncio.run, args=(all_at_once(),))
    runner.start()
    eventually(lambda: issuer.count(issuer.discovery), bool)
    assert threading.active_count() - before <= 3  # the runner, the reading, and the issuer's own
    runner.join()
    assert claims(issuers, issuer, text)["sub"] == "x"
    assert (issuer.count(issuer.discovery), issuer.count(issuer.JWKS)) == (1, 1)


def test_an_issuer_that_hangs_holds_few_threads(clock: Clock, issuer: FakeIssuer) -> None:
    """Of those who come in threads a few wait; the others are told at once to try again."""
    issuers = Issuers(clock, patience=2)
    issuer.fail(issuer.discovery, "hang")
    came: list[tuple[float, str]] = []

    def ask() -> None:
        began = time.monotonic()
        with pytest.raises(UpstreamUnavailable) as refused:
            claims(issuers, issuer)
        came.append((time.monotonic() - began, refused.value.message))

    with ThreadPoolExecutor(12) as pool:
        for _ in range(12):
            pool.submit(ask)
    at_once = [message for seconds, message in came if seconds < 1.5]
    assert len(came) == 12
    assert len(at_once) == 12 - WAITING
    assert all("others wait" in message for message in at_once)
    assert issuer.count(issuer.discovery) == 1


def test_an_issuer_that_hangs_slows_no_other(clock: Clock, issuer: FakeIssuer) -> None:
    """While one issuer hangs, tokens of another are verified as ever."""
    issuers = Issuers(clock, patience=3)
    issuer.fail("*", "hang")
    with FakeIssuer("/", clock) as other, ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(claims, issuers, issuer)
        eventually(lambda: issuer.count(issuer.discovery), bool)
        began = time.monotonic()
        assert claims(issuers, other)["sub"] == "x"
        assert time.monotonic() - began < 2
        issuer._stopping.set()  # let those go who wait


def test_a_stale_copy_serves_while_the_issuer_hangs(clock: Clock, issuer: FakeIssuer) -> None:
    """When keys are to be read again and their issuer hangs, one waits and all others go on with what is known."""
    issuers = Issuers(clock, patience=2)
    claims(issuers, issuer)
    clock.wait(hours=2)
    issuer.fail("*", "hang")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(claims, issuers, issuer)
        eventually(lambda: issuer.count(issuer.discovery), lambda count: count == 2)
        began = time.monotonic()
        for _ in range(20):
            assert claims(issuers, issuer)["sub"] == "x"
        assert time.monotonic() - began < 1
        assert first.result()["sub"] == "x"


@pytest.mark.parametrize("path", ["", "/", "/auth/realms/work", "/auth/realms/work/"])
def test_the_name_is_exactly_the_one_of_the_settings(clock: Clock, issuers: Issuers, path: str) -> None:
    """Discovery is found for each form of a name, and a name with another slash at its end is another name."""
    with FakeIssuer(path, clock) as issuer:
        assert claims(issuers, issuer)["iss"] == issuer.issuer
        other = issuer.issuer.rstrip("/") if path.endswith("/") else issuer.issuer + "/"
        with pytest.raises(IdentityRefused, match="the token's issuer"):
            issuers.verify(other, issuer.token(sub="x", aud="here"), audience="here")
        with pytest.raises(UpstreamInvalid, match="calls itself"):
            issuers.verify(other, issuer.token(iss=other, sub="x", aud="here"), audience="here")


def test_metadata(issuers: Issuers, issuer: FakeIssuer) -> None:
    """What an issuer says of itself, for sign-ins."""
    issuer.publish(scopes_supported=["openid", "groups"], token_endpoint_auth_methods_supported=["client_secret_post"])
    found = issuers.metadata(issuer.issuer)
    assert found.authorization_endpoint == f"{issuer.url}/authorize"
    assert found.token_endpoint == f"{issuer.url}/oauth/token"
    assert (found.scopes, found.login_methods) == ({"openid", "groups"}, {"client_secret_post"})


def test_endpoints_elsewhere_are_as_good_as_none(issuers: Issuers, issuer: FakeIssuer) -> None:
    """An endpoint of sign-ins that may not be asked is left out, and tokens of programs go on to be verified."""
    issuer.publish(token_endpoint="http://127.0.0.1:1/token", userinfo_endpoint="file:///etc/hostname")
    found = issuers.metadata(issuer.issuer)
    assert (found.token_endpoint, found.userinfo_endpoint) == (None, None)
    assert claims(issuers, issuer)["sub"] == "x"


def test_rules_of_sign_ins(issuers: Issuers, issuer: FakeIssuer, clock: Clock) -> None:
    """An ID token of a sign-in belongs to it, is for this client alone, and as fresh as was asked for."""
    now = int(clock().timestamp())
    sound: dict[str, Any] = {"sub": "x", "aud": "here", "nonce": "n", "auth_time": now - 60}
    rules = {"nonce": "n", "max_age": 300}
    assert claims(issuers, issuer, issuer.token(**sound), **rules)["sub"] == "x"
    assert claims(issuers, issuer, issuer.token(**sound | {"aud": ["here", "b"], "azp": "here"}), **rules)
    for change, said in (
        ({"nonce": "other"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"azp": "b"}, "another client"),
        ({"aud": ["here", "b"]}, "another client"),
        ({"auth_time": now - 361}, "too long ago"),
        ({"auth_time": None}, "auth_time"),
        ({"auth_time": "now"}, "auth_time"),
        ({"auth_time": float("nan")}, "too long ago"),
        ({"sub": None}, "no subject"),
        ({"iat": None}, "iat"),
    ):
        with pytest.raises(IdentityRefused, match=said):
            claims(issuers, issuer, issuer.token(**sound | change), **rules)


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1:1/jwks.json",
        "http://localhost:{port}/jwks.json",
        "https://127.0.0.1:{port}/jwks.json",
        "file:///etc/hostname",
        "ftp://127.0.0.1:{port}/jwks.json",
        "http://user:secret@127.0.0.1:{port}/jwks.json",
        "//127.0.0.1:{port}/jwks.json",
        "http://[/jwks.json",
        "",
        7,
    ],
)
def test_keys_are_read_at_the_issuers_own_address_alone(issuers: Issuers, issuer: FakeIssuer, where: Any) -> None:
    """An issuer without TLS can't send us to another address for its keys, nor to a file."""
    port = issuer.url.rpartition(":")[2]
    issuer.publish(jwks_uri=where.format(port=port) if isinstance(where, str) else where)
    with pytest.raises(UpstreamInvalid, match="jwks_uri") as refused:
        claims(issuers, issuer)
    assert [asked.path for asked in issuer.requests] == [issuer.discovery]
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("document", ["discovery", "JWKS"])
def test_no_redirect_is_followed(issuers: Issuers, issuer: FakeIssuer, document: str) -> None:
    """A redirect, also one in a loop, is an error; the address that it leads to is not asked."""
    with FakeServer() as elsewhere:
        for kind in (f"redirect:{elsewhere.url}/keys", "loop"):
            issuer.fail(getattr(issuer, document), kind)
            with pytest.raises(UpstreamInvalid, match="redirects"):
                claims(Issuers(issuer._clock, patience=1), issuer)
        assert elsewhere.requests == []
    assert issuer.count(getattr(issuer, document)) == 2


def test_documents_are_bounded(issuers: Issuers, issuer: FakeIssuer) -> None:
    """Of 10 MB of keys the beginning is read and no more, with a Content-Length or without."""
    issuer.put(issuer.JWKS, b'{"keys": [' + b" " * 10_000_000 + b"]}")
    with pytest.raises(UpstreamInvalid, match="more than"):
        claims(issuers, issuer)
    issuer.fail(issuer.JWKS, "chunked")
    with pytest.raises(UpstreamInvalid, match="more than"):
        claims(Issuers(issuer._clock, patience=1), issuer)
    assert issuer.sent[issuer.JWKS] < 9_000_000


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"[" * 100_000, "no JSON"),
        (b'{"keys": []}', "no key"),
        (b'{"keys": {}}', "no JWK set"),
        (b"[]", "no JSON object"),
        (b'{"keys": [' + b",".join([b"{}"] * 101) + b"]}", "more than 100 keys"),
        (b'{"keys": [{"kty": "RSA", "n": 7, "e": []}, {"kty": "EC"}, {"kty": ["RSA"]}, {"kty": "oct"}]}', "no key"),
        (b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}]}', "no key"),
    ],
)
def test_nonsense_for_keys(issuers: Issuers, issuer: FakeIssuer, document: bytes, said: str) -> None:
    """What can't be keys is an error of the issuer, in words."""
    issuer.put(issuer.JWKS, document)
    with pytest.raises(UpstreamInvalid, match=said):
        claims(issuers, issuer)


def test_other_kinds_of_keys_are_passed_over(issuers: Issuers, issuer: FakeIssuer) -> None:
    """A key that we can't use doesn't spoil those beside it."""
    good = issuer.keys[0].as_dict(private=False)
    issuer.publish_keys({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, {"kty": "RSA", "n": "x"}, good)
    assert claims(issuers, issuer)["sub"] == "x"


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSAKey),
        ("RS512", RSAKey),
        ("PS256", RSAKey),
        ("ES256", "P-256"),
        ("ES384", "P-384"),
        ("ES512", "P-521"),
        ("EdDSA", "Ed25519"),
        ("Ed25519", "Ed25519"),
    ],
)
def test_algorithms(issuers: Issuers, issuer: FakeIssuer, algorithm: str, key: Any) -> None:
    """Each algorithm with a public key is taken."""
    kind = {"kid": "k", "alg": algorithm}
    made: AnyKey
    if key is RSAKey:
        made = RSAKey.import_key({**first_key().as_dict(private=True), **kind})
    else:
        made = (OKPKey if key.startswith("Ed") else ECKey).generate_key(key, kind)
    issuer.rotate(made, keep=False)
    assert claims(issuers, issuer)["sub"] == "x"


def test_a_document_that_drips_ends(clock: Clock, issuer: FakeIssuer) -> None:
    """A byte a second keeps nobody longer than the time for a document."""
    issuer.fail(issuer.JWKS, "drip")
    began = time.monotonic()
    with pytest.raises(EntrepotError, match=r"longer than|less than"):
        claims(Issuers(clock, patience=2), issuer)
    assert time.monotonic() - began < 5


def test_rsa_keys_have_2048_bits(issuers: Issuers, issuer: FakeIssuer) -> None:
    """A key that is too short is not used, though its issuer publishes it."""
    with pytest.warns(UserWarning, match="2048"):
        weak = rsa_key("weak", 1024)
    issuer.rotate(weak)
    with pytest.raises(IdentityRefused, match="too weak"):
        claims(issuers, issuer)
