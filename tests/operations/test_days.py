"""Days as snapshots: which can be used, on which something changed, and of how many packages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import BioconductorVersionNotFound, NotFound, RepositoryNotFound, SnapshotNotFound
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import browsing, days, packages, repositories, sources, syncing
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.fake_bioc import FakeBioc
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, installed, sync

Add = Callable[..., None]


@pytest.fixture
def add(app: App, tmp_path: Path) -> Add:
    """Adds packages (`abc 1.0`) to a source."""

    def adding(source: str, *texts: str) -> None:
        uploads = []
        for text in texts:
            name, version = text.split()
            file = tmp_path / f"{name}_{version}.tar.gz"
            file.write_bytes(make_source_package(name, version))
            uploads.append(packages.Upload(file.name, file))
        packages.add_files(app, source, uploads, actor="test")

    return adding


@pytest.fixture
def team(app: App) -> App:
    """The repository `team` over the empty source `one`."""
    sources.create_source(app, "one", type_=SourceType.LOCAL)
    sources.create_source(app, "two", type_=SourceType.LOCAL)
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    repositories.subscribe(app, "team", "one", actor="test")
    return app


def march(*numbers: int) -> list[date]:
    return [date(2024, 3, number) for number in numbers]


def usable(app: App, repo: str, candidates: list[date]) -> list[date]:
    """Those of some days that the repository is opened as of."""
    found = []
    for day in candidates:
        try:
            browsing.open_repository(app, repo, day.isoformat())
        except SnapshotNotFound:
            continue
        found.append(day)
    return found


def test_the_days_that_can_be_used(team: App, clock: Clock, add: Add) -> None:
    """From the first with something until yesterday; each of these is served, and none beside them."""
    assert days.servable(team, "team") is None
    with pytest.raises(NotFound, match="no day yet"):
        days.first(team, "team")
    clock.wait(days=1)
    add("one", "abc 1.0")
    assert days.servable(team, "team") is None
    clock.wait(days=3)
    assert days.servable(team, "team") == days.Days(*march(2, 4))
    assert days.first(team, "team") == date(2024, 3, 2)
    assert usable(team, "team", march(1, 2, 3, 4, 5)) == march(2, 3, 4)
    with pytest.raises(RepositoryNotFound):
        days.servable(team, "none")


def test_days_of_an_earlier_repository_of_the_name(team: App, clock: Clock, add: Add) -> None:
    """They were that one's: a repository that comes after it begins with its own first subscription."""
    add("one", "abc 1.0")
    clock.wait(days=2)
    repositories.delete_repository(team, "team")
    clock.wait(days=1)
    repositories.create_repository(team, "team", type_=RepositoryType.R)
    repositories.subscribe(team, "team", "one", actor="test")
    assert days.servable(team, "team") is None
    assert days.changed(team, "team") == []
    clock.wait(days=2)
    assert days.servable(team, "team") == days.Days(*march(4, 5))
    assert usable(team, "team", march(1, 2, 3, 4, 5)) == march(4, 5)
    # As of 1 March, when the package came, is the other repository's.
    assert days.changed(team, "team") == []


def test_days_of_a_mirror(mirrored: App, cran: FakeCran) -> None:
    """Back to the first day of its history, and until the last one that a sync confirms."""
    cran.add("abc", "1.0", make_source_package("abc", "1.0"), datetime(2023, 5, 4, 9, tzinfo=UTC))
    cran.add("abc", "1.1", make_source_package("abc", "1.1"), datetime(2023, 7, 9, 9, tzinfo=UTC))
    cran.publish()
    assert days.servable(mirrored, "cran") is None
    sync(mirrored)
    assert days.servable(mirrored, "cran") == days.Days(date(2023, 5, 4), date(2024, 2, 29))
    assert [day for day, _ in days.changed(mirrored, "cran")] == [date(2023, 5, 4), date(2023, 7, 9)]


