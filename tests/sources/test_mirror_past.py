"""The past of a mirror, and the sync of a day: what upstream says of then, and only what changed looked at."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from entrepot.app import App, open_app
from entrepot.core.changes import History
from entrepot.core.errors import AlreadySynced, Cancelled, UpstreamInvalid
from entrepot.core.jobs import no_report
from entrepot.core.model import PackageName
from entrepot.db import schema
from entrepot.db import sources as db_sources
from entrepot.ecosystems.r import upstream
from entrepot.ecosystems.r.archivewrite import render_archive
from entrepot.ecosystems.r.upstream import Inventory, Texts
from entrepot.operations import browsing, syncing
from entrepot.operations.setup import ensure_defaults
from entrepot.settings import Settings
from entrepot.sources import documents, mirror
from tests.support.archives import make_source_package
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.server import NOON, Clock, sync

TABLES: tuple[Table, ...] = (schema.transactions, schema.files, schema.visibility, schema.descriptions)
DAY = {n: datetime(2024, 2, n, 9, tzinfo=UTC) for n in range(1, 30)}
MARCH = {n: datetime(2024, 3, n, 9, tzinfo=UTC) for n in range(1, 30)}


def rows(app: App) -> dict[str, list[str]]:
    """Every row of the catalogue's history."""
    with app.db.read() as connection:
        return {table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in TABLES}


def listing(app: App, snapshot: str = "latest") -> dict[str, str]:
    opened = browsing.open_repository(app, "cran", snapshot)
    return {row.file.package: row.file.version for row in opened.view.current()}


def add(cran: FakeCran, name: str, version: str, published: datetime) -> None:
    cran.add(name, version, make_source_package(name, version), published)


def kept(app: App) -> Path:
    """The folder of the documents of the last sync."""
    (folder,) = (app.settings.server.data_dir / "cache" / "upstream").iterdir()
    return folder


@pytest.fixture
def stocked(cran: FakeCran) -> FakeCran:
    """Six packages with an archived version each, of February."""
    for n, name in enumerate(("alpha", "beta", "gamma", "delta", "eps", "zeta"), 1):
        add(cran, name, "1.0", DAY[n])
        add(cran, name, "1.1", DAY[n + 6])
    cran.publish()
    return cran


