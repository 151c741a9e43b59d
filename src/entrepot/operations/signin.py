"""Sign-in of people at the provider that `[openid_connect]` names (OpenID Connect Core 1.0, the code flow with PKCE).

A sign-in that is on its way is a row: it is good once, for ten minutes, and for the browser that began it alone.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from entrepot.app import App
from entrepot.core.errors import (
    Forbidden,
    IdentityRefused,
    InvalidSettings,
    NotFound,
    UpstreamInvalid,
)
from entrepot.core.tokens import digest
from entrepot.db import signins as db_signins
from entrepot.db.signins import SignIn
from entrepot.issuers import Metadata
from entrepot.operations import identity, sessions
from entrepot.operations.tokens import Issued
from entrepot.settings.access import OpenIdConnect

_log = logging.getLogger(__name__)
LIFETIME = timedelta(minutes=10)
MOST = 10_000
"""Sign-ins that can be on their way; with more, the oldest are forgotten."""
LEEWAY = 60
"""Seconds that the provider's clock may differ from ours."""
LONGEST_CODE = 4000
SCOPES = ("openid", "profile", "email")
GROUPS = "groups"
_ERROR = re.compile(r"[a-z_]{1,60}", re.ASCII)
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class Returned(NamedTuple):
    """What a browser brings back from the provider (RFC 6749, 4.1.2; `iss` is of RFC 9207)."""

    state: str
    code: str
    error: str
    iss: str


class SignedIn(NamedTuple):
    """A new session, and the page to go on to."""

    session: Issued
    next: str


def begin(app: App, *, redirect_uri: str, browser: str, next_: str) -> str:
    """The URL of the provider to which a browser is to go.

    Args:
        redirect_uri: where the provider is to send it back to.
        browser: the text of a cookie that this browser alone has.
        next_: the page of ours to go on to.

    Raises:
        NotFound: people don't sign in here by a provider.
        UpstreamUnavailable, UpstreamInvalid: the provider doesn't say where it takes people.
    """
    wanted = _wanted(app)
    metadata = app.issuers.metadata(wanted.issuer)
    state, verifier, now = secrets.token_urlsafe(32), secrets.token_urlsafe(48), app.clock()
    sign_in = SignIn(secrets.token_urlsafe(32), verifier, next_, now + LIFETIME)
    with app.db.write(shows=False) as connection:
        db_signins.drop(connection, before=now, keep=MOST - 1)
        db_signins.add(connection, state=digest(state), browser=digest(browser), sign_in=sign_in)
    more: dict[str, str | None] = {
        "nonce": sign_in.nonce,
        "prompt": "login" if wanted.require_login else None,
        "max_age": str(int(wanted.max_authentication_age)) if wanted.max_authentication_age else None,
    }
    if not wanted.disable_pkce:
        challenge = create_s256_code_challenge(verifier)  # type: ignore[no-untyped-call]
        more |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    url: str = prepare_grant_uri(
        _endpoint(metadata.authorization_endpoint),
        wanted.client_id,
        "code",
        redirect_uri=redirect_uri,
        scope=" ".join(asked_scopes(wanted)),
        state=state,
        **more,
    )
    return url


def asked_scopes(wanted: OpenIdConnect) -> tuple[str, ...]:
    """The OAuth scopes that the provider is asked for."""
    groups = () if wanted.no_auto_groups_scope or not wanted.groups_claim else (GROUPS,)
    return tuple(dict.fromkeys((*SCOPES, *groups, *wanted.custom_scope)))


def finish(app: App, returned: Returned, *, redirect_uri: str, browser: str) -> SignedIn:
    """A session for the person whom the provider sent back.

    Raises:
        Forbidden: this browser began no such sign-in, or it is too long ago; the person said no; or nothing is given to
            them here.
        IdentityRefused: what the provider says of them doesn't hold.
        UpstreamUnavailable, UpstreamInvalid: the provider doesn't answer as it should.
    """
    wanted, now = _wanted(app), app.clock()
    with app.db.write(shows=False) as connection:
        sign_in = db_signins.take(connection, state=digest(returned.state), browser=digest(browser), now=now)
    if sign_in is None:
        raise Forbidden(
            "this sign-in is not known here: it took longer than ten minutes, was begun in another browser, "
            "or is done already",
            hint="begin again; the browser has to take this server's cookies",
        )
    if returned.iss and returned.iss != wanted.issuer:
        raise IdentityRefused("this answer is of another provider than the one that was asked", hint="begin again")
    if returned.error:
        told = returned.error if _ERROR.fullmatch(returned.error) else "an error"
        raise Forbidden(f"the provider did not let you sign in: {told}", hint="begin again, or ask who manages it")
    if not 0 < len(returned.code) <= LONGEST_CODE:
        raise Forbidden("the provider's answer has no code", hint="begin again")
    metadata = app.issuers.metadata(wanted.issuer)
    answer = _redeem(app, wanted, metadata, returned.code, sign_in.verifier, redirect_uri)
    id_token = answer.get("id_token")
    if not isinstance(id_token, str):
        raise UpstreamInvalid(
            "the provider gave no ID token", hint="it has to know this client as one of OpenID Connect"
        )
    claims = app.issuers.verify(
        wanted.issuer,
        id_token,
        audience=wanted.client_id,
        nonce=sign_in.nonce,
        max_age=wanted.max_authentication_age or None,
    )
    if not isinstance(claims.get("sub"), str):
        raise IdentityRefused("the ID token has no subject (sub)")
    if wanted.require_login:
        began = (sign_in.expires - LIFETIME).timestamp()
        _check_fresh(claims.get("auth_time"), began)
    whole = _with_user_info(app, wanted, metadata, claims, answer.get("access_token"))
    return SignedIn(sessions.open_session(app, identity.of_sign_in(app.settings, whole)), sign_in.next)


