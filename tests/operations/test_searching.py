"""Search in the packages of a repository, and of all: what is found, in which order, and when it is looked at anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.access import INSIDE
from entrepot.core.errors import Invalid, NeverSynced, RepositoryNotFound, SnapshotNotFound
from entrepot.core.model import RepositoryType, SourceType
from entrepot.core.usage import Counted
from entrepot.db import usage as db_usage
from entrepot.operations import (
    binaries,
    browsing,
    listing,
    packages,
    records,
    repositories,
    searchall,
    searching,
    sources,
    stocks,
    syncing,
    usage,
)
from entrepot.operations.browsing import Page
from entrepot.operations.searching import SearchSort, Wanted
from entrepot.settings import Settings
from entrepot.sources import facts
from tests.sources.test_facts import publish_facts
from tests.support.archives import make_source_package
from tests.support.binaries import make_binary
from tests.support.distributions import sdist, wheel
from tests.support.fake_bioc import FakeBioc
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import Clock, installed, running, sync

MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
Add = Callable[..., None]


@pytest.fixture
def team(app: App, tmp_path: Path) -> Add:
    """A repository `team` over the sources `first` and `second`; adds R packages to them."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for source in ("first", "second"):
        sources.create_source(app, source, type_=SourceType.LOCAL)
        repositories.subscribe(app, "team", source, actor="test")

    def add(source: str, name: str, title: str = "", version: str = "1.0", **fields: str) -> None:
        fields = {"License": "GPL-3", **fields, "Title": title or f"What {name} Does"}
        path = tmp_path / "upload"
        path.write_bytes(make_source_package(name, version, fields=fields))
        packages.add_files(app, source, [packages.Upload(f"{name}_{version}.tar.gz", path)], actor="test")

    return add


def names(
    app: App,
    text: str = "",
    *,
    repo: str = "team",
    snapshot: str = "latest",
    sort: SearchSort = "use",
    page: Page = Page(),
    bioc_version: str | None = None,
    **filters: object,
) -> list[str]:
    wanted = Wanted(text, **filters)  # type: ignore[arg-type]
    found = searching.search(app, repo, snapshot, wanted, sort=sort, page=page, bioc_version=bioc_version)
    return [hit.summary.name for hit in found.hits]


def download(app: App, repo: str, name: str, times: int) -> None:
    """Let a package have been downloaded today."""
    with app.db.write(shows=False) as connection:
        repository = repositories.repository_info(app, repo).repository
        day = (app.clock().date() - date(1970, 1, 1)).days
        counted = Counted(day, repository.id, name, "1.0", 1, "source", "r", "4.2")  # type: ignore[arg-type]
        db_usage.add(connection, {counted: times})


def test_the_best_come_first(app: App, team: Add, clock: Clock) -> None:
    """Exact, beginning, part, words; in each by downloads, by how many need a package, by name."""
    for name in ("plot", "plotly", "plotrix", "ggplot", "Zplot", "aplot"):
        team("first", name, "About graphs")
    team("second", "lattice", "Trellis Plot System")
    team("second", "other", "Nothing alike", Imports="Zplot (>= 1.0), plotrix", Suggests="Zplot")
    assert names(app, "Plot") == ["plot", "plotrix", "plotly", "Zplot", "aplot", "ggplot", "lattice"]
    download(app, "team", "ggplot", 3)
    download(app, "team", "plotly", 1)
    clock.wait(seconds=usage.STALE.total_seconds())
    assert names(app, "Plot") == ["plot", "plotly", "plotrix", "ggplot", "Zplot", "aplot", "lattice"]
    assert names(app, "Plot", page=Page(2, 2)) == ["plotrix", "ggplot"]
    found = searching.search(app, "team", "latest", Wanted("ggplot"), page=Page())
    hit = found.hits[0]
    assert (found.total, found.is_limited, hit.downloads, hit.dependents, hit.has_binaries) == (1, False, 3, 0, False)
    (zplot,) = searching.search(app, "team", "latest", Wanted("zplot"), page=Page()).hits
    assert zplot.dependents == 1


