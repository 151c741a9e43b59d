"""Runs of Git builders: what is found at an endpoint becomes versions, as the documents say of commits and tags.

The packages are packed here in the test, so that only the road from the endpoint to the index is tried; what R and
Python make of a checkout has tests of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.errors import (
    BuilderNotFound,
    BuildFailed,
    BuildNotFound,
    Cancelled,
    EntrepotError,
    Invalid,
    NameTaken,
    UpstreamUnavailable,
    WrongType,
)
from entrepot.core.gitbuilds import Trigger
from entrepot.core.jobs import no_log, no_report
from entrepot.core.model import PackageName, SourceType
from entrepot.db import owned
from entrepot.db import sources as db_sources
from entrepot.db.engine import catalogue_version
from entrepot.ecosystems.r.versions import version_key
from entrepot.jobs.polls import Polls
from entrepot.operations import activity, builders, building, buildlists, packages, sources
from entrepot.operations.browsing import Page
from entrepot.operations.builders import Wanted
from entrepot.operations.building import Ran
from entrepot.operations.builds import Ask
from entrepot.settings import Settings
from tests.support.archives import make_description, make_source_package
from tests.support.git import START, Repo
from tests.support.packer import Packer, packing
from tests.support.server import Clock, installed

EVERYTHING = Page(1000, 1)


@pytest.fixture
def packer(monkeypatch: pytest.MonkeyPatch) -> Packer:
    return packing(monkeypatch)


@pytest.fixture
def app(settings: Settings, clock: Clock, packer: Packer) -> Iterator[App]:
    with installed(
        settings.model_copy(update={"git": settings.git.model_copy(update={"allow_file": True})}), clock
    ) as app:
        sources.create_source(app, "src", type_=SourceType.GIT)
        yield app


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "served" / "demo.git")


def description(version: str, name: str = "demo") -> dict[str, Any]:
    return {"DESCRIPTION": make_description(name, version)}


def make(app: App, repo: Repo, **settings: Any) -> int:
    info, _, _ = builders.create_builder(app, "src", Wanted(repo.file_url, **settings), actor="admin")
    return info.builder.id


def run(app: App, builder: int, *, actor: str = "admin") -> Ran:
    ran = building.run(app, builder, actor=actor, report=no_report, log=no_log)
    assert ran is not None
    return ran


def shown(app: App, name: str = "demo") -> list[tuple[str, str]]:
    """(version, status) of all that is visible, the newest first."""
    with app.db.read() as connection:
        rows = owned.visible_now(connection, db_sources.get(connection, "src"), [PackageName(name)])
    found = [(row.file.version, row.status.value) for row in rows]
    return sorted(found, key=lambda row: version_key(row[0]), reverse=True)


def messages(app: App) -> list[str]:
    """Of the transactions of the source, the newest first."""
    rows, _ = activity.list_transactions(app, source="src", page=EVERYTHING)
    return [row.transaction.message for row in rows]


# --- commits -------------------------------------------------------------------------------------------------------


def test_a_commit_becomes_a_version_with_its_time(app: App, repo: Repo, packer: Packer) -> None:
    repo.commit(description("1.1-3"), time=1_537_204_599)
    ran = run(app, make(app, repo))
    assert ran.package == "demo"
    assert shown(app) == [("1.1-3.0.0.0.1537204599", "current")]


def test_another_commit_archives_the_version_before(app: App, repo: Repo) -> None:
    repo.commit(description("1.1-3"), time=1_537_204_599)
    builder = make(app, repo)
    run(app, builder)
    repo.commit({"R/a.R": "a <- 1"}, time=1_537_218_677)
    run(app, builder)
    assert shown(app) == [("1.1-3.0.0.0.1537218677", "current"), ("1.1-3.0.0.0.1537204599", "archived")]


def test_several_commits_between_two_looks_are_one_version(app: App, repo: Repo, packer: Packer) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo)
    run(app, builder)
    for number in range(3):
        repo.commit({"NEWS": str(number)})
    run(app, builder)
    assert len(packer.built) == 2


def test_a_branch_that_goes_back_still_gets_a_higher_version(app: App, repo: Repo) -> None:
    first = repo.commit(description("1.0"), time=START)
    builder = make(app, repo)
    run(app, builder)
    repo.commit(description("1.2"), time=START + 1000)
    run(app, builder)
    repo.branch("main", first)
    run(app, builder)
    (newest, status), *_ = shown(app)
    assert status == "current"
    assert newest == f"1.2.0.0.0.{START + 1001}"
    assert len(shown(app)) == 3


def test_a_commit_from_the_future_counts_as_of_now(app: App, repo: Repo, clock: Clock) -> None:
    repo.commit(description("1.0"), time=4_000_000_000)
    run(app, make(app, repo))
    assert shown(app) == [(f"1.0.0.0.0.{int(clock().timestamp())}", "current")]


def test_another_branch_is_followed(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"), time=START)
    repo.commit(description("2.0"), branch="devel", time=START + 5)
    run(app, make(app, repo, branch="devel"))
    assert shown(app) == [(f"2.0.0.0.0.{START + 5}", "current")]


def test_a_branch_that_is_not_there_is_told(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo, branch="gone")
    with pytest.raises(BuildFailed, match="has no branch 'gone'"):
        run(app, builder)
    assert "has no branch 'gone'" in messages(app)[0]


# --- tags ----------------------------------------------------------------------------------------------------------


def test_each_tag_is_built_by_itself(app: App, repo: Repo, packer: Packer) -> None:
    for version in ("1.0", "1.9", "1.10"):
        repo.tag(f"v{version}", repo.commit(description(version)))
    run(app, make(app, repo, trigger=Trigger.TAGS))
    assert [version for _, version in packer.built] == ["1.0", "1.9", "1.10"]
    assert shown(app) == [("1.10", "current"), ("1.9", "archived"), ("1.0", "archived")]


def test_a_tag_without_v_is_as_good(app: App, repo: Repo) -> None:
    repo.tag("1.0", repo.commit(description("1.0")), annotated=True)
    run(app, make(app, repo, trigger=Trigger.TAGS))
    assert shown(app) == [("1.0", "current")]


def test_a_newer_tag_of_an_older_version_goes_to_the_archive(app: App, repo: Repo) -> None:
    repo.tag("v2.0", repo.commit(description("2.0")))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    repo.tag("v1.5", repo.commit(description("1.5")))
    run(app, builder)
    assert shown(app) == [("2.0", "current"), ("1.5", "archived")]


def test_a_tag_that_is_not_the_version_fails_and_says_both(app: App, repo: Repo) -> None:
    repo.tag("v3.0", repo.commit(description("1.0")))
    ran = run(app, make(app, repo, trigger=Trigger.TAGS))
    (attempt,) = ran.attempts
    assert str(attempt.error) == "the tag 'v3.0' is not the version of DESCRIPTION, 1.0"
    assert shown(app) == []


def test_of_two_tags_for_one_version_the_newer_one_has_it(app: App, repo: Repo, clock: Clock) -> None:
    repo.tag("1.0", repo.commit(description("1.0")))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    clock.wait(minutes=5)
    repo.tag("v1.0", repo.commit({"NEWS": "again"}))
    run(app, builder)
    assert shown(app) == [("1.0", "current")]
    repo.delete_tag("v1.0")
    ran = run(app, builder)
    assert ran.removed == ("1.0",)
    assert [attempt.update.tag for attempt in ran.attempts] == ["1.0"]
    assert shown(app) == [("1.0", "current")]


def test_of_two_tags_found_at_once_the_one_made_later_has_the_version(app: App, repo: Repo) -> None:
    commit = repo.commit(description("1.0"))
    repo.tag("1.0", commit, annotated=True, time=START + 500)
    repo.tag("v1.0", commit, annotated=True, time=START + 100)
    ran = run(app, make(app, repo, trigger=Trigger.TAGS))
    assert len(ran.attempts) == 2
    assert any("tag 1.0, which is newer, has that version" in message for message in messages(app))
    repo.delete_tag("1.0")
    run(app, ran_builder(app))
    assert shown(app) == [("1.0", "current")]


def ran_builder(app: App) -> int:
    return builders.list_builders(app)[0].builder.id


def test_a_tag_that_moved_replaces_its_version(app: App, repo: Repo, clock: Clock, packer: Packer) -> None:
    repo.tag("v1.0", repo.commit(description("1.0")))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    clock.wait(minutes=5)
    repo.tag("v1.0", repo.commit({"NEWS": "a correction"}))
    run(app, builder)
    assert shown(app) == [("1.0", "current")]
    assert len(packer.built) == 2


def test_a_tag_that_is_removed_takes_its_version_with_it(app: App, repo: Repo) -> None:
    for version in ("1.0", "1.1"):
        repo.tag(f"v{version}", repo.commit(description(version)))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    repo.delete_tag("v1.1")
    run(app, builder)
    assert shown(app) == [("1.0", "current")]
    assert messages(app)[0] == "demo: removed with tag v1.1 (1.1)"


def test_nothing_new_writes_nothing(app: App, repo: Repo) -> None:
    repo.tag("v1.0", repo.commit(description("1.0")))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    with app.db.read() as connection:
        before = catalogue_version(connection)
    assert run(app, builder).attempts == ()
    with app.db.read() as connection:
        assert catalogue_version(connection) == before


# --- failures ------------------------------------------------------------------------------------------------------


def test_a_build_is_tried_three_times_and_then_ignored(app: App, repo: Repo, packer: Packer, clock: Clock) -> None:
    repo.commit(description("1.0"))
    packer.failing = lambda _: BuildFailed("it does not compile")
    builder = make(app, repo)
    tried = 0
    for _ in range(12):
        tried += len(run(app, builder).attempts)
        clock.wait(minutes=2)
    assert tried == 3
    told = [message for message in messages(app) if "it does not compile" in message]
    assert len(told) == 3
    assert "ignored from now on" in told[0]
    packer.failing = lambda _: None
    assert run(app, builder).attempts == ()
    repo.commit({"R/a.R": "a <- 1"})
    assert len(run(app, builder).attempts) == 1
    assert len(shown(app)) == 1


def test_where_the_package_is_not_to_blame_it_is_tried_on(app: App, repo: Repo, packer: Packer, clock: Clock) -> None:
    repo.commit(description("1.0"))
    packer.failing = lambda _: UpstreamUnavailable("the index is away")
    builder = make(app, repo)
    for _ in range(6):
        run(app, builder)
        clock.wait(hours=2)
    packer.failing = lambda _: None
    run(app, builder)
    assert len(shown(app)) == 1


def test_each_attempt_names_the_command_that_shows_its_log(app: App, repo: Repo, packer: Packer) -> None:
    repo.commit(description("1.0"))
    packer.failing = lambda _: BuildFailed("it does not compile")
    builder = make(app, repo)
    run(app, builder)
    packer.failing = lambda _: None
    builders.request_rerun(app, "src", "demo", actor="admin")
    run(app, builder)
    numbers = [int(re.search(r"entrepot logs --transaction-id=(\d+)", text)[1]) for text in messages(app)]  # type: ignore[index]
    assert len(numbers) == 2
    good, bad = (buildlists.read_log(app, number) for number in numbers)
    assert "built demo 1.0.0.0.0." in good
    assert "failed: it does not compile" in bad
    with pytest.raises(BuildNotFound):
        buildlists.read_log(app, numbers[0] + 100)


def test_a_rerun_builds_what_was_ignored(app: App, repo: Repo, packer: Packer, clock: Clock) -> None:
    repo.tag("v1.0", repo.commit(description("1.0")))
    packer.failing = lambda _: BuildFailed("it does not compile")
    builder = make(app, repo, trigger=Trigger.TAGS)
    for _ in range(5):
        run(app, builder)
        clock.wait(hours=1)
    packer.failing = lambda _: None
    with pytest.raises(Invalid, match="follows tags"):
        builders.request_rerun(app, "src", "demo", actor="admin")
    with pytest.raises(BuildNotFound):
        builders.request_rerun(app, "src", "demo", tag="v9", actor="admin")
    builders.request_rerun(app, "src", "demo", tag="v1.0", actor="admin")
    run(app, builder)
    assert shown(app) == [("1.0", "current")]


def test_an_endpoint_that_is_away_is_told_once(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo)
    away = repo.path.rename(repo.path.with_name("away.git"))
    for _ in range(3):
        with pytest.raises(EntrepotError):
            run(app, builder, actor=building.POLL)
    assert len(messages(app)) == 1
    assert builders.list_builders(app)[0].builder.fault
    away.rename(repo.path)
    run(app, builder)
    assert builders.list_builders(app)[0].builder.fault is None
    assert len(shown(app)) == 1


def test_what_one_tag_breaks_leaves_the_others_alone(app: App, repo: Repo) -> None:
    repo.tag("v1.0", repo.commit(description("1.0")))
    repo.tag("nightly", repo.commit({"NEWS": "."}))
    repo.tag("v1.1", repo.commit(description("1.1")))
    ran = run(app, make(app, repo, trigger=Trigger.TAGS))
    assert [attempt.update.tag for attempt in ran.failed] == ["nightly"]
    assert shown(app) == [("1.1", "current"), ("1.0", "archived")]


def test_a_cancelled_build_leaves_nothing(app: App, repo: Repo, packer: Packer, settings: Settings) -> None:
    repo.commit(description("1.0"))

    def cancelled(step: str, done: int, total: int) -> None:
        if step.startswith("commit"):
            raise Cancelled("cancelled by a test")

    builder = make(app, repo)
    with pytest.raises(Cancelled):
        building.run(app, builder, actor="admin", report=cancelled, log=no_log)
    assert messages(app) == []
    assert not list((settings.server.data_dir / "tmp").glob(f"{building.BUILDING}*"))
    run(app, builder)
    assert len(shown(app)) == 1


# --- builders ------------------------------------------------------------------------------------------------------


def test_a_package_has_one_builder_in_a_source(app: App, repo: Repo, tmp_path: Path) -> None:
    repo.commit(description("1.0"))
    first = make(app, repo, name="demo")
    with pytest.raises(NameTaken, match="'demo' already"):
        make(app, repo, name="demo", trigger=Trigger.TAGS)
    run(app, first)
    second = make(app, repo, trigger=Trigger.COMMITS)
    ran = run(app, second)
    assert "has a git builder for 'demo' already" in str(ran.attempts[0].error)


def test_a_package_that_is_renamed_in_its_history_is_another_one(app: App, repo: Repo) -> None:
    repo.tag("v1.0", repo.commit(description("1.0")))
    repo.tag("v1.1", repo.commit(description("1.1", "renamed")))
    ran = run(app, make(app, repo, trigger=Trigger.TAGS))
    assert [str(attempt.error) for attempt in ran.failed] == ["the package is 'renamed', not 'demo'"]
    assert (ran.package, shown(app)) == ("demo", [("1.0", "current")])


def test_what_was_built_stays_when_its_builder_goes(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"))
    run(app, make(app, repo))
    builders.delete_builder(app, "src", "demo")
    assert len(shown(app)) == 1
    with pytest.raises(BuilderNotFound):
        builders.get_builder(app, "src", "demo")
    assert len(buildlists.list_builds(app, "src", "demo", EVERYTHING, newest_only=False)[0]) == 1


def test_a_run_of_a_deleted_builder_does_nothing(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo)
    builders.delete_builder(app, "src", str(builder))
    assert building.run(app, builder, actor="admin", report=no_report, log=no_log) is None


def test_a_builder_that_is_deleted_while_it_builds_publishes_nothing(app: App, repo: Repo, packer: Packer) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo)

    def delete(_: Ask) -> None:
        builders.delete_builder(app, "src", "demo")

    packer.failing = delete
    assert [attempt.transaction for attempt in run(app, builder).attempts] == [None]
    assert shown(app) == []


def test_two_runs_at_once_publish_once(app: App, repo: Repo, packer: Packer) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo)
    inner: list[Ran] = []

    def again(_: Ask) -> None:
        packer.failing = lambda _: None
        inner.append(run(app, builder))

    packer.failing = again
    outer = run(app, builder)
    assert [attempt.transaction is None for attempt in (*outer.attempts, *inner[0].attempts)] == [True, False]
    assert len(shown(app)) == 1


def test_deleting_the_source_deletes_its_builders(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"))
    make(app, repo)
    assert len(sources.delete_source(app, "src")) == 1
    assert builders.list_builders(app) == []


def test_another_endpoint_is_followed_after_an_edit(app: App, repo: Repo, tmp_path: Path) -> None:
    repo.commit(description("1.0"), time=START)
    builder = make(app, repo)
    run(app, builder)
    other = Repo(tmp_path / "served" / "other.git")
    other.commit(description("3.0"), time=START + 9)
    builders.edit_builder(app, "src", "demo", actor="admin", url=other.file_url)
    run(app, builder)
    assert shown(app)[0] == (f"3.0.0.0.0.{START + 9}", "current")


def test_tags_that_another_endpoint_lacks_keep_their_versions(app: App, repo: Repo, tmp_path: Path) -> None:
    for version in ("1.0", "1.1"):
        repo.tag(f"v{version}", repo.commit(description(version)))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    other = Repo(tmp_path / "served" / "other.git")
    other.git("fetch", "--quiet", str(repo.path), "+refs/tags/v1.1:refs/tags/v1.1")
    builders.edit_builder(app, "src", "demo", actor="admin", url=other.file_url)
    assert run(app, builder).attempts == ()
    assert shown(app) == [("1.1", "current"), ("1.0", "archived")]
    other.delete_tag("v1.1")
    assert run(app, builder).removed == ("1.1",)
    assert shown(app) == [("1.0", "current")]


def test_an_error_that_nobody_expected_is_an_attempt_too(app: App, repo: Repo, packer: Packer) -> None:
    repo.commit(description("1.0"))

    def broken(_: Ask) -> None:
        raise ZeroDivisionError

    packer.failing = broken
    (attempt,) = run(app, make(app, repo)).attempts
    assert "nobody expected" in str(attempt.error)
    assert len(messages(app)) == 1


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("ext::sh -c id"), "ext"),
        (Wanted("--upload-pack=touch /tmp/x"), "URL"),
        (Wanted("https://git.example.org/a.git", sub_dir="../other"), "sub-dir|folder|\\.\\."),
        (Wanted("https://git.example.org/a.git", name="1demo"), "not a name"),
        (Wanted("https://git.example.org/a.git", trigger=Trigger.TAGS, branch="main"), "takes no branch"),
        (Wanted("https://git.example.org/a.git", clone_depth=-1), "clone depth"),
        (Wanted("git://git.example.org/a.git", credential="key"), "takes no credential"),
    ],
)
def test_what_can_not_be_is_refused(app: App, wanted: Wanted, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        builders.create_builder(app, "src", wanted, actor="admin")


def test_files_are_not_added_by_hand(app: App, repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "demo_1.0.tar.gz"
    path.write_bytes(make_source_package("demo", "1.0"))
    with pytest.raises(WrongType, match="built from Git alone"):
        packages.add_files(app, "src", [packages.Upload(path.name, path)], actor="admin")


def test_versions_are_removed_and_archived_by_hand(app: App, repo: Repo) -> None:
    for version in ("1.0", "1.1"):
        repo.tag(f"v{version}", repo.commit(description(version)))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    packages.remove_package(app, "src", "demo", scope="1.1", actor="admin")
    assert shown(app) == [("1.0", "current")]
    packages.archive_package(app, "src", "demo", actor="admin")
    assert shown(app) == [("1.0", "archived")]
    assert run(app, builder).attempts == ()


def test_other_sources_have_no_builders(app: App) -> None:
    sources.create_source(app, "mine", type_=SourceType.LOCAL)
    with pytest.raises(WrongType, match="has no git builders"):
        builders.create_builder(app, "mine", Wanted("https://git.example.org/a.git"), actor="admin")


# --- lists ---------------------------------------------------------------------------------------------------------


def test_builds_are_listed_with_what_waits(app: App, repo: Repo, packer: Packer) -> None:
    repo.tag("v1.0", repo.commit(description("1.0")))
    repo.tag("v2.0", repo.commit(description("1.5")))
    builder = make(app, repo, trigger=Trigger.TAGS)
    run(app, builder)
    found, total = buildlists.list_builds(app, "src", "demo", EVERYTHING, newest_only=False)
    assert [(build.status, build.tag) for build in found] == [
        ("waiting", "v2.0"),
        ("failed", "v2.0"),
        ("succeeded", "v1.0"),
    ]
    assert total == 3
    pages = [buildlists.list_builds(app, "src", "demo", Page(1, number), newest_only=False)[0] for number in (1, 2, 3)]
    assert [build.status for (build,) in pages] == ["waiting", "failed", "succeeded"]
    assert buildlists.list_builds(app, "src", None, EVERYTHING, newest_only=True)[1] == 2
    with pytest.raises(BuildNotFound):
        buildlists.list_builds(app, "src", "nobody", EVERYTHING, newest_only=False)


# --- polls ---------------------------------------------------------------------------------------------------------


def test_a_poll_finds_what_is_new_and_writes_nothing(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo)
    polls = Polls(app, lambda _: None)
    (watched,) = (info.builder for info in builders.list_builders(app))
    assert polls.look([watched]) == [builder]
    run(app, builder)
    (watched,) = (info.builder for info in builders.list_builders(app))
    assert polls.look([watched]) == []
    repo.commit({"NEWS": "."})
    assert polls.look([watched]) == [builder]
    assert len(messages(app)) == 1


def test_a_poll_tells_of_an_endpoint_that_went_away_only_if_that_is_new(app: App, repo: Repo) -> None:
    repo.commit(description("1.0"))
    builder = make(app, repo)
    run(app, builder)
    repo.path.rename(repo.path.with_name("away.git"))
    polls = Polls(app, lambda _: None)
    (watched,) = (info.builder for info in builders.list_builders(app))
    assert polls.look([watched]) == [builder]
    with pytest.raises(EntrepotError):
        run(app, builder, actor=building.POLL)
    (watched,) = (info.builder for info in builders.list_builders(app))
    assert polls.look([watched]) == []


def test_each_endpoint_is_due_once_an_interval(app: App, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.commit(description("1.0"))
    for number in range(20):
        make(app, repo, name=f"demo{number}")
    now = 0.0
    monkeypatch.setattr("entrepot.jobs.polls.time.monotonic", lambda: now)
    polls = Polls(app, lambda _: None)
    live = [info.builder for info in builders.list_builders(app)]
    due: list[int] = []
    most = 0
    for second in range(0, 600, 2):
        now = float(second)
        found = [builder.id for builder in polls._due(live)]
        most = max(most, len(found))
        due += found if second < 302 else []
    assert sorted(due) == sorted(builder.id for builder in live)
    assert most <= 3