def test_days_with_changes(team: App, clock: Clock, add: Add) -> None:
    """Ascending, each with its newest transaction, of a range if one is wanted, and how many packages changed."""
    add("one", "abc 1.0")
    add("one", "abc 1.1", "new 1.0")
    clock.wait(days=2)
    packages.archive_package(team, "one", "new", actor="test")
    clock.wait(days=1)
    packages.remove_package(team, "one", "abc", scope="all", actor="test")
    add("two", "other 1.0")
    add("one", "kept 1.0", "kept2 1.0")
    clock.wait(days=3)
    found = days.changed(team, "team")
    assert [day for day, _ in found] == march(1, 3, 4)
    newest = [id_ for _, id_ in found]
    assert newest == sorted(newest)
    assert days.changed(team, "team", start=date(2024, 3, 2)) == found[1:]
    assert days.changed(team, "team", end=date(2024, 3, 3)) == found[:2]
    assert days.changed(team, "team", start=date(2024, 3, 3), end=date(2024, 3, 3)) == found[1:2]
    assert days.changed(team, "team", start=date(2025, 1, 1)) == []
    counts = days.count_changed(team, "team", start=date(2024, 3, 1), end=date(2024, 3, 6))
    # On the first day one of two transactions was about a package that the other was about.
    assert counts == dict(zip(march(1, 3, 4), (3, 1, 3), strict=True))
    assert days.count_changed(team, "team", start=date(2024, 3, 2), end=date(2024, 3, 3)) == {date(2024, 3, 3): 1}


def test_too_many_transactions_are_not_counted(team: App, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an index that is read by the project a day may have thousands."""
    add("one", "abc 1.0")
    add("one", "abc 1.1")
    whole = {"start": date(2024, 3, 1), "end": date(2024, 3, 1)}
    assert days.count_changed(team, "team", **whole) == {date(2024, 3, 1): 2}
    monkeypatch.setattr(days, "MOST_COUNTED", 1)
    assert days.count_changed(team, "team", **whole) is None


def test_changes_of_a_source_after_it_was_lost_are_none(team: App, clock: Clock, add: Add) -> None:
    """What a source did after the repository unsubscribed from it changed nothing there."""
    repositories.subscribe(team, "team", "two", actor="test")
    add("one", "abc 1.0")
    clock.wait(days=1)
    add("two", "other 1.0")
    repositories.unsubscribe(team, "team", "two", actor="test")
    clock.wait(days=1)
    add("two", "other 1.1")
    clock.wait(days=1)
    assert [day for day, _ in days.changed(team, "team")] == march(1, 2)
    counts = days.count_changed(team, "team", start=date(2024, 3, 1), end=date(2024, 3, 9))
    assert counts == dict(zip(march(1, 2), (1, 1), strict=True))


def test_days_of_a_version_of_bioconductor(settings: Settings, clock: Clock) -> None:
    """Those on which it was known that there is such a version, and what is in it; none of one that isn't mirrored."""
    with FakeBioc() as bioc:
        bioc.config()
        bioc.part("3.18", "bioc", {"Biobase": "2.62.0"})
        changed = settings.bioconductor.model_copy(update={"upstream": bioc.url})
        repos = settings.repos.model_copy(update={"bioconductor": "bioconductor"})
        with installed(settings.model_copy(update={"bioconductor": changed, "repos": repos}), clock) as app:
            assert days.servable(app, "bioconductor", bioc_version="3.18") is None
            meta = sources.source_info(app, "bioconductor").source
            for _ in range(2):
                syncing.sync(app, meta.id, force=False, report=lambda *_: None)
                clock.wait(days=2)
            wanted = [clock.now.date() - timedelta(days=back) for back in range(6)]
            found = days.servable(app, "bioconductor", bioc_version="3.18")
            assert found is not None
            assert days.servable(app, "bioconductor") == found
            assert sorted(usable(app, "bioconductor", wanted)) == [
                day for day in sorted(wanted) if found.first <= day <= found.last
            ]
            assert days.servable(app, "bioconductor", bioc_version="3.19") is None
            with pytest.raises(BioconductorVersionNotFound):
                days.servable(app, "bioconductor", bioc_version="9.9")
            assert [day for day, _ in days.changed(app, "bioconductor")] == [found.first]