def test_hits_are_told_as_lists_tell_them(app: App, team: Add) -> None:
    """The same summary, whatever it was found by."""
    team("first", "aa", License="MIT + file LICENSE", NeedsCompilation="yes")
    team("second", "bb", "Ünïcode\n    title")
    listed, _ = listing.list_packages(app, browsing.open_repository(app, "team", "latest"), page=Page())
    found = searching.search(app, "team", "latest", Wanted(), sort="name", page=Page())
    assert [
        (hit.summary.name, hit.summary.source, hit.summary.release, hit.summary.described.title) for hit in found.hits
    ] == [(row.name, row.source, row.release, row.described.title) for row in listed]
    for attribute in ("license", "needs_compilation", "requires_python"):
        assert [getattr(hit.summary.described, attribute) for hit in found.hits] == [
            getattr(row.described, attribute) for row in listed
        ]


def test_the_first_source_hides_the_others(app: App, team: Add) -> None:
    """Also what another needs, and also where it has the name in its archive alone."""
    team("second", "shared", "Theirs", Imports="base")
    team("second", "kept", "Theirs", Imports="base")
    team("second", "base")
    assert names(app, "theirs") == ["kept", "shared"]
    team("first", "shared", "Ours")
    assert names(app, "theirs") == ["kept"]
    (hit,) = searching.search(app, "team", "latest", Wanted("shared"), page=Page()).hits
    assert (hit.summary.source, hit.summary.described.title) == ("first", "Ours")
    (base,) = searching.search(app, "team", "latest", Wanted("base"), page=Page()).hits
    assert base.dependents == 1
    packages.archive_package(app, "first", "shared", actor="test")
    assert names(app) == ["base", "kept"]
    assert names(app, source="second") == ["base", "kept"]
    assert names(app, source="first") == []


def test_as_it_was_then(app: App, team: Add, clock: Clock) -> None:
    """A snapshot has its own packages, titles and order."""
    team("first", "aa", "Old title")
    clock.wait(days=2)
    team("first", "aa", "New title", "2.0")
    team("first", "bb", Imports="aa")
    assert names(app, "old") == []
    assert names(app, "new") == ["aa"]
    assert names(app, "title", snapshot="2024-03-01") == ["aa"]
    assert names(app, "old", snapshot="2024-03-01") == ["aa"]
    (hit,) = searching.search(app, "team", "2024-03-01", Wanted("aa"), page=Page()).hits
    assert (hit.dependents, hit.summary.release and hit.summary.release.version) == (0, "1.0")
    with pytest.raises(SnapshotNotFound):
        names(app, snapshot="2019-01-01")
    with pytest.raises(RepositoryNotFound):
        names(app, repo="nobody")


def test_filters(app: App, team: Add, clock: Clock) -> None:
    """Each by itself, and all together; the choices that are offered are those that the others leave."""
    team("first", "aa", License="MIT + file LICENSE")
    team("first", "ab", License="GPL-2 | MIT")
    clock.wait(days=3)
    team("second", "ac", License="GPL-2")
    team("second", "xx", "None of it", License="MIT")
    assert names(app, license="mit") == ["aa", "ab", "xx"]
    assert names(app, license="MIT + file LICENSE") == ["aa"]
    assert names(app, source="second") == ["ac", "xx"]
    assert names(app, updated_since=date(2024, 3, 4)) == ["ac", "xx"]
    assert names(app, "a", license="MIT", updated_since=date(2024, 3, 5)) == []
    assert names(app, "a", license="GPL-2", source="second") == ["ac"]
    assert names(app, has_binaries=False) == ["aa", "ab", "ac", "xx"]
    with pytest.raises(Invalid) as caught:
        names(app, source="third")
    assert caught.value.hint == "it has first, second"
    every = searching.facets(app, "team", "latest", Wanted())
    assert every == searching.Facets([("MIT", 3), ("GPL-2", 2)], [("first", 2), ("second", 2)], 0)
    some = searching.facets(app, "team", "latest", Wanted("a", license="GPL-2"))
    assert some == searching.Facets([("GPL-2", 2), ("MIT", 2)], [("first", 1), ("second", 1)], 0)


