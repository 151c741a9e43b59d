"""Tokens that vouch for an identity (OpenID Connect Core 1.0, RFC 7519), verified as RFC 8725 advises.

Signatures are joserfc's work. What is signed with a shared secret or not at all is refused, and so is a token that
brings its own key along: keys come from the issuer alone.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from joserfc import errors as jose
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact
from joserfc.jwt import JWTClaimsRegistry
from joserfc.util import base64_to_int, urlsafe_b64decode

from entrepot.core.errors import IdentityRefused, UpstreamInvalid
from entrepot.core.urls import shown

LONGEST = 16 * 1024
LEEWAY = 60
"""Seconds that clocks may differ by."""
MOST_KEYS = 100
RSA_BITS = range(2048, 8193)
KEY_TYPES = {
    **{f"{kind}{bits}": "RSA" for kind in ("RS", "PS") for bits in (256, 384, 512)},
    **{f"ES{bits}": "EC" for bits in (256, 384, 512)},
    **dict.fromkeys(("EdDSA", "Ed25519", "Ed448"), "OKP"),
}
"""Algorithms that are taken -> type of key (RFC 7518, RFC 8037, RFC 9864): none that knows a shared secret."""
_TYPES = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"}
"""What a token may call itself (`typ`); one for another use, such as `logout+jwt`, is no identity."""
_BROUGHT_ALONG = ("jwk", "jku", "x5u")
_SHOWN = 200

Claims = Mapping[str, Any]
Key = RSAKey | ECKey | OKPKey


class UnknownKey(IdentityRefused):
    """The token is signed with a key that its issuer doesn't publish, as far as is known."""


class Token(NamedTuple):
    """A token that nobody verified yet: what it says is good for choosing a key and for nothing else."""

    text: str
    header: Mapping[str, Any]
    claims: Claims
    key_id: str | None


class Rules(NamedTuple):
    """What a token has to be, besides signed and timely.

    `audience` has to be among those that it is for. `authorized_party` is its `azp`, empty: any. With a `nonce` it is
    the ID token of a sign-in (OpenID Connect Core 3.1.3.7), with `max_age` the person showed who they are at most so
    many seconds ago.
    """

    audience: str
    authorized_party: str = ""
    nonce: str | None = None
    max_age: float | None = None


class Keys(NamedTuple):
    """The keys that an issuer signs with; `ids` are the names of all that it publishes."""

    keys: tuple[Key, ...]
    ids: frozenset[str]


