"""The mirror of a CRAN: syncs by conditional requests, all or nothing; files on first request, once, checked."""

from __future__ import annotations

import asyncio
import gzip
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import SnapshotNotFound, UpstreamInvalid
from entrepot.core.model import FileStatus, PackageName
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r.packages import render
from entrepot.operations import browsing, serving, view
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, Live, eventually, sync

CONTRIB = "src/contrib"
DAY = {n: datetime(2024, 2, n, 9, tzinfo=UTC) for n in range(1, 30)}


def package(name: str, version: str, padding: int = 0) -> bytes:
    """A tiny source package, of about `padding` bytes more that don't compress."""
    noise = random.Random(f"{name}{version}").randbytes(padding)
    return make_source_package(name, version, files={"inst/noise.bin": noise} if padding else None)


@pytest.fixture
def stocked(cran: FakeCran) -> FakeCran:
    """alpha 1.0 (2 February), 1.1 (5 February); beta 0.5 (3 February)."""
    cran.add("alpha", "1.0", package("alpha", "1.0"), DAY[2])
    cran.add("beta", "0.5", package("beta", "0.5"), DAY[3])
    cran.add("alpha", "1.1", package("alpha", "1.1"), DAY[5])
    cran.publish()
    return cran


def listing(app: App, snapshot: str = "latest") -> dict[str, str]:
    opened = browsing.open_repository(app, "cran", snapshot)
    return {row.file.package: row.file.version for row in opened.view.current()}


def newest(app: App) -> int:
    with app.db.read() as connection:
        return db_transactions.newest(connection)


def test_the_first_sync_brings_the_history(mirrored: App, stocked: FakeCran) -> None:
    """Each day on which upstream changed is one transaction, and every closed day can be used at once."""
    synced = sync(mirrored)
    assert len(synced.transactions) == 3
    assert (synced.added, synced.updated, synced.archived, synced.removed) == (2, 0, 0, 0)
    assert listing(mirrored) == {"alpha": "1.1", "beta": "0.5"}
    assert listing(mirrored, "2024-02-02") == {"alpha": "1.0"}
    assert listing(mirrored, "2024-02-04") == {"alpha": "1.0", "beta": "0.5"}
    assert listing(mirrored, "2024-02-29") == {"alpha": "1.1", "beta": "0.5"}
    with pytest.raises(SnapshotNotFound, match="2024-02-02 to 2024-02-29"):
        listing(mirrored, "2024-02-01")


