"""kill -9 while a curated or pinned source is changed: the old state is there or the new, and it can be repeated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, select

from entrepot.core.errors import WrongProposal
from entrepot.core.model import SourceType
from entrepot.core.snapshots import TransactionId
from entrepot.db import schema
from entrepot.operations import browsing, proposals, sources
from entrepot.operations.curating import Curation
from entrepot.operations.proposals import Wish
from entrepot.operations.setup import ensure_defaults
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import opened, sync
from tests.support.victim import Met, Victims, moments

NEVER_CHANGED = (
    *(schema.sources, schema.repositories, schema.subscriptions, schema.transactions, schema.curations, schema.pins),
    *(schema.files, schema.visibility, schema.descriptions, schema.mirrors),
)
"""What a proposal doesn't change, and a commit as a whole."""
TABLES: tuple[Table, ...] = (*NEVER_CHANGED, schema.proposals)
PACKAGES = 40
SOURCES = {SourceType.CURATED_CRAN: "team", SourceType.CRAN_SNAPSHOT: "frozen"}
State = dict[str, list[Any]]


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as started:
        yield started


def state(settings: Settings, tables: tuple[Table, ...] = TABLES) -> State:
    """Every row of these tables."""
    with opened(settings) as app, app.db.read() as connection:
        return {table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in tables}


def stock(cran: FakeCran) -> None:
    """Packages that each need the next one, at 1.0 in January and at 2.0 in February; the last is taken off then."""
    for version, month in (("1.0", 1), ("2.0", 2)):
        for n in range(PACKAGES):
            needs = {"Imports": f"p{n + 1:02}"} if n + 1 < PACKAGES - 1 else {}
            day = datetime(2024, month, 1, 9, tzinfo=UTC) + timedelta(days=n % 7)
            cran.add(f"p{n:02}", version, make_source_package(f"p{n:02}", version, fields=needs), day)
    cran.remove(f"p{PACKAGES - 1:02}")
    cran.publish()


@dataclass(frozen=True, slots=True)
class Two:
    """Two installations that are the same: one whose processes are killed, and one where none ever is."""

    killed: Settings
    never: Settings


@pytest.fixture
def two(settings: Settings, cran: FakeCran, tmp_path_factory: pytest.TempPathFactory) -> Two:
    stock(cran)
    killed = settings.model_copy(update={"cran": settings.cran.model_copy(update={"upstream": cran.url})})
    folder = tmp_path_factory.mktemp("never")
    given = {name: getattr(killed, name) for name in ("cran", "pypi", "bioconductor", "repos")}
    never = Settings.model_validate({"server": {"data_dir": folder}, **given})
    for each in (killed, never):
        with opened(each) as app:
            ensure_defaults(app)
            sync(app)
            for type_, name in SOURCES.items():
                made = Curation("2024-01-31") if type_ is SourceType.CRAN_SNAPSHOT else None
                sources.create_source(app, name, type_=type_, curation=made)
            proposals.propose_and_commit(app, "team", Wish("update", list_text="p30", snapshot="2024-03-01"), actor="x")
    assert state(killed) == state(never)
    return Two(killed, never)


def propose(settings: Settings, source: str, text: str | None) -> int:
    with opened(settings) as app:
        return proposals.propose(app, source, Wish("update", list_text=text), actor="test").row.id


def killed_at_each(victims: Victims, two: Two, what: str, *, tables: tuple[Table, ...], **arguments: Any) -> list[Met]:
    """Let both do it, one with a kill at each step in turn until it is done: all or nothing every time."""
    old = state(two.killed, tables)
    steps = victims.run(what, two.never, **arguments).steps
    new = state(two.never, tables)
    assert new != old
    mets = []
    for at in moments(steps):
        mets.append(victims.run(what, two.killed, at=at, **arguments))
        assert mets[-1].was_killed, mets[-1]
        found = state(two.killed, tables)
        assert found in (old, new), mets[-1].steps[-1]
        if found == new:
            return mets
    raise AssertionError("it was never done")


