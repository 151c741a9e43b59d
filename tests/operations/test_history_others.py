"""The history of packages in repositories of Bioconductor and of Python, as of the points that they can be used at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from entrepot.app import App
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import browsing, packages, repositories, serving, sources, syncing
from entrepot.operations.browsing import Page
from entrepot.operations.history import HistoryEntry, package_history
from entrepot.settings import Settings
from tests.operations.test_history import Served, brief, changes, check, history, told
from tests.support.distributions import sdist, wheel
from tests.support.fake_bioc import FakeBioc
from tests.support.fake_pypi import FakePypi, Form
from tests.support.server import Clock, installed


def test_a_version_of_bioconductor(settings: Settings, clock: Clock) -> None:
    """Its parts are named as sources; the points before its version was known, or its parts were read, aren't told."""
    with FakeBioc() as bioc:
        bioc.config()
        bioc.part("3.18", "bioc", {"both": "1.0"})
        bioc.part("3.18", "data/annotation", {"both": "2.0", "late": "1.0"})
        changed = settings.bioconductor.model_copy(update={"upstream": bioc.url})
        repos = settings.repos.model_copy(update={"bioconductor": "bioconductor"})
        with installed(settings.model_copy(update={"bioconductor": changed, "repos": repos}), clock) as app:
            meta = sources.source_info(app, "bioconductor").source

            def sync() -> None:
                syncing.sync(app, meta.id, force=False, report=lambda *_: None)
                clock.wait(days=1)

            sync()
            bioc.part("3.18", "bioc", {"both": "1.1"})
            sync()
            bioc.drop("3.18", "bioc")
            bioc.part("3.18", "bioc", {"late": "0.9"})
            sync()
            sync()
            entries = check(app, "both", "bioconductor")
            assert [brief(entry) for entry in entries][1:] == [
                ([("updated", "bioconductor/3.18/bioc", "1.1", "1.0")], "bioconductor/3.18/bioc", "1.1"),
                ([("added", "bioconductor/3.18/bioc", "1.0", None)], "bioconductor/3.18/bioc", "1.0"),
            ]
            assert [brief(entry)[1:] for entry in check(app, "late", "bioconductor")] == [
                ("bioconductor/3.18/bioc", "0.9"),
                ("bioconductor/3.18/data/annotation", "1.0"),
            ]
            assert history(app, "both", "bioconductor", bioc_version="3.17") == []


def add(app: App, tmp_path: Path, *files: tuple[str, bytes]) -> None:
    for name, data in files:
        path = tmp_path / "upload"
        path.write_bytes(data)
        packages.add_files(app, "team", [packages.Upload(name, path)], actor="bert")


def test_python_packages_of_ones_own(app: App, tmp_path: Path, clock: Clock) -> None:
    """Files of one version are one change; a yank is told as one, and so is its end."""
    sources.create_source(app, "team", type_=SourceType.LOCAL_PYTHON)
    repositories.create_repository(app, "own", type_=RepositoryType.PYTHON)
    repositories.subscribe(app, "own", "team", actor="anna")
    add(app, tmp_path, wheel("demo", "1.0"))
    clock.wait(days=1)
    add(app, tmp_path, sdist("demo", "1.0"), wheel("demo", "2.0rc1"), wheel("demo", "1.1"))
    clock.wait(days=1)
    packages.yank_package(app, "team", "demo", scope="1.1", reason="broken", actor="bert")
    clock.wait(days=1)
    packages.unyank_package(app, "team", "demo", scope="1.1", actor="bert")
    clock.wait(days=1)
    entries = check(app, "demo", "own")
    assert [brief(entry) for entry in entries] == [
        ([("unyanked", "team", "1.1", None)], "team", "1.1"),
        ([("yanked", "team", "1.1", None)], "team", "1.0"),
        ([("added", "team", "1.1", None)], "team", "1.1"),
        ([("added", "team", "2.0rc1", None)], "team", "1.0"),
        ([("updated", "team", "1.0", None)], "team", "1.0"),
        ([("added", "team", "1.0", None)], "team", "1.0"),
    ]
    assert entries[1].message.startswith("yanked demo")


