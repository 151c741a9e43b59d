"""Sessions of browsers: opened by a token or by the sign-in of a person, and closed.

A session is a token of its own, whose text is in a cookie: a new one at every sign-in.
"""

from __future__ import annotations

from entrepot.app import App
from entrepot.core import tokens as texts
from entrepot.core.access import TokenKind
from entrepot.core.errors import Unauthenticated
from entrepot.db import tokens as db_tokens
from entrepot.operations.identity import Identified
from entrepot.operations.tokens import Issued, issue, resolve_scopes

_LONGEST = 1000


def open_with_token(app: App, text: str) -> Issued:
    """A session for whoever has a token. It may do what the token may, and ends with it.

    Raises:
        Unauthenticated: the token isn't good, or is none to sign in with: a session's, or one that hangs on another.
    """
    text, now = text.strip()[:_LONGEST], app.clock()
    chain: tuple[db_tokens.Token, ...] = ()
    if texts.is_token(text):
        with app.db.read() as connection:
            chain = db_tokens.of_digest(connection, texts.digest(text))
    if not chain or not all(token.is_good(now) for token in chain):
        raise Unauthenticated(
            "this token is not good: it is unknown here, ended or revoked",
            hint="`entrepot create token` makes one; copy the whole of it",
        )
    token = chain[0]
    # One that hangs on another would let people go on for good, each sign-in with the token of the one before.
    if token.kind is TokenKind.SESSION or len(chain) > 1:
        raise Unauthenticated(
            "this token came from a sign-in in a browser and is none to sign in with",
            hint="sign in as you did then, or use a token that `entrepot create token` made",
        )
    lifetime = float(app.settings.openid_connect.token_lifetime)
    if token.expires is not None:
        lifetime = min(lifetime, (token.expires - now).total_seconds())
    return issue(
        app,
        kind=TokenKind.SESSION,
        actor=token.actor,
        grants=token.grants,
        created_by=token.actor,
        lifetime=lifetime,
        description=f"browser, signed in with token {token.guid}",
        via=token.via,
        parent_id=token.id,
    )


def open_session(app: App, identified: Identified) -> Issued:
    """A session for a person whom the provider of sign-ins vouches for."""
    with app.db.read() as connection:
        grants = resolve_scopes(connection, identified.scopes, strict=False)
    return issue(
        app,
        kind=TokenKind.SESSION,
        actor=identified.actor,
        grants=grants,
        created_by=identified.actor,
        lifetime=float(app.settings.openid_connect.token_lifetime),
        description="browser",
        via=identified.via,
    )


def close_session(app: App, text: str) -> None:
    """End a session, whose text a browser has. What isn't one, or ended before, stays as it is."""
    with app.db.write(shows=False) as connection:
        chain = db_tokens.of_digest(connection, texts.digest(text))
        if chain and chain[0].kind is TokenKind.SESSION:
            db_tokens.revoke(connection, chain[0].id, by=chain[0].actor, now=app.clock())