def test_no_change_costs_conditional_requests_only(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """A second sync gets four 304s and writes no transaction, but closes the days that are over."""
    sync(mirrored)
    before = newest(mirrored)
    stocked.requests.clear()
    clock.wait(days=2)
    assert sync(mirrored).transactions == ()
    assert newest(mirrored) == before
    assert [asked.path for asked in stocked.requests] == [
        f"{CONTRIB}/PACKAGES.gz",
        f"{CONTRIB}/Meta/archive.rds",
        f"{CONTRIB}/Meta/current.rds",
        f"{CONTRIB}/PACKAGES.in",
    ]
    assert all("If-None-Match" in asked.headers for asked in stocked.requests)
    assert listing(mirrored, "2024-03-02") == {"alpha": "1.1", "beta": "0.5"}


def test_changes_of_a_later_sync_belong_to_their_days(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """New versions, removals and returns between syncs: dated by upstream, never before a day that was closed."""
    sync(mirrored)
    clock.wait(days=3)
    stocked.add("gamma", "1.0", package("gamma", "1.0"), datetime(2024, 3, 3, 8, tzinfo=UTC))
    stocked.add("late", "1.0", package("late", "1.0"), DAY[10])
    stocked.remove("beta")
    stocked.publish()
    synced = sync(mirrored)
    assert (synced.added, synced.updated, synced.archived, synced.removed) == (2, 0, 1, 0)
    assert listing(mirrored, "2024-02-29") == {"alpha": "1.1", "beta": "0.5"}
    assert listing(mirrored, "2024-03-01") == {"alpha": "1.1", "late": "1.0"}
    assert listing(mirrored, "2024-03-03") == {"alpha": "1.1", "gamma": "1.0", "late": "1.0"}
    opened = browsing.open_repository(mirrored, "cran", "latest")
    assert [row.status for row in opened.view.of_package(PackageName("beta"))] == [FileStatus.ARCHIVED]


def test_archived_entries_are_marked_incomplete_until_read(live_mirrored: Live, stocked: FakeCran) -> None:
    """At a past day nobody knows the fields of what is archived now: the answer says so, until the file was fetched."""
    sync(live_mirrored.app)
    url = "/cran/2024-02-02/src/contrib/PACKAGES"
    before = live_mirrored.get(url)
    assert before.headers["X-Entrepot-Incomplete"] == "1"
    assert before.headers["Cache-Control"] == "public, max-age=60"
    assert b"License" not in before.data
    assert live_mirrored.get("/cran/latest/src/contrib/alpha_1.0.tar.gz").data == package("alpha", "1.0")
    after = eventually(lambda: live_mirrored.get(url), lambda r: "X-Entrepot-Incomplete" not in r.headers)
    assert b"License" in after.data
    assert after.headers["Cache-Control"].endswith("immutable")


def test_files_come_once_and_are_kept(live_mirrored: Live, stocked: FakeCran) -> None:
    """The first request fetches from upstream, the second does not; archived versions come from upstream's archive."""
    sync(live_mirrored.app)
    for name, version in (("alpha", "1.1"), ("alpha", "1.0"), ("beta", "0.5")):
        for _ in range(2):
            response = live_mirrored.get(f"/cran/latest/src/contrib/{name}_{version}.tar.gz")
            assert (response.status, response.data) == (200, package(name, version))
    assert stocked.count(f"{CONTRIB}/alpha_1.1.tar.gz") == 1
    assert stocked.count(f"{CONTRIB}/Archive/alpha/alpha_1.0.tar.gz") == 1
    assert stocked.count(f"{CONTRIB}/beta_0.5.tar.gz") == 1


def test_a_file_that_moved_upstream_is_found(live_mirrored: Live, stocked: FakeCran) -> None:
    """A current file that went to the archive since the last sync is fetched from there."""
    sync(live_mirrored.app)
    stocked.add("beta", "0.6", package("beta", "0.6"), DAY[20])
    stocked.publish()
    assert live_mirrored.get("/cran/latest/src/contrib/beta_0.5.tar.gz").data == package("beta", "0.5")


def test_the_sha256_is_told_from_the_next_transaction_on(live_mirrored: Live, stocked: FakeCran, clock: Clock) -> None:
    """What was learnt by fetching never changes an index of a snapshot that was served; the next sync's tells it."""
    sync(live_mirrored.app)
    fixed = f"/cran/{newest(live_mirrored.app)}/src/contrib/PACKAGES"
    before = live_mirrored.get(fixed).data
    live_mirrored.get("/cran/latest/src/contrib/beta_0.5.tar.gz")
    record = f"/repos/cran/packages/beta?snapshot={newest(live_mirrored.app)}"
    eventually(lambda: live_mirrored.api("GET", record)[1]["checksum"], bool)
    assert live_mirrored.get(fixed).data == before
    clock.wait(days=1)
    stocked.add("gamma", "1.0", package("gamma", "1.0"), datetime(2024, 3, 2, 8, tzinfo=UTC))
    stocked.publish()
    sync(live_mirrored.app)
    assert b"SHA256" in live_mirrored.get("/cran/latest/src/contrib/PACKAGES").data
    assert live_mirrored.get(fixed).data == before


def test_an_upstream_without_history_works(mirrored: App, stocked: FakeCran) -> None:
    """A tree made by write_PACKAGES alone, without Meta and without .gz, is a mirror too."""
    for path in ("PACKAGES.gz", "Meta/archive.rds", "Meta/current.rds", "PACKAGES.in"):
        stocked.fail(f"{CONTRIB}/{path}", "404")
    assert sync(mirrored).added == 2
    assert listing(mirrored) == {"alpha": "1.1", "beta": "0.5"}


def test_a_size_that_is_learnt_changes_no_old_index(mirrored: App, stocked: FakeCran) -> None:
    """Where upstream tells no sizes, fetching a file does not put a Filesize into the indexes of old snapshots."""
    stocked.fail(f"{CONTRIB}/Meta/current.rds", "404")
    sync(mirrored)
    before = listed_rows(mirrored)
    (listed,) = serving.open_view(mirrored, "cran", "latest", who=serving.inside).view.of_package(PackageName("beta"))

    async def fetched() -> None:
        await view.fetch(mirrored, listed).result()

    asyncio.run(fetched())
    assert listed_rows(mirrored) == before


def listed_rows(app: App) -> bytes:
    view = serving.open_view(app, "cran", "latest", who=serving.inside).view
    return render(view.current(), view.tells_sha256)


def test_what_is_no_cran_is_said_so(mirrored: App, cran: FakeCran) -> None:
    """A URL without any index gets words that help."""
    with pytest.raises(UpstreamInvalid, match="has neither src/contrib/PACKAGES"):
        sync(mirrored)


def test_a_replaced_file_keeps_its_old_snapshot(live_mirrored: Live, stocked: FakeCran, clock: Clock) -> None:
    """Other bytes under the same version: new snapshots serve the new ones, old ones the old."""
    sync(live_mirrored.app)
    old = newest(live_mirrored.app)
    before = live_mirrored.get(f"/cran/{old}/src/contrib/beta_0.5.tar.gz").data
    clock.wait(days=1)
    stocked.replace("beta", "0.5", package("beta", "0.5", padding=10), datetime(2024, 3, 2, tzinfo=UTC))
    stocked.publish()
    sync(live_mirrored.app)
    assert live_mirrored.get(f"/cran/{old}/src/contrib/beta_0.5.tar.gz").data == before
    after = live_mirrored.get("/cran/latest/src/contrib/beta_0.5.tar.gz").data
    assert after == package("beta", "0.5", padding=10) != before


def test_one_bad_entry_does_not_stop_the_rest(mirrored: App, stocked: FakeCran) -> None:
    """An entry that can't be used is reported, and all others come."""
    index = stocked.find(f"{CONTRIB}/PACKAGES")
    assert index is not None
    bad = b"Package: ../evil\nVersion: 1.0\n\nPackage: noversion\n\n" + index.data
    stocked.put(f"{CONTRIB}/PACKAGES.gz", gzip.compress(bad))
    synced = sync(mirrored)
    assert len(synced.faults) == 2
    assert listing(mirrored) == {"alpha": "1.1", "beta": "0.5"}


def test_what_has_no_hash_must_at_least_be_the_package(live_mirrored: Live, stocked: FakeCran) -> None:
    """A page, or another package, in place of a file whose hash nobody tells is neither kept nor served."""
    index = stocked.find(f"{CONTRIB}/PACKAGES")
    assert index is not None
    unhashed = b"".join(line for line in index.data.splitlines(True) if not line.startswith(b"MD5sum"))
    stocked.put(f"{CONTRIB}/PACKAGES.gz", gzip.compress(unhashed))
    stocked.fail(f"{CONTRIB}/Meta/current.rds", "404")
    sync(live_mirrored.app)
    right = stocked.find(f"{CONTRIB}/beta_0.5.tar.gz")
    assert right is not None
    for wrong in (b"<html>please log in</html>", right.data[:-20], package("gamma", "0.5")):
        stocked.put(f"{CONTRIB}/beta_0.5.tar.gz", wrong)
        assert live_mirrored.get("/cran/latest/src/contrib/beta_0.5.tar.gz").status == 502
    stocked.put(f"{CONTRIB}/beta_0.5.tar.gz", right.data)
    assert live_mirrored.get("/cran/latest/src/contrib/beta_0.5.tar.gz").data == right.data


def test_a_clock_that_was_set_back_opens_no_closed_day(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """A sync whose clock is behind the last one's changes no day that was served."""
    sync(mirrored)
    clock.wait(days=4)
    sync(mirrored)
    before = listing(mirrored, "2024-03-04")
    clock.wait(days=-3)
    sync(mirrored)
    clock.wait(days=4)
    stocked.remove("beta")
    stocked.publish()
    sync(mirrored)
    assert listing(mirrored, "2024-03-04") == before


def test_the_cache_is_not_taken_for_another_database(mirrored: App, stocked: FakeCran, clock: Clock) -> None:
    """Rendered indexes are found by what they show, not by ids that a restored database gives anew."""
    sync(mirrored)
    opened = serving.open_view(mirrored, "cran", "latest", who=serving.inside)
    later = {id_: time + timedelta(seconds=1) for id_, time in opened.times.items()}
    assert replace(opened, times=later).key != opened.key


def test_file_upstreams(mirrored: App, stocked: FakeCran, tmp_path: Path) -> None:
    """A mirror on disk (`file://`) is synced and fetched from like one over HTTP."""
    folder = tmp_path / "tree"
    for path, served in list(stocked._files.items()):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(served.data)
    settings = mirrored.settings.model_copy(
        update={"cran": mirrored.settings.cran.model_copy(update={"upstream": f"file://{folder}"})}
    )
    on_disk = replace(mirrored, settings=settings)
    assert sync(on_disk).added == 2
    opened = serving.open_view(on_disk, "cran", "latest", who=serving.inside)
    (listed,) = opened.view.of_package(PackageName("beta"))

    async def fetched() -> bytes:
        flight = view.fetch(on_disk, listed)
        return b"".join([chunk async for chunk in flight.chunks()])

    assert asyncio.run(fetched()) == package("beta", "0.5")
