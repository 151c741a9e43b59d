"""Packages of one's own: added, replaced, archived, removed; each whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.errors import (
    EntrepotError,
    FileExists,
    InvalidArchive,
    InvalidBatch,
    NotFound,
    PackageNotFound,
    WrongType,
)
from entrepot.core.model import FileStatus, PackageName, SourceType
from entrepot.operations import activity, browsing, records, sources
from entrepot.operations.packages import Outcome, Upload, add_files, archive_package, remove_package
from entrepot.operations.sources import create_source
from tests.support.archives import make_source_package
from tests.support.server import Clock

CURRENT, ARCHIVED = FileStatus.CURRENT, FileStatus.ARCHIVED


@pytest.fixture
def internal(app: App) -> str:
    create_source(app, "internal", type_=SourceType.LOCAL)
    return "internal"


def add(app: App, tmp_path: Path, *packages: tuple[str, str], replace: bool = False, salt: str = "") -> Outcome:
    uploads = []
    for name, version in packages:
        path = tmp_path / f"{name}_{version}{salt}"
        path.write_bytes(make_source_package(name, version, fields={"Title": f"Salt {salt}"}))
        uploads.append(Upload(f"{name}_{version}.tar.gz", path))
    return add_files(app, "internal", uploads, actor="test", replace=replace)


def state(app: App, name: str = "demo", snapshot: str = "latest") -> dict[str, FileStatus]:
    opened = browsing.open_source(app, "internal", snapshot)
    return {row.file.version: row.status for row in opened.view.of_package(PackageName(name))}


def count_rows(app: App) -> tuple[int, ...]:
    """Rows of the tables that an operation may write."""
    from sqlalchemy import func, select

    from entrepot.db import schema

    tables = (schema.transactions, schema.files, schema.visibility, schema.descriptions)
    with app.db.read() as connection:
        return tuple(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


def test_a_higher_version_becomes_current_and_archives_the_old_one(app: App, internal: str, tmp_path: Path) -> None:
    """1.0 then 1.1: the second is an update, and the first is still there."""
    first = add(app, tmp_path, ("demo", "1.0"))
    second = add(app, tmp_path, ("demo", "1.1"))
    assert first.changes == (Change(ChangeKind.ADDED, PackageName("demo"), "1.0"),)
    assert second.changes == (Change(ChangeKind.UPDATED, PackageName("demo"), "1.1", "1.0"),)
    assert state(app) == {"1.0": ARCHIVED, "1.1": CURRENT}
    assert state(app, snapshot=str(first.transaction)) == {"1.0": CURRENT}


def test_an_older_version_goes_to_the_archive_directly(app: App, internal: str, tmp_path: Path) -> None:
    """Adding 0.9 after 1.0 changes nothing for those who install the newest; versions compare as R's do."""
    add(app, tmp_path, ("demo", "1.10"))
    add(app, tmp_path, ("demo", "1.9-3"))
    assert state(app) == {"1.9-3": ARCHIVED, "1.10": CURRENT}


def test_several_files_are_one_transaction(app: App, internal: str, tmp_path: Path) -> None:
    """One add is one transaction, two versions of one package in it included."""
    outcome = add(app, tmp_path, ("demo", "1.0"), ("demo", "1.1"), ("other", "0.1"))
    assert len(outcome.changes) == 3
    assert state(app) == {"1.0": ARCHIVED, "1.1": CURRENT}
    assert state(app, "other") == {"0.1": CURRENT}


def test_the_same_bytes_again_change_nothing(app: App, internal: str, tmp_path: Path) -> None:
    """A repeated add succeeds and writes no row."""
    add(app, tmp_path, ("demo", "1.0"))
    before = count_rows(app)
    assert add(app, tmp_path, ("demo", "1.0")) == Outcome(None, ())
    assert count_rows(app) == before


def test_an_existing_version_needs_replace(app: App, internal: str, tmp_path: Path) -> None:
    """Other bytes under a version are refused, and accepted with replace; the old snapshot keeps the old ones."""
    first = add(app, tmp_path, ("demo", "1.0"))
    before = count_rows(app)
    with pytest.raises(FileExists, match="exists in source 'internal' with other bytes"):
        add(app, tmp_path, ("demo", "1.0"), salt="x")
    assert count_rows(app) == before
    second = add(app, tmp_path, ("demo", "1.0"), salt="x", replace=True)
    old = browsing.open_source(app, "internal", str(first.transaction)).view.of_package(PackageName("demo"))
    new = browsing.open_source(app, "internal", str(second.transaction)).view.of_package(PackageName("demo"))
    assert old[0].file.sha256 != new[0].file.sha256
    assert [row.status for row in new] == [CURRENT]


