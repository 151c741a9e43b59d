"""The mirror of Bioconductor: its configuration, its versions and their parts, each synced by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from entrepot.app import App
from entrepot.core.errors import (
    BioconductorVersionNotFound,
    NeverSynced,
    SnapshotNotFound,
    UpstreamInvalid,
    UpstreamLacksIndex,
    UpstreamUnavailable,
)
from entrepot.core.model import PackageName
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.operations import bioconductor, serving, syncing
from entrepot.settings import Settings
from entrepot.sources.mirror import Synced
from tests.support.fake_bioc import PARTS, FakeBioc, config_text
from tests.support.server import Clock, installed


@pytest.fixture
def bioc() -> Iterator[FakeBioc]:
    """3.18 with packages in three of its repositories, books that are there and empty, no workflows; 3.17 with one."""
    with FakeBioc() as server:
        server.config()
        server.part("3.18", "bioc", {"Biobase": "2.62.0", "limma": "3.58.0"})
        server.part("3.18", "data/annotation", {"org.Hs.eg.db": "3.18.0"})
        server.part("3.18", "data/experiment", {"ALL": "1.44.0"})
        server.part("3.18", "books", {})
        server.part("3.17", "bioc", {"Biobase": "2.60.0"})
        yield server


@pytest.fixture
def mirrored(settings: Settings, bioc: FakeBioc, clock: Clock) -> Iterator[App]:
    """An installation whose source `bioconductor` mirrors that; not synced yet."""
    with installed(with_upstream(settings, bioc.url), clock) as app:
        yield app


def with_upstream(settings: Settings, url: str, **more: object) -> Settings:
    changed = settings.bioconductor.model_copy(update={"upstream": url, "sync_schedule": "", **more})
    repos = settings.repos.model_copy(update={"bioconductor": "bioconductor"})
    return settings.model_copy(update={"bioconductor": changed, "repos": repos})


def sync(app: App, *versions: str, force: bool = False) -> Synced:
    with app.db.read() as connection:
        meta = db_sources.get(connection, "bioconductor")
    return syncing.sync(app, meta.id, force=force, versions=versions, report=lambda *_: None)


def listing(app: App, version: str, part: str | None = "bioc", snapshot: str = "latest") -> dict[str, str]:
    opened = serving.open_view(app, "bioconductor", snapshot, asked=Asked(version, part), who=serving.inside)
    return {row.file.package: row.file.version for row in opened.view.current()}


def newest(app: App) -> int:
    with app.db.read() as connection:
        return db_transactions.newest(connection)


def state(app: App) -> Mapping[str, str | None]:
    """The error of each part of 3.18, and of the source itself."""
    with app.db.read() as connection:
        meta = db_sources.get(connection, "bioconductor")
        parts = bioconductor.parts_of(connection, meta, "3.18")
        rows = {each.source_id: each for each in db_sources.mirror_states(connection)}
    return {part.part or "": rows[part.id].error for part in parts} | {"": rows[meta.id].error}


def test_a_sync_mirrors_each_version(mirrored: App) -> None:
    """Each part with packages is a transaction of its own, after that of the configuration; what upstream lacks of a
    version is empty, and a version that it lacks whole is told."""
    synced = sync(mirrored)
    assert (len(synced.transactions), synced.added) == (5, 5)
    assert [fault.partition(" ")[2] for fault in synced.faults] == ["has none of the repositories of Bioconductor 3.19"]
    assert listing(mirrored, "3.18") == {"Biobase": "2.62.0", "limma": "3.58.0"}
    assert listing(mirrored, "release", "data/annotation") == {"org.Hs.eg.db": "3.18.0"}
    assert [listing(mirrored, "3.18", part) for part in ("workflows", "books")] == [{}, {}]
    assert listing(mirrored, "3.17") == {"Biobase": "2.60.0"}
    assert len(listing(mirrored, "3.18", None)) == 4
    assert state(mirrored) == dict.fromkeys([*(f"3.18/{part}" for part in PARTS), ""])


def test_no_change_costs_conditional_requests_only(mirrored: App, bioc: FakeBioc, clock: Clock) -> None:
    """A second sync asks for the configuration and each list of packages with their validators, and writes nothing."""
    sync(mirrored, "3.18")
    before, _ = newest(mirrored), bioc.requests.clear()
    clock.wait(days=1)
    assert sync(mirrored, "3.18") == Synced()
    assert newest(mirrored) == before
    there = [asked for asked in bioc.requests if "/workflows/" not in asked.path]
    assert [asked.path for asked in there] == [
        "config.yaml",
        *(f"packages/3.18/{part}/src/contrib/PACKAGES.gz" for part in PARTS if part != "workflows"),
    ]
    assert all("If-None-Match" in asked.headers for asked in there)


def test_what_upstream_replaces_stays_in_the_archive(mirrored: App, bioc: FakeBioc, clock: Clock) -> None:
    """Only the part that changed has a new transaction; yesterday's snapshot goes on showing what was there."""
    sync(mirrored, "3.18")
    clock.wait(days=1)
    bioc.part("3.18", "bioc", {"Biobase": "2.62.1", "limma": "3.58.0"})
    synced = sync(mirrored, "3.18")
    assert (len(synced.transactions), synced.updated) == (1, 1)
    assert listing(mirrored, "3.18") == {"Biobase": "2.62.1", "limma": "3.58.0"}
    clock.wait(days=1)
    sync(mirrored, "3.18")
    # What upstream doesn't date belongs to the first day that isn't closed, which is the day of the sync before.
    assert listing(mirrored, "3.18", snapshot="2024-03-01") == {"Biobase": "2.62.1", "limma": "3.58.0"}
    before = str(synced.transactions[0] - 1)
    assert listing(mirrored, "3.18", snapshot=before) == {"Biobase": "2.62.0", "limma": "3.58.0"}
    opened = serving.open_view(mirrored, "bioconductor", "latest", asked=Asked("3.18", "bioc"), who=serving.inside)
    assert {row.file.version for row in opened.view.of_package(PackageName("Biobase"))} == {"2.62.0", "2.62.1"}