def check_times(app: App, name: str, repo: str = "pypi", days_back: int = 400) -> list[HistoryEntry]:
    """As `check`, where changes have times: what a snapshot gives is that of some entry, each day's change has one."""
    served = Served(app, repo, [name])
    entries = history(app, name, repo)
    days = [(app.today() - timedelta(number)).isoformat() for number in range(days_back, -2, -1)]
    assert {entry.snapshot for entry in entries} >= changes(served, name, days)
    states = {(told(entry), found.files) for entry in entries if (found := served.at(name, entry.snapshot)) is not None}
    for snapshot in ["latest", *days]:
        found = served.at(name, snapshot)
        assert found is None or not found.files or (found.sources, found.files) in states, snapshot
    times = [entry.time for entry in entries]
    assert times == sorted(times, reverse=True)
    return entries


def test_a_project_of_an_index(proxied: App, pypi: FakePypi, clock: Clock) -> None:
    """By the times of uploads, a day at once; what changed later by the time at which it was seen."""
    day = datetime(2023, 5, 1, 8, tzinfo=UTC)
    for version, after in (("1.0", 0), ("1.1", 30), ("2.0", 60)):
        pypi.add(*wheel("demo", version), uploaded=day + timedelta(days=after))
        pypi.add(*sdist("demo", version), uploaded=day + timedelta(days=after, minutes=3))
    entries = check_times(proxied, "demo")
    assert [brief(entry) for entry in entries] == [
        ([("added", "pypi", "2.0", None)], "pypi", "2.0"),
        ([("added", "pypi", "1.1", None)], "pypi", "1.1"),
        ([("added", "pypi", "1.0", None)], "pypi", "1.0"),
    ]
    assert [(entry.snapshot, entry.transaction) for entry in entries] == [
        ("2023-06-30", None),
        ("2023-05-31", None),
        ("2023-05-01", None),
    ]
    assert entries[-1].time == day + timedelta(minutes=3)
    for upload in [upload for upload in pypi.uploads("demo") if upload.version == "2.0"]:
        pypi.change(upload.name, yanked="broken")
    clock.wait(days=2)
    read_now(proxied, clock)
    entries = check_times(proxied, "demo")
    assert brief(entries[0]) == ([("yanked", "pypi", "2.0", None)], "pypi", "1.1")
    assert [source.version for source in entries[0].sources] == ["1.1"]


def read_now(app: App, clock: Clock) -> None:
    """See that the project's page was read since the clock was moved."""
    served = Served(app, "pypi", ["demo"])
    served.at("demo", "latest")
    yesterday = (clock.now - timedelta(days=1)).date().isoformat()
    serving.patiently(lambda: browsing.open_repository(app, "pypi", yesterday).view.of_package(served.names[0]))


def test_a_name_that_is_ones_own_hides_that_of_the_index(
    proxied: App, pypi: FakePypi, tmp_path: Path, clock: Clock
) -> None:
    """From the transaction on that added it; upstream is asked for what it was before."""
    pypi.add(*wheel("demo", "1.0"), uploaded=datetime(2023, 5, 1, 8, tzinfo=UTC))
    sources.create_source(proxied, "team", type_=SourceType.LOCAL_PYTHON)
    repositories.create_repository(proxied, "both", type_=RepositoryType.PYTHON)
    for source in ("team", "pypi"):
        repositories.subscribe(proxied, "both", source, actor="anna")
    history(proxied, "demo", "both")
    clock.wait(days=1)
    add(proxied, tmp_path, wheel("demo", "0.1"))
    clock.wait(days=1)
    entries = check_times(proxied, "demo", "both")
    assert [brief(entry) for entry in entries] == [
        ([("added", "team", "0.1", None)], "team", "0.1"),
        ([("subscribed", "pypi", None, None)], "pypi", "1.0"),
        ([], None, None),  # the first of the subscriptions, by itself
        ([("added", "pypi", "1.0", None)], "pypi", "1.0"),
    ]
    assert (entries[0].snapshot, entries[0].actor) == ("2024-03-02", "bert")


def test_files_without_a_time_are_in_latest_alone(proxied: App, pypi: FakePypi) -> None:
    """An index that tells no times has one entry, of now."""
    pypi.form = Form.HTML
    pypi.add(*wheel("demo", "1.0"), uploaded=datetime(2023, 5, 1, 8, tzinfo=UTC))
    (entry,) = package_history(proxied, "pypi", "demo", page=Page())[0]
    assert (entry.snapshot, entry.transaction) == ("latest", None)
    assert brief(entry) == ([("added", "pypi", "1.0", None)], "pypi", "1.0")
