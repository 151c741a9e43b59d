"""Python packages of one's own: added, replaced, removed, yanked; each whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import (
    FileExists,
    Invalid,
    InvalidArchive,
    InvalidBatch,
    PackageNotFound,
    WrongType,
)
from entrepot.core.model import File, FileStatus, PackageName, RepositoryType, Sha256, SourceType
from entrepot.ecosystems.python.entry import Entry, unpack
from entrepot.operations import activity, browsing, repositories
from entrepot.operations.packages import (
    Outcome,
    Upload,
    add_files,
    archive_package,
    remove_package,
    unyank_package,
    yank_package,
)
from entrepot.operations.sources import create_source
from entrepot.storage import Key
from tests.operations.test_local import count_rows
from tests.support.distributions import bad_wheels, make_metadata, sdist, wheel
from tests.support.server import NOON, Clock

WHEEL, SDIST = "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"


@pytest.fixture
def team(app: App) -> str:
    create_source(app, "team", type_=SourceType.LOCAL_PYTHON)
    return "team"


def add(app: App, tmp_path: Path, *files: tuple[str, bytes], replace: bool = False, source: str = "team") -> Outcome:
    uploads = []
    for number, (name, data) in enumerate(files):
        path = tmp_path / f"upload{number}"
        path.write_bytes(data)
        uploads.append(Upload(name, path))
    return add_files(app, source, uploads, actor="test", replace=replace)


def files(app: App, name: str = "demo", snapshot: str = "latest") -> dict[str, File]:
    """File name -> row."""
    rows = browsing.open_source(app, "team", snapshot).view.of_package(PackageName(name))
    assert all(row.status is FileStatus.CURRENT for row in rows)
    return {row.file.name: row.file for row in rows}


def yanked(app: App, snapshot: str = "latest") -> dict[str, str | None]:
    return {name: unpack(file.fields).yanked for name, file in files(app, snapshot=snapshot).items()}


def test_a_wheel_and_an_sdist_of_one_version(app: App, team: str, tmp_path: Path) -> None:
    """Each file is a row with all that an index tells of it, and its metadata is in the store."""
    metadata = make_metadata("Demo", "1.0", requires_python=">=3.9")
    packed = wheel("Demo", "1.0", requires_python=">=3.9")
    outcome = add(app, tmp_path, packed, sdist("Demo", "1.0", fields={"Dynamic": "License"}))
    found = files(app)
    assert found.keys() == {WHEEL, SDIST}
    document = Sha256(hashlib.sha256(metadata).hexdigest())
    assert found[WHEEL] == File(
        id=found[WHEEL].id,
        source_id=found[WHEEL].source_id,
        package=PackageName("demo"),
        version="1.0",
        name=WHEEL,
        size=len(packed[1]),
        md5=hashlib.md5(packed[1]).hexdigest(),
        sha256=Sha256(hashlib.sha256(packed[1]).hexdigest()),
        sha256_since=outcome.transaction,
        published_at=int(NOON.timestamp()),
        fields=found[WHEEL].fields,
    )
    assert unpack(found[WHEEL].fields) == Entry(requires_python=">=3.9", core_metadata=document)
    assert unpack(found[SDIST].fields) == Entry()
    assert app.storage.get_bytes(Key.blob(document)) == metadata


def test_all_versions_are_current(app: App, team: str, tmp_path: Path) -> None:
    """Nothing is archived: which version is taken is the installer's choice."""
    first = add(app, tmp_path, wheel("demo", "2.0"))
    add(app, tmp_path, wheel("demo", "1.0"), wheel("demo", "3.0"))
    assert {file.version for file in files(app).values()} == {"1.0", "2.0", "3.0"}
    assert {file.version for file in files(app, snapshot=str(first.transaction)).values()} == {"2.0"}