def test_a_day_shows_a_version_once_all_of_it_is_known(mirrored: App, bioc: FakeBioc, clock: Clock) -> None:
    """A part without packages by then is empty, whatever comes to it later; a day before the version's first packages
    is refused, and so is one that a part's next sync has to confirm."""
    sync(mirrored, "3.18")
    with pytest.raises(SnapshotNotFound):
        listing(mirrored, "3.18", "books", "2024-03-01")
    clock.wait(days=1)
    sync(mirrored, "3.18")
    assert listing(mirrored, "3.18", "books", "2024-03-01") == {}
    clock.wait(days=2)
    bioc.part("3.18", "books", {"OSCA": "1.12.0"})
    sync(mirrored, "3.18")
    clock.wait(days=1)
    sync(mirrored, "3.18")
    assert listing(mirrored, "3.18", "books", "2024-03-01") == {}
    assert listing(mirrored, "3.18", "books", "2024-03-03") == {"OSCA": "1.12.0"}
    with pytest.raises(SnapshotNotFound):
        listing(mirrored, "3.18", "books", "2024-02-29")


def test_a_new_release_is_another_configuration(mirrored: App, bioc: FakeBioc, clock: Clock) -> None:
    """`release` is what it was at a snapshot."""
    first = sync(mirrored, "release").transactions[-1]
    clock.wait(days=1)
    bioc.config(config_text(release="3.19", devel="3.20", r_versions={"3.18": "4.3", "3.19": "4.4", "3.20": "4.4"}))
    bioc.part("3.19", "bioc", {"Biobase": "2.64.0"})
    sync(mirrored, "release")
    assert listing(mirrored, "release") == {"Biobase": "2.64.0"}
    assert listing(mirrored, "release", snapshot=str(first)) == {"Biobase": "2.62.0", "limma": "3.58.0"}
    with pytest.raises(BioconductorVersionNotFound, match=r"no Bioconductor '3.20'"):
        listing(mirrored, "3.20", snapshot=str(first))
    with pytest.raises(NeverSynced, match=r"3.20 is not mirrored yet"):
        listing(mirrored, "devel")


def test_a_part_that_fails_leaves_the_others_alone(mirrored: App, bioc: FakeBioc) -> None:
    """The error is kept with the part and told in the end; the next sync that succeeds clears it."""
    bioc.fail("packages/3.18/data/annotation/src/contrib/PACKAGES.gz", "html")
    with pytest.raises(UpstreamInvalid, match=r"3.18/data/annotation: "):
        sync(mirrored, "3.18")
    assert listing(mirrored, "3.18", "data/experiment") == {"ALL": "1.44.0"}
    assert [part for part, error in state(mirrored).items() if error] == ["3.18/data/annotation", ""]
    with pytest.raises(NeverSynced):
        listing(mirrored, "3.18", "data/annotation")
    bioc.heal("packages/3.18/data/annotation/src/contrib/PACKAGES.gz")
    assert sync(mirrored, "3.18").added == 1
    assert not any(state(mirrored).values())


