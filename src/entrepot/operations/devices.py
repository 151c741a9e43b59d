"""Sign-in of programs without a browser of their own (RFC 8628): a person allows it on a page, by a code that the
program shows.

The program has a device code and the verifier of a challenge (RFC 7636) that it sent at the start; a device code that
somebody else got hold of is worth nothing without it. What the program gets is an *identity*, which it exchanges for a
token within a minute, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import TokenKind
from entrepot.core.errors import DeviceLoginNotFound, IdentityRefused, Invalid, TooMany, Unauthenticated
from entrepot.core.tokens import digest
from entrepot.db import devices as db_devices
from entrepot.db import tokens as db_tokens
from entrepot.db.devices import DeviceLogin, State
from entrepot.db.tokens import Token
from entrepot.operations.tokens import Issued, issue

IDENTITY = "entrepot-identity_"
"""What every identity begins with, so that it is told from the tokens of issuers."""
EXPIRES_IN = 300
"""Seconds that a person has."""
INTERVAL = 5
"""Seconds between two questions of a program, at first."""
SLOWER_BY = 5
LONGEST_INTERVAL = 60
REDEEMED_WITHIN = timedelta(seconds=60)
MOST_WAITING = 500
MOST_OF_ADDRESS = 50
KEPT_FOR = timedelta(minutes=10)
"""How long after its end somebody is told that a device login ended."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of user codes: without vowels, so that they make no words, and without what looks alike (RFC 8628, 6.1)."""
LETTERS_OF_CODE = 8
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
_LONGEST_CODE = 200


class Begun(NamedTuple):
    """A device login that waits; times in seconds, `user_code` as people are shown it."""

    device_code: str
    user_code: str
    expires_in: int
    interval: int


class Refused(StrEnum):
    """Why a program gets no identity, or none yet (RFC 8628, 3.5)."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    INVALID = "invalid_grant"


def begin(app: App, *, method: str, challenge: str, address: str) -> Begun:
    """Let a program wait for a person.

    Args:
        method, challenge: of PKCE; S256 alone.
        address: where the program is; the person is shown it.

    Raises:
        Invalid: no challenge that could be one.
        TooMany: hundreds wait already, or dozens at that address.
    """
    if method != "S256" or _CHALLENGE.fullmatch(challenge) is None:
        raise Invalid(
            "a device login needs code_challenge_method=S256 and a code_challenge of 43 characters",
            hint="the challenge is the SHA-256 of a random verifier in base64url without padding (RFC 7636)",
        )
    code, now = secrets.token_urlsafe(32), app.clock()
    with app.db.write(shows=False) as connection:
        db_devices.drop_ended(connection, now - KEPT_FOR)
        found = db_devices.waiting(connection, now)
        if sum(found.values()) >= MOST_WAITING or found.get(address[:64], 0) >= MOST_OF_ADDRESS:
            raise TooMany(
                "too many programs wait for somebody to sign in",
                hint=f"allow or deny some, or try again in {EXPIRES_IN // 60} minutes",
                seconds=EXPIRES_IN,
            )
        user_code = _new_user_code(connection)
        db_devices.add(
            connection,
            code=digest(code),
            user_code=user_code,
            challenge=challenge,
            interval=INTERVAL,
            address=address,
            now=now,
            expires=now + timedelta(seconds=EXPIRES_IN),
        )
    return Begun(code, written_code(user_code), EXPIRES_IN, INTERVAL)


def written_code(user_code: str) -> str:
    """A user code as people are shown it: `XXXX-XXXX`."""
    return f"{user_code[:4]}-{user_code[4:]}"


def read_code(text: str) -> str:
    """A user code as somebody typed it, without what doesn't count; perhaps none that could be."""
    return "".join(c for c in text[:100].upper() if c in LETTERS)


def find(app: App, text: str) -> DeviceLogin:
    """The device login that waits under a user code. Raises DeviceLoginNotFound."""
    with app.db.read() as connection:
        return _open(connection, text, app.clock())