@pytest.fixture
def no_whole_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, a sync that reads everything fails."""

    def refuse(_: object) -> None:
        raise AssertionError("everything was read")

    return lambda: monkeypatch.setattr(upstream, "inventory", refuse)


def test_a_package_is_missing_while_it_was_off(mirrored: App, stocked: FakeCran) -> None:
    """By what PACKAGES.in tells: off from its day on, back from its day on, with the version that it had."""
    stocked.remove("alpha", DAY[15])
    stocked.put_back("alpha", DAY[20])
    stocked.remove("beta", DAY[25])
    stocked.publish()
    sync(mirrored)
    everything = listing(mirrored, "2024-02-14")
    assert everything.keys() == {"alpha", "beta", "gamma", "delta", "eps", "zeta"}
    for day in ("2024-02-15", "2024-02-19"):
        assert everything.keys() - listing(mirrored, day).keys() == {"alpha"}
    for day in ("2024-02-20", "2024-02-24"):
        assert listing(mirrored, day) == everything
    for day in ("2024-02-25", "2024-02-29", "latest"):
        assert everything.keys() - listing(mirrored, day).keys() == {"beta"}


@pytest.mark.parametrize("kind", ["404", "403", "html"])
def test_a_mirror_without_packages_in(mirrored: App, stocked: FakeCran, kind: str) -> None:
    """Nothing is known of what was off: it counts as there until the day of the first sync."""
    stocked.remove("beta", DAY[25])
    stocked.publish()
    stocked.fail(f"{CONTRIB}/PACKAGES.in", kind)
    sync(mirrored)
    assert "beta" in listing(mirrored, "2024-02-29")
    assert "beta" not in listing(mirrored)


def test_days_of_later_syncs(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """Off and back between two syncs on the days that are told; what is told too late belongs to the first open day."""
    sync(mirrored)
    stocked.remove("alpha", MARCH[3])
    stocked.remove("beta", DAY[20])
    stocked.remove("gamma", MARCH[2])
    stocked.publish()
    clock.wait(days=4)
    sync(mirrored)
    gone = [{"alpha", "beta", "gamma", "delta"} - listing(mirrored, f"2024-03-0{n}").keys() for n in (1, 2, 3, 4)]
    assert gone == [{"beta"}, {"beta", "gamma"}, {"alpha", "beta", "gamma"}, {"alpha", "beta", "gamma"}]
    assert "beta" in listing(mirrored, "2024-02-29")
    stocked.put_back("alpha", MARCH[7])
    stocked.publish()
    clock.wait(days=4)
    sync(mirrored)
    assert "alpha" not in listing(mirrored, "2024-03-06")
    assert "alpha" in listing(mirrored, "2024-03-07")


def test_a_first_sync_without_history(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """The present in one transaction of the day of the sync; nothing before that day can be used."""
    with mirrored.db.read() as connection:
        source = db_sources.get(connection, "cran")
    synced = syncing.sync(mirrored, source.id, force=False, history="none", report=no_report)
    assert (len(synced.transactions), synced.added) == (1, 6)
    clock.wait(days=1)
    sync(mirrored)
    assert listing(mirrored, "2024-03-01") == listing(mirrored)
    with pytest.raises(Exception, match="2024-03-01 to 2024-03-01"):
        listing(mirrored, "2024-02-29")
    opened = browsing.open_repository(mirrored, "cran", "latest")
    versions = [row.file.version for name in listing(mirrored) for row in opened.view.of_package(PackageName(name))]
    assert sorted(versions) == ["1.0"] * 6 + ["1.1"] * 6


@pytest.mark.parametrize("history", History)
def test_history_is_decided_once(mirrored: App, stocked: FakeCran, history: History) -> None:
    """After the first sync a choice of history is a conflict; nothing was changed, and nothing failed."""
    sync(mirrored)
    before = rows(mirrored)
    with mirrored.db.read() as connection:
        source = db_sources.get(connection, "cran")
    with pytest.raises(AlreadySynced, match="synced before"):
        syncing.sync(mirrored, source.id, force=False, history=history, report=no_report)
    with pytest.raises(AlreadySynced):
        syncing.request_sync(mirrored, "cran", history=history)
    with mirrored.db.read() as connection:
        state = db_sources.mirror_state(connection, source.id)
    assert state is not None
    assert (state.failures, rows(mirrored)) == (0, before)


def test_history_can_be_chosen_while_the_first_sync_waits(mirrored: App, stocked: FakeCran) -> None:
    """The waiting job takes the choice, and keeps what was asked of it before."""
    first = syncing.request_sync(mirrored, "cran", force=True)
    syncing.request_sync(mirrored, "cran", history=History.NONE)
    with mirrored.db.read() as connection:
        (row,) = connection.execute(select(schema.jobs)).all()
    assert (row.id, row.payload) == (first.id, {"force": True, "history": "none"})


def test_a_days_sync_reads_what_changed(
    mirrored: App, stocked: FakeCran, clock: Clock, no_whole_reading: Callable[[], None]
) -> None:
    """A new package, a new version, one taken off: without reading all, and without asking again for what is kept."""
    sync(mirrored)
    no_whole_reading()
    clock.wait(days=2)
    add(stocked, "new", "0.1", MARCH[2])
    stocked.publish()
    stocked.requests.clear()
    assert sync(mirrored).added == 1
    assert stocked.count(f"{CONTRIB}/Meta/archive.rds") == stocked.count(f"{CONTRIB}/PACKAGES.in") == 1
    clock.wait(days=2)
    add(stocked, "gamma", "2.0", MARCH[4])
    stocked.remove("eps", MARCH[5])
    stocked.publish()
    synced = sync(mirrored)
    assert (synced.added, synced.updated, synced.archived, synced.removed) == (0, 1, 1, 0)
    assert listing(mirrored) == {
        **{"alpha": "1.1", "beta": "1.1", "delta": "1.1", "zeta": "1.1"},
        **{"new": "0.1", "gamma": "2.0"},
    }


def test_the_guards_hold_on_the_short_road(
    mirrored: App, cran: FakeCran, clock: Clock, no_whole_reading: Callable[[], None]
) -> None:
    """An index, or an archive, that lost more than half is refused with the numbers of the whole; force accepts it."""
    for n in range(30):
        for version in ("1.0", "1.1", "1.2"):
            add(cran, f"pkg{n:02}", version, DAY[2 + int(version[-1])])
    cran.publish()
    sync(mirrored)
    no_whole_reading()
    clock.wait(days=1)
    for n in range(10, 30):
        cran.remove(f"pkg{n:02}")
    cran.publish()
    with pytest.raises(UpstreamInvalid, match="has 10 packages instead of 30"):
        sync(mirrored)
    for n in range(10, 30):
        cran.put_back(f"pkg{n:02}", NOON)
    cran.publish()
    few = [row.file.brief for row in cran.listed() if row.status.value == "archived" and row.file.package < "pkg05"]
    cran.put(f"{CONTRIB}/Meta/archive.rds", render_archive(few))
    with pytest.raises(UpstreamInvalid, match="has 40 versions instead of 90"):
        sync(mirrored)
    assert sync(mirrored, force=True).removed == 0
    assert len(listing(mirrored)) == 30


@pytest.mark.parametrize("harm", ["gone", "cut", "altered"])
def test_harmed_copies_cost_time_alone(mirrored: App, stocked: FakeCran, clock: Clock, harm: str) -> None:
    """Whatever happened to the kept documents, a sync ends as it would with them, and keeps whole ones again."""
    sync(mirrored)
    clock.wait(days=1)
    for number in range(5):
        path = sorted(kept(mirrored).iterdir())[number]
        body = path.read_bytes()
        match harm:
            case "gone":
                path.unlink()
            case "cut":
                path.write_bytes(body[:-1])
            case _:
                path.write_bytes(b"?" + body[1:])
        add(stocked, f"new{number}", "0.1", MARCH[1])
        stocked.publish()
        assert sync(mirrored).added == 1
    assert len(listing(mirrored)) == 6 + 5
    for path in kept(mirrored).iterdir():
        assert documents.digest(path.read_bytes()) == path.name


def test_only_the_last_documents_are_kept(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """Those of before, and what a killed process left, are removed."""
    sync(mirrored)
    first = {path.name for path in kept(mirrored).iterdir()}
    (kept(mirrored) / "x.tmp").write_bytes(b"left")
    add(stocked, "new", "0.1", MARCH[1])
    stocked.publish()
    sync(mirrored)
    last = {path.name for path in kept(mirrored).iterdir()}
    with mirrored.db.read() as connection:
        state, *_ = db_sources.mirror_states(connection)
    assert last == {validators[2] for validators in state.validators.values()}
    assert len(last & first) == 3  # of archive.rds, PACKAGES.in, and what is where in them


def test_without_room_for_copies_a_sync_works(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """A cache that can't be written is none."""
    (mirrored.settings.server.data_dir / "cache" / "upstream").write_bytes(b"no folder")
    sync(mirrored)
    add(stocked, "new", "0.1", MARCH[1])
    stocked.publish()
    assert sync(mirrored).added == 1


