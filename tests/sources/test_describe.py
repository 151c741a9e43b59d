"""What a mirror's indexes don't tell of archived versions: read from the heads of their tarballs, on demand."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, join, select

from entrepot.app import App
from entrepot.core.errors import Cancelled, Invalid, NeverSynced, SourceNotFound, UpstreamUnavailable, WrongType
from entrepot.core.jobs import no_log, no_report
from entrepot.core.model import SourceType
from entrepot.db import files as db_files
from entrepot.db import schema
from entrepot.db import sources as db_sources
from entrepot.fetch import Fetch
from entrepot.operations import describing, sources
from entrepot.sources import describe, readers
from entrepot.sources.describe import Described
from entrepot.sources.readers import Pace
from tests.support.archives import file_entry, folder_entry, make_description, make_source_package, pack
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, Live, eventually, sync
from tests.support.victim import Victims

ARCHIVE = "src/contrib/Archive"
DAY = {n: datetime(2024, 2, n, 9, tzinfo=UTC) for n in range(1, 30)}
DATES = {n: date(2024, 2, n) for n in range(1, 30)}
NOISE = random.Random(7).randbytes(1 << 20)


def package(name: str, version: str, *, padding: int = 0, **fields: str | None) -> bytes:
    """A source package that imports what no other version does, with noise behind its DESCRIPTION."""
    files = {"inst/noise": NOISE[:padding]} if padding else None
    return make_source_package(name, version, fields={"Imports": f"needed.by.{version}", **fields}, files=files)


@pytest.fixture
def stocked(cran: FakeCran) -> FakeCran:
    """alpha 1.0 (2 February), 1.1 (6), 1.2 (10); beta 0.5 (4), 0.6 (8); gamma 1.0 (5), never replaced."""
    for name, version, day in (
        ("alpha", "1.0", 2),
        ("beta", "0.5", 4),
        ("gamma", "1.0", 5),
        ("alpha", "1.1", 6),
        ("beta", "0.6", 8),
        ("alpha", "1.2", 10),
    ):
        cran.add(name, version, package(name, version, padding=400_000), DAY[day])
    cran.publish()
    return cran


def described(
    app: App,
    start: date | None = None,
    end: date | None = None,
    *,
    report: Callable[[str, int, int], None] = no_report,
    log: Callable[[str], None] = no_log,
) -> Described:
    """A run for the source `cran` in the test's own thread."""
    wanted = describing.completeness(app, "cran", start=start, end=end)
    with app.db.read() as connection:
        source = db_sources.get(connection, "cran")
    return describing.describe(app, source.id, start=wanted.start, end=wanted.end, report=report, log=log)


def incomplete(app: App, start: date | None = None, end: date | None = None) -> tuple[int, int]:
    found = describing.completeness(app, "cran", start=start, end=end)
    return found.incomplete, found.versions


def wait_for_readers() -> None:
    """Return when the readers of a run that has ended ask for nothing any more."""
    eventually(lambda: [t for t in threading.enumerate() if t.name.startswith("reader-")], lambda left: not left)


def heads(cran: FakeCran) -> list[tuple[str, str]]:
    """The files of the archive that were asked for, with the range."""
    return [
        (asked.path.rpartition("/")[2], asked.headers.get("Range", ""))
        for asked in cran.requests
        if asked.path.startswith(ARCHIVE)
    ]


# --- what is asked for ---------------------------------------------------------------------------------------------


def test_one_request_of_64_kib_is_enough(mirrored: App, stocked: FakeCran) -> None:
    """Of each archived version 64 KiB are asked for and sent, of versions that the index tells nothing at all."""
    sync(mirrored)
    assert incomplete(mirrored) == (3, 6)
    assert described(mirrored) == Described(3, 0, ())
    assert incomplete(mirrored) == (0, 6)
    assert sorted(heads(stocked)) == [
        ("alpha_1.0.tar.gz", "bytes=0-65535"),
        ("alpha_1.1.tar.gz", "bytes=0-65535"),
        ("beta_0.5.tar.gz", "bytes=0-65535"),
    ]
    assert {size for path, size in stocked.sent.items() if path.endswith(".tar.gz")} == {65536}
    stocked.requests.clear()
    assert described(mirrored) == Described(0, 0, ())
    assert heads(stocked) == []


