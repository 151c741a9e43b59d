"""Binary packages of our own: published beside the source package of their version, replaced, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import (
    Conflict,
    EntrepotError,
    FileExists,
    Invalid,
    InvalidArchive,
    PackageNotFound,
    WrongType,
)
from entrepot.core.model import Listed, PackageName, RepositoryType, SourceType
from entrepot.core.platforms import ANY, Platform, System
from entrepot.db import sources as db_sources
from entrepot.operations import binaries, repositories
from entrepot.operations.binaries import Added, add_binary, remove_binary
from entrepot.operations.packages import Upload, add_files, remove_package
from entrepot.operations.serving import inside, open_view
from entrepot.operations.sources import create_source
from tests.support.archives import make_source_package
from tests.support.binaries import ARM64, BIG_SUR, WINDOWS, X86_64, make_binary
from tests.support.server import Clock

BOOKWORM = Platform(System.LINUX, "bookworm", "4.2", ANY)
FOR_WINDOWS = Platform(System.WINDOWS, "", "4.4")
pytestmark = pytest.mark.one_shape


@pytest.fixture
def internal(app: App, tmp_path: Path) -> App:
    """A source with demo 1.0 and 2.0, and a repository of it."""
    create_source(app, "internal", type_=SourceType.LOCAL)
    repositories.create_repository(app, "mine", type_=RepositoryType.R)
    repositories.subscribe(app, "mine", "internal", actor="test")
    for version in ("1.0", "2.0"):
        source(app, tmp_path, version)
    return app


def source(app: App, tmp_path: Path, version: str, *, salt: str = "", replace: bool = False) -> None:
    path = tmp_path / "source"
    path.write_bytes(make_source_package("demo", version, fields={"Title": f"Salt {salt}"}))
    add_files(app, "internal", [Upload(f"demo_{version}.tar.gz", path)], actor="test", replace=replace)


def upload(tmp_path: Path, version: str = "2.0", *, suffix: str = ".tar.gz", salt: bytes = b"", **more: str) -> Upload:
    path = tmp_path / "binary"
    path.write_bytes(make_binary("demo", version, suffix=suffix, files={"R/salt": salt}, **more))  # type: ignore[arg-type]
    tag = f"_R_{X86_64}" if suffix == ".tar.gz" else ""
    return Upload(f"demo_{version}{tag}{suffix}", path)


def add(app: App, given: Upload, distribution: str | None = "bookworm", *, replace: bool = False) -> Added:
    return add_binary(app, "internal", given, distribution=distribution, actor="test", replace=replace)


def given_for(app: App, version: str, platform: Platform = BOOKWORM, snapshot: str = "latest") -> Listed | None:
    """The binary that is given in the place of a source package."""
    view = open_view(app, "mine", snapshot, who=inside).view
    (row,) = [row for row in view.of_package(PackageName("demo")) if row.file.version == version]
    found = view.binary(row.file, [platform])
    return found[0] if found else None


def test_a_binary_is_found_for_its_version_and_platform(internal: App, tmp_path: Path) -> None:
    """It is given for that version of the package alone, from that transaction on; the entry tells how it was built."""
    added = add(internal, upload(tmp_path))
    assert (added.package, added.version, added.platform) == ("demo", "2.0", BOOKWORM)
    found = given_for(internal, "2.0")
    assert found is not None
    assert found.file.name == "demo_2.0.tar.gz"
    assert "Built: R 4.2.2; ; 2023-11-14 22:13:20 UTC; unix\n" in (found.file.fields or "")
    assert given_for(internal, "1.0") is None
    assert given_for(internal, "2.0", FOR_WINDOWS) is None
    before = (added.outcome.transaction or 0) - 1
    assert given_for(internal, "2.0", snapshot=str(before)) is None


@pytest.mark.parametrize(
    ("more", "distribution", "platform"),
    [
        ({"platform": X86_64}, "bookworm", Platform(System.LINUX, "bookworm", "4.2", "x86_64")),
        ({"platform": ARM64, "r": "4.4.1"}, "ubuntu-99", None),
        ({"platform": ARM64, "r": "4.4.1"}, "noble", Platform(System.LINUX, "noble", "4.4", "arm64")),
        ({}, "internal", Platform(System.LINUX, "internal", "4.2", ANY)),
        ({"suffix": ".zip", "platform": WINDOWS, "r": "4.4.0"}, None, FOR_WINDOWS),
        ({"suffix": ".zip", "r": "4.4.0"}, "windows", FOR_WINDOWS),
        (
            {"suffix": ".tgz", "platform": BIG_SUR, "r": "4.4.0"},
            None,
            Platform(System.MACOS, "big-sur-arm64", "4.4"),
        ),
        ({"suffix": ".tgz", "r": "4.4.0"}, "big-sur-x86_64", Platform(System.MACOS, "big-sur-x86_64", "4.4")),
        ({"suffix": ".tgz", "r": "4.0.5"}, None, Platform(System.MACOS, "", "4.0")),
    ],
)
def test_the_platform_is_read_in_the_file(
    internal: App, tmp_path: Path, more: dict[str, str], distribution: str | None, platform: Platform | None
) -> None:
    """R, architecture and system are the file's own; the distribution is named, by any of its names."""
    if platform is None:
        with pytest.raises(Invalid, match="there is no distribution"):
            add(internal, upload(tmp_path, **more), distribution)
        return
    assert add(internal, upload(tmp_path, **more), distribution).platform == platform
    assert given_for(internal, "2.0", platform) is not None


