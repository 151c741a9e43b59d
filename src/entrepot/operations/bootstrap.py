"""The first token of a server that nobody can log in to, for whoever has the private half of a configured key."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from joserfc import jwe, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from entrepot.app import App
from entrepot.core.access import Scope, TokenKind
from entrepot.core.bootstrapping import AUDIENCE, ENCRYPTED_WITH, FEWEST_BITS, GOOD_FOR, LEEWAY, SIGNED_WITH
from entrepot.core.errors import Conflict, EntrepotError, NotFound, Unauthenticated, Unavailable
from entrepot.core.lifetimes import LONGEST
from entrepot.core.tokens import digest
from entrepot.db import tokens as db_tokens
from entrepot.db import usedonce
from entrepot.operations.tokens import issue
from entrepot.settings import Bootstrap

ACTOR = "bootstrap"
LONGEST_REQUEST = 4000
_LONGEST_KEY = 20_000
_LONGEST_ID = 100


class Bootstrapped(NamedTuple):
    """The answer, which only the private key can read, and the guid of the token in it."""

    answer: str
    guid: str


class _Request(NamedTuple):
    """What a signed request says. `lifetime` of the token is in seconds, None: it doesn't end by itself."""

    id: str
    lifetime: float | None


def bootstrap(app: App, request: str) -> Bootstrapped:
    """A token with `global:admin`, as long as nobody has one.

    Args:
        request: signed with the private key, as `core.bootstrapping` says; good once.

    Raises:
        NotFound: no key is configured.
        Unavailable: the configured key can't be used.
        Unauthenticated: the request is not signed with that key, is too old, or was used before.
        Conflict: somebody has such a token.
    """
    key, now = _public_key(app.settings.bootstrap), app.clock()
    asked = _read(request, key, now.timestamp())
    refused: EntrepotError | None = None
    with app.db.write(shows=False) as connection:
        # A request counts as used also where it is refused: nobody can keep it for a better moment.
        end = now + timedelta(seconds=GOOD_FOR + 2 * LEEWAY)
        if not usedonce.use(connection, digest(f"bootstrap {asked.id}"), now=now, expires=end):
            refused = Unauthenticated("this request was used before", hint="ask again: `entrepot bootstrap`")
        elif db_tokens.any_admin(connection, now):
            refused = Conflict(
                "somebody has a token with global:admin already: bootstrap is for the first one alone",
                hint="use that token; `entrepot create token` on the server's machine makes another one, and "
                "`entrepot revoke token` ends one that is lost",
            )
        else:
            text, token = issue(
                app,
                kind=TokenKind.API,
                actor=ACTOR,
                grants={Scope.GLOBAL_ADMIN: None},
                created_by=ACTOR,
                lifetime=asked.lifetime,
                description="the first token, made by bootstrap",
                within=connection,
            )
    if refused is not None:
        raise refused
    expires = None if token.expires is None else token.expires.isoformat()
    told = {"token": text, "guid": token.guid, "expires": expires, "jti": asked.id}
    header = {"alg": ENCRYPTED_WITH[0], "enc": ENCRYPTED_WITH[1]}
    return Bootstrapped(jwe.encrypt_compact(header, json.dumps(told), key, algorithms=ENCRYPTED_WITH), token.guid)


def _read(request: str, key: RSAKey, now: float) -> _Request:
    """What a request says. Raises Unauthenticated."""
    hint = "is it the private key to [bootstrap] public_key, and are both clocks right?"
    try:
        if len(request) > LONGEST_REQUEST:
            raise ValueError
        claims = jwt.decode(request, key, algorithms=[SIGNED_WITH]).claims
    except (JoseError, ValueError, TypeError):
        raise Unauthenticated("the request is not signed with the key of this server's bootstrap", hint=hint) from None
    id_, began, end, lifetime = (claims.get(name) for name in ("jti", "iat", "exp", "lifetime"))
    if (
        claims.get("aud") != AUDIENCE
        or not isinstance(id_, str)
        or not 16 <= len(id_) <= _LONGEST_ID
        or not _is_time(began)
        or not _is_time(end)
        or not (lifetime is None or (_is_time(lifetime) and 1 <= lifetime <= LONGEST))
    ):
        raise Unauthenticated("the signed request is not one of a bootstrap", hint="make it with `entrepot bootstrap`")
    if began > now + LEEWAY or now >= end + LEEWAY or end - began > GOOD_FOR:
        raise Unauthenticated("the request is too old, or of a clock that is wrong", hint=hint)
    return _Request(id_, lifetime)


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40


def _public_key(settings: Bootstrap) -> RSAKey:
    """The configured key. Raises NotFound, Unavailable."""
    text = settings.public_key
    if settings.public_key_file:
        try:
            text = Path(settings.public_key_file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(f"its file can't be read: {getattr(error, 'strerror', None) or 'no text'}") from None
    if not text.strip():
        raise NotFound(
            "this server has no key for a bootstrap",
            hint="`entrepot bootstrap keys` makes one; its public half goes to [bootstrap] public_key",
        )
    try:
        key = RSAKey.import_key(_pem(text[:_LONGEST_KEY]))
    except (JoseError, ValueError, TypeError):
        raise _unusable("it is no RSA public key") from None
    if key.is_private:
        raise _unusable("it is a private key; make a new pair, and give the server the public half alone")
    if key.raw_value.key_size < FEWEST_BITS:
        raise _unusable(f"it has fewer than {FEWEST_BITS} bits")
    return key


def _unusable(why: str) -> Unavailable:
    return Unavailable(
        f"the key for the bootstrap of this server can't be used: {why}",
        hint="set [bootstrap] public_key to what `entrepot bootstrap keys` made",
    )


def _pem(text: str) -> bytes:
    """A key as PEM, perhaps with `\\n` for its line breaks, or what is base64 of PEM or DER. Raises ValueError."""
    plain = text.strip().replace("\\n", "\n")
    if "-----BEGIN" in plain:
        return plain.encode()
    try:
        data = base64.b64decode("".join(plain.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
    if data.startswith(b"-----BEGIN"):
        return data
    body = base64.encodebytes(data)
    return b"-----BEGIN PUBLIC KEY-----\n" + body + b"-----END PUBLIC KEY-----\n"