def test_the_newest_first(mirrored: App, stocked: FakeCran, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are read in the order of their publication, the newest first."""
    monkeypatch.setattr(readers, "THREADS", 1)
    sync(mirrored)
    described(mirrored)
    assert [name for name, _ in heads(stocked)] == ["alpha_1.1.tar.gz", "beta_0.5.tar.gz", "alpha_1.0.tar.gz"]


def test_a_description_that_comes_late(mirrored: App, cran: FakeCran) -> None:
    """Where other files come first as many ranges are asked for as it takes, and not the whole file."""
    late = pack(
        [
            folder_entry("late"),
            file_entry("late/a", NOISE[:250_000]),
            file_entry("late/DESCRIPTION", make_description("late", "1.0").encode()),
            file_entry("late/z", NOISE),
        ]
    )
    cran.add("late", "1.0", late, DAY[2])
    cran.add("late", "1.1", package("late", "1.1"), DAY[3])
    cran.publish()
    sync(mirrored)
    assert described(mirrored) == Described(1, 0, ())
    ranges = ["bytes=0-65535", "bytes=65536-196607", "bytes=196608-458751"]
    assert heads(cran) == [("late_1.0.tar.gz", range_) for range_ in ranges]
    assert cran.sent[f"{ARCHIVE}/late/late_1.0.tar.gz"] == 458_752 < len(late)


@pytest.mark.parametrize("kind", ["no_ranges", "chunked"])
def test_an_upstream_without_ranges(mirrored: App, stocked: FakeCran, kind: str) -> None:
    """A server that knows no ranges is asked once for each file, and hung up on."""
    sync(mirrored)
    stocked.fail("*", kind)
    assert described(mirrored) == Described(3, 0, ())
    assert len(heads(stocked)) == 3


def test_a_range_of_days(mirrored: App, stocked: FakeCran) -> None:
    """Only versions that were current on some day of the range: those that came in it, and those that were there."""
    sync(mirrored)
    assert incomplete(mirrored, DATES[3], DATES[3]) == (1, 1)  # alpha 1.0
    assert incomplete(mirrored, DATES[9], DATES[20]) == (1, 4)  # alpha 1.1, until alpha 1.2 came
    assert incomplete(mirrored, DATES[11], date(2030, 1, 1)) == (0, 3)
    described(mirrored, DATES[7], DATES[9])
    assert sorted(name for name, _ in heads(stocked)) == ["alpha_1.1.tar.gz", "beta_0.5.tar.gz"]
    assert incomplete(mirrored) == (1, 6)


def test_ranges_that_mean_nothing(mirrored: App, stocked: FakeCran) -> None:
    """A range that is empty, or outside of what there is, is refused with what there is; so are other sources."""
    with pytest.raises(NeverSynced):
        describing.completeness(mirrored, "cran", start=None, end=None)
    sync(mirrored)
    for start, end, words in (
        (DATES[5], DATES[4], "ends before it begins"),
        (None, DATES[1], "nothing before 2024-02-02"),
        (date(2031, 1, 1), None, "2031-01-01 is in the future"),
        (date(2031, 1, 1), date(2032, 1, 1), "2031-01-01 is in the future"),
    ):
        with pytest.raises(Invalid, match=words):
            describing.request_describe(mirrored, "cran", start=start, end=end, actor="me")
    every = describing.completeness(mirrored, "cran", start=None, end=None)
    assert (every.start, every.end) == (DATES[2], DATES[29])
    now = describing.completeness(mirrored, "cran", start=date(2024, 3, 1), end=None)
    assert (now.start, now.end) == (date(2024, 3, 1), date(2024, 3, 1))
    cut = describing.completeness(mirrored, "cran", start=date.min, end=date.max)
    assert (cut.start, cut.end) == (DATES[2], date(2024, 3, 1))
    with pytest.raises(SourceNotFound):
        describing.completeness(mirrored, "none", start=None, end=None)


def test_a_source_of_our_own_has_nothing_to_read(mirrored: App) -> None:
    """Packages of one's own are read when they are added; to ask for more is WrongType."""
    sources.create_source(mirrored, "internal", type_=SourceType.LOCAL)
    with pytest.raises(WrongType, match="has no archive"):
        describing.request_describe(mirrored, "internal", start=None, end=None, actor="me")


# --- what comes of it ----------------------------------------------------------------------------------------------


def test_a_past_index_gains_its_dependencies(live_mirrored: Live, stocked: FakeCran) -> None:
    """The index of a past day fills step by step; it says how much is missing, and is for good when nothing is."""
    app = live_mirrored.app
    sync(app)
    url = "/cran/2024-02-04/src/contrib/PACKAGES"
    seen = []
    for end in (None, DATES[2], DATES[9]):
        if end:
            described(app, DATES[2], end)
        answer = eventually(lambda: live_mirrored.get(url), lambda r, want=len(seen): r.data.count(b"Imports") == want)
        seen.append((answer.headers.get("X-Entrepot-Incomplete"), answer.headers["Cache-Control"]))
    assert seen == [
        ("2", "public, max-age=60"),
        ("1", "public, max-age=60"),
        (None, "public, max-age=31536000, immutable"),
    ]
    index = live_mirrored.get(url).data.decode()
    assert "Imports: needed.by.1.0\n" in index
    assert "Imports: needed.by.0.5\n" in index


def test_the_entry_is_the_one_that_a_download_gives(live_mirrored: Live, stocked: FakeCran) -> None:
    """Reading the head gives the entry and the record that fetching the file would give, but for its hashes."""
    app = live_mirrored.app
    sync(app)
    described(app)
    live_mirrored.get("/cran/latest/src/contrib/alpha_1.0.tar.gz")
    path = "/repos/cran/packages/alpha?version=1.0"
    _, record = eventually(lambda: live_mirrored.api("GET", path), lambda answer: answer[1]["checksum"])
    assert record["fields"]["Imports"] == "needed.by.1.0"
    assert record["title"] == "What alpha Does"
    with app.db.read() as connection:
        row = db_files.get(connection, file_id(app, "alpha", "1.0"))
    assert row is not None
    # Telling them would change an index that was complete.
    assert (row.md5, row.size) == (None, len(package("alpha", "1.0", padding=400_000)))


def file_id(app: App, name: str, version: str) -> int:
    files = schema.files
    with app.db.read() as connection:
        query = select(files.c.id).where(files.c.package == name, files.c.version == version)
        return int(connection.execute(query).scalar_one())


def test_what_was_filled_is_left_alone(mirrored: App, stocked: FakeCran) -> None:
    """An entry that a download filled while its head was read stays as the download left it."""
    sync(mirrored)
    id_ = file_id(mirrored, "alpha", "1.1")

    def fill(step: str, done: int, total: int) -> None:
        if not done:
            with mirrored.db.write() as connection:
                db_files.learn(connection, id_, fields="Imports: other\n")

    assert described(mirrored, report=fill).described == 2
    with mirrored.db.read() as connection:
        row = db_files.get(connection, id_)
        assert row is not None
        assert row.fields == "Imports: other\n"


@pytest.mark.parametrize(("padding", "told"), [(0, "NeedsCompilation: no\n"), (400_000, "")])
def test_whether_it_needs_compilation(mirrored: App, cran: FakeCran, padding: int, told: str) -> None:
    """Where DESCRIPTION doesn't say, it is told if what was read shows it, and nobody reads on for it."""
    old = package("old", "1.0", padding=padding, NeedsCompilation=None, Imports=None)
    cran.add("old", "1.0", old, DAY[2])
    cran.add("old", "1.1", package("old", "1.1"), DAY[3])
    cran.publish()
    sync(mirrored)
    described(mirrored)
    with mirrored.db.read() as connection:
        row = db_files.get(connection, file_id(mirrored, "old", "1.0"))
    assert row is not None
    assert row.fields == f"License: GPL-3\n{told}"
    assert len(heads(cran)) == 1


def test_a_file_that_is_not_in_the_archive(mirrored: App, stocked: FakeCran) -> None:
    """A version that came back to the current ones since the last sync is found there."""
    sync(mirrored)
    stocked.put("src/contrib/alpha_1.0.tar.gz", package("alpha", "1.0", padding=400_000))
    stocked.fail(f"{ARCHIVE}/alpha/alpha_1.0.tar.gz", 404)
    assert described(mirrored) == Described(3, 0, ())


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_faults_do_not_stop_the_rest(mirrored: App, cran: FakeCran) -> None:
    """What can't be read, or is another package, is counted, named and logged; its entry stays open for another run."""
    good = package("good", "1.0", padding=100_000)
    bad = {
        "gone": good,
        "page": b"<html>please log in</html>" * 100,
        "hollow": pack([folder_entry("hollow"), file_entry("hollow/R/x.R", b"")]),
        "other": package("somebody", "1.0"),
        "newer": package("newer", "2.0"),
        "empty": good,
        "cut": good,
        "resized": package("resized", "1.0", padding=70_000),
    }
    for name, data in {**bad, "good": good}.items():
        cran.add(name, "1.0", data, DAY[2])
        cran.add(name, "1.1", package(name, "1.1"), DAY[3])
    cran.publish()
    sync(mirrored)
    cran.fail(f"{ARCHIVE}/gone/gone_1.0.tar.gz", 404)
    cran.put(f"{ARCHIVE}/empty/empty_1.0.tar.gz", b"")
    cran.put(f"{ARCHIVE}/cut/cut_1.0.tar.gz", package("cut", "1.0")[:100])
    cran.put(f"{ARCHIVE}/resized/resized_1.0.tar.gz", package("resized", "1.0", padding=80_000))
    lines: list[str] = []
    found = described(mirrored, log=lines.append)
    assert (found.described, found.faulty) == (1, len(bad))
    words = {line.partition("_1.0.tar.gz: ")[0]: line.partition(": ")[2] for line in found.faults}
    assert {line.removeprefix("fault: ") for line in lines} == set(found.faults)
    assert words.keys() == bad.keys()
    assert "answered 404" in words["gone"]
    assert "not a gzip stream" in words["page"]
    assert "not a gzip stream" in words["empty"]
    assert "no DESCRIPTION" in words["hollow"]
    assert "that of somebody 1.0" in words["other"]
    assert "that of newer 2.0" in words["newer"]
    assert "cut short" in words["cut"]
    assert "bytes where" in words["resized"]
    assert incomplete(mirrored) == (len(bad), 2 * len(bad) + 2)


def test_versions_that_r_takes_for_equal(mirrored: App, cran: FakeCran) -> None:
    """1.0-1 and 1.0.1 are one version to R."""
    cran.add("dashed", "1.0-1", package("dashed", "1.0.1"), DAY[2])
    cran.add("dashed", "1.1", package("dashed", "1.1"), DAY[3])
    cran.publish()
    sync(mirrored)
    assert described(mirrored) == Described(1, 0, ())


@pytest.fixture
def impatient(mirrored: App) -> Iterator[App]:
    """The installation with an upstream that is asked once, and not waited for."""
    fetch = Fetch(timeout_read=0.5, retries=0)
    yield replace(mirrored, fetch=fetch)
    fetch.close()


@pytest.fixture
def many(cran: FakeCran) -> FakeCran:
    """Forty packages with one archived version each."""
    for number in range(40):
        name = f"p{number:02}"
        cran.add(name, "1.0", package(name, "1.0"), DAY[2])
        cran.add(name, "1.1", package(name, "1.1"), DAY[3])
    cran.publish()
    return cran


def test_an_upstream_that_goes_away(impatient: App, many: FakeCran) -> None:
    """After ten files in a row that upstream doesn't give the run ends; what was read stays, the next one goes on."""
    sync(impatient)

    def trouble(step: str, done: int, total: int) -> None:
        if done == 5:
            many.fail("*", 503)

    with pytest.raises(UpstreamUnavailable, match="none of 10 files in a row") as caught:
        described(impatient, report=trouble)
    left, _ = incomplete(impatient)
    assert 20 <= left <= 35
    assert "another run goes on" in (caught.value.hint or "")
    assert len(heads(many)) < 40
    many.heal()
    wait_for_readers()
    many.requests.clear()
    assert described(impatient) == Described(left, 0, ())
    assert len(heads(many)) == left


def test_an_upstream_that_stumbles(impatient: App, many: FakeCran) -> None:
    """Single files that upstream doesn't give are faults; the rest comes."""
    sync(impatient)
    many.fail(f"{ARCHIVE}/p07/p07_1.0.tar.gz", 503)
    many.fail(f"{ARCHIVE}/p09/p09_1.0.tar.gz", "hang", seconds=1)
    found = described(impatient)
    assert (found.described, found.faulty) == (38, 2)


def test_a_cancelled_run_is_gone_on_with(mirrored: App, many: FakeCran, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before the end stays, and the next run asks for the rest alone."""
    monkeypatch.setattr(describe, "BATCH", 5)
    sync(mirrored)

    def cancel(step: str, done: int, total: int) -> None:
        if done == 17:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        described(mirrored, report=cancel)
    assert incomplete(mirrored) == (25, 80)
    wait_for_readers()
    many.requests.clear()
    assert described(mirrored) == Described(25, 0, ())
    assert len(heads(many)) == 25


def test_a_killed_run_is_gone_on_with(mirrored: App, many: FakeCran) -> None:
    """kill -9 at any step: each entry is filled with all that was read of it, or open; the rest is asked for again."""
    sync(mirrored)
    before = 40
    with Victims() as victims:
        for at in range(5, 60, 6):
            assert victims.run("describe", mirrored.settings, at=at, batch=3).was_killed
            left, _ = incomplete(mirrored)
            assert left == 40 - described_rows(mirrored) <= before
            before = left
    assert 0 < before < 40
    many.requests.clear()
    assert described(mirrored) == Described(before, 0, ())
    assert len(heads(many)) == before


def described_rows(app: App) -> int:
    """How many documents are kept, each of a file that has an entry."""
    query = select(func.count()).select_from(join(schema.descriptions, schema.files))
    with app.db.read() as connection:
        kept = connection.execute(select(func.count()).select_from(schema.descriptions)).scalar_one()
        assert connection.execute(query.where(schema.files.c.fields.is_not(None))).scalar_one() == kept
    return int(kept)


def test_a_run_ends_while_upstream_says_nothing(mirrored: App, many: FakeCran) -> None:
    """A run that is cancelled doesn't wait for the answers that are due."""
    sync(mirrored)
    many.fail("*", "hang", seconds=20)
    began = time.monotonic()

    def cancel(step: str, done: int, total: int) -> None:
        if time.monotonic() - began > 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        described(mirrored, report=cancel)
    assert time.monotonic() - began < 5


def test_what_is_read_is_written_in_batches(mirrored: App, many: FakeCran, monkeypatch: pytest.MonkeyPatch) -> None:
    """One write for so many versions: each makes indexes stale that are not whole yet."""
    monkeypatch.setattr(describe, "BATCH", 16)
    sync(mirrored)

    def filled() -> int:
        with mirrored.db.read() as connection:
            state = db_sources.mirror_state(connection, db_sources.get(connection, "cran").id)
            assert state is not None
            return state.filled

    described(mirrored)
    assert filled() == 3
    described(mirrored)
    assert filled() == 3


def test_progress_is_told(mirrored: App, many: FakeCran) -> None:
    """The number of versions that are done grows to that of all."""
    sync(mirrored)
    told: list[tuple[int, int]] = []
    described(mirrored, report=lambda _, done, total: told.append((done, total)))
    assert told[0] == (0, 40)
    assert told[-1] == (40, 40)
    assert told == sorted(told)


# --- the pace ------------------------------------------------------------------------------------------------------


def test_the_pace() -> None:
    """So many a second pass and no more; time in which nobody came is not made up for."""
    now = 100.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(round(seconds, 6))
        now += seconds

    pace = Pace(4, sleep=sleep, now=lambda: now)
    for _ in range(4):
        pace.wait()
    assert slept == [0.25, 0.25, 0.25]
    now += 10
    pace.wait()
    pace.wait()
    assert slept == [0.25, 0.25, 0.25, 0.25]


def test_upstream_is_asked_at_the_rate_of_the_settings(mirrored: App, many: FakeCran) -> None:
    """All threads together make no more requests a second than the setting says."""
    sync(mirrored)
    cran = mirrored.settings.cran.model_copy(update={"describe_rate": 40})
    slow = replace(mirrored, settings=mirrored.settings.model_copy(update={"cran": cran}))
    began = time.monotonic()
    described(slow)
    assert time.monotonic() - began >= 39 / 40


def test_a_mirror_on_disk(mirrored: App, stocked: FakeCran, tmp_path: Path) -> None:
    """The archive of an upstream with a `file://` URL is read too."""
    folder = tmp_path / "tree"
    for path, served in list(stocked._files.items()):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(served.data)
    cran = mirrored.settings.cran.model_copy(update={"upstream": f"file://{folder}"})
    on_disk = replace(mirrored, settings=mirrored.settings.model_copy(update={"cran": cran}))
    sync(on_disk)
    assert described(on_disk) == Described(3, 0, ())


def test_a_day_that_a_later_sync_brought(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """Versions that a sync saw as current have their entries from the index, and nothing is read of them."""
    sync(mirrored)
    described(mirrored)
    clock.wait(days=2)
    stocked.add("gamma", "1.1", package("gamma", "1.1"), datetime(2024, 3, 2, 8, tzinfo=UTC))
    stocked.publish()
    sync(mirrored)
    assert incomplete(mirrored) == (0, 7)