def decide(app: App, text: str, *, session: str, is_allowed: bool) -> DeviceLogin:
    """Write down that a person allows a device login, or doesn't.

    Args:
        text: the user code.
        session: guid of the person's session.

    Raises:
        DeviceLoginNotFound: nothing waits under that code.
        Unauthenticated: the session is over.
    """
    now = app.clock()
    with app.db.write(shows=False) as connection:
        login, token = _open(connection, text, now), db_tokens.by_guid(connection, session)
        if token is None or token.kind is not TokenKind.SESSION or not _is_good(connection, token, now):
            raise Unauthenticated("the session is over", hint="sign in again")
        db_devices.decide(connection, login.id, State.APPROVED if is_allowed else State.DENIED, token_id=token.id)
    return login


def poll(app: App, device_code: str, verifier: str) -> str | Refused:
    """The identity for a program whose person said yes, which is given once; else why there is none.

    Whoever has no right verifier changes nothing by asking.
    """
    if not 0 < len(device_code) <= _LONGEST_CODE or _VERIFIER.fullmatch(verifier) is None:
        return Refused.INVALID
    now = app.clock()
    with app.db.write(shows=False) as connection:
        login = db_devices.by_code(connection, digest(device_code))
        if login is None or not hmac.compare_digest(_challenge(verifier), login.challenge):
            return Refused.INVALID
        if login.state in (State.GIVEN, State.REDEEMED):
            return Refused.INVALID
        if login.state is State.DENIED:
            return Refused.DENIED
        if now >= login.expires:
            return Refused.EXPIRED
        # Who asks too often is still given what is there: some programs never slow down.
        if login.state is State.WAITING:
            is_fast = login.polled is not None and (now - login.polled).total_seconds() < login.interval
            interval = min(login.interval + SLOWER_BY, LONGEST_INTERVAL) if is_fast else login.interval
            db_devices.set_polled(connection, login.id, now, interval)
            return Refused.SLOW_DOWN if is_fast else Refused.PENDING
        identity = IDENTITY + secrets.token_urlsafe(32)
        db_devices.give(connection, login.id, identity=digest(identity), expires=now + REDEEMED_WITHIN)
    return identity


def redeem(app: App, text: str) -> Issued | None:
    """A token for an identity that `poll` gave; None if the text isn't such an identity at all.

    The token may do what the person may who said yes, and ends no later than their session would have. It isn't ended
    by their signing out, but by the end of the token that they signed in with.

    Raises:
        IdentityRefused: it was used before, is too old, or the session of the person has ended since.
    """
    if not text.startswith(IDENTITY):
        return None
    now = app.clock()
    with app.db.write(shows=False) as connection:
        login = db_devices.redeem(connection, digest(text[:_LONGEST_CODE]), now)
        session = None if login is None or login.token_id is None else db_tokens.by_id(connection, login.token_id)
        if login is None or session is None or not _is_good(connection, session, now):
            login = session = None
    if login is None or session is None:
        raise IdentityRefused(
            "this sign-in of a device was used already, is older than a minute, or whoever allowed it signed out",
            hint="sign in again",
        )
    lifetime = float(app.settings.openid_connect.token_lifetime)
    if session.expires is not None:
        lifetime = min(lifetime, (session.expires - now).total_seconds())
    return issue(
        app,
        kind=TokenKind.SSO,
        actor=session.actor,
        grants=session.grants,
        created_by=session.actor,
        lifetime=lifetime,
        description=f"sign-in of a device at {login.address or 'an unknown address'}",
        via=session.via,
        parent_id=session.parent_id,
        is_dated=True,
    )


def _is_good(connection: Connection, session: Token, now: datetime) -> bool:
    """Whether a session may still be used, as far as itself and the token go that it was opened with."""
    parent = None if session.parent_id is None else db_tokens.by_id(connection, session.parent_id)
    is_whole = session.parent_id is None or (parent is not None and parent.is_good(now))
    return is_whole and session.is_good(now)


def _open(connection: Connection, text: str, now: datetime) -> DeviceLogin:
    code = read_code(text)
    login = db_devices.open_by_user_code(connection, code, now) if len(code) == LETTERS_OF_CODE else None
    if login is None:
        raise DeviceLoginNotFound(
            "nothing waits under that code: it is wrong, was used, or is older than five minutes",
            hint="compare it with what the program shows, or let the program begin again",
        )
    return login


def _new_user_code(connection: Connection) -> str:
    while True:
        code = "".join(secrets.choice(LETTERS) for _ in range(LETTERS_OF_CODE))
        if not db_devices.is_taken(connection, code):
            return code


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
