"""The mirror of Bioconductor: its configuration, its versions and their parts, each synced by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from entrepot.app import App
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.operations import bioconductor, serving, syncing
from entrepot.settings import Settings
from entrepot.sources.mirror import Synced
from tests.support.fake_bioc import PARTS, FakeBioc
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
    opened = serving.open_view(app, "bioconductor", snapshot, asked=Asked(version, part))
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