def test_orders(app: App, team: Add, clock: Clock) -> None:
    """By name in any case; by date the newest first."""
    for name in ("Bb", "aa", "cc"):
        team("first", name)
        clock.wait(days=1)
    assert names(app, sort="name") == ["aa", "Bb", "cc"]
    assert names(app, sort="date") == ["cc", "aa", "Bb"]
    assert names(app, "c", sort="date") == ["cc"]


def test_binary_packages_of_our_own(app: App, team: Add, tmp_path: Path) -> None:
    """Those of the current version, as long as they are of it."""
    team("first", "demo")
    team("first", "plain")
    path = tmp_path / "binary"
    path.write_bytes(make_binary("demo", "1.0"))
    given = packages.Upload("demo_1.0_R_x86_64-pc-linux-gnu.tar.gz", path)
    assert names(app, has_binaries=True) == []
    binaries.add_binary(app, "first", given, distribution="bookworm", actor="test")
    assert names(app, has_binaries=True) == ["demo"]
    assert names(app, has_binaries=False) == ["plain"]
    assert searching.facets(app, "team", "latest", Wanted()).with_binaries == 1
    team("first", "demo", version="2.0")
    assert names(app, has_binaries=True) == []


def test_titles_that_are_learnt_later(mirrored: App, cran: FakeCran) -> None:
    """What an upstream tells of its packages after they were listed is found at once."""
    cran.add("aa", "1.0", make_source_package("aa", "1.0"), MAY)
    cran.publish()
    sync(mirrored)
    assert names(mirrored, "wonderful", repo="cran") == []
    publish_facts(cran, ("aa", "1.0", "A Wonderful Title", None))
    source = sources.source_info(mirrored, "cran").source
    facts.refresh(mirrored, source, report=lambda *_: None, log=lambda _: None)
    assert names(mirrored, "wonderful", repo="cran") == ["aa"]


def test_nothing_was_synced_yet(mirrored: App) -> None:
    """An empty answer would tell that there are no packages."""
    with pytest.raises(NeverSynced):
        names(mirrored, "aa", repo="cran")