def test_a_version_that_upstream_lacks_whole_is_an_error(mirrored: App, bioc: FakeBioc) -> None:
    """Where it is asked for by name, and where it was there before; nothing that is known of it goes."""
    with pytest.raises(UpstreamLacksIndex, match=r"none of the repositories of Bioconductor 3.19"):
        sync(mirrored, "devel")
    sync(mirrored, "3.18")
    for part in PARTS:
        bioc.drop("3.18", part)
    with pytest.raises(UpstreamLacksIndex, match=r"no longer has any of the repositories of Bioconductor 3.18"):
        sync(mirrored)
    assert listing(mirrored, "3.18") == {"Biobase": "2.62.0", "limma": "3.58.0"}


def test_an_unknown_version_names_those_that_there_are(mirrored: App) -> None:
    """In a sync and in a path alike."""
    with pytest.raises(BioconductorVersionNotFound) as told:
        sync(mirrored, "3.99")
    assert told.value.hint == "versions are 3.19, 3.18, 3.17; release is 3.18, devel is 3.19"
    with pytest.raises(BioconductorVersionNotFound):
        listing(mirrored, "3.0")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<html>", "it is no map"),
        ("a: [", "it is no YAML at line"),
        ("[" * 5000, "it is no YAML"),
        ("release_version: '3.18'", "it has no r_ver_for_bioc_ver"),
        (config_text(release="3.42"), "its release_version is '3.42'"),
        ("x" * 300_000, "sends more than"),
    ],
)
def test_a_bad_configuration_changes_nothing(mirrored: App, bioc: FakeBioc, text: str, why: str) -> None:
    """What was known stays, and the message says what is wrong."""
    sync(mirrored, "3.18")
    before = newest(mirrored)
    bioc.config(text)
    with pytest.raises(UpstreamInvalid, match=why):
        sync(mirrored, "3.18")
    assert newest(mirrored) == before
    assert listing(mirrored, "release") == {"Biobase": "2.62.0", "limma": "3.58.0"}


def test_an_upstream_that_is_down_is_not_asked_again_and_again(mirrored: App, bioc: FakeBioc) -> None:
    """After three parts without an answer the others are left alone."""
    for part in PARTS:
        bioc.fail(f"packages/3.18/{part}/src/contrib/PACKAGES.gz", "refuse")
    with pytest.raises(UpstreamUnavailable, match=r"and 2 more\); the others were not asked for"):
        sync(mirrored, "3.18")
    assert not bioc.count("packages/3.18/workflows/src/contrib/PACKAGES.gz")


def test_each_version_goes_with_a_cran(mirrored: App) -> None:
    """That of the day on which the next one was released; the newest for the release and what follows."""
    assert bioconductor.status_versions(mirrored) == []
    sync(mirrored, "3.18")
    assert bioconductor.status_versions(mirrored) == [
        {"bioc_version": "3.19", "r_version": "4.4", "cran_snapshot": "latest"},
        {"bioc_version": "3.18", "r_version": "4.3", "cran_snapshot": "latest"},
        {"bioc_version": "3.17", "r_version": "4.3", "cran_snapshot": "2023-10-25"},
    ]
    known = {each.version: each for each in bioconductor.versions(mirrored)}
    assert known["3.18"].packages == {"bioc": 2, "data/annotation": 1, "data/experiment": 1, "workflows": 0, "books": 0}
    assert (known["3.18"].word, known["3.17"].packages) == ("release", {})


def test_the_settings_say_which_versions(settings: Settings, bioc: FakeBioc, clock: Clock) -> None:
    """Those, and what somebody named since."""
    with installed(with_upstream(settings, bioc.url, versions=("release",)), clock) as app:
        sync(app)
        assert {each.version for each in bioconductor.versions(app) if each.packages} == {"3.18"}
        sync(app, "3.17")
        bioc.requests.clear()
        sync(app)
        assert bioc.count("packages/3.17/bioc/src/contrib/PACKAGES.gz")