LISTS = {"team": "p00\np35\n", "frozen": None}


@pytest.mark.parametrize("source", LISTS)
def test_a_commit_that_is_killed(victims: Victims, two: Two, source: str) -> None:
    """Killed at any step, a commit has changed all or nothing; done, it is refused a second time, else it succeeds."""
    ids = [propose(each, source, LISTS[source]) for each in (two.killed, two.never)]
    assert ids[0] == ids[1]
    mets = killed_at_each(victims, two, "commit", tables=TABLES, source=source, proposal=ids[0])
    assert mets[-1].steps[-2:] == ["before COMMIT", "given back"]
    with opened(two.killed) as app:
        with pytest.raises(WrongProposal, match=f"proposal {ids[0]} was committed as transaction"):
            proposals.commit(app, source, ids[0], actor="test")
        shown = {row.file.package for row in browsing.open_source(app, source, "latest").view.current()}
        assert len(shown) == (PACKAGES - 1)
    assert state(two.killed) == state(two.never)


@pytest.mark.parametrize("source", LISTS)
def test_a_list_that_is_committed_at_once_and_killed(victims: Victims, two: Two, source: str) -> None:
    """Killed between proposal and commit too: nothing shown is half, and the same command again ends it."""
    arguments = {"source": source, "list_text": LISTS[source], "snapshot": "2024-03-01"}
    killed_at_each(victims, two, "update", tables=NEVER_CHANGED, **arguments)
    with opened(two.killed) as app:
        wish = Wish("update", list_text=LISTS[source], snapshot="2024-03-01")
        again, done = proposals.propose_and_commit(app, source, wish, actor="test")
        assert (done.transaction, again.report.counts()["added"]) == (None, 0)
    assert state(two.killed, NEVER_CHANGED) == state(two.never, NEVER_CHANGED)


def test_a_removal_that_is_killed(victims: Victims, two: Two) -> None:
    """All that goes with a package goes in one transaction or not at all."""
    killed_at_each(victims, two, "take out", tables=NEVER_CHANGED, source="team", package="p30", scope="all")
    with opened(two.killed) as app:
        assert browsing.open_source(app, "team", "latest").view.current() == []


def test_a_commit_killed_at_odd_moments(victims: Victims, two: Two) -> None:
    """Killed by the clock, in the middle of a statement or a commit, it is all or nothing as well."""
    id_ = propose(two.killed, "team", LISTS["team"])
    assert propose(two.never, "team", LISTS["team"]) == id_
    old = state(two.killed)
    began = time.monotonic()
    victims.run("commit", two.never, source="team", proposal=id_)
    took, new = time.monotonic() - began, state(two.never)
    for part in (0.2, 0.4, 0.6, 0.7, 0.8, 0.9):
        victims.run("commit", two.killed, after=took * part, source="team", proposal=id_)
        found = state(two.killed)
        assert found in (old, new)
        if found == new:
            return
    victims.run("commit", two.killed, source="team", proposal=id_)
    assert state(two.killed) == new


def test_earlier_states_survive_a_kill(victims: Victims, two: Two) -> None:
    """What a transaction showed is the same after a commit that was killed and one that was not."""
    with opened(two.killed) as app:
        at = sources.source_info(app, "team").transaction
        before = browsing.open_source(app, "team", str(at)).view.current()
    id_ = propose(two.killed, "team", LISTS["team"])
    steps = victims.run("commit", two.killed, at="before COMMIT", source="team", proposal=id_)
    assert steps.was_killed
    victims.run("commit", two.killed, source="team", proposal=id_)
    with opened(two.killed) as app:
        assert sources.source_info(app, "team").transaction == TransactionId((at or 0) + 1)
        assert browsing.open_source(app, "team", str(at)).view.current() == before