def test_what_did_not_change_is_not_looked_at_again(app: App, team: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write to one source leaves the other's stock; a search after a search reads none."""
    team("first", "aa")
    team("second", "bb")
    made: list[str] = []
    make = stocks._of_r
    monkeypatch.setattr(stocks, "_of_r", lambda app, cut, source: made.append(source.name) or make(app, cut, source))
    assert names(app) == names(app, "") == ["aa", "bb"]
    assert made == ["first", "second"]
    team("first", "ac")
    assert names(app) == ["aa", "ac", "bb"]
    assert made == ["first", "second", "first"]


@pytest.fixture
def pythons(proxied: App, pypi: FakePypi, tmp_path: Path) -> App:
    """The repository `team` with packages of our own before those of the index, whose names are known."""
    for number, version in enumerate(("1.0", "1.1")):
        uploaded = MAY + timedelta(days=number)
        fields = {"Summary": "A demonstration", "License": "MIT"}
        pypi.add(*wheel("Demo.Pkg", version, fields=fields), uploaded=uploaded)
        pypi.add(*sdist("Demo.Pkg", version), uploaded=uploaded)
    pypi.add(*wheel("shared", "1.0"), uploaded=MAY)
    pypi.add_empty("aa", "zz", *(f"many-{number:03}" for number in range(50)))
    sources.create_source(proxied, "internal", type_=SourceType.LOCAL_PYTHON)
    repositories.create_repository(proxied, "team", type_=RepositoryType.PYTHON)
    for source in ("internal", "pypi"):
        repositories.subscribe(proxied, "team", source, actor="test")
    uploads = []
    for name, data in (wheel("shared", "9.0", fields={"Summary": "Ours to demonstrate"}), sdist("mm", "0.1")):
        (tmp_path / name).write_bytes(data)
        uploads.append(packages.Upload(name, tmp_path / name))
    packages.add_files(proxied, "internal", uploads, actor="test")
    sync(proxied, "pypi")
    return proxied


def test_names_of_an_index_and_titles_of_what_is_known(pythons: App, pypi: FakePypi, clock: Clock) -> None:
    """All names are searched; titles and filters know of projects that were read, within some minutes."""
    asked = len(pypi.requests)
    assert names(pythons, "Many_001") == ["many-001"]
    assert names(pythons, "many", page=Page(3, 2)) == ["many-003", "many-004", "many-005"]
    assert names(pythons, "demonstrat") == ["shared"]
    assert names(pythons, "demo pkg") == ["demo-pkg"]
    assert names(pythons, "shared") == ["shared"]
    total = searching.search(pythons, "team", "latest", Wanted(), page=Page(4))
    assert ([hit.summary.name for hit in total.hits], total.total) == (["mm", "shared", "aa", "demo-pkg"], 55)
    assert names(pythons, sort="name", page=Page(4)) == ["aa", "demo-pkg", "many-000", "many-001"]
    assert len(pypi.requests) == asked
    record(pythons, "demo-pkg")
    clock.wait(seconds=stocks.SPAN)
    assert names(pythons, "demonstrat") == ["demo-pkg", "shared"]
    assert names(pythons, license="mit") == ["demo-pkg"]
    assert names(pythons, sort="date", page=Page(3)) == ["mm", "shared", "demo-pkg"]
    assert names(pythons, updated_since=date(2024, 1, 1)) == ["mm", "shared"]
    assert names(pythons, has_binaries=True) == ["demo-pkg", "shared"]
    found = searching.facets(pythons, "team", "latest", Wanted())
    assert found == searching.Facets([("MIT", 1)], [("pypi", 53), ("internal", 2)], 2)
    (hit,) = searching.search(pythons, "team", "latest", Wanted("demo.pkg"), page=Page()).hits
    assert hit.summary.release is not None
    assert (hit.summary.release.version, hit.has_binaries) == ("1.1", True)
    (unread,) = searching.search(pythons, "team", "latest", Wanted("zz"), page=Page()).hits
    assert (unread.summary.release, unread.has_binaries) == (None, None)


def record(app: App, name: str) -> None:
    """Let somebody look at a project: it is read of the index, with its metadata."""
    records.package_record(app, lambda: browsing.open_repository(app, "team", "latest"), name)


def test_the_index_hides_what_comes_behind_it(pythons: App) -> None:
    """A name on its list is its own, whether anybody read it or not."""
    repositories.reorder(pythons, "team", ["pypi", "internal"], actor="test")
    assert names(pythons, "demonstrate") == []
    (hit,) = searching.search(pythons, "team", "latest", Wanted("shared"), page=Page()).hits
    assert hit.summary.source == "pypi"
    assert names(pythons, source="internal") == ["mm"]


def test_near_names(pythons: App) -> None:
    """Of all names that are there, those that begin alike where there are very many."""
    assert searching.near_names(pythons, "team", "Demo_Pgk") == ["demo-pkg"]
    assert searching.near_names(pythons, "team", "sharde") == ["shared"]
    assert searching.near_names(pythons, "team", "\0" * 5000) == []


@pytest.fixture
def bioconductor(settings: Settings, clock: Clock) -> Iterator[App]:
    """A repository of Bioconductor with two versions."""
    with FakeBioc() as bioc:
        bioc.config()
        bioc.part("3.18", "bioc", {"Biobase": "2.62.0", "both": "1.0"})
        bioc.part("3.18", "data/annotation", {"org.Hs.eg.db": "3.18.0", "both": "2.0"})
        bioc.part("3.17", "bioc", {"Biobase": "2.60.0", "older": "1.0"})
        changed = settings.bioconductor.model_copy(update={"upstream": bioc.url})
        repos = settings.repos.model_copy(update={"bioconductor": "bioconductor"})
        with installed(settings.model_copy(update={"bioconductor": changed, "repos": repos}), clock) as opened:
            meta = sources.source_info(opened, "bioconductor").source
            syncing.sync(opened, meta.id, force=False, report=lambda *_: None)
            yield opened


def test_one_version_of_bioconductor(bioconductor: App) -> None:
    """The release, if nothing else is said; its parts as sources."""
    assert names(bioconductor, repo="bioconductor") == ["Biobase", "both", "org.Hs.eg.db"]
    assert names(bioconductor, repo="bioconductor", bioc_version="3.17") == ["Biobase", "older"]
    found = searching.facets(bioconductor, "bioconductor", "latest", Wanted())
    assert found.sources == [("bioconductor/3.18/bioc", 2), ("bioconductor/3.18/data/annotation", 1)]
    (hit,) = searchall.search_all(bioconductor, "biobase", access=INSIDE, limit=5)
    assert (hit.type, hit.version, hit.repositories) == (RepositoryType.BIOCONDUCTOR, "2.62.0", ("bioconductor",))


def test_titles_of_bioconductor_come_with_its_files(bioconductor: App) -> None:
    """No list tells them: a package's title is found once somebody had the package."""
    assert names(bioconductor, "what biobase does", repo="bioconductor") == []
    with running(bioconductor) as live:
        got = live.get("/bioconductor/latest/packages/3.18/bioc/src/contrib/Biobase_2.62.0.tar.gz")
        assert got.status == 200
    assert names(bioconductor, "what biobase does", repo="bioconductor") == ["Biobase"]


Anywhere = tuple[str, tuple[str, ...], str, str | None, str | None]


def anywhere(app: App, text: str, limit: int = 20) -> list[Anywhere]:
    return [
        (found.name, found.repositories, found.source, found.version, found.title)
        for found in searchall.search_all(app, text, access=INSIDE, limit=limit)
    ]


def test_in_all_repositories(app: App, team: Add, clock: Clock) -> None:
    """What several show alike is told once; what one hides is told of the others."""
    team("second", "shared", "Theirs")
    team("second", "shares", "Of it all")
    repositories.create_repository(app, "plain", type_=RepositoryType.R)
    repositories.subscribe(app, "plain", "second", actor="test")
    both = ("team", "plain")
    assert anywhere(app, "Share") == [
        ("shared", both, "second", "1.0", "Theirs"),
        ("shares", both, "second", "1.0", "Of it all"),
    ]
    team("first", "shared", "Ours")
    assert anywhere(app, "shared") == [
        ("shared", ("team",), "first", "1.0", "Ours"),
        ("shared", ("plain",), "second", "1.0", "Theirs"),
    ]
    download(app, "plain", "shares", 1)
    clock.wait(seconds=usage.STALE.total_seconds())
    assert [found[0] for found in anywhere(app, "share")] == ["shares", "shared", "shared"]
    assert [found[0] for found in anywhere(app, "share", 1)] == ["shares"]
    assert anywhere(app, "") == []
    repositories.delete_repository(app, "plain")
    assert anywhere(app, "theirs") == []


def test_in_all_repositories_with_an_index(pythons: App) -> None:
    """Names that nobody asked for are found as well, behind those that are known."""
    repositories.create_repository(pythons, "more", type_=RepositoryType.PYTHON)
    repositories.subscribe(pythons, "more", "pypi", actor="test")
    assert anywhere(pythons, "shared") == [
        ("shared", ("team",), "internal", "9.0", "Ours to demonstrate"),
        ("shared", ("pypi", "more"), "pypi", None, None),
    ]
    assert anywhere(pythons, "many-00", 2) == [
        ("many-000", ("pypi", "team", "more"), "pypi", None, None),
        ("many-001", ("pypi", "team", "more"), "pypi", None, None),
    ]


def test_what_each_repository_has(app: App, team: Add, clock: Clock) -> None:
    """The packages that it shows, and the time of its newest transaction; nothing is told of what was never synced."""
    clock.wait(days=1)
    team("first", "shared")
    team("second", "shared")
    clock.wait(days=1)
    team("second", "other")
    found = {each.info.repository.name: (each.packages, each.changed) for each in searchall.overviews(app)}
    assert found["team"] == (2, clock.now)
    assert found["cran"][0] is None
    packages.archive_package(app, "second", "other", actor="test")
    assert {each.info.repository.name: each.packages for each in searchall.overviews(app)}["team"] == 1


def test_packages_of_an_index_are_counted_by_its_names(pythons: App) -> None:
    """Each name once, whichever sources have it."""
    found = {each.info.repository.name: each.packages for each in searchall.overviews(pythons)}
    assert (found["team"], found["pypi"]) == (55, 54)