class _Registry(JWSRegistry):
    """Exactly our algorithms, and headers of the length that issuers write."""

    max_header_length = 4096
    max_payload_length = LONGEST
    max_signature_length = 2048

    def __init__(self) -> None:
        super().__init__(algorithms=list(KEY_TYPES), strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """As the library's, which warns of the name EdDSA: issuers use it."""
        if name not in KEY_TYPES:
            raise jose.UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


_REGISTRY = _Registry()


def parse(text: str) -> Token:
    """A token as it is written, its header looked at. Raises IdentityRefused."""
    if len(text) > LONGEST:
        raise IdentityRefused(f"the token is longer than {LONGEST} characters")
    parts = text.split(".")
    if len(parts) != 3:
        raise IdentityRefused(
            "this is no signed JSON Web Token: it has not three parts", hint="send the issuer's ID token as it came"
        )
    header, claims = (_object(part) for part in parts[:2])
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in KEY_TYPES:
        raise IdentityRefused(
            f"tokens signed with {str(algorithm)[:20]!r} are not taken", hint=f"taken are {', '.join(KEY_TYPES)}"
        )
    for name in _BROUGHT_ALONG:
        if name in header:
            raise IdentityRefused(f"the token brings its own key along ({name})")
    if "crit" in header or "b64" in header:
        raise IdentityRefused("the token's header asks for an extension that is not known here")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in _TYPES):
        raise IdentityRefused(f"a token of type {str(kind)[:40]!r} is no identity")
    if key_id is not None and (not isinstance(key_id, str) or not key_id):
        raise IdentityRefused("the token's kid is no text")
    return Token(text, header, claims, key_id)


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(urlsafe_b64decode(part.encode("ascii")))
    except (ValueError, binascii.Error, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise IdentityRefused("the token can't be read: its parts are no JSON objects in base64url")
    return value


def read_keys(document: Mapping[str, Any], issuer: str) -> Keys:
    """The keys of a JWK set (RFC 7517); those that can't sign for us are passed over.

    Raises:
        UpstreamInvalid: it is none, has too many keys, or none that can be used.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise UpstreamInvalid(f"what the issuer {shown(issuer)} publishes as its keys is no JWK set")
    if len(listed) > MOST_KEYS:
        raise UpstreamInvalid(f"the issuer {shown(issuer)} publishes more than {MOST_KEYS} keys")
    keys = [key for each in listed if (key := _key(each)) is not None]
    if not keys:
        raise UpstreamInvalid(
            f"the issuer {shown(issuer)} publishes no key that tokens are verified with",
            hint="a key for signatures: RSA of at least 2048 bits, EC or OKP",
        )
    return Keys(tuple(keys), frozenset(each["kid"] for each in listed if isinstance(each.get("kid"), str)))


def _key(value: dict[str, Any]) -> Key | None:
    """A public key for signatures; None: it is of another kind, too weak, or unreadable."""
    if value.get("kty") not in KEY_TYPES.values() or value.get("use", "sig") != "sig" or "d" in value:
        return None
    if "verify" not in value.get("key_ops", ["verify"]):
        return None
    try:
        if value["kty"] == "RSA" and base64_to_int(value["n"]).bit_length() not in RSA_BITS:
            return None
        found = JWKRegistry.import_key(value)
    except (jose.JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return found if isinstance(found, RSAKey | ECKey | OKPKey) else None


def verify(token: Token, keys: Keys, rules: Rules, now: datetime) -> Claims:
    """The claims of a token whose issuer was compared already.

    Raises:
        UnknownKey: none of the keys is the token's.
        IdentityRefused: it isn't what the rules ask for.
    """
    key = _key_of(token, keys)
    try:
        deserialize_compact(token.text, key, registry=_REGISTRY)
    except jose.BadSignatureError:
        refused = IdentityRefused if token.key_id is not None else UnknownKey
        raise refused("the token's signature is not its issuer's") from None
    except (jose.JoseError, ValueError, TypeError):
        raise IdentityRefused("the token's signature can't be read, or is not of its key's kind") from None
    claims = token.claims
    _check_times(claims, now)
    _check_audience(claims, rules)
    if rules.nonce is not None:
        _check_sign_in(claims, rules)
    if rules.max_age is not None:
        when = claims.get("auth_time")
        if isinstance(when, bool) or not isinstance(when, int | float):
            raise IdentityRefused("the token doesn't say when the person signed in (auth_time)")
        if not now.timestamp() - when <= rules.max_age + LEEWAY:
            raise IdentityRefused("the person signed in too long ago", hint="sign in again")
    return claims


def _key_of(token: Token, keys: Keys) -> Key:
    """The one key that the token names; without a name the only one that fits."""
    algorithm = token.header["alg"]
    fitting = [key for key in keys.keys if _fits(key, algorithm)]
    if token.key_id is not None:
        named = [key for key in keys.keys if key.get("kid") == token.key_id]
        if not named:
            if token.key_id in keys.ids:
                raise IdentityRefused("the key that the token names is too weak, or not one for signatures")
            raise UnknownKey("the token is signed with a key that its issuer doesn't publish")
        fitting = [key for key in named if key in fitting]
        if not fitting:
            raise IdentityRefused(f"the key that the token names is not for {algorithm}")
    if len(fitting) != 1:
        raise UnknownKey("the token doesn't name its key, and none or several would fit (kid)")
    return fitting[0]


def _fits(key: Key, algorithm: str) -> bool:
    if key.key_type != KEY_TYPES[algorithm] or key.get("alg", algorithm) != algorithm:
        return False
    try:
        _REGISTRY.get_alg(algorithm).check_key(key)
    except jose.JoseError:
        return False
    return True


def _check_times(claims: Claims, now: datetime) -> None:
    registry = JWTClaimsRegistry(now=int(now.timestamp()), leeway=LEEWAY, exp={"essential": True})
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    try:
        registry.validate(times)
    except jose.ExpiredTokenError:
        raise IdentityRefused("the token has expired", hint="get a new one from its issuer") from None
    except jose.MissingClaimError:
        raise IdentityRefused("the token doesn't say when it ends (exp)") from None
    except jose.InvalidClaimError as error:
        raise IdentityRefused(
            f"the token is not valid yet, or a time in it is none ({error.claim})",
            hint="check the clocks of this server and of the issuer",
        ) from None


def _check_audience(claims: Claims, rules: Rules) -> None:
    told = claims.get("aud")
    audiences = told if isinstance(told, list) else [told]
    if not all(isinstance(each, str) for each in audiences) or rules.audience not in audiences:
        raise IdentityRefused(
            f"the token is for {_written(audiences)}, not for {rules.audience!r}",
            hint="its audience has to be the one that the settings name",
        )
    if rules.authorized_party and claims.get("azp") != rules.authorized_party:
        raise IdentityRefused(f"the token's authorized party is {_written([claims.get('azp')])}, which is not allowed")


def _check_sign_in(claims: Claims, rules: Rules) -> None:
    party, told = claims.get("azp"), claims.get("aud")
    if party != rules.audience and (party is not None or (isinstance(told, list) and len(told) > 1)):
        raise IdentityRefused("the token was made for another client (azp)")
    if claims.get("nonce") != rules.nonce:
        raise IdentityRefused("the token does not belong to this sign-in (nonce)", hint="sign in again")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise IdentityRefused("the token has no subject (sub)")
    if "iat" not in claims:
        raise IdentityRefused("the token doesn't say when it was made (iat)")


def _written(values: list[Any]) -> str:
    return ", ".join(repr(each) if isinstance(each, str) else "nothing" for each in values[:10])[:_SHOWN] or "nobody"