def test_the_same_bytes_again_change_nothing(app: App, team: str, tmp_path: Path) -> None:
    """A repeated upload succeeds and writes no row, also of a file that was yanked since."""
    add(app, tmp_path, wheel("demo", "1.0"))
    yank_package(app, team, "demo", scope="1.0", actor="test")
    before = count_rows(app)
    assert add(app, tmp_path, wheel("demo", "1.0")) == Outcome(None, ())
    assert count_rows(app) == before
    assert yanked(app) == {WHEEL: ""}


def test_other_bytes_under_a_name_need_replace(app: App, team: str, tmp_path: Path) -> None:
    """Conflicts go by the file's name: another wheel of the same version is none."""
    first = add(app, tmp_path, wheel("demo", "1.0"))
    add(app, tmp_path, wheel("demo", "1.0", tag="cp311-cp311-linux_x86_64"))
    before = count_rows(app)
    with pytest.raises(FileExists, match=r"demo-1\.0-py3-none-any\.whl already exists in source 'team' with other"):
        add(app, tmp_path, wheel("demo", "1.0", description="other"))
    assert count_rows(app) == before
    add(app, tmp_path, wheel("demo", "1.0", description="other"), replace=True)
    assert len(files(app)) == 2
    assert files(app)[WHEEL].sha256 != files(app, snapshot=str(first.transaction))[WHEEL].sha256


def test_one_bad_file_of_several_changes_nothing(app: App, team: str, tmp_path: Path) -> None:
    """All faults of a batch are reported together and no file of it is added or stored."""
    bad = bad_wheels()
    before = count_rows(app)
    with pytest.raises(InvalidBatch) as error:
        add(app, tmp_path, wheel("good", "1.0"), (WHEEL, bad["a bomb"]), ("x-1.0.tar.gz", b""), ("x_1.zip.exe", b""))
    assert [fault["subject"] for fault in error.value.payload["faults"]] == [WHEEL, "x-1.0.tar.gz", "x_1.zip.exe"]  # type: ignore[attr-defined]
    assert count_rows(app) == before
    assert list(app.storage.list_keys("blobs")) == []


@pytest.mark.parametrize("name", ["../" + WHEEL, "/etc/" + WHEEL, "a\\" + WHEEL, "", "demo.whl", "dеmo-1.0.tar.gz"])
def test_file_names_that_are_none_are_refused(app: App, team: str, tmp_path: Path, name: str) -> None:
    """Paths, look-alikes of ASCII letters, names without a version."""
    with pytest.raises(InvalidArchive):
        add(app, tmp_path, (name, wheel("demo", "1.0")[1]))


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("all", set()),
        ("current", {WHEEL, SDIST, "demo-2.0rc1-py3-none-any.whl"}),
        ("1.0.0", {"demo-1.1.0-py3-none-any.whl", "demo-2.0rc1-py3-none-any.whl"}),
        ("2.0rc1", {WHEEL, SDIST, "demo-1.1.0-py3-none-any.whl"}),
        (SDIST, {WHEEL, "demo-1.1.0-py3-none-any.whl", "demo-2.0rc1-py3-none-any.whl"}),
    ],
)
def test_remove_by_scope(app: App, team: str, tmp_path: Path, scope: str, left: set[str]) -> None:
    """A version in any spelling, a file, all, or the newest final version; old snapshots keep all."""
    made = (wheel("demo", "1.0"), sdist("demo", "1.0"), wheel("demo", "1.1.0"), wheel("demo", "2.0rc1"))
    added = add(app, tmp_path, *made)
    remove_package(app, team, "Demo", scope=scope, actor="test")
    assert files(app).keys() == left
    assert len(files(app, snapshot=str(added.transaction))) == 4


def test_a_removed_file_may_come_back(app: App, team: str, tmp_path: Path) -> None:
    """With the same bytes or with others."""
    add(app, tmp_path, wheel("demo", "1.0"))
    remove_package(app, team, "demo", scope="all", actor="test")
    add(app, tmp_path, wheel("demo", "1.0", description="other"))
    assert files(app).keys() == {WHEEL}


