"""What differs between two snapshots of real repositories and sources."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.comparing import DifferenceKind, PackageChange
from entrepot.core.errors import Invalid, NotFound, RepositoryNotFound, SnapshotNotFound, SourceNotFound
from entrepot.core.model import PackageName, RepositoryType, SourceType
from entrepot.operations import activity, browsing, packages, records, repositories, sources
from entrepot.operations.comparing import End, compare
from tests.support.archives import make_source_package
from tests.support.distributions import sdist, wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi, Form
from tests.support.server import Clock, sync

Row = tuple[str, str, str | None, str | None, str | None, str | None, bool]
MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)


def row(change: PackageChange) -> Row:
    """(kind, package, version and source before, version and source after, whether it crosses a major version)."""
    before = (change.before.version, change.before.source) if change.before else (None, None)
    after = (change.after.version, change.after.source) if change.after else (None, None)
    return change.kind.value, change.package, *before, *after, change.crosses_major


def rows(app: App, start: str, end: str = "latest", *, repo: str | None = None, source: str | None = None) -> list[Row]:
    return [row(change) for change in compare(app, repo=repo, source=source, start=start, end=end).difference.changes]


def source_package(name: str, version: str, license: str = "GPL-3") -> bytes:
    return make_source_package(name, version, fields={"License": license})


def add(app: App, folder: Path, source: str, *files: tuple[str, bytes], replace: bool = False) -> str:
    """The transaction that added these files, as a snapshot."""
    uploads = []
    for name, data in files:
        (folder / name).write_bytes(data)
        uploads.append(packages.Upload(name, folder / name))
    return str(packages.add_files(app, source, uploads, actor="test", replace=replace).transaction)


def add_r(app: App, folder: Path, source: str, *versions: str, license: str = "GPL-3") -> str:
    """The same of `name version` each."""
    pairs = [text.split() for text in versions]
    return add(app, folder, source, *((f"{n}_{v}.tar.gz", source_package(n, v, license)) for n, v in pairs))


@pytest.fixture
def dated(mirrored: App, cran: FakeCran, clock: Clock) -> App:
    """A mirror with two days of history, 10 and 20 February, and what happened until 29 February."""
    early, late, last = (datetime(2024, 2, day, 9, tzinfo=UTC) for day in (10, 20, 28))
    for name in ("bump", "gone", "same", "shift"):
        cran.add(name, "1.0", source_package(name, "1.0", "GPL-2"), early)
    cran.add("same", "1.1", source_package("same", "1.1"), early + timedelta(hours=1))
    cran.add("bump", "2.0", source_package("bump", "2.0", "MIT + file LICENSE"), late)
    cran.add("new", "0.1", source_package("new", "0.1"), last)
    cran.remove("gone", on=last)
    cran.publish()
    sync(mirrored)
    return mirrored


def test_two_days_of_a_mirror(dated: App) -> None:
    """Packages that came, that have another version, and that went to the archive are told, with licenses."""
    found = compare(dated, repo="cran", start="2024-02-15", end="2024-02-29")
    assert [row(change) for change in found.difference.changes] == [
        ("updated", "bump", "1.0", "cran", "2.0", "cran", True),
        ("archived", "gone", "1.0", "cran", None, None, False),
        ("added", "new", None, None, "0.1", "cran", False),
    ]
    assert (found.start, found.end, found.is_partial) == (End("2024-02-15", 4), End("2024-02-29", 4), False)
    assert rows(dated, "2024-02-15", "2024-02-29", source="cran") == [row(c) for c in found.difference.changes]
    bump = found.difference.changes[0]
    assert bump.after is not None
    assert bump.after.license == "MIT + file LICENSE"


def test_backwards_is_the_reverse(dated: App) -> None:
    """`start` may be the later snapshot; what was archived comes back, and what isn't there yet is removed."""
    assert rows(dated, "latest", "2024-02-15", repo="cran") == [
        ("downgraded", "bump", "2.0", "cran", "1.0", "cran", True),
        ("added", "gone", None, None, "1.0", "cran", False),
        ("removed", "new", "0.1", "cran", None, None, False),
    ]
    assert rows(dated, "latest", repo="cran") == []


def test_licenses_that_changed(app: App, tmp_path: Path) -> None:
    """A license that an update changes is told with the one before."""
    sources.create_source(app, "internal", type_=SourceType.LOCAL)
    first = add_r(app, tmp_path, "internal", "abc 1.0", "xyz 1.0", license="GPL-3")
    add_r(app, tmp_path, "internal", "abc 1.1", license="file LICENSE")
    add_r(app, tmp_path, "internal", "xyz 1.1", license="GPL-3")
    told = {
        change.package: (change.before and change.before.license, change.after and change.after.license)
        for change in compare(app, source="internal", start=first).difference.changes
        if change.changes_license
    }
    assert told == {"abc": ("GPL-3", "file LICENSE")}


