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
from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.support.fake_server import FakeServer
from tests.support.server import NOON

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
