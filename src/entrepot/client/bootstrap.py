"""The client's side of a bootstrap: a request that a private key signs, an answer that it alone can read."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, NamedTuple

from entrepot.client.calls import Calls
from entrepot.core.bootstrapping import AUDIENCE, ENCRYPTED_WITH, FEWEST_BITS, GOOD_FOR, KEY_BITS, SIGNED_WITH
from entrepot.core.errors import Invalid, ServerUnreachable


class KeyPair(NamedTuple):
    """An RSA key pair as PEM."""

    private: bytes
    public: bytes


class FirstToken(NamedTuple):
    """A token with `global:admin`; `expires` is a time as the API writes it, None: it doesn't end by itself."""

    token: str
    guid: str
    expires: str | None


def make_keys() -> KeyPair:
    """A new key pair; takes a second."""
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(KEY_BITS)
    return KeyPair(key.as_pem(private=True), key.as_pem(private=False))


class BootstrapCalls(Calls):
    """A part of `Client`."""

    def bootstrap(self, private_key: bytes, *, lifetime: int | None = None) -> FirstToken:
        """The first token of a server that knows the public half of the key.

        Args:
            private_key: as PEM.
            lifetime: seconds that the token is good for; None: it doesn't end by itself.

        Raises:
            Invalid: it is no private key.
        """
        from joserfc import jwe, jwt
        from joserfc.errors import JoseError

        key, now, id_ = _read_key(private_key), int(time.time()), secrets.token_urlsafe(24)
        claims = {"aud": AUDIENCE, "iat": now, "exp": now + GOOD_FOR, "jti": id_, "lifetime": lifetime}
        request = jwt.encode({"alg": SIGNED_WITH}, claims, key, algorithms=[SIGNED_WITH])
        answer = self._call("POST", "/bootstrap", body={"request": request})
        try:
            told = json.loads(jwe.decrypt_compact(answer["answer"], key, algorithms=ENCRYPTED_WITH).plaintext or b"")
            if told["jti"] != id_:
                raise ValueError
            return FirstToken(str(told["token"]), str(told["guid"]), told["expires"])
        except (JoseError, ValueError, KeyError, TypeError):
            raise ServerUnreachable(
                "the answer to the bootstrap can't be read with this key", hint="is this the server that was meant?"
            ) from None


def _read_key(private_key: bytes) -> Any:
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey

    hint = "give the file of the private key that `entrepot bootstrap keys` made"
    try:
        key = RSAKey.import_key(private_key)
    except (JoseError, ValueError, TypeError):
        raise Invalid("that is no RSA private key, or it has a passphrase", hint=hint) from None
    if not key.is_private or key.raw_value.key_size < FEWEST_BITS:
        raise Invalid("that is a public key, or one that is too short", hint=hint)
    return key