REFUSED: dict[str, tuple[dict[str, str], str | None, type[EntrepotError], str]] = {
    "another version": ({"version": "3.0"}, "bookworm", PackageNotFound, "source 'internal' has no demo 3.0"),
    "no distribution": ({"platform": X86_64}, None, Invalid, "for which distribution is not in the file"),
    "unknown distribution": ({}, "slackware", Invalid, "there is no distribution 'slackware'"),
    "Windows for bookworm": ({"suffix": ".zip"}, "bookworm", Invalid, "was built for Windows, not for 'bookworm'"),
    "macOS of no kind": ({"suffix": ".tgz", "r": "4.4.0"}, None, Invalid, "for which one is not in the file"),
    "macOS of another kind": (
        {"suffix": ".tgz", "r": "4.4.0", "platform": BIG_SUR},
        "big-sur-x86_64",
        Invalid,
        "was built for big-sur-arm64, not for big-sur-x86_64",
    ),
    "an R of nonsense": ({"r": "four"}, "bookworm", InvalidArchive, "a Built field that R doesn't write"),
    "an architecture": ({"platform": "s390x-ibm-linux-gnu"}, "bookworm", InvalidArchive, "that is not served"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_does_not_fit_is_refused(internal: App, tmp_path: Path, why: str) -> None:
    """Each with a line that says what there is, and nothing is written."""
    more, distribution, error, words = REFUSED[why]
    with internal.db.read() as connection:
        before = db_sources.newest_transactions(connection, range(100))
    with pytest.raises(error, match=words) as caught:
        add(internal, upload(tmp_path, **more), distribution)
    assert caught.value.hint
    with internal.db.read() as connection:
        assert db_sources.newest_transactions(connection, range(100)) == before


def test_a_source_package_is_refused(internal: App, tmp_path: Path) -> None:
    """Whoever gives one hears which command takes it."""
    path = tmp_path / "given"
    path.write_bytes(make_source_package("demo", "2.0"))
    with pytest.raises(InvalidArchive, match="this is a source package") as caught:
        add(internal, Upload("demo_2.0.tar.gz", path))
    assert "entrepot add" in (caught.value.hint or "")


def test_other_sources_take_no_binaries(app: App, tmp_path: Path) -> None:
    """A mirror's come from upstream, and Python has none."""
    create_source(app, "py", type_=SourceType.LOCAL_PYTHON)
    for name in ("cran", "py"):
        with pytest.raises(WrongType, match="takes no binary packages"):
            add_binary(app, name, upload(tmp_path), distribution="bookworm", actor="test")


def test_the_same_again_is_nothing_and_another_is_refused(internal: App, tmp_path: Path) -> None:
    """Other bytes need --replace; then these are given, and older snapshots keep the others."""
    first = add(internal, upload(tmp_path))
    assert add(internal, upload(tmp_path)).outcome.transaction is None
    with pytest.raises(FileExists, match=r"has another binary of demo 2\.0 for bookworm, R 4\.2, any architecture"):
        add(internal, upload(tmp_path, salt=b"x"))
    old = given_for(internal, "2.0")
    add(internal, upload(tmp_path, salt=b"x"), replace=True)
    new = given_for(internal, "2.0")
    assert old is not None
    assert new is not None
    assert old.file.sha256 != new.file.sha256
    assert given_for(internal, "2.0", snapshot=str(first.outcome.transaction)) == old


def test_a_replaced_version_has_no_binary(internal: App, tmp_path: Path) -> None:
    """What was compiled of other bytes is given no more, in the index neither; snapshots from before keep it."""
    first = add(internal, upload(tmp_path, suffix=".zip", r="4.4.0"), None)
    source(internal, tmp_path, "2.0", salt="other", replace=True)
    assert given_for(internal, "2.0", FOR_WINDOWS) is None
    view = open_view(internal, "mine", "latest", who=inside).view
    assert view.binaries([FOR_WINDOWS]) == []
    assert view.binaries_of(PackageName("demo"), [FOR_WINDOWS]) == []
    assert given_for(internal, "2.0", FOR_WINDOWS, str(first.outcome.transaction)) is not None
    # Without --replace: nobody is served what would be replaced.
    add(internal, upload(tmp_path, suffix=".zip", r="4.4.0", salt=b"x"), None)
    assert given_for(internal, "2.0", FOR_WINDOWS) is not None


def test_a_removed_version_has_no_binary(internal: App, tmp_path: Path) -> None:
    """Indexes and files of binaries show versions that the source has."""
    add(internal, upload(tmp_path, "1.0", suffix=".zip", r="4.4.0"), None)
    view = open_view(internal, "mine", "latest", who=inside).view
    assert [row.file.version for row in view.binaries([FOR_WINDOWS])] == ["1.0"]
    add(internal, upload(tmp_path, "2.0", suffix=".zip", r="4.4.0"), None)
    view = open_view(internal, "mine", "latest", who=inside).view
    assert [row.file.version for row in view.binaries([FOR_WINDOWS])] == ["2.0"]
    assert {row.file.version for row in view.binaries_of(PackageName("demo"), [FOR_WINDOWS])} == {"1.0", "2.0"}
    remove_package(internal, "internal", "demo", scope="2.0", actor="test")
    view = open_view(internal, "mine", "latest", who=inside).view
    assert [row.file.version for row in view.binaries([FOR_WINDOWS])] == ["1.0"]
    assert [row.file.version for row in view.binaries_of(PackageName("demo"), [FOR_WINDOWS])] == ["1.0"]


def test_what_was_built_of_a_replaced_version_is_not_published(internal: App, tmp_path: Path) -> None:
    """A build that began before the version was replaced comes too late."""
    view = open_view(internal, "mine", "latest", who=inside).view
    (row,) = [row for row in view.of_package(PackageName("demo")) if row.file.version == "2.0"]
    source(internal, tmp_path, "2.0", salt="other", replace=True)
    checked, _ = binaries.checked_binary(upload(tmp_path))
    with internal.db.read() as connection:
        owner = db_sources.get(connection, "internal")
    with pytest.raises(Conflict, match="was replaced while its binary was built"):
        binaries.publish(internal, owner, checked, BOOKWORM, actor="test", message="m", built_from=row.file.id)
    assert given_for(internal, "2.0") is None


def test_a_binary_can_be_taken_back(internal: App, tmp_path: Path, clock: Clock) -> None:
    """Of all architectures at once; whoever names one that isn't there is told which are."""
    add(internal, upload(tmp_path))
    add(internal, upload(tmp_path, platform=X86_64))
    with pytest.raises(PackageNotFound) as caught:
        remove_binary(internal, "internal", "demo", "2.0", distribution="noble", r_version="4.2", actor="test")
    assert "bookworm, R 4.2, any architecture; bookworm, R 4.2, x86_64" in (caught.value.hint or "")
    gone = remove_binary(internal, "internal", "demo", "2.0", distribution="bookworm", r_version="4.2.1", actor="test")
    assert {platform.arch for platform, _ in gone} == {ANY, "x86_64"}
    assert given_for(internal, "2.0") is None
    with pytest.raises(Invalid, match="no version of R"):
        remove_binary(internal, "internal", "demo", "2.0", distribution="bookworm", r_version="x", actor="test")
