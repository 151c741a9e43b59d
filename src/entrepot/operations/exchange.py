"""Token exchange (RFC 8693): an identity that an issuer vouches for becomes a token of ours, for a short time.

What a token says of itself chooses the identity federations that are asked, and nothing else: each of them verifies it
with its own issuer, audience and subject, and gives what it gives. Several may be of one issuer, such as integrations
of one Posit Connect; a token gets what all give that accept it.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import Access, Grants, ScopeText, TokenKind, is_within, parse_scopes
from entrepot.core.errors import (
    IdentityRefused,
    Invalid,
    NotFound,
    ScopeRefused,
    UpstreamInvalid,
    UpstreamUnavailable,
    WrongType,
)
from entrepot.core.identitytokens import Token, parse
from entrepot.operations import devices, identity
from entrepot.operations.identity import Identified
from entrepot.operations.tokens import LONGEST_DESCRIPTION, Issued, issue, resolve_scopes, written_scopes

_log = logging.getLogger(__name__)
MOST_SCOPES = 100
_LONGEST_VIA = 200


class Exchanged(NamedTuple):
    """A new token, what it may do as it is written, and for how many seconds."""

    issued: Issued
    scopes: tuple[str, ...]
    expires_in: int


async def prepare(app: App, subject_token: str) -> None:
    """Wait for what `exchange` will need of issuers, without holding a thread."""
    if subject_token.startswith(devices.IDENTITY):
        return
    try:
        token = parse(subject_token)
    except IdentityRefused:
        return  # `exchange` says so
    for issuer in {app.settings.identity_federation[name].issuer for name in _candidates(app, token)}:
        await app.issuers.prepare(issuer, subject_token)


def exchange(app: App, subject_token: str, scope: str | None = None) -> Exchanged:
    """A token for whoever a subject token is of.

    Args:
        subject_token: an issuer's ID token, or what a device was given when a person let it in.
        scope: scopes with spaces between them, of all that would be given; None: all.

    Raises:
        IdentityRefused: no identity federation accepts the token; the message says why.
        Forbidden: the identity is accepted, and nothing is given to it here.
        ScopeRefused: `scope` can't be read, or is more than would be given.
        UpstreamUnavailable, UpstreamInvalid: the issuer can't be asked for its keys.
    """
    if subject_token.startswith(devices.IDENTITY):
        if scope is not None:
            raise ScopeRefused("what a device is given is what the person may do who let it in", hint="leave out scope")
        issued = devices.redeem(app, subject_token)
        assert issued is not None
        return _exchanged(app, issued)
    accepted = _accepted(app, subject_token)
    with app.db.read() as connection:
        given = _resolved(connection, accepted)
        if not given:
            raise identity.nothing_given(accepted)
        grants = given if scope is None else _narrowed(connection, given, scope)
    first, names = accepted[0], tuple(each.via for each in accepted)
    issued = issue(
        app,
        kind=TokenKind.FEDERATION,
        actor=first.actor,
        grants=grants,
        created_by=first.actor,
        lifetime=min(float(app.settings.identity_federation[name].token_lifetime) for name in names),
        description=f"identity {first.identity}"[:LONGEST_DESCRIPTION],
        via=", ".join(names)[:_LONGEST_VIA],
        is_dated=True,
    )
    return _exchanged(app, issued)


def _exchanged(app: App, issued: Issued) -> Exchanged:
    end, now = issued.token.expires, app.clock()
    with app.db.read() as connection:
        scopes = written_scopes(connection, issued.token.grants)
    return Exchanged(issued, scopes, 0 if end is None else max(0, int((end - now).total_seconds())))


def _candidates(app: App, token: Token) -> list[str]:
    """Names of the federations whose issuer and audience a token says that it has."""
    audiences = token.claims.get("aud")
    audiences = audiences if isinstance(audiences, list) else [audiences]
    return [
        name
        for name, section in app.settings.identity_federation.items()
        if section.issuer == token.claims.get("iss") and section.audience in audiences
    ]


def _accepted(app: App, text: str) -> list[Identified]:
    """What each federation makes of a token that accepts it, at least one.

    Raises:
        IdentityRefused, UpstreamUnavailable, UpstreamInvalid
    """
    token = parse(text)
    names = _candidates(app, token)
    if not names:
        raise _no_candidate(app, token)
    accepted: list[Identified] = []
    refused: dict[str, IdentityRefused] = {}
    trouble: UpstreamUnavailable | UpstreamInvalid | None = None
    for name in names:
        section = app.settings.identity_federation[name]
        try:
            claims = app.issuers.verify(
                section.issuer, text, audience=section.audience, authorized_party=section.authorized_party
            )
            accepted.append(identity.of_federation(app.settings, name, claims))
        except IdentityRefused as error:
            refused[name] = error
            if section.logging:
                _log.info("identity: %s refused a token: %s", name, error.message)
        except (UpstreamUnavailable, UpstreamInvalid) as error:
            trouble = error
    if accepted:
        return accepted
    if trouble is not None:
        raise trouble
    if len(refused) == 1 or len({error.message for error in refused.values()}) == 1:
        same = next(iter(refused.values()))
        raise IdentityRefused(f"{', '.join(refused)}: {same.message}", hint=same.hint)
    raise IdentityRefused("; ".join(f"{name}: {error.message}" for name, error in refused.items()))


def _no_candidate(app: App, token: Token) -> IdentityRefused:
    """Nobody here takes such a token: of that issuer, or for that audience."""
    issuer, sections = token.claims.get("iss"), app.settings.identity_federation.values()
    shown = repr(issuer[:200]) if isinstance(issuer, str) else "nobody"
    if any(section.issuer == issuer for section in sections):
        return IdentityRefused(
            f"no identity federation of the issuer {shown} has the token's audience",
            hint="the program asks its issuer for a token with the audience that the settings name",
        )
    near = [s.issuer for s in sections if isinstance(issuer, str) and s.issuer.rstrip("/") == issuer.rstrip("/")]
    more = f"; one has {near[0]!r}, with another slash at its end" if near else ""
    return IdentityRefused(
        f"no identity federation has the issuer {shown}{more}",
        hint="an administrator names issuers in [identity_federation], exactly as their tokens do",
    )


def _resolved(connection: Connection, accepted: list[Identified]) -> Grants:
    """All that is given; repositories and sources that there are none of are nothing."""
    scopes = [scope for each in accepted for scope in each.scopes]
    found = resolve_scopes(connection, scopes, strict=False)
    return {scope: ids for scope, ids in found.items() if ids is None or ids}


def _narrowed(connection: Connection, given: Grants, text: str) -> Grants:
    """The part of what is given that somebody asks for. Raises ScopeRefused."""
    try:
        wanted: list[ScopeText] = parse_scopes(text.split()[: MOST_SCOPES + 1])
    except Invalid as error:
        raise ScopeRefused(error.message, hint=error.hint) from None
    if not 0 < len(wanted) <= MOST_SCOPES:
        raise ScopeRefused(f"scope is 1 to {MOST_SCOPES} scopes with spaces between them")
    # The same words whether it is too much or there is nothing of that name.
    refusal = ScopeRefused(
        "this identity is not given all that scope asks for", hint="ask for less, or leave out scope"
    )
    try:
        grants = resolve_scopes(connection, wanted, strict=True)
    except (NotFound, WrongType):
        raise refusal from None
    if not is_within(grants, Access("", given)):
        raise refusal
    return grants