def _wanted(app: App) -> OpenIdConnect:
    wanted = app.settings.openid_connect
    if not wanted.is_on:
        raise NotFound("people don't sign in here by a provider", hint="sign in with a token, or set [openid_connect]")
    return wanted


def _endpoint(found: str | None) -> str:
    if found is None:
        raise UpstreamInvalid("the provider doesn't say where people sign in", hint="check [openid_connect] issuer")
    return found


def _check_fresh(auth_time: object, began: float) -> None:
    """`prompt=login` is in a URL that a person can change; the time of the sign-in is not."""
    if isinstance(auth_time, int | float) and auth_time < began - LEEWAY:
        raise IdentityRefused("the provider did not ask for the password again", hint="begin again")


def _redeem(
    app: App, wanted: OpenIdConnect, metadata: Metadata, code: str, verifier: str, redirect_uri: str
) -> Mapping[str, Any]:
    """What the provider gives for a code (RFC 6749, 4.1.3). Raises IdentityRefused, UpstreamUnavailable,
    UpstreamInvalid, InvalidSettings."""
    secret = _secret(wanted)
    verifier = "" if wanted.disable_pkce else verifier
    body = prepare_token_request("authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=verifier)
    client = ClientAuth(wanted.client_id, secret, _method(secret, metadata))
    try:
        url, headers, body = client.prepare(  # type: ignore[no-untyped-call]
            "POST", _endpoint(metadata.token_endpoint), dict(_FORM), body
        )
    except UnicodeEncodeError:
        raise InvalidSettings("[openid_connect] client_id and client_secret have letters that can't be sent") from None
    sent = app.issuers.post(url, body, headers)
    answer = _object(sent.body)
    if sent.status == 200 and answer is not None:
        return answer
    error = str((answer or {}).get("error", ""))
    told = error if _ERROR.fullmatch(error) else f"status {sent.status}"
    _log.warning("sign-in: %s refused a code: %s", wanted.issuer, told)
    if error == "invalid_grant":
        raise IdentityRefused("the provider takes its own code no more", hint="begin again")
    raise UpstreamInvalid(
        f"the provider did not take this server's request: {told}",
        hint="who manages this server checks client_id, client_secret and the redirect URI at the provider",
    )


def _method(secret: str, metadata: Metadata) -> str:
    """How this client proves who it is: as the provider wants it, `client_secret_basic` if it says nothing."""
    if not secret:
        return "none"
    known = metadata.login_methods
    return (
        "client_secret_post"
        if "client_secret_post" in known and "client_secret_basic" not in known
        else ("client_secret_basic")
    )


def _secret(wanted: OpenIdConnect) -> str:
    """Raises InvalidSettings."""
    if not wanted.client_secret_file:
        return wanted.client_secret
    try:
        return Path(wanted.client_secret_file).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        _log.error("[openid_connect] client_secret_file %s can't be read: %s", wanted.client_secret_file, reason)
        raise InvalidSettings("the secret of this server at the provider can't be read") from error


def _with_user_info(
    app: App, wanted: OpenIdConnect, metadata: Metadata, claims: Mapping[str, Any], access_token: object
) -> Mapping[str, Any]:
    """Claims with those that the provider tells at its user info endpoint alone (OpenID Connect Core, 5.3), if there
    are groups or roles to be read which the ID token doesn't have. Raises UpstreamUnavailable, UpstreamInvalid."""
    read = [name for name in (wanted.groups_claim, wanted.role_claim, wanted.username_claim) if name]
    lacks = [name for name in read if name.partition(".")[0] not in claims and name not in claims]
    if not lacks or not metadata.userinfo_endpoint or not isinstance(access_token, str):
        return claims
    headers = {"Authorization": f"Bearer {access_token}", **_FORM}
    sent = app.issuers.post(metadata.userinfo_endpoint, "", headers)
    told = _object(sent.body) if sent.status == 200 else None
    if told is None:
        raise UpstreamInvalid(f"the provider told nothing about you: status {sent.status}", hint="begin again")
    if told.get("sub") != claims["sub"]:
        raise IdentityRefused("the provider told about somebody else than the one who signed in", hint="begin again")
    return {**told, **claims}


def _object(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None for all else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
