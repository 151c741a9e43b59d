"""What CRAN tells of its packages besides its index: read after syncs, and from the heads of tarballs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.errors import UpstreamInvalid
from entrepot.core.facts import Fact
from entrepot.core.model import Source
from entrepot.db import facts as db_facts
from entrepot.db import sources as db_sources
from entrepot.ecosystems.r import rds
from entrepot.ecosystems.r.rdsvalues import strings
from entrepot.operations import browsing, listing
from entrepot.sources import facts
from entrepot.sources.facts import DOCUMENT, Learnt
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, Live, eventually, sync

DAY = datetime(2024, 2, 5, tzinfo=UTC)


def publish_facts(cran: FakeCran, *rows: tuple[str, str, str | None, str | None], day: datetime = DAY) -> None:
    """Put packages.rds with these rows of package, version, title and system requirements."""
    names = ("Package", "Version", "Title", "SystemRequirements")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    vectors = {name: strings(values) for name, values in columns.items()}
    frame = rds.data_frame(vectors, [str(number) for number in range(len(rows))])
    cran.put(DOCUMENT, rds.write(frame), day)


def _cran(app: App) -> Source:
    with app.db.read() as connection:
        return db_sources.get(connection, "cran")


def _refresh(app: App) -> Learnt:
    return facts.refresh(app, _cran(app), report=lambda *_: None, log=lambda _: None)


def _known(app: App) -> list[Fact]:
    with app.db.read() as connection:
        return sorted(db_facts.of_source(connection, _cran(app).id).values())


def test_facts_are_read_and_what_changed_alone_is_written(mirrored: App, cran: FakeCran) -> None:
    """A file that did not change costs a conditional request; facts of versions that are gone stay."""
    publish_facts(cran, ("aa", "1.0", "An A", None), ("bb", "1.0", "A B", "libcurl"))
    assert _refresh(mirrored) == Learnt(2, 2, 0)
    assert _refresh(mirrored) == Learnt()
    asked = [request.headers for request in cran.requests if request.path == DOCUMENT]
    assert ["If-None-Match" in headers for headers in asked] == [False, True]
    publish_facts(
        cran, ("aa", "1.1", "An A", "GNU make"), ("bb", "1.0", "Another B", "libcurl"), day=DAY.replace(day=6)
    )
    assert _refresh(mirrored) == Learnt(2, 1, 1)
    assert _known(mirrored) == [
        Fact("aa", "1.0", "An A", None),
        Fact("aa", "1.1", "An A", "GNU make"),
        Fact("bb", "1.0", "Another B", "libcurl"),
    ]


def test_an_upstream_without_facts_is_fine(mirrored: App, cran: FakeCran) -> None:
    assert _refresh(mirrored) == Learnt(is_there=False)
    cran.fail(DOCUMENT, 403)
    assert _refresh(mirrored) == Learnt(is_there=False)


def test_damaged_facts_change_nothing(mirrored: App, cran: FakeCran) -> None:
    publish_facts(cran, ("aa", "1.0", "An A", None))
    _refresh(mirrored)
    cran.put(DOCUMENT, b"<html>", DAY.replace(day=7))
    with pytest.raises(UpstreamInvalid, match=r"packages\.rds can't be read"):
        _refresh(mirrored)
    assert _known(mirrored) == [Fact("aa", "1.0", "An A", None)]


def _synced(live: Live) -> list[dict[str, Any]]:
    """Sync by a job; the jobs that read facts then."""
    job = live.api("POST", "/sources/cran/sync", {"force": False})[1]["id"]
    eventually(lambda: live.api("GET", f"/jobs/{job}")[1], lambda found: found["state"] == "done")
    found: list[dict[str, Any]] = live.api("GET", "/jobs?kind=facts")[1]
    return found


def test_facts_are_asked_for_after_a_sync_that_brought_something(live_mirrored: Live, cran: FakeCran) -> None:
    """And as long as nobody looked for them; titles of a list are told without a DESCRIPTION at hand."""
    cran.add("aa", "1.0", make_source_package("aa", "1.0"))
    cran.publish()
    publish_facts(cran, ("aa", "1.0", "An A", None))
    assert len(_synced(live_mirrored)) == 1
    _refresh(live_mirrored.app)
    with live_mirrored.app.db.write(shows=False) as connection:
        db_sources.update_mirror(connection, _cran(live_mirrored.app).id, facts={})
    before = live_mirrored.api("GET", "/jobs?kind=facts")[1]
    assert _synced(live_mirrored) == before
    opened = browsing.open_repository(live_mirrored.app, "cran", "latest")
    (summary,), _ = listing.list_packages(live_mirrored.app, opened, page=browsing.Page())
    assert summary.described.title == "An A"


def test_descriptions_are_read_from_heads_and_kept(mirrored: App, cran: FakeCran, clock: Clock) -> None:
    """Those that can't be read are left out, and not tried again at once."""
    for name in ("aa", "bb", "cc"):
        cran.add(name, "1.0", make_source_package(name, "1.0", fields={"SystemRequirements": f"lib{name}"}))
    cran.publish()
    sync(mirrored)
    opened = browsing.open_repository(mirrored, "cran", "latest")
    files = [row.file for row in opened.view.current()]
    cran.put("src/contrib/bb_1.0.tar.gz", b"no tarball", DAY)
    upstream = mirrored.settings.cran.upstream
    found = facts.read_now(mirrored, [(file, upstream) for file in files])
    assert [f"SystemRequirements: lib{file.package}" in found.get(file.id, "") for file in files] == [True, False, True]
    cran.requests.clear()
    bad = next(file for file in files if file.package == "bb")
    assert facts.read_now(mirrored, [(bad, upstream)]) == {}
    assert cran.requests == []
    clock.wait(seconds=facts.AGAIN_AFTER)
    assert facts.read_now(mirrored, [(bad, upstream)]) == {}
    assert cran.count("src/contrib/bb_1.0.tar.gz") == 1
