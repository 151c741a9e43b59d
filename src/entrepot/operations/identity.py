"""Claims of a verified token -> who that is, and what the settings give to them.

Names can't be borrowed: who comes by an identity federation is called `NAME:who`, and a sign-in never gives a name that
means something here. What a token lists as roles counts as the settings map it; a role that is written as a scope,
such as Posit Connect's `repos:read:*`, gives that scope, unless it is an administrative one.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from entrepot.core.access import ADMINISTRATIVE, ScopeText, parse_scope
from entrepot.core.errors import EntrepotError, Forbidden, IdentityRefused, Invalid
from entrepot.settings import IdentityFederation, OpenIdConnect, ScopeMapping, Settings
from entrepot.settings.access import OPENID_CONNECT, is_pattern

_log = logging.getLogger(__name__)
LONGEST_SUBJECT = 1000
LONGEST_NAME = 150
MOST_VALUES = 1000
"""Groups or roles of one token that are looked at."""
NAME_CLAIMS = ("preferred_username", "email")
"""Where a name is looked for if the settings don't say; what people choose freely (`name`) is none to tell them by."""
RESERVED = frozenset({"admin", "anonymous", "entrepot", "setup", "sync", "schedule", "system", "bootstrap", "local"})
"""Names of actors that aren't people."""
_SHOWN_VALUES = 10
_SHOWN = 100


class Identified(NamedTuple):
    """Somebody of whom an issuer vouched, and what they are given.

    Args:
        actor: what transactions and the audit log call them.
        via: the federation, or `openid_connect`.
        scopes: what they get; nothing if the settings give them nothing.
        identity: what tells them apart for good, at this issuer.
        groups, roles: as their token lists them.
    """

    actor: str
    via: str
    scopes: tuple[ScopeText, ...]
    identity: str
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


def of_federation(settings: Settings, name: str, claims: Mapping[str, Any]) -> Identified:
    """Who a token is of that was verified for this federation, and what they get, which may be nothing.

    Raises:
        IdentityRefused: the token's subject is not the one that the federation allows, or nothing in it tells people
            apart.
    """
    section = settings.identity_federation[name]
    _check_subject(section.subject, claims)
    who = _unique(section, claims)
    found = _identified(settings, section, name, f"{name}:{_name(section, claims) or who}"[:200], who, claims)
    if section.logging:
        _tell(found)
    return found


def of_sign_in(settings: Settings, claims: Mapping[str, Any]) -> Identified:
    """Who signed in, and what they get, which is something.

    Raises:
        IdentityRefused: nothing in the token tells people apart.
        Forbidden: they are given nothing here.
    """
    section = settings.openid_connect
    who = _unique(section, claims)
    actor = _name(section, claims) or who
    if _is_taken(settings, actor):
        actor = f"{OPENID_CONNECT}:{actor}"
    found = _identified(settings, section, OPENID_CONNECT, actor, who, claims)
    if section.logging:
        _tell(found)
    if not found.scopes:
        raise nothing_given([found])
    return found


def nothing_given(identities: Sequence[Identified]) -> EntrepotError:
    """What to tell somebody whose identity was accepted, but who may nothing here."""
    via = ", ".join(dict.fromkeys(each.via for each in identities))
    came = [
        f"{what} {_written(values)}"
        for what, values in (
            ("roles", [role for each in identities for role in each.roles]),
            ("groups", [group for each in identities for group in each.groups]),
        )
        if values
    ]
    names = ", ".join(dict.fromkeys(each.actor for each in identities))
    return Forbidden(
        f"the identity of {names!r} was accepted by {via}, but nothing is given to it here; it came with "
        + (" and ".join(came) or "no roles and no groups"),
        hint="an administrator gives access: [role_to_scope_mapping] or [group_to_scope_mapping] for a role or group "
        "of those, or `scope` for all of that integration",
    )


def _check_subject(allowed: str, claims: Mapping[str, Any]) -> None:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise IdentityRefused("the token has no subject (sub)")
    if len(subject) > LONGEST_SUBJECT:
        raise IdentityRefused(f"the token's subject is longer than {LONGEST_SUBJECT} characters")
    is_allowed = re.fullmatch(allowed[1:-1], subject) is not None if is_pattern(allowed) else subject == allowed
    if not is_allowed:
        raise IdentityRefused(
            f"the token's subject {subject[:200]!r} is not one that is allowed",
            hint="the setting `subject` is a whole subject, or a pattern of whole ones between ^ and $",
        )


