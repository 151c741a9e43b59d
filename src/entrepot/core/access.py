"""What somebody may do: scopes, the repositories and sources that they are given for, and how settings write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from entrepot.core.errors import Invalid


class Scope(StrEnum):
    """Something that may be done. `repos:read` and `sources:write` are given for repositories and sources."""

    REPOS_READ = "repos:read"
    SOURCES_WRITE = "sources:write"
    BLOCKLIST_READ = "blocklist:read"
    BLOCKLIST_ADMIN = "blocklist:admin"
    METADATA_READ = "metadata:read"
    METADATA_ADMIN = "metadata:admin"
    GLOBAL_ADMIN = "global:admin"


OF_NAMED = frozenset({Scope.REPOS_READ, Scope.SOURCES_WRITE})
"""Scopes that are given for some repositories or sources, or for all."""
ADMINISTRATIVE = frozenset({Scope.BLOCKLIST_ADMIN, Scope.METADATA_ADMIN, Scope.GLOBAL_ADMIN})
_IMPLIED: dict[Scope, frozenset[Scope]] = {
    Scope.BLOCKLIST_READ: frozenset({Scope.BLOCKLIST_ADMIN}),
    Scope.METADATA_READ: frozenset({Scope.METADATA_ADMIN}),
}
"""Scope -> those that include it, besides `global:admin`, which includes all."""
ALL = "*"
_WORDS = re.compile(r"[,\s]+")


class TokenKind(StrEnum):
    """How somebody came by a token."""

    API = "api"
    SESSION = "session"
    SSO = "sso"
    FEDERATION = "federation"


Grants = Mapping[Scope, frozenset[int] | None]
"""Scope -> ids of the repositories or sources that it is given for; None: for all, also those that come later."""


@dataclass(frozen=True, slots=True)
class ScopeText:
    """A scope as somebody wrote it: `names` of repositories or sources, None for all of them (or where none belong)."""

    scope: Scope
    names: frozenset[str] | None = None

    def __str__(self) -> str:
        if self.scope not in OF_NAMED:
            return self.scope.value
        return f"{self.scope.value}:{ALL if self.names is None else ','.join(sorted(self.names))}"


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and what they may do.

    `actor` is what transactions and the audit log call them; `is_known` is false of those who sent no token. `guid`
    names the token that was sent, `via` the integration or sign-in that it comes from. `is_session` says that it came
    as a browser's cookie.
    """

    actor: str
    grants: Grants = field(default_factory=dict)
    is_known: bool = True
    guid: str | None = None
    kind: TokenKind | None = None
    via: str | None = None
    expires: datetime | None = None
    is_session: bool = False

    @property
    def is_admin(self) -> bool:
        return Scope.GLOBAL_ADMIN in self.grants

    def has(self, scope: Scope) -> bool:
        """Whether they have a scope, for whatever repositories or sources."""
        return self.is_admin or scope in self.grants or not _IMPLIED.get(scope, frozenset()).isdisjoint(self.grants)

    def may(self, scope: Scope, id_: int) -> bool:
        """Whether they have a scope for that repository or source."""
        if self.is_admin:
            return True
        given = self.grants.get(scope, frozenset())
        return given is None or id_ in given

    def may_read(self, repository_id: int) -> bool:
        """Whether they may read that repository though it is closed."""
        return self.may(Scope.REPOS_READ, repository_id)

    def may_write(self, source_id: int) -> bool:
        """Whether they may publish to that source and manage it."""
        return self.may(Scope.SOURCES_WRITE, source_id)

    def has_all_of(self, scope: Scope) -> bool:
        """Whether they have a scope for all repositories or sources."""
        return self.is_admin or (scope in self.grants and self.grants[scope] is None)


ANONYMOUS = Access("anonymous", is_known=False)
INSIDE = Access("entrepot", {Scope.GLOBAL_ADMIN: None})
"""This installation itself: builds, syncs and what else nobody asks for from outside."""


def parse_scope(text: str) -> ScopeText:
    """A scope as settings and claims write it: `global:admin`, `repos:read:*`, `sources:write:team,tools`.

    Raises:
        Invalid: it is none.
    """
    parts = text.strip().split(":", 2)
    try:
        scope = Scope(":".join(parts[:2]))
    except ValueError:
        raise Invalid(
            f"{text[:100]!r} is no scope",
            hint=f"scopes are {', '.join(written(scope) for scope in Scope)}, with names or {ALL}",
        ) from None
    names = parts[2] if len(parts) == 3 else None
    if scope not in OF_NAMED:
        if names not in (None, ALL):
            raise Invalid(f"{scope.value} is given for nothing in particular", hint=f"write {scope.value}")
        return ScopeText(scope)
    if names is None:
        what = "repositories" if scope is Scope.REPOS_READ else "sources"
        raise Invalid(f"{scope.value} needs names of {what}", hint=f"write {scope.value}:{ALL} for all {what}")
    return ScopeText(scope, parse_names(names))


def written(scope: Scope) -> str:
    """A scope as settings write it, for all that it can be given for."""
    return f"{scope.value}:{ALL}" if scope in OF_NAMED else scope.value


def parse_names(text: str) -> frozenset[str] | None:
    """Names with commas between them; None for `*`. Raises Invalid."""
    names = frozenset(name for name in _WORDS.split(text.strip()) if name)
    if names == {ALL}:
        return None
    if not names or ALL in names:
        raise Invalid(f"{text[:100]!r} is no list of names", hint=f"write names with commas between them, or {ALL}")
    return names


def parse_scopes(texts: Iterable[str]) -> list[ScopeText]:
    """All scopes of several texts. Names of `repos:read:a,b` may have been split at their commas by whoever read them.

    Raises:
        Invalid: one of them is none.
    """
    whole: list[str] = []
    for text in texts:
        if ":" not in text and whole:
            whole[-1] += f",{text}"
        else:
            whole.append(text)
    return [parse_scope(text) for text in whole if text.strip()]


def merge(grants: Iterable[Grants]) -> dict[Scope, frozenset[int] | None]:
    """All that any of them gives."""
    result: dict[Scope, frozenset[int] | None] = {}
    for each in grants:
        for scope, ids in each.items():
            before = result.get(scope, frozenset())
            result[scope] = None if ids is None or before is None else before | ids
    return result


def is_within(wanted: Grants, given: Access) -> bool:
    """Whether `given` may do all that `wanted` would allow: nobody makes a token that may do more than they may."""
    for scope, ids in wanted.items():
        if scope in OF_NAMED:
            if ids is None:
                if not given.has_all_of(scope):
                    return False
            elif not all(given.may(scope, id_) for id_ in ids):
                return False
        elif not given.has(scope):
            return False
    return True
