"""Python projects through the lists and records that people and programs see."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.errors import Invalid, NeverSynced, PackageNotFound, UpstreamUnavailable
from entrepot.core.model import PackageName, RepositoryType, SourceType
from entrepot.operations import activity, browsing, days, listing, packages, records, repositories, sources
from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi
from tests.support.server import Clock, sync

MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def team(proxied: App, pypi: FakePypi, tmp_path: Path) -> App:
    """The repository `team` with packages of our own before those of the index; nothing was read of the index yet."""
    for number, version in enumerate(("1.0", "1.1", "2.0rc1")):
        uploaded = MAY + timedelta(days=number)
        pypi.add(*wheel("Demo.Pkg", version, requires=["six>=1"], fields={"Summary": "A demo"}), uploaded=uploaded)
        pypi.add(*sdist("Demo.Pkg", version), uploaded=uploaded)
    pypi.add(*wheel("shared", "1.0"), uploaded=MAY)
    pypi.add_empty("aa", "zz", *(f"many-{number:03}" for number in range(50)))
    sources.create_source(proxied, "internal", type_=SourceType.LOCAL_PYTHON)
    repositories.create_repository(proxied, "team", type_=RepositoryType.PYTHON)
    for source in ("internal", "pypi"):
        repositories.subscribe(proxied, "team", source, actor="test")
    add(proxied, tmp_path, wheel("shared", "9.0", fields={"Summary": "Ours"}), sdist("mm", "0.1"))
    return proxied


def add(app: App, folder: Path, *files: tuple[str, bytes], source: str = "internal") -> packages.Outcome:
    uploads = []
    for name, data in files:
        (folder / name).write_bytes(data)
        uploads.append(packages.Upload(name, folder / name))
    return packages.add_files(app, source, uploads, actor="test")


Row = tuple[str, str | None, str | None, str]


def rows(app: App, repo: str = "team", snapshot: str = "latest", **wanted: object) -> tuple[list[Row], int]:
    """(name, version, title, source) of a page, and how many there are in all."""
    opened = browsing.open_repository(app, repo, snapshot)
    found, total = listing.list_packages(app, opened, **{"page": browsing.Page(), **wanted})  # type: ignore[arg-type]
    return [
        (row.name, row.release.version if row.release else None, row.described.title, row.source) for row in found
    ], total


def record(app: App, name: str, snapshot: str = "latest", version: str | None = None) -> records.PackageRecord:
    return records.package_record(app, lambda: browsing.open_repository(app, "team", snapshot), name, version=version)


def test_names_of_all_sources_in_one_list(team: App, pypi: FakePypi) -> None:
    """Every name is listed once, from the first source that has it; of names alone nothing is asked of upstream."""
    sync(team, "pypi")
    asked = len(pypi.requests)
    found, total = rows(team, page=browsing.Page(4))
    assert (found, total) == (
        [
            ("aa", None, None, "pypi"),
            ("demo-pkg", None, None, "pypi"),
            ("many-000", None, None, "pypi"),
            ("many-001", None, None, "pypi"),
        ],
        55,
    )
    whole, _ = rows(team, page=browsing.Page(100))
    assert [row[0] for row in whole] == sorted({*pypi.names, "mm"})
    assert [row for row in whole if row[3] == "internal"] == [
        ("mm", "0.1", "What mm does", "internal"),
        ("shared", "9.0", "Ours", "internal"),
    ]
    for number in range(1, 10):
        page = browsing.Page(7, number)
        assert rows(team, page=page) == (whole[page.offset :][:7], 55)
        assert rows(team, page=page, descending=True) == (whole[::-1][page.offset :][:7], 55)
    assert len(pypi.requests) == asked


def test_a_part_of_the_name(team: App) -> None:
    """A part is found in any case and spelling, and the number of all is that of the matches."""
    sync(team, "pypi")
    assert [row[0] for row in rows(team, name_like="O.p")[0]] == ["demo-pkg"]
    found, total = rows(team, name_like="MANY", page=browsing.Page(3, 17))
    assert ([row[0] for row in found], total) == (["many-048", "many-049"], 50)
    assert [row[0] for row in rows(team, name_like="m", page=browsing.Page(100))[0]][-1] == "mm"
    assert rows(team, name_like="m")[1] == 52
    assert rows(team, name_like="%")[1] == 0
    assert [row[:2] for row in rows(team, name="Shared")[0]] == [("shared", "9.0")]
    assert [row[:2] for row in rows(team, name="ZZ")[0]] == [("zz", None)]
    for name in ("nothing", "a/b", "", "ẞ", "no\0ne"):
        assert rows(team, name=name) == ([], 0)


def test_an_index_is_sorted_by_name_alone(team: App) -> None:
    """Dates and sizes of hundreds of thousands of projects aren't known; those of packages of our own are."""
    sync(team, "pypi")
    with pytest.raises(Invalid, match="can't be sorted by package_size"):
        rows(team, sort="package_size")
    repositories.unsubscribe(team, "team", "pypi", actor="test")
    assert [row[0] for row in rows(team, sort="version", descending=True)[0]] == ["shared", "mm"]
    assert [row[0] for row in rows(team, sort="package_size")[0]] == ["shared", "mm"]