def _unique(section: OpenIdConnect | IdentityFederation, claims: Mapping[str, Any]) -> str:
    value = _claim(claims, section.unique_id_claim)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > LONGEST_SUBJECT:
        raise IdentityRefused(f"the token has no usable {section.unique_id_claim}, which tells people apart")
    return value


def _name(section: OpenIdConnect | IdentityFederation, claims: Mapping[str, Any]) -> str | None:
    """The name to call somebody by, if the token has one that can be used."""
    for claim in (section.username_claim,) if section.username_claim else NAME_CLAIMS:
        value = _claim(claims, claim)
        if claim == "email" and claims.get("email_verified") is False:
            continue
        if isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= LONGEST_NAME:
            return value.strip()
    return None


def _is_taken(settings: Settings, actor: str) -> bool:
    """Whether a name would be taken for somebody else: what isn't a person, or who comes by a federation."""
    plain = unicodedata.normalize("NFKC", actor).casefold().strip()
    integrations = (*settings.identity_federation, OPENID_CONNECT)
    return plain in RESERVED or any(plain.startswith(f"{name.casefold()}:") for name in integrations)


def _identified(
    settings: Settings,
    section: OpenIdConnect | IdentityFederation,
    via: str,
    actor: str,
    who: str,
    claims: Mapping[str, Any],
) -> Identified:
    groups = _values(claims, section.groups_claim, section.groups_separator)
    roles = _values(claims, section.role_claim, section.roles_separator)
    scopes = [
        *section.given,
        *_mapped(settings.group_to_scope_mapping, groups, via),
        *_mapped(settings.role_to_scope_mapping, roles, via),
        *_written_as_scopes(roles),
    ]
    return Identified(actor[:200], via, tuple(dict.fromkeys(scopes)), who, groups, roles)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name; one within another by a path such as `realm_access.roles`, where none has that name."""
    if name in claims or not name:
        return claims.get(name)
    value: Any = claims
    while name:
        if not isinstance(value, Mapping):
            return None
        # A part of the path may have dots itself: `kubernetes.io.namespace`.
        parts = name.split(".")
        known = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in value), None)
        if known is None:
            return None
        value, name = value[".".join(parts[:known])], ".".join(parts[known:])
    return value


def _values(claims: Mapping[str, Any], name: str, separator: str) -> tuple[str, ...]:
    """The groups or roles of a claim: a list of texts, or one text with something between them."""
    value = _claim(claims, name) if name else None
    if isinstance(value, str):
        value = value.split(separator) if separator else [value]
    if not isinstance(value, list):
        return ()
    texts = [each.strip() for each in value if isinstance(each, str) and each.strip()]
    return tuple(dict.fromkeys(texts[:MOST_VALUES]))


def _mapped(mappings: Mapping[str, ScopeMapping], values: Sequence[str], via: str) -> list[ScopeText]:
    found = []
    for section, mapping in mappings.items():
        if (mapping.name or section) in values and (not mapping.integrations or via in mapping.integrations):
            found += mapping.given
    return found


def _written_as_scopes(roles: Sequence[str]) -> list[ScopeText]:
    """What roles give that are written as scopes, several in one text with spaces between them."""
    found = []
    for role in roles:
        try:
            scopes = [parse_scope(word) for word in role.split()]
        except Invalid:
            continue  # a role of another kind
        found += [each for each in scopes if each.scope not in ADMINISTRATIVE]
    return found


def _written(values: Sequence[str]) -> str:
    shown = [repr(value[:_SHOWN]) for value in dict.fromkeys(values)]
    more = f" and {len(shown) - _SHOWN_VALUES} more" if len(shown) > _SHOWN_VALUES else ""
    return ", ".join(shown[:_SHOWN_VALUES]) + more


def _tell(found: Identified) -> None:
    _log.info(
        "identity: %s accepted %r (%r), roles %s, groups %s: given %s",
        found.via,
        found.actor,
        found.identity[:200],
        _written(found.roles) or "none",
        _written(found.groups) or "none",
        " ".join(map(str, found.scopes)) or "nothing",
    )
