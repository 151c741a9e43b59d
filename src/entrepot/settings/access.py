"""The sections about who may: sign-in, identity federation, what groups and roles give, the first token."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from entrepot.core.access import ScopeText, parse_scopes
from entrepot.core.errors import Invalid
from entrepot.settings.kinds import Seconds, Section, Words

LONGEST_LIFETIME = 30 * 86400
OPENID_CONNECT = "openid_connect"
"""The name of the sign-in among the integrations."""


def _issuer(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("the issuer's URL exactly as its tokens have it, http or https")
    if value and parts.username is not None:
        raise ValueError("the issuer's URL without a login")
    return value


def _scopes(values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(scope) for scope in parse_scopes(values))
    except Invalid as error:
        raise ValueError(f"{error.message}; {error.hint}") from error


def _subject(value: str) -> str:
    if is_pattern(value):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"a regular expression between ^ and $ ({error})") from error
    elif value.startswith("^") or (value.endswith("$") and not value.endswith("\\$")):
        raise ValueError("an exact value, or a regular expression that begins with ^ and ends with $")
    return value


def is_pattern(value: str) -> bool:
    """Whether a subject is a regular expression: between `^` and `$`, so that it is of the whole."""
    return value.startswith("^") and value.endswith("$") and not value.endswith("\\$") and len(value) > 1


Issuer = Annotated[str, AfterValidator(_issuer)]
Scopes = Annotated[Words, AfterValidator(_scopes)]
"""What is given, as settings write it: `repos:read:*`, `sources:write:team`."""
Subject = Annotated[str, AfterValidator(_subject)]
Lifetime = Annotated[Seconds, Field(ge=60, le=LONGEST_LIFETIME)]


class Authentication(Section):
    """`[authentication]`"""

    new_repos_auth_by_default: bool = Field(default=False, description="whether new repositories are closed")
    require_auth_for_ui: bool = Field(default=False, description="whether the pages are for those who signed in alone")


class _Claims(Section):
    """What both kinds of integrations read of an identity."""

    scope: Scopes = Field(default=(), description="what everybody gets, such as repos:read:*")
    groups_claim: str = Field(default="", description="claim with the groups; empty: none is read")
    groups_separator: str = Field(default="", description="what is between groups, where the claim is one text")
    role_claim: str = Field(default="", description="claim with the roles; empty: none is read")
    roles_separator: str = Field(default="", description="what is between roles, where the claim is one text")
    unique_id_claim: str = Field(default="sub", min_length=1, description="claim that tells people apart for good")
    username_claim: str = Field(default="", description="claim with the name that is shown; empty: the usual ones")
    custom_scope: Words = Field(default=(), description="further OAuth scopes to ask the issuer for")
    no_auto_groups_scope: bool = Field(default=False, description="true: don't ask the issuer for the scope groups")
    logging: bool = Field(default=False, description="whether each decision about an identity is logged")

    @property
    def given(self) -> list[ScopeText]:
        return parse_scopes(self.scope)


class OpenIdConnect(_Claims):
    """`[openid_connect]`: the sign-in of people."""

    issuer: Issuer = Field(
        default="", description="URL of the provider exactly as its tokens have it; empty: no sign-in"
    )
    client_id: str = Field(default="", description="as the provider knows this server")
    client_secret: str = Field(default="", repr=False, description="as the provider gave it; empty: a public client")
    client_secret_file: str = Field(default="", description="file with the client's secret, instead of client_secret")
    groups_claim: str = Field(default="groups", description="claim with the groups; empty: none is read")
    require_login: bool = Field(default=False, description="whether the provider asks for the password each time")
    token_lifetime: Lifetime = Field(
        default=8 * 3600, description="time after which people sign in again: 60 s to 30 d"
    )
    max_authentication_age: Annotated[Seconds, Field(ge=0)] = Field(
        default=0, description="how long ago the provider may have asked for the password; 0: that doesn't matter"
    )
    disable_pkce: bool = Field(default=False, description="true for providers that don't know PKCE (RFC 7636)")
    enable_device_pkce: bool = Field(default=True, description="true: the device flow always takes PKCE")

    @property
    def is_on(self) -> bool:
        return bool(self.issuer)

    @model_validator(mode="after")
    def _whole(self) -> OpenIdConnect:
        if self.issuer and not self.client_id:
            raise ValueError("an issuer with a client_id")
        if self.client_secret and self.client_secret_file:
            raise ValueError("client_secret or client_secret_file, not both")
        if not self.enable_device_pkce:
            raise ValueError("true: a device code without PKCE can be stolen")
        return self


class IdentityFederation(_Claims):
    """`[identity_federation.NAME]`: programs that an issuer vouches for."""

    issuer: Issuer = Field(min_length=1, description="URL of the issuer exactly as its tokens have it")
    audience: str = Field(min_length=1, description="what the tokens name as audience")
    subject: Subject = Field(min_length=1, description="the tokens' subject: a value, or a pattern between ^ and $")
    authorized_party: str = Field(default="", description="the tokens' azp; empty: any")
    token_lifetime: Lifetime = Field(default=3600, description="how long our token is good: 60 s to 30 d")


class ScopeMapping(Section):
    """What a group or a role gives."""

    scope: Scopes = Field(min_length=1, description="what it gives, such as repos:read:*")
    name: str = Field(default="", description="the group or role; empty: the section's name")
    integrations: Words = Field(
        default=(),
        description=f"names of federations for which it counts, {OPENID_CONNECT} for the sign-in; empty: all",
    )

    @property
    def given(self) -> list[ScopeText]:
        return parse_scopes(self.scope)


class Bootstrap(Section):
    """`[bootstrap]`: the key of whoever may make the first token over the network."""

    public_key: str = Field(default="", description="RSA public key as PEM, as `entrepot bootstrap keys` makes it")
    public_key_file: str = Field(default="", description="file with the key, instead of public_key")

    @model_validator(mode="after")
    def _one(self) -> Bootstrap:
        if self.public_key and self.public_key_file:
            raise ValueError("public_key or public_key_file, not both")
        return self


NAMED: dict[str, type[Section]] = {
    "identity_federation": IdentityFederation,
    "group_to_scope_mapping": ScopeMapping,
    "role_to_scope_mapping": ScopeMapping,
}
"""Sections of which there are any number, each with a name."""


def check_integrations(values: Any) -> None:
    """Raises ValueError if a mapping names an integration that is none."""
    known = {*values.identity_federation, OPENID_CONNECT}
    for mapping in (*values.group_to_scope_mapping.values(), *values.role_to_scope_mapping.values()):
        for name in mapping.integrations:
            if name not in known:
                raise ValueError(f"integrations that there are: {', '.join(sorted(known))}, not {name!r}")