def test_other_bytes_under_the_same_version(app: App, tmp_path: Path) -> None:
    """A version whose file was replaced has changed, though its number has not."""
    sources.create_source(app, "internal", type_=SourceType.LOCAL)
    first = add_r(app, tmp_path, "internal", "abc 1.0")
    other = ("abc_1.0.tar.gz", make_source_package("abc", "1.0", files={"inst/x": b"x"}))
    add(app, tmp_path, "internal", other, replace=True)
    assert rows(app, first, source="internal") == [("changed", "abc", "1.0", "internal", "1.0", "internal", False)]


def test_a_package_that_moves_to_another_source(dated: App, tmp_path: Path) -> None:
    """The first source that has a name wins at both ends, so a package may come from elsewhere; both are told."""
    sources.create_source(dated, "internal", type_=SourceType.LOCAL)
    repositories.create_repository(dated, "team", type_=RepositoryType.R)
    for source in ("internal", "cran"):
        repositories.subscribe(dated, "team", source, actor="test")
    first = str(activity.list_transactions(dated, repo="team", page=browsing.Page(1))[0][0].transaction.id)
    add_r(dated, tmp_path, "internal", "bump 9.9", "same 1.1", "own 1.0")
    added = [
        ("updated", "bump", "2.0", "cran", "9.9", "internal", True),
        ("added", "own", None, None, "1.0", "internal", False),
        ("changed", "same", "1.1", "cran", "1.1", "internal", False),
    ]
    assert rows(dated, first, repo="team") == added
    assert rows(dated, first, source="cran") == []
    packages.archive_package(dated, "internal", "bump", actor="test")
    packages.remove_package(dated, "internal", "own", scope="all", actor="test")
    # What the first source has in its archive alone hides all of the second's.
    archived = ("archived", "bump", "2.0", "cran", None, None, False)
    assert rows(dated, first, repo="team") == [archived, added[2]]


def test_other_subscriptions(dated: App, tmp_path: Path) -> None:
    """Sources that came or went between the two snapshots count."""
    sources.create_source(dated, "internal", type_=SourceType.LOCAL)
    add_r(dated, tmp_path, "internal", "own 1.0")
    first = str(activity.list_transactions(dated, repo="cran", page=browsing.Page(1))[0][0].transaction.id)
    repositories.subscribe(dated, "cran", "internal", actor="test")
    assert rows(dated, first, repo="cran") == [("added", "own", None, None, "1.0", "internal", False)]


def test_releases_of_projects(app: App, tmp_path: Path) -> None:
    """Of a project the version that stands for it is compared, and how many releases came and went."""
    sources.create_source(app, "internal", type_=SourceType.LOCAL_PYTHON)
    first = add(
        app,
        tmp_path,
        "internal",
        wheel("demo", "1.9", fields={"License-Expression": "MIT"}),
        wheel("demo", "1.0"),
        wheel("old", "1.0"),
        sdist("y", "1"),
    )
    add(app, tmp_path, "internal", wheel("demo", "2.0", fields={"License-Expression": "Apache-2.0"}))
    add(app, tmp_path, "internal", wheel("demo", "3.0rc1"), wheel("new", "1!1.0"))
    packages.remove_package(app, "internal", "demo", scope="1.0", actor="test")
    packages.remove_package(app, "internal", "old", scope="all", actor="test")
    packages.yank_package(app, "internal", "y", scope="1", reason="", actor="test")
    changes = compare(app, source="internal", start=first).difference.changes
    assert [(*row(change), change.releases_added, change.releases_removed) for change in changes] == [
        ("updated", "demo", "1.9", "internal", "2.0", "internal", True, 2, 1),
        ("added", "new", None, None, "1!1.0", "internal", False, 1, 0),
        ("removed", "old", "1.0", "internal", None, None, False, 0, 1),
        ("changed", "y", "1", "internal", "1", "internal", False, 0, 0),
    ]
    demo = changes[0]
    assert demo.before
    assert demo.after
    assert (demo.before.license, demo.after.license) == ("MIT", "Apache-2.0")
    assert [change.package for change in changes if change.changes_license] == ["demo"]


@pytest.fixture
def team(proxied: App, pypi: FakePypi, tmp_path: Path) -> App:
    """The repository `team` with packages of our own before those of an index."""
    for number, version in enumerate(("1.0", "1.1", "2.0")):
        pypi.add(*wheel("demo", version), uploaded=MAY + timedelta(days=number))
    pypi.add(*wheel("unread", "1.0"), uploaded=MAY)
    sources.create_source(proxied, "internal", type_=SourceType.LOCAL_PYTHON)
    repositories.create_repository(proxied, "team", type_=RepositoryType.PYTHON)
    for source in ("internal", "pypi"):
        repositories.subscribe(proxied, "team", source, actor="test")
    return proxied


def read(app: App, name: str) -> None:
    records.package_releases(lambda: browsing.open_repository(app, "team", "latest"), name)


