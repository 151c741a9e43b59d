"""The audit log in the database: what is written stays as it is, in one chain, whoever writes."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from entrepot.app import App
from entrepot.core.audit import Break, Entry, Outcome
from entrepot.core.errors import DatabaseUnavailable
from entrepot.db.audit import Wanted
from entrepot.db.auditlog import COUNTED_FOR, MOST_REFUSALS, OTHERS, AuditLog
from entrepot.operations.audit import Known, list_acts, verify
from entrepot.operations.browsing import Page
from tests.support.server import Clock, opened


def entry(app: App, action: str = "create repo", **changes: object) -> Entry:
    return replace(Entry(app.clock(), "ann", "10.0.0.1", action), **changes)  # type: ignore[arg-type]


def acts(app: App, wanted: Wanted | None = None, **page: int) -> list[tuple[int, str, str]]:
    """(id, action, outcome) of acts, the newest first."""
    found, _ = list_acts(app, wanted or Wanted(), ascending=False, page=Page(**page))
    return [(row.id, row.entry.action, row.entry.outcome.value) for row in found]


def tamper(app: App, statement: str) -> None:
    """Change the log as somebody can who has the database itself."""
    with app.db.write(shows=False) as connection:
        if app.db.is_sqlite:
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_UPDATE"))
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_DELETE"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_only_grows"))
        connection.execute(text(statement))


class Seconds:
    """Seconds that go on only when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_written_is_one_chain(app: App) -> None:
    """Rows of many threads are in one order, without gaps, and each waits until its own is committed."""
    ids: list[int] = []
    threads = [threading.Thread(target=lambda: ids.append(app.audit.write(entry(app)))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 41))
    found = verify(app)
    assert (found.rows, found.broken) == (40, None)


def test_nodes_write_one_chain(app: App) -> None:
    """Another process on the same database goes on where this one was."""
    app.audit.write(entry(app))
    with opened(app.settings, Clock()) as other:
        assert other.audit.write(entry(other)) == 2
    assert app.audit.write(entry(app)) == 3
    assert verify(app).broken is None


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_the_database_refuses_changes(app: App, statement: str) -> None:
    """Nothing that this program could be tricked into changes a row."""
    app.audit.write(entry(app))
    with pytest.raises(DatabaseError, match="only grows"), app.db.write(shows=False) as connection:
        connection.execute(text(statement))
    assert verify(app).rows == 1


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE id = 2", Break(2, "row 2 was changed after it was written")),
        ("DELETE FROM audit WHERE id = 2", Break(2, "row 2 is missing: row 3 is there in its place")),
        ("DELETE FROM audit WHERE id = 1", Break(1, "row 1 is missing: row 2 is there in its place")),
    ],
    ids=["changed", "taken out", "first"],
)
def test_tampering_shows(app: App, statement: str, broken: Break) -> None:
    """A row that was changed or taken out by other means is found by its id."""
    for _ in range(4):
        app.audit.write(entry(app))
    tamper(app, statement)
    found = verify(app)
    assert (found.rows, found.broken) == (broken.id - 1, broken)


def test_a_cut_end_shows_to_who_noted_it(app: App) -> None:
    """Rows taken away at the end are missed by whoever knows one of them, and so is a chain that was made anew."""
    for _ in range(4):
        app.audit.write(entry(app))
    last = verify(app).last
    assert last is not None
    known = Known(last.id, last.hash)
    app.audit.write(entry(app))
    assert verify(app, known).broken is None
    assert verify(app, Known(2, last.hash)).broken == Break(
        2, f"row 2 is not the one that was known: its hash was {last.hash}"
    )
    tamper(app, "DELETE FROM audit WHERE id > 2")
    assert verify(app).broken is None
    assert verify(app, known).broken == Break(3, "rows 3 to 4 are missing at the end")


def test_an_act_is_listed_once(app: App) -> None:
    """By its outcome as soon as there is one, else by the row that says that it began."""
    first = app.audit.write(entry(app, outcome=Outcome.BEGUN))
    app.audit.write(entry(app, "delete repo", outcome=Outcome.BEGUN))
    assert acts(app) == [(2, "delete repo", "begun"), (1, "create repo", "begun")]
    app.audit.write(entry(app, status=201, began=first))
    assert acts(app) == [(3, "create repo", "done"), (2, "delete repo", "begun")]
    assert acts(app, Wanted(outcome=Outcome.BEGUN)) == [(2, "delete repo", "begun")]