def test_a_cancelled_sync_leaves_all_as_it_was(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """At any report, also while rows are written; the numbers reported are real."""
    with mirrored.db.read() as connection:
        source = db_sources.get(connection, "cran")
    told: list[tuple[str, int, int]] = []

    def report(step: str, done: int, total: int) -> None:
        told.append((step, done, total))
        if len(told) == stop:
            raise Cancelled("enough")

    empty, stop = rows(mirrored), 1
    while True:
        told.clear()
        try:
            mirror.refresh(mirrored, source, force=False, report=report)
            break
        except Cancelled:
            assert rows(mirrored) == empty
            stop += 1
    assert [step for step, _, _ in told] == ["asking upstream", "reading the index", "comparing", "writing", "writing"]
    assert told[2:] == [("comparing", 0, 6), ("writing", 0, 30), ("writing", 12, 30)]
    assert len(listing(mirrored)) == 6


def test_no_change_writes_no_row(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """When it synced last is all that a mirror's row learns; the days until then are closed."""
    sync(mirrored)
    with mirrored.db.read() as connection:
        before, *_ = db_sources.mirror_states(connection)
    history = rows(mirrored)
    clock.wait(days=1)
    sync(mirrored)
    with mirrored.db.read() as connection:
        after, *_ = db_sources.mirror_states(connection)
    assert rows(mirrored) == history
    assert (after.validators, after.synced_from) == (before.validators, NOON + timedelta(days=1))


@contextmanager
def installation(folder: Path, cran: FakeCran, clock: Clock) -> Iterator[App]:
    """A new installation over that upstream."""
    settings = Settings.model_validate({"server": {"data_dir": folder}, "cran": {"upstream": cran.url}})
    app = open_app(settings, clock)
    try:
        ensure_defaults(app)
        yield app
    finally:
        app.close()


@pytest.mark.parametrize("seed", range(4))
def test_the_short_road_ends_where_the_long_one_does(
    cran: FakeCran, clock: Clock, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days of an upstream where anything happens: row for row the same with the kept documents and without."""
    whole_readings = []
    roads: list[tuple[int, int]] = []
    read = upstream.inventory

    def noted(texts: Texts, **more: Any) -> Inventory:
        whole_readings.append(texts)
        return read(texts, **more)

    monkeypatch.setattr(upstream, "inventory", noted)
    chance = random.Random(seed)
    names = [f"p{n:02}" for n in range(12)]
    versions = dict.fromkeys(names, 0)
    with installation(tmp_path / "short", cran, clock) as short, installation(tmp_path / "long", cran, clock) as long:
        for _ in range(12):
            for name in chance.sample(names, chance.choice([0, 1, 2, 5])):
                at = clock() - timedelta(days=chance.choice([0, 0, 1, 3, 40]), hours=chance.randrange(12))
                if not versions[name] or chance.random() < 0.5:
                    versions[name] += 1
                    add(cran, name, f"1.{versions[name]}", at)
                elif name in cran._removed:
                    cran.put_back(name, at)
                elif chance.random() < 0.7:
                    cran.remove(name, chance.choice([at, None]))
                else:
                    data = make_source_package(name, f"1.{versions[name]}", fields={"Title": str(chance.random())})
                    cran.replace(name, f"1.{versions[name]}", data, at)
            cran.publish()
            for path in kept(long).iterdir() if (tmp_path / "long" / "cache" / "upstream").exists() else ():
                path.unlink()
            synced = sync(short, force=True)
            by_the_short = len(whole_readings)
            assert sync(long, force=True) == synced
            roads.append((by_the_short, len(whole_readings)))
            whole_readings.clear()
            assert rows(short) == rows(long)
            clock.wait(hours=chance.choice([1, 10, 24, 72]))
    assert roads.count((0, 1)) >= 3