def test_remove_and_yank_say_what_there_is(app: App, team: str, tmp_path: Path) -> None:
    """Unknown packages, versions and files are refused, with those that exist."""
    add(app, tmp_path, wheel("demo", "1.0"), sdist("demo", "1.0"))
    with pytest.raises(PackageNotFound, match="no package 'demi'"):
        remove_package(app, team, "demi", scope="all", actor="test")
    for scope in ("9.9", "demo-9.9.tar.gz", ""):
        with pytest.raises(PackageNotFound) as error:
            yank_package(app, team, "demo", scope=scope, actor="test")
        assert "it has 1.0;" in str(error.value.hint)


def test_yank_and_unyank(app: App, team: str, tmp_path: Path) -> None:
    """A version or one file, with a reason; each is a transaction, and old snapshots show what was."""
    added = add(app, tmp_path, wheel("demo", "1.0"), sdist("demo", "1.0"), wheel("demo", "1.1"))
    newer = "demo-1.1-py3-none-any.whl"
    first = yank_package(app, team, "demo", scope="1.0", reason="breaks on Sundays", actor="ada")
    assert yanked(app) == {WHEEL: "breaks on Sundays", SDIST: "breaks on Sundays", newer: None}
    info = activity.transaction(app, first.transaction or 0)
    assert info.transaction.message == "yanked demo (1.0): breaks on Sundays"
    assert info.transaction.actor == "ada"
    assert yank_package(app, team, "demo", scope="1.0", reason="breaks on Sundays", actor="ada").transaction is None
    yank_package(app, team, "demo", scope=SDIST, actor="ada")
    assert yanked(app) == {WHEEL: "breaks on Sundays", SDIST: "", newer: None}
    unyank_package(app, team, "demo", scope="1.0", actor="ada")
    assert yanked(app) == {WHEEL: None, SDIST: None, newer: None}
    assert unyank_package(app, team, "demo", scope="all", actor="ada") == Outcome(None, ())
    assert set(yanked(app, snapshot=str(added.transaction)).values()) == {None}
    assert yanked(app, snapshot=str(first.transaction))[SDIST] == "breaks on Sundays"


def test_a_day_shows_what_was_at_its_end(app: App, team: str, tmp_path: Path, clock: Clock) -> None:
    """Uploads and yanks have the day on which they were made."""
    add(app, tmp_path, wheel("demo", "1.0"))
    clock.wait(days=1)
    yank_package(app, team, "demo", scope="1.0", actor="test")
    clock.wait(days=1)
    assert yanked(app, "2024-03-01") == {WHEEL: None}
    assert yanked(app, "2024-03-02") == {WHEEL: ""}


def test_each_ecosystem_keeps_to_itself(app: App, team: str, tmp_path: Path) -> None:
    """R sources have an archive and no yank, Python sources the contrary; repositories take sources of their kind."""
    add(app, tmp_path, wheel("demo", "1.0"))
    with pytest.raises(WrongType, match="which has no archive"):
        archive_package(app, team, "demo", actor="test")
    create_source(app, "rs", type_=SourceType.LOCAL)
    with pytest.raises(InvalidArchive):
        add(app, tmp_path, wheel("demo", "1.0"), source="rs")
    repositories.create_repository(app, "py", type_=RepositoryType.PYTHON)
    repositories.subscribe(app, "py", "team", actor="test")
    with pytest.raises(Invalid):
        repositories.subscribe(app, "py", "rs", actor="test")
    repositories.create_repository(app, "r", type_=RepositoryType.R)
    with pytest.raises(Invalid):
        repositories.subscribe(app, "r", "team", actor="test")


def test_r_packages_cannot_be_yanked(app: App, tmp_path: Path) -> None:
    """What R has instead is said."""
    from tests.support.archives import make_source_package

    create_source(app, "rs", type_=SourceType.LOCAL)
    add(app, tmp_path, ("demo_1.0.tar.gz", make_source_package("demo", "1.0")), source="rs")
    with pytest.raises(WrongType, match="can't be yanked") as error:
        yank_package(app, "rs", "demo", scope="1.0", actor="test")
    assert "archive" in str(error.value.hint)
