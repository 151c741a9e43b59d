"""What the door remembers of tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from entrepot.app import App
from entrepot.core.access import INSIDE, Scope
from entrepot.operations import repositories, tokens
from entrepot.web import door as doors
from entrepot.web.door import Door
from tests.support.server import Clock, eventually

pytestmark = pytest.mark.one_shape


@pytest.fixture
def door(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """One that believes a token for two seconds, and looks it up again after a tenth of one."""
    monkeypatch.setattr(doors, "REMEMBERED", 2.0)
    monkeypatch.setattr(doors, "AHEAD", 1.9)
    return Door(app, "the administrator's")


@pytest.fixture
def made(app: App) -> tuple[bytes, int, str]:
    """The Authorization header of a token, the repository that it reads, and its guid."""
    repositories.create_repository(app, "team", type_=repositories.RepositoryType.R, is_closed=True)
    issued = tokens.create_token(
        app, scopes=[Scope.REPOS_READ], repos=frozenset({"team"}), description="x", by=INSIDE, lifetime=3600
    )
    (id_,) = issued.token.grants[Scope.REPOS_READ] or ()
    return f"Bearer {issued.text}".encode(), id_, issued.token.guid


def test_a_token_in_use_is_looked_up_behind_its_requests(door: Door, made: tuple[bytes, int, str]) -> None:
    """Nobody waits for the database as long as it is used and good, and it stays good for its repository alone."""
    header, repository, _ = made
    assert not door.reads(header, repository)  # nobody asked yet
    door.access_of(header, "192.0.2.1")
    until = time.monotonic() + 4
    while time.monotonic() < until:
        assert door.reads(header, repository)
        assert not door.reads(header, repository + 1)
        time.sleep(0.02)


def test_a_token_that_was_revoked_elsewhere_is_forgotten_behind_its_requests(
    app: App, door: Door, made: tuple[bytes, int, str]
) -> None:
    """It is believed no longer than any other would be."""
    header, repository, guid = made
    door.access_of(header, "192.0.2.1")
    tokens.revoke_token(app, guid, by="admin")
    began = time.monotonic()
    eventually(lambda: door.reads(header, repository), lambda is_read: not is_read)
    assert time.monotonic() - began < 2.0
    with pytest.raises(doors.Unauthenticated):
        door.access_of(header, "192.0.2.1")


def test_a_token_that_is_not_used_is_not_looked_up(door: Door, made: tuple[bytes, int, str]) -> None:
    header, repository, _ = made
    door.access_of(header, "192.0.2.1")
    time.sleep(2.1)
    assert not door.reads(header, repository)


def test_what_is_near_its_end_is_looked_at_each_time(
    app: App, clock: Clock, door: Door, made: tuple[bytes, int, str]
) -> None:
    """Within a minute of a token's end the clock counts, to the second."""
    header, repository, _ = made
    clock.wait(seconds=3550)
    door.access_of(header, "192.0.2.1")
    assert door.reads(header, repository)
    clock.wait(seconds=50)
    assert not door.reads(header, repository)