def test_acts_are_found(app: App, clock: Clock) -> None:
    """By time (from the first on, before the last), by who, by what, by outcome; in pages."""
    for n, actor in enumerate(["ann", "ben", "ann"]):
        app.audit.write(entry(app, f"act {n}", actor=actor, outcome=Outcome.FAILED if n == 2 else Outcome.DONE))
        clock.wait(hours=1)
    noon = clock.now.replace(hour=12)
    assert [act[0] for act in acts(app, Wanted(actor="ann"))] == [3, 1]
    assert [act[0] for act in acts(app, Wanted(action="act 1"))] == [2]
    assert [act[0] for act in acts(app, Wanted(outcome=Outcome.FAILED))] == [3]
    assert [act[0] for act in acts(app, Wanted(since=noon.replace(hour=13)))] == [3, 2]
    assert [act[0] for act in acts(app, Wanted(until=noon.replace(hour=13)))] == [1]
    assert [act[0] for act in acts(app, limit=1, number=2)] == [2]


def test_the_same_refusal_is_counted(app: App, clock: Clock) -> None:
    """It is one row in a minute; the next one tells how often it came."""
    seconds = Seconds()
    log = AuditLog(app.db, clock, seconds=seconds)
    refusal = entry(app, "read repo", subject="repo=team", outcome=Outcome.REFUSED, status=401)
    for _ in range(500):
        log.note_refusal(refusal)
    log.note_refusal(replace(refusal, subject="repo=other"))
    log.flush()
    assert len(acts(app)) == 2
    seconds.now += COUNTED_FOR
    log.note_refusal(refusal)
    log.close()
    found, _ = list_acts(app, Wanted(), ascending=True, page=Page())
    told = [(row.entry.subject, row.entry.detail) for row in found]
    assert told == [
        ("repo=team", ""),
        ("repo=other", ""),
        ("repo=team", "499 more since 12:00:00 UTC"),
        ("repo=team", ""),
    ]


def test_many_different_refusals_are_counted_together(app: App, clock: Clock) -> None:
    """Whoever makes each refusal another one doesn't fill the disk, and none of them is forgotten."""
    log = AuditLog(app.db, clock, seconds=Seconds())
    for n in range(MOST_REFUSALS + 1000):
        log.note_refusal(entry(app, "read repo", subject=f"repo={n}", outcome=Outcome.REFUSED))
    log.close()
    last = acts(app, limit=1000)
    assert (len(last), last[0][1:]) == (MOST_REFUSALS + 1, (OTHERS, "refused"))
    found, _ = list_acts(app, Wanted(action=OTHERS), ascending=True, page=Page())
    assert found[0].entry.detail == "1000 refusals, too many to tell them apart"


def test_the_end_of_a_process_loses_nothing(app: App, clock: Clock) -> None:
    """What was handed in is written before it ends; after that an act is refused."""
    log = AuditLog(app.db, clock)
    for n in range(50):
        log.note_refusal(entry(app, "read repo", subject=str(n), outcome=Outcome.REFUSED))
    written = log.submit(entry(app))
    log.close()
    assert (written.result(), verify(app).rows) == (51, 51)
    with pytest.raises(DatabaseUnavailable):
        log.write(entry(app))


def test_an_act_that_can_not_be_written_is_told(app: App, clock: Clock) -> None:
    """Whoever waits for the row hears that there is none; what could be written later is."""
    log = AuditLog(app.db, clock)
    tamper(app, "ALTER TABLE audit RENAME TO elsewhere")
    with pytest.raises(DatabaseUnavailable, match="can't be written"):
        log.write(entry(app))
    with app.db.write(shows=False) as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO audit"))
    assert log.write(entry(app)) == 1
    log.close()


def test_who_no_longer_waits_does_no_harm(app: App) -> None:
    """A request that was broken off while its row waited: the row is written, and so are those after it."""
    with app.db.write(shows=False):
        waiting = [app.audit.submit(entry(app)) for _ in range(3)]
        assert waiting[2].cancel()
    assert app.audit.write(entry(app)) == 4
    assert [each.cancelled() for each in waiting] == [False, False, True]