def test_a_list_that_was_never_read(team: App) -> None:
    """Without the list of names there is no list of projects; one that is asked for can be had."""
    with pytest.raises(NeverSynced):
        rows(team)
    assert rows(team, name="demo-pkg") == ([], 0)
    assert record(team, "demo-pkg").release.version == "1.1"
    assert rows(team, name="demo-pkg")[1] == 1


def test_a_record_asks_upstream(team: App, pypi: FakePypi) -> None:
    """A project that nobody asked for yet is read, and the metadata of its release; lists tell both from then on."""
    found = record(team, "Demo_Pkg")
    assert (found.release.version, found.summary.described.title) == ("1.1", "A demo")
    assert [need.name for need in found.summary.described.dependencies["requires_dist"]] == ["six"]
    assert [(each.version, [file.kind for file in each.files]) for each in found.releases] == [
        (version, ["wheel", "sdist"]) for version in ("2.0rc1", "1.1", "1.0")
    ]
    assert record(team, "demo-pkg", version="1.0.0").release.version == "1.0"
    sync(team, "pypi")
    assert rows(team, name="demo-pkg")[0] == [("demo-pkg", "1.1", "A demo", "pypi")]
    for name in ("nothing", "a/b", "../x", "no\0ne"):
        with pytest.raises(PackageNotFound):
            record(team, name)
    with pytest.raises(PackageNotFound, match="no version 7"):
        record(team, "demo-pkg", version="7")


def test_packages_of_our_own_are_not_asked_for(team: App, pypi: FakePypi) -> None:
    """Upstream never hears of a name that an earlier source has."""
    assert record(team, "shared").summary.source == "internal"
    assert pypi.count(pypi.page("shared")) == 0


def test_an_index_before_packages_of_our_own(team: App, pypi: FakePypi) -> None:
    """The first source that has a name wins in lists too, also where it was never asked for that project."""
    sync(team, "pypi")
    repositories.reorder(team, "team", ["pypi", "internal"], actor="test")
    assert rows(team, name="shared") == ([("shared", None, None, "pypi")], 1)
    assert rows(team, name="mm") == ([("mm", "0.1", "What mm does", "internal")], 1)
    assert record(team, "shared").summary.source == "pypi"
    assert rows(team, name="shared")[0][0][1:] == ("1.0", "What shared does", "pypi")
    assert rows(team)[1] == 55


def test_the_first_day(team: App) -> None:
    """Any day that an index can be asked for can be used, whenever it was read; nobody knows what changed on which."""
    assert days.first(team, "pypi") == date(2000, 1, 1)
    assert days.changed(team, "pypi") == []


def test_metadata_that_can_not_be_had(team: App, pypi: FakePypi) -> None:
    """A record without metadata is better than none; a project that can't be read is an error."""
    path = pypi.upload("demo_pkg-1.1-py3-none-any.whl").path
    pypi.fail(path, "500")
    pypi.fail(f"{path}.metadata", "500")
    found = record(team, "demo-pkg")
    assert (found.release.version, found.summary.described.title) == ("1.1", None)
    assert found.summary.described.dependencies == {}
    pypi.fail(pypi.page("zz"), "500")
    with pytest.raises(UpstreamUnavailable):
        record(team, "zz")