def test_archive_and_bring_back(app: App, internal: str, tmp_path: Path) -> None:
    """Archive takes the current version out of the index; the same file added again brings it back."""
    add(app, tmp_path, ("demo", "1.0"), ("demo", "1.1"))
    outcome = archive_package(app, "internal", "demo", actor="test", comment="has a bug")
    assert outcome.changes == (Change(ChangeKind.ARCHIVED, PackageName("demo"), "1.1"),)
    assert state(app) == {"1.0": ARCHIVED, "1.1": ARCHIVED}
    with pytest.raises(PackageNotFound, match="no current version"):
        archive_package(app, "internal", "demo", actor="test")
    add(app, tmp_path, ("demo", "1.1"))
    assert state(app) == {"1.0": ARCHIVED, "1.1": CURRENT}


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("all", {}),
        ("current", {"1.0": ARCHIVED, "1.1": CURRENT}),
        ("1.2", {"1.0": ARCHIVED, "1.1": CURRENT}),
        ("1.1", {"1.0": ARCHIVED, "1.2": CURRENT}),
    ],
)
def test_remove_by_scope(app: App, internal: str, tmp_path: Path, scope: str, left: dict[str, FileStatus]) -> None:
    """What is removed is gone from now on; a retracted release gives way to the one before; old snapshots keep all."""
    added = add(app, tmp_path, ("demo", "1.0"), ("demo", "1.1"), ("demo", "1.2"))
    remove_package(app, "internal", "demo", scope=scope, actor="test", comment="retracted")
    assert state(app) == left
    assert len(state(app, snapshot=str(added.transaction))) == 3


def test_remove_says_what_there_is(app: App, internal: str, tmp_path: Path) -> None:
    """Unknown packages and versions are refused, with those that exist."""
    add(app, tmp_path, ("demo", "1.0"))
    with pytest.raises(PackageNotFound, match="no package 'demi'"):
        remove_package(app, "internal", "demi", scope="all", actor="test")
    with pytest.raises(PackageNotFound) as error:
        remove_package(app, "internal", "demo", scope="9.9", actor="test")
    assert "it has 1.0" in str(error.value.hint)


def test_comments_are_recorded(app: App, internal: str, tmp_path: Path) -> None:
    """The comment of a removal is its transaction's message, with the actor."""
    add(app, tmp_path, ("demo", "1.0"))
    outcome = remove_package(app, "internal", "demo", scope="all", actor="ada", comment="licence withdrawn")
    info = activity.transaction(app, outcome.transaction or 0)
    assert (info.transaction.message, info.transaction.actor, info.source) == ("licence withdrawn", "ada", "internal")
    assert info.changes == (Change(ChangeKind.REMOVED, PackageName("demo"), "1.0"),)


def test_one_bad_file_of_several_changes_nothing(app: App, internal: str, tmp_path: Path) -> None:
    """All faults of a batch are reported together and no file of it is added."""
    good = tmp_path / "good"
    good.write_bytes(make_source_package("good", "1.0"))
    bad = tmp_path / "bad"
    bad.write_bytes(b"no archive at all")
    uploads = [Upload("good_1.0.tar.gz", good), Upload("bad_1.0.tar.gz", bad), Upload("worse_1.0.tar.gz", bad)]
    before = count_rows(app)
    with pytest.raises(InvalidBatch) as error:
        add_files(app, "internal", uploads, actor="test")
    assert [fault["subject"] for fault in error.value.payload["faults"]] == ["bad_1.0.tar.gz", "worse_1.0.tar.gz"]  # type: ignore[attr-defined]
    assert count_rows(app) == before
    assert state(app, "good") == {}


@pytest.mark.parametrize(
    "name", ["../demo_1.0.tar.gz", "/etc/demo_1.0.tar.gz", "a\\demo_1.0.tar.gz", "", "demo.tar.gz"]
)
def test_file_names_that_are_paths_are_refused(app: App, internal: str, tmp_path: Path, name: str) -> None:
    """The name of an upload is NAME_VERSION.tar.gz and nothing else."""
    path = tmp_path / "x"
    path.write_bytes(make_source_package("demo", "1.0"))
    with pytest.raises(EntrepotError) as error:
        add_files(app, "internal", [Upload(name, path)], actor="test")
    assert isinstance(error.value, InvalidArchive)


def test_a_day_is_over_a_minute_late(app: App, internal: str, tmp_path: Path, clock: Clock) -> None:
    """A change that took its time just before midnight may be recorded just after: until then the day is not served."""
    add(app, tmp_path, ("demo", "1.0"))
    clock.wait(hours=12, seconds=30)
    with pytest.raises(NotFound):
        state(app, snapshot="2024-03-01")
    clock.wait(seconds=30)
    assert state(app, snapshot="2024-03-01") == {"1.0": CURRENT}


def test_mirrors_take_no_files(app: App, tmp_path: Path) -> None:
    """Adding to, archiving in or removing from a mirror is refused."""
    path = tmp_path / "x"
    path.write_bytes(make_source_package("demo", "1.0"))
    with pytest.raises(WrongType, match="takes no files"):
        add_files(app, "cran", [Upload("demo_1.0.tar.gz", path)], actor="test")
    with pytest.raises(WrongType):
        remove_package(app, "cran", "demo", scope="all", actor="test")


def test_descriptions_are_kept(app: App, internal: str, tmp_path: Path) -> None:
    """The whole DESCRIPTION of an added package can be read back."""
    add(app, tmp_path, ("demo", "1.0"))
    record = records.package_record(app, lambda: browsing.open_source(app, "internal", "latest"), "demo")
    assert record.summary.described.fields["Package"] == "demo"
    assert record.summary.described.title == "Salt"
    assert sources.source_info(app, "internal").packages == 1
