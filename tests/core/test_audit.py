"""The chain of the audit log, and what never stands in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from entrepot.core.audit import FIRST, LONGEST, Break, Entry, Outcome, Row, append, find_break
from entrepot.core.errors import NotFound
from entrepot.core.hiding import HIDDEN, without_secrets
from entrepot.core.tokens import make_token

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def rows(count: int) -> list[Row]:
    found: list[Row] = []
    for n in range(count):
        found.append(append(Entry(NOON, "ann", "::1", "create repo", f"name={n}"), found[-1] if found else None))
    return found


def test_a_chain_holds() -> None:
    """Ids go 1, 2, 3; each row has the hash of the one before it, the first 64 zeros."""
    chain = rows(3)
    assert [row.id for row in chain] == [1, 2, 3]
    assert [row.previous for row in chain] == [FIRST, chain[0].hash, chain[1].hash]
    assert find_break(chain, None) == (chain[-1], None)
    assert find_break(chain[1:], chain[0]) == (chain[-1], None)


def test_a_hash_is_what_the_guide_says() -> None:
    """Anybody can compute it: this one was computed by other means, and must stay the same for ever."""
    entry = Entry(NOON, "ann", "10.0.0.1", "delete repo", "repo=é", Outcome.DONE, 204, "", "guid", 6)
    row = append(entry, Row(6, entry, "", "ab" * 32))
    import hashlib

    text = (
        '{"action":"delete repo","actor":"ann","address":"10.0.0.1","began":6,"detail":"","id":7,"outcome":"done",'
        '"previous":"' + "ab" * 32 + '","status":204,"subject":"repo=\\u00e9","time":"2024-03-01T12:00:00.000000Z",'
        '"token":"guid"}'
    )
    assert row.hash == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "eve"},
        {"subject": ""},
        {"time": NOON + timedelta(microseconds=1)},
        {"outcome": Outcome.FAILED},
        {"status": 1},
        {"token": "x"},
        {"began": 1},
        {"address": ""},
        {"action": "x"},
        {"detail": "x"},
    ],
    ids=str,
)
def test_a_changed_row_shows(change: dict[str, object]) -> None:
    """Whatever of a row is changed, the walk stops there."""
    chain = rows(3)
    chain[1] = replace(chain[1], entry=replace(chain[1].entry, **change))  # type: ignore[arg-type]
    last, broken = find_break(chain, None)
    assert (last, broken) == (chain[0], Break(2, "row 2 was changed after it was written"))


def test_a_row_that_was_written_anew_shows() -> None:
    """Who changes a row and its hash has to change all that follow: the next one doesn't fit."""
    chain = rows(3)
    chain[1] = append(replace(chain[1].entry, actor="eve"), chain[0])
    broken = Break(3, "row 3 does not follow the row before it as that is now")
    assert find_break(chain, None) == (chain[1], broken)


def test_missing_rows_show() -> None:
    """At the beginning, in the middle; not at the end, where the chain can't tell."""
    chain = rows(4)
    assert find_break(chain[1:], None) == (None, Break(1, "row 1 is missing: row 2 is there in its place"))
    cut = [chain[0], *chain[2:]]
    assert find_break(cut, None) == (chain[0], Break(2, "row 2 is missing: row 3 is there in its place"))
    assert find_break(chain[:2], None) == (chain[1], None)


def test_the_zone_of_a_time_does_not_matter() -> None:
    """A database may give a time back in another zone."""
    row = rows(1)[0]
    elsewhere = replace(row.entry, time=NOON.astimezone(timezone(timedelta(hours=5))))
    assert find_break([replace(row, entry=elsewhere)], None)[1] is None


def test_texts_are_kept_as_every_database_keeps_them() -> None:
    """One line, no control characters, no half characters, cut to what the table takes."""
    entry = Entry(NOON, "a\0b\nc\ud800", "x" * 99, "y" * 999, "z" * 9999, token="t" * 99)
    written = append(entry, None).entry
    assert written.actor == "a\\x00b\\nc\\ud800"
    lengths = [len(text or "") for text in (written.address, written.action, written.subject, written.token)]
    assert lengths == [64, 100, LONGEST, 36]


@pytest.mark.parametrize(
    "secret",
    [
        make_token(),
        make_token(NOON),
        "entrepot-identity_" + "aB3" * 12,
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl",
    ],
    ids=["token", "dated", "identity", "jwt"],
)
def test_secrets_are_hidden(secret: str) -> None:
    """A token that somebody sent in the place of a name is in no subject and no detail, nor any part of it."""
    entry = Entry(NOON, "ann", "::1", "delete repo", f"repo={secret}", detail=f"there is no {secret!r}")
    written = append(entry, None).entry
    assert (written.subject, written.detail) == (f"repo={HIDDEN}", f"there is no '{HIDDEN}'")
    told = NotFound(f"there is no {secret}", hint=f"not {secret}", name=secret, names=[secret], count=1).as_json()
    assert (told["error"], told["hint"]) == (f"there is no {HIDDEN}", f"not {HIDDEN}")
    assert told["payload"] == {"name": HIDDEN, "names": [HIDDEN], "count": 1}


@pytest.mark.parametrize("text", ["entrepot", "repo=entrepot_dev", "entrepot_team-packages", "eyJ is no token"])
def test_names_are_no_secrets(text: str) -> None:
    """What only begins like a token stays."""
    assert without_secrets(text) == text