def test_an_index_is_compared_as_far_as_it_was_read(team: App, pypi: FakePypi) -> None:
    """Upstream is not asked; the answer says that there may be more."""
    asked = len(pypi.requests)
    found = compare(team, repo="team", start="2023-05-01", end="2023-05-02")
    assert (found.difference.changes, found.is_partial) == ((), True)
    assert len(pypi.requests) == asked
    read(team, "demo")
    asked = len(pypi.requests)
    assert rows(team, "2023-05-01", "2023-05-02", repo="team") == [
        ("updated", "demo", "1.0", "pypi", "1.1", "pypi", False)
    ]
    assert rows(team, "2023-05-02", "latest", repo="team") == [("updated", "demo", "1.1", "pypi", "2.0", "pypi", True)]
    assert rows(team, "2023-04-01", "latest", source="pypi") == [("added", "demo", None, None, "2.0", "pypi", False)]
    assert len(pypi.requests) == asked


def test_projects_whose_past_nobody_tells(team: App, pypi: FakePypi) -> None:
    """Where upstream tells no times, nothing is said of a past day: it would look as if all had come since."""
    pypi.form = Form.HTML
    pypi.add(*wheel("timeless", "1.0"), uploaded=None)
    read(team, "timeless")
    assert rows(team, "2023-05-01", "latest", repo="team") == []


def test_an_index_before_packages_of_our_own(team: App, tmp_path: Path) -> None:
    """What the index may hide is not compared while nobody knows what it has; once read, it wins."""
    sync(team, "pypi")
    repositories.reorder(team, "team", ["pypi", "internal"], actor="test")
    first = add(team, tmp_path, "internal", wheel("ours", "1.0"))
    add(team, tmp_path, "internal", wheel("unread", "7.0"), wheel("ours", "1.1"))
    ours = ("updated", "ours", "1.0", "internal", "1.1", "internal", False)
    assert rows(team, first, repo="team") == [ours]
    read(team, "unread")
    assert ours in rows(team, first, repo="team")
    assert not [found for found in rows(team, first, repo="team") if "internal" in found[3:] and found[1] == "unread"]


def test_what_can_not_be_compared(dated: App) -> None:
    """An unknown name or snapshot is an error that says so."""
    with pytest.raises(RepositoryNotFound):
        compare(dated, repo="no", start="latest")
    with pytest.raises(SourceNotFound):
        compare(dated, source="no", start="latest")
    for bad in ("2024-02-30", "yesterday", "99999", "2031-01-01", ""):
        with pytest.raises(SnapshotNotFound):
            compare(dated, repo="cran", start=bad)
        with pytest.raises(NotFound):
            compare(dated, source="cran", start="latest", end=bad)
    for repo, source in ((None, None), ("cran", "cran")):
        with pytest.raises(Invalid):
            compare(dated, repo=repo, source=source, start="latest")


def test_differences_lead_from_any_snapshot_to_any_other(app: App, clock: Clock, tmp_path: Path) -> None:
    """Over a random history of two sources: applied to what one snapshot shows, a difference gives what the other does.

    What a snapshot shows is told by its own listing; what is archived and what is removed by what is left of it.
    """
    chance = random.Random(11)
    repositories.create_repository(app, "both", type_=RepositoryType.R)
    for source in ("one", "two"):
        sources.create_source(app, source, type_=SourceType.LOCAL)
        repositories.subscribe(app, "both", source, actor="test")
    snapshots = []
    for step in range(30):
        source, name = chance.choice(("one", "two")), f"p{chance.randrange(4)}"
        have = {row.file.package for row in browsing.open_source(app, source, "latest").view.current()}
        action = chance.choice(("add", "add", "add", "archive", "remove")) if name in have else "add"
        if action == "add":
            snapshots.append(add_r(app, tmp_path, source, f"{name} {step // 10 + 1}.{step}"))
        elif action == "archive":
            snapshots.append(str(packages.archive_package(app, source, name, actor="test").transaction))
        else:
            outcome = packages.remove_package(app, source, name, scope=chance.choice(("current", "all")), actor="test")
            snapshots.append(str(outcome.transaction))
        clock.wait(hours=1)
    for start, end in [chance.sample(snapshots, 2) for _ in range(60)]:
        before, after = (browsing.open_repository(app, "both", snapshot) for snapshot in (start, end))
        difference = compare(app, repo="both", start=start, end=end).difference
        changed = {change.package for change in difference.changes}
        shown = [
            {row.file.package: (row.file.version, opened.names[row.file.source_id]) for row in opened.view.current()}
            for opened in (before, after)
        ]
        applied = {name: facts for name, facts in shown[0].items() if name not in changed}
        for change in difference.changes:
            assert shown[0].get(change.package) == (change.before and (change.before.version, change.before.source))
            if change.after is not None:
                applied[change.package] = (change.after.version, change.after.source)
            else:
                is_left = bool(after.view.of_package(PackageName(change.package)))
                assert change.kind is (DifferenceKind.ARCHIVED if is_left else DifferenceKind.REMOVED)
        assert applied == shown[1]
