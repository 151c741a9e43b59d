"""Scopes as settings write them, and what somebody may do."""

from __future__ import annotations

import pytest

from entrepot.core.access import (
    ANONYMOUS,
    INSIDE,
    Access,
    Scope,
    ScopeText,
    is_within,
    merge,
    parse_names,
    parse_scope,
    parse_scopes,
)
from entrepot.core.errors import Invalid

READ, WRITE = Scope.REPOS_READ, Scope.SOURCES_WRITE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("repos:read:*", ScopeText(READ)),
        (" repos:read:team,tools ", ScopeText(READ, frozenset({"team", "tools"}))),
        ("sources:write:a", ScopeText(WRITE, frozenset({"a"}))),
        ("global:admin", ScopeText(Scope.GLOBAL_ADMIN)),
        ("metadata:read:*", ScopeText(Scope.METADATA_READ)),
    ],
)
def test_scopes_are_read(text: str, expected: ScopeText) -> None:
    assert parse_scope(text) == expected
    assert parse_scope(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "repos", "repos:write:*", "repos:read", "repos:read:", "repos:read:*,a", "global:admin:team", "REPOS:READ:*"],
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_scope(text)


def test_names_that_were_split_at_their_commas_belong_to_their_scope() -> None:
    """A variable of the environment is split at commas before anybody knows what it is."""
    assert list(map(str, parse_scopes(["repos:read:b", "a", "global:admin"]))) == ["repos:read:a,b", "global:admin"]
    with pytest.raises(Invalid):
        parse_scopes(["a"])
    assert parse_names("*") is None


def test_all_that_any_gives() -> None:
    """For all goes before for some."""
    some, other = {READ: frozenset({1})}, {READ: frozenset({2}), WRITE: frozenset({3})}
    assert merge([some, other]) == {READ: frozenset({1, 2}), WRITE: frozenset({3})}
    assert merge([some, {READ: None}, other])[READ] is None


def test_what_scopes_allow() -> None:
    """Each scope is for what it was given for; the administrator's is for all, anonymous for nothing."""
    reader = Access("ada", {READ: frozenset({1})})
    assert reader.may_read(1)
    assert not reader.may_read(2)
    assert not reader.may_write(1)
    assert not reader.has_all_of(READ)
    assert Access("ada", {READ: None}).may_read(99)
    assert all(INSIDE.may(scope, 1) and INSIDE.has(scope) for scope in Scope)
    assert not any(ANONYMOUS.may(scope, 1) or ANONYMOUS.has(scope) for scope in Scope)
    blocker = Access("ada", {Scope.BLOCKLIST_ADMIN: None})
    assert blocker.has(Scope.BLOCKLIST_READ)
    assert not blocker.has(Scope.METADATA_READ)
    assert not blocker.is_admin


@pytest.mark.parametrize(
    ("wanted", "is_less"),
    [
        ({READ: frozenset({1})}, True),
        ({READ: frozenset({1, 2})}, False),
        ({READ: None}, False),
        ({WRITE: None}, True),
        ({WRITE: frozenset({7})}, True),
        ({Scope.BLOCKLIST_READ: None}, True),
        ({Scope.GLOBAL_ADMIN: None}, False),
        ({}, True),
    ],
)
def test_nobody_gives_more_than_they_have(wanted: dict[Scope, frozenset[int] | None], is_less: bool) -> None:
    maker = Access("ada", {READ: frozenset({1}), WRITE: None, Scope.BLOCKLIST_ADMIN: None})
    assert is_within(wanted, maker) == is_less
    assert is_within(wanted, INSIDE)
