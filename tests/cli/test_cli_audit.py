"""`audit` and `audit verify`, against a real server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from tests.cli.conftest import Entrepot
from tests.support.server import Live


@pytest.fixture
def live_server(live: Live) -> Live:
    """The commands are tried on a real server here."""
    return live


@pytest.fixture
def acted(live: Live, entrepot: Entrepot) -> Entrepot:
    """A repository was made, another one could not be, and somebody was refused."""
    assert entrepot("create", "repo", "--name=team").exit_code == 0
    assert entrepot("create", "repo", "--name=team").exit_code == 5
    assert Entrepot(live.address, "wrong")("delete", "repo", "--name=team").exit_code == 3
    live.app.audit.flush()
    return entrepot


def test_acts_are_listed_newest_first(acted: Entrepot) -> None:
    """A line tells number, time, outcome, who, from where, what, and what was wrong."""
    at = "2024-03-01 12:00:00"
    assert acted.said("audit") == [
        f"5  {at}  refused 401  anonymous  127.0.0.1  delete repo  repo=team  "
        "the token is not good: unknown, ended or revoked",
        f"4  {at}  failed 409   admin      127.0.0.1  create repo  name=team type=r  a repository named 'team' exists",
        f"2  {at}  done 201     admin      127.0.0.1  create repo  name=team type=r",
    ]


def test_acts_by_what_is_known_of_them(acted: Entrepot) -> None:
    """By actor, action, outcome and time; in pages."""
    assert [act["id"] for act in acted.json("audit", "--actor=admin")] == [4, 2]
    assert [act["id"] for act in acted.json("audit", "--action=delete repo")] == [5]
    assert [act["id"] for act in acted.json("audit", "--outcome=Done")] == [2]
    assert [act["id"] for act in acted.json("audit", "--since=2024-03-01", "--until=2024-03-01T12:00:01")] == [5, 4, 2]
    assert acted("audit", "--since=2d").stderr == "No acts\n"
    result = acted("audit", "--count=1", "--page=2")
    assert (result.stdout.split()[0], result.stderr) == ("4", "2-2 of 3 acts; --page=3 shows the next\n")


def test_ago_is_counted_from_now(live: Live, entrepot: Entrepot) -> None:
    """`--since=2d` is the last two days, of a clock that is right."""
    live.app.clock.now = datetime.now(UTC)  # type: ignore[attr-defined]
    assert entrepot("create", "repo", "--name=team").exit_code == 0
    assert len(entrepot.said("audit", "--since=2d")) == 1
    assert entrepot("audit", "--until=1h").stderr == "No acts\n"


def test_json_is_asked_for_in_both_ways(acted: Entrepot) -> None:
    """`--json` is `--output-format=json`."""
    assert json.loads(acted("audit", "--json").stdout) == acted.json("audit")
    assert json.loads(acted("audit", "verify", "--json").stdout) == acted.json("audit", "verify")


@pytest.mark.parametrize(
    "flag", ["--since=sometime", "--until=2024-13-01", "--since=999999w", "--outcome=odd", "--count=0"]
)
def test_what_is_no_time_and_no_outcome(acted: Entrepot, flag: str) -> None:
    """Exit code 2, before anybody is asked."""
    assert acted.failed("audit", flag)[0] == 2


def test_the_log_is_verified(acted: Entrepot, live: Live) -> None:
    """It tells a row to be noted, which later must still be there; a change shows with exit code 5."""
    said = acted.said("audit", "verify")
    assert said[0] == "The audit log holds: 5 rows"
    assert re.fullmatch(r"--known=5:[0-9a-f]{64}", said[1])
    assert acted.said("audit", "verify", said[1]) == said
    with live.app.db.write(shows=False) as connection:
        if live.app.db.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_no_DELETE"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_only_grows"))
        connection.execute(text("DELETE FROM audit WHERE id > 3"))
    assert acted.said("audit", "verify")[0] == "The audit log holds: 3 rows"
    assert acted.failed("audit", "verify", said[1]) == (
        5,
        [
            "Error: the audit log is broken: rows 4 to 5 are missing at the end",
            "Hint: the 3 rows before still hold; compare the others with a backup",
        ],
    )
    assert acted.failed("audit", "verify", "--known=5")[0] == 2


def test_the_log_is_for_administrators(live: Live) -> None:
    """Without a token, exit code 3."""
    assert Entrepot(live.address, "wrong").failed("audit")[0] == 3
