"""An issuer of identities on loopback with real keys, as Posit Connect, a forge or a cluster is one.

    with FakeIssuer() as issuer:
        text = issuer.token(sub="connect", aud="package-manager", roles=["repos:read:*"])
        issuer.rotate()
        issuer.fail(issuer.JWKS, "loop")
        assert issuer.count(issuer.JWKS) == 1

Faults and counts are those of `FakeServer`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from entrepot.settings import Settings
from tests.support.fake_server import FakeServer
from tests.support.server import NOON, Clock, Live, installed, running

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"
AnyKey = RSAKey | ECKey | OKPKey
_SHARED: list[RSAKey] = []


def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    """A new RSA key of that name."""
    return RSAKey.generate_key(bits, {"kid": kid, "use": "sig", "alg": "RS256"})


def first_key() -> RSAKey:
    """The key that every fake issuer begins with: making one takes a while, and what it is doesn't matter."""
    if not _SHARED:
        _SHARED.append(rsa_key("first"))
    return _SHARED[0]


class FakeIssuer(FakeServer):
    """An OpenID Connect issuer.

    Args:
        path: what its name has behind host and port, such as `/` or `/auth/realms/x`.
        clock: by which it dates tokens; they are good for five minutes.
    """

    JWKS = "jwks.json"

    def __init__(self, path: str = "", clock: Callable[[], datetime] = lambda: NOON) -> None:
        super().__init__()
        self._path = path
        self._clock = clock
        self.keys: list[AnyKey] = [first_key()]

    def __enter__(self) -> Self:
        super().__enter__()
        self.publish()
        return self

    @property
    def issuer(self) -> str:
        """Its name, as its tokens have it."""
        return self.url + self._path

    @property
    def discovery(self) -> str:
        """The path of its discovery document."""
        return (self._path.strip("/") + "/.well-known/openid-configuration").lstrip("/")

    def publish(self, **changes: Any) -> None:
        """Serve its documents; `changes` are to what it says of itself."""
        about = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.url}/{self.JWKS}",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
            "id_token_signing_alg_values_supported": ["RS256"],
        } | changes
        self.put(self.discovery, json.dumps(about).encode())
        self.publish_keys(*(key.as_dict(private=False) for key in self.keys))

    def publish_keys(self, *keys: Any) -> None:
        """Serve these as its keys."""
        self.put(self.JWKS, json.dumps({"keys": keys}).encode())

    def rotate(self, key: AnyKey | None = None, *, keep: bool = True) -> AnyKey:
        """Sign with another key from now on, and publish it, beside the old ones or in their place."""
        new = key or rsa_key(f"key-{len(self.keys) + 1}")
        self.keys = [new, *(self.keys if keep else ())]
        self.publish_keys(*(each.as_dict(private=False) for each in self.keys))
        return new

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Claims of a token that is good now; None leaves one out."""
        now = int(self._clock().timestamp())
        whole = {"iss": self.issuer, "iat": now, "nbf": now, "exp": now + 300, "jti": "1", **claims}
        return {name: value for name, value in whole.items() if value is not None}

    def token(self, *, key: AnyKey | OctKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A signed token; `header` are more or other parts of its header, None leaves one out."""
        key = key or self.keys[0]
        whole = {"alg": key.get("alg") or "RS256", "kid": key.get("kid"), **(header or {})}
        whole = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(whole, self.claims(**claims), key, registry=_Any())


class _Any(JWSRegistry):
    """Signs whatever a test wants to have signed, in any header."""

    max_header_length = 100_000

    def __init__(self) -> None:
        super().__init__(strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]

    def check_header(self, header: dict[str, Any]) -> None:
        """Anything goes."""


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """A token with any header, signed by nobody."""
    return ".".join((*(encoded(json.dumps(part).encode()) for part in (header, claims)), signature))


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- the other side ------------------------------------------------------------------------------------------------


@contextmanager
def federated(
    settings: Settings, clock: Clock, federations: Mapping[str, Mapping[str, Any]], **sections: Any
) -> Iterator[Live]:
    """A site with these identity federations, and a closed repository `team` of a local source `tools`."""
    whole = settings.model_dump(exclude={"file"}) | {"identity_federation": federations, **sections}
    with installed(Settings.model_validate(whole), clock) as app, running(app) as site:
        for path, body in (
            ("/sources", {"name": "tools", "type": "local"}),
            ("/repos", {"name": "team", "type": "r", "authenticated": True}),
            ("/repos/team/sources", {"source": "tools"}),
        ):
            status, answer = site.api("POST", path, body)
            assert status in (200, 201), answer
        yield site


def exchange(site: Live, text: str, /, **fields: str | None) -> tuple[int, dict[str, Any]]:
    """(status, JSON) of an exchange; `fields` are more or other ones of the form, None leaves one out."""
    form = {
        "grant_type": GRANT,
        "subject_token": text,
        "subject_token_type": f"{TOKEN_TYPE}id_token",
        **fields,
    }
    sent = {name: value for name, value in form.items() if value is not None}
    answer = site.pool.request_encode_body("POST", f"{site.address}/__api__/token", fields=sent, encode_multipart=False)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status, answer.json()


def reads(site: Live, token: str, repository: str = "team") -> int:
    """The status of a closed repository's index for whoever has a token."""
    return site.get(f"/{repository}/latest/src/contrib/PACKAGES", Authorization=f"Bearer {token}").status
