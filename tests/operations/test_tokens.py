"""Tokens as operations: what is kept of them, when they end, and what they stay good for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from entrepot.app import App
from entrepot.core.access import INSIDE, Access, Scope, TokenKind
from entrepot.core.errors import Forbidden, Invalid, RepositoryNotFound, SourceNotFound, TokenNotFound, WrongType
from entrepot.core.model import RepositoryType
from entrepot.core.tokens import digest
from entrepot.db.accessschema import tokens as table
from entrepot.operations import repositories, tokens
from entrepot.operations.access import access_of_token
from entrepot.operations.tokens import Issued, create_token, list_tokens, revoke_token, token_info
from tests.support.server import NOON, Clock


def reading(app: App, name: str, **more: object) -> Issued:
    """A token that reads one repository."""
    values = {"description": "CI", "by": INSIDE, **more}
    return create_token(app, scopes=[Scope.REPOS_READ], repos=frozenset({name}), **values)  # type: ignore[arg-type]


def repository(app: App, name: str) -> int:
    info, _ = repositories.create_repository(
        app, name, type_=RepositoryType.R, description="", actor="x", is_closed=True
    )
    return info.repository.id


def test_a_token_gives_what_it_was_made_for(app: App) -> None:
    """Its text is who it is for, and may what it says and nothing else."""
    one, other = repository(app, "one"), repository(app, "other")
    access = access_of_token(app, reading(app, "one", user="ci@example.org").text)
    assert access is not None
    assert (access.actor, access.kind) == ("ci@example.org", TokenKind.API)
    assert (access.may_read(one), access.may_read(other), access.is_admin) == (True, False, False)


def test_only_a_hash_is_kept(app: App) -> None:
    """No column of its row has the text or its secret part; the digest is there."""
    made = reading(app, "cran")
    with app.db.read() as connection:
        row = connection.execute(select(table)).mappings().one()
    assert row["digest"] == digest(made.text)
    assert made.text[len("entrepot_") + 4 :] not in str(dict(row))


def test_a_token_survives_the_new_name_of_its_repository(app: App) -> None:
    """It is for the repository, not for whoever has its name later."""
    before = repository(app, "before")
    made = reading(app, "before")
    repositories.edit_repository(app, "before", name="after", description=None, is_closed=None)
    later = repository(app, "before")
    access = access_of_token(app, made.text)
    assert access is not None
    assert (access.may_read(before), access.may_read(later)) == (True, False)
    assert token_info(app, made.token.guid).scopes == ("repos:read:after",)


def test_a_token_ends(app: App, clock: Clock) -> None:
    """It is good until the second it was made for, and not in it."""
    made = reading(app, "cran", lifetime=60.0)
    clock.wait(seconds=59)
    assert access_of_token(app, made.text) is not None
    clock.wait(seconds=1)
    assert access_of_token(app, made.text) is None


def test_a_revoked_token(app: App, clock: Clock) -> None:
    """It is good for nothing, its list says who ended it, and ending it again changes nothing."""
    made = reading(app, "cran")
    revoke_token(app, made.token.guid, by="me")
    clock.wait(hours=1)
    token = revoke_token(app, made.token.guid, by="somebody else").token
    assert (token.revoked, token.revoked_by, access_of_token(app, made.text)) == (NOON, "me", None)


def test_lists_have_what_is_good(app: App, clock: Clock) -> None:
    """The others are listed if they are asked for; the newest first."""
    short = reading(app, "cran", lifetime=10.0).token.guid
    long = reading(app, "cran", lifetime=1000.0).token.guid
    ended = reading(app, "cran").token.guid
    revoke_token(app, ended, by="me")
    clock.wait(seconds=10)

    def listed(**flags: bool) -> list[str]:
        return [info.token.guid for info in list_tokens(app, **flags)[0]]  # type: ignore[arg-type]

    assert listed() == [long]
    assert listed(expired=True) == [long, short]
    assert listed(revoked=True) == [ended, long]
    assert listed(expired=True, revoked=True) == [ended, long, short]


def test_a_page_of_the_list(app: App) -> None:
    """A page has its rows, and the number of all."""
    guids = [reading(app, "cran").token.guid for _ in range(3)]
    rows, total = list_tokens(app, limit=2, offset=2)
    assert ([row.token.guid for row in rows], total) == ([guids[0]], 3)


def test_nobody_gives_more_than_they_have(app: App) -> None:
    """Whoever reads one repository makes no token for all."""
    id_ = repository(app, "one")
    maker = Access("maker", {Scope.REPOS_READ: frozenset({id_})})
    assert reading(app, "one", by=maker).token.created_by == "maker"
    with pytest.raises(Forbidden):
        create_token(app, scopes=[Scope.REPOS_READ], repos=None, description="more", by=maker)
    with pytest.raises(Forbidden):
        create_token(app, scopes=[Scope.GLOBAL_ADMIN], description="more", by=maker)


@pytest.mark.one_shape
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"scopes": []}, Invalid),
        ({"description": " "}, Invalid),
        ({"description": "x" * 501}, Invalid),
        ({"repos": frozenset()}, Invalid),
        ({"sources": None}, Invalid),
        ({"user": "a\nb"}, Invalid),
        ({"lifetime": 0.0}, Invalid),
        ({"repos": frozenset({"no"})}, RepositoryNotFound),
        ({"scopes": [Scope.SOURCES_WRITE], "repos": frozenset(), "sources": frozenset({"no"})}, SourceNotFound),
        ({"scopes": [Scope.SOURCES_WRITE], "repos": frozenset(), "sources": frozenset({"cran"})}, WrongType),
    ],
)
def test_tokens_that_are_not_made(app: App, values: dict[str, object], error: type[Exception]) -> None:
    """What is wrong with a wish is told, and nothing is made."""
    wish = {"scopes": [Scope.REPOS_READ], "repos": frozenset({"cran"}), "description": "x", "by": INSIDE, **values}
    with pytest.raises(error):
        create_token(app, **wish)  # type: ignore[arg-type]
    assert list_tokens(app, kinds=None)[1] == 0


@pytest.mark.one_shape
@pytest.mark.parametrize("guid", ["", "no", "x" * 1000, "\0"])
def test_a_token_that_there_is_not(app: App, guid: str) -> None:
    """Nothing is ended under a guid that nobody has."""
    with pytest.raises(TokenNotFound):
        revoke_token(app, guid, by="me")


def test_what_ended_long_ago_is_forgotten(app: App, clock: Clock) -> None:
    """Short-lived tokens leave the lists a month after their end; those that people made stay."""
    short = tokens.issue(
        app, kind=TokenKind.FEDERATION, actor="ci", grants={Scope.REPOS_READ: None}, created_by="ci", lifetime=60
    )
    made = reading(app, "cran", lifetime=60.0)
    clock.now += timedelta(days=31)
    last = reading(app, "cran")
    found = {info.token.guid for info in list_tokens(app, kinds=None, expired=True)[0]}
    assert found == {made.token.guid, last.token.guid}
    assert short.token.guid not in found
