"""Sign-in of a program: an identity for a token (RFC 8693), and a person who allows it in a browser (RFC 8628)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from entrepot.client.calls import Calls
from entrepot.client.shapes import ApiError
from entrepot.core.errors import IdentityRefused, ServerUnreachable

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
_REFUSED = frozenset({"invalid_grant", "access_denied", "invalid_scope", "unauthorized_client"})
_PENDING = frozenset({"authorization_pending", "slow_down"})
SLOWER_BY = 5
_LONGEST_WAIT = 900.0


class DeviceLogin(NamedTuple):
    """A sign-in that waits for a person: `address` is the page to open, `user_code` what to compare or type there.

    `interval` and `expires_in` are in seconds; `device_code` and `verifier` are secrets.
    """

    device_code: str
    verifier: str
    user_code: str
    address: str
    interval: float
    expires_in: float


class LoginCalls(Calls):
    """A part of `Client`."""

    def exchange_identity(self, identity: str) -> str:
        """A token for a short time, for an ID token that the server trusts.

        Raises:
            IdentityRefused: the server doesn't take it.
        """
        fields = {"grant_type": _GRANT, "subject_token": identity, "subject_token_type": _ID_TOKEN}
        try:
            answer = self._form("/token", fields)
        except ApiError as error:
            if error.code not in _REFUSED:
                raise
            raise IdentityRefused(f"the server gives no token for this identity: {error.message}") from None
        return _text(answer, "access_token")

    def begin_device_login(self) -> DeviceLogin:
        """A sign-in that a person has to allow in a browser."""
        # Here, because few commands sign in, and loading these takes longer than most of them.
        from authlib.common.security import generate_token
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        verifier = generate_token(64)
        challenge: str = create_s256_code_challenge(verifier)  # type: ignore[no-untyped-call]
        answer = self._form("/device", {"code_challenge_method": "S256", "code_challenge": challenge})
        whole = answer.get("verification_uri_complete") if isinstance(answer, dict) else None
        return DeviceLogin(
            device_code=_text(answer, "device_code"),
            verifier=verifier,
            user_code=_text(answer, "user_code"),
            address=whole if isinstance(whole, str) else _text(answer, "verification_uri"),
            interval=_seconds(answer, "interval", 5),
            expires_in=_seconds(answer, "expires_in", 300),
        )

    def wait_for_person(
        self,
        login: DeviceLogin,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> str:
        """The identity of whoever allowed the sign-in, as soon as they did.

        Raises:
            IdentityRefused: somebody denied it, or nobody allowed it in time.
        """
        until, interval = clock() + login.expires_in, login.interval
        fields = {"device_code": login.device_code, "code_verifier": login.verifier}
        while True:
            try:
                return _text(self._form("/device_access", fields), "id_token")
            except ApiError as error:
                if error.code == "access_denied":
                    raise IdentityRefused("the sign-in was denied in the browser") from None
                if error.code not in _PENDING:
                    raise IdentityRefused(f"the sign-in has ended: {error.message}", hint="begin again") from None
                interval += SLOWER_BY if error.code == "slow_down" else 0
            if clock() + interval >= until:
                raise IdentityRefused("nobody allowed the sign-in in time", hint="begin again")
            sleep(interval)


def _text(answer: Any, name: str) -> str:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found:
        raise ServerUnreachable(
            f"the server's answer to the sign-in lacks {name}", hint="is it the address of a package manager?"
        )
    return found


def _seconds(answer: Any, name: str, default: float) -> float:
    found = answer.get(name) if isinstance(answer, dict) else None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return min(max(float(found), 0.0), _LONGEST_WAIT) if is_number and found is not None else default