def test_a_day_of_the_past(team: App) -> None:
    """A snapshot of a day shows what was there by then, with the version that stood for a project then."""
    sync(team, "pypi")
    assert record(team, "demo-pkg", "2023-05-01").release.version == "1.0"
    assert record(team, "demo-pkg", "2023-05-02").release.version == "1.1"
    assert rows(team, snapshot="2023-05-01", name_like="demo") == ([("demo-pkg", "1.0", "A demo", "pypi")], 1)
    with pytest.raises(PackageNotFound):
        record(team, "demo-pkg", "2022-01-01")


def test_changes_of_a_page(team: App, pypi: FakePypi, clock: Clock) -> None:
    """What a reading found is one change a version: new ones, one that was yanked, one that lost a file, one gone."""
    record(team, "demo-pkg")
    first = activity.list_transactions(team, source="pypi", page=browsing.Page(1))[0][0]
    assert first.counts == {**dict.fromkeys(ChangeKind, 0), ChangeKind.ADDED: 3}
    pypi.change("demo_pkg-1.0-py3-none-any.whl", yanked="bad")
    pypi.remove("demo_pkg-1.1.tar.gz")
    pypi.remove("demo_pkg-2.0rc1.tar.gz")
    pypi.remove("demo_pkg-2.0rc1-py3-none-any.whl")
    pypi.add(*wheel("Demo.Pkg", "3.0"), uploaded=clock.now)
    clock.wait(hours=1)
    sync(team, "pypi")
    newest = activity.list_transactions(team, source="pypi", page=browsing.Page(1))[0][0]
    demo = PackageName("demo-pkg")
    told = activity.transaction(team, newest.transaction.id)
    assert told.changes == (
        Change(ChangeKind.ADDED, demo, "3.0"),
        Change(ChangeKind.REMOVED, demo, "2.0rc1"),
        Change(ChangeKind.UPDATED, demo, "1.0"),
        Change(ChangeKind.UPDATED, demo, "1.1"),
    )
    assert told.counts == newest.counts
    old = record(team, "demo-pkg", str(first.transaction.id))
    assert [each.version for each in old.releases] == ["2.0rc1", "1.1", "1.0"]
    found = record(team, "demo-pkg", version="1.0")
    assert [(file.kind, file.yanked) for file in found.release.files] == [("sdist", None), ("wheel", "bad")]


def test_what_an_upload_did(team: App, tmp_path: Path) -> None:
    """One more file of a version is an update of it, and so is one less."""
    mm = PackageName("mm")
    assert add(team, tmp_path, wheel("mm", "0.1"), wheel("mm", "0.2")).changes == (
        Change(ChangeKind.ADDED, mm, "0.2"),
        Change(ChangeKind.UPDATED, mm, "0.1"),
    )
    gone = packages.remove_package(team, "internal", "mm", scope="mm-0.1.tar.gz", actor="test")
    assert gone.changes == (Change(ChangeKind.UPDATED, mm, "0.1"),)
    gone = packages.remove_package(team, "internal", "mm", scope="0.1", actor="test")
    assert gone.changes == (Change(ChangeKind.REMOVED, mm, "0.1"),)


def test_metadata_of_an_sdist_that_is_not_static(team: App, tmp_path: Path) -> None:
    """What may be otherwise once it is built isn't offered to installers, but people can read it."""
    metadata = b"Metadata-Version: 1.1\nName: old\nVersion: 1.0\nSummary: As of old\nRequires-Dist: six\n"
    add(team, tmp_path, sdist("old", "1.0", metadata=metadata))
    found = record(team, "old")
    assert (found.release.files[0].metadata, found.summary.described.title) == (None, "As of old")
    repositories.unsubscribe(team, "team", "pypi", actor="test")
    assert ("old", "1.0", "As of old", "internal") in rows(team)[0]


def test_numbers_of_a_source(team: App) -> None:
    """Packages of our own are counted by name, those of an index by its list, beside those that were read."""
    own = sources.source_info(team, "internal")
    assert (own.packages, own.projects_read, own.upstream) == (2, None, None)
    before = sources.source_info(team, "pypi")
    assert (before.packages, before.projects_read, before.upstream) == (0, 0, team.settings.pypi_upstream)
    sync(team, "pypi")
    record(team, "demo-pkg")
    after = sources.source_info(team, "pypi")
    assert (after.packages, after.projects_read) == (54, 1)
