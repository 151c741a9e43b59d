"""Git builders from the terminal: their whole life, in the words of the product's documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.core.errors import BuildFailed
from entrepot.settings import Settings
from tests.cli.conftest import Entrepot
from tests.support.archives import make_description
from tests.support.git import START, Repo
from tests.support.packer import Packer, packing
from tests.support.server import Clock, Live, installed, running

FIRST, SECOND = f"1.0.0.0.0.{START + 60}", f"1.0.0.0.0.{START + 120}"


@pytest.fixture
def packer(monkeypatch: pytest.MonkeyPatch) -> Packer:
    return packing(monkeypatch)


@pytest.fixture
def live_server(settings: Settings, clock: Clock, packer: Packer) -> Iterator[Live]:
    settings = settings.model_copy(update={"git": settings.git.model_copy(update={"allow_file": True})})
    with installed(settings, clock) as app, running(app) as site:
        yield site


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit({"DESCRIPTION": make_description("demo", "1.0")})
    return repo


@pytest.fixture
def team(entrepot: Entrepot) -> Entrepot:
    entrepot.said("create", "source", "--name=src", "--type=git")
    return entrepot


def made(team: Entrepot, repo: Repo, *flags: str) -> list[str]:
    result = team("create", "git-builder", "--source=src", f"--url={repo.file_url}", *flags)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def ran(team: Entrepot, *flags: str) -> list[str]:
    result = team(*flags)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_create_waits_and_says_what_was_built(team: Entrepot, repo: Repo) -> None:
    said = made(team, repo)
    assert said[0] == "- #1 (its name is not known yet)"
    assert said[1:5] == ["    Source: src", f"    URL: {repo.file_url}", "    Trigger: commits", "    Key: none"]
    assert said[-1] == f"Built package 'demo' {FIRST}"


def test_lists_in_the_form_of_the_documents(team: Entrepot, repo: Repo) -> None:
    made(team, repo)
    assert team.said("list", "git-builders") == [
        "Git Builders:",
        "- demo",
        "    Source: src",
        f"    URL: {repo.file_url}",
        "    Trigger: commits",
        "    Key: none",
    ]
    said = team.said("list", "git-builds", "--source=src", "--name=demo")
    number = said[2].removeprefix("    Transaction ID: ")
    assert said == [
        "Git Builds:",
        "- demo",
        f"    Transaction ID: {number}",
        f"    SHA: {repo.git('rev-parse', 'main')}",
        "    Tag:",
        "    Status: succeeded",
        "    Time: 2024-03-01 12:00 UTC",
        "Only showing latest build, for more builds use the --count and --page flags",
        f"For more information run: entrepot logs --transaction-id={number}",
    ]
    assert any("built demo" in line for line in team.said("logs", f"--transaction-id={number}"))


def test_nothing_is_listed_where_nothing_is(team: Entrepot) -> None:
    assert team.said("list", "git-builders") == ["Git Builders: none"]
    assert team.said("list", "git-builds", "--source=src") == ["Git Builds: none"]
    assert team.json("list", "git-builders", "--source=src") == []


def test_run_builds_what_is_new(team: Entrepot, repo: Repo) -> None:
    made(team, repo)
    repo.commit({"NEWS": "."})
    assert ran(team, "run", "git-builder", "--source=src", "--name=demo") == [f"Built package 'demo' {SECOND}"]
    assert ran(team, "run", "git-builder", "--source=src", "--name=demo") == ["Nothing new for 'demo'"]
    builds = team.json("list", "git-builds", "--source=src", "--name=demo", "--count=10")
    assert [build["status"] for build in builds] == ["succeeded", "succeeded"]


def test_the_log_goes_to_a_file(team: Entrepot, repo: Repo, tmp_path: Path) -> None:
    made(team, repo)
    (build,) = team.json("list", "git-builds", "--source=src")
    path = tmp_path / "log.txt"
    (said,) = team.said("logs", f"--transaction-id={build['transaction']}", f"--file-out={path}")
    assert re.fullmatch(rf"\d+ lines written to '{path}'", said)
    assert "built demo" in path.read_text()
    assert "one job or one build" in " ".join(team.failed("logs")[1])
    assert team.failed("logs", "--transaction-id=999")[0] == 4


def test_a_build_that_fails_ends_with_7_and_names_the_command(team: Entrepot, repo: Repo, packer: Packer) -> None:
    packer.failing = lambda _: BuildFailed("it does not compile")
    result = team("create", "git-builder", "--source=src", f"--url={repo.file_url}")
    assert result.exit_code == 7
    assert "it does not compile" in result.stderr
    (number,) = set(re.findall(r"entrepot logs --transaction-id=(\d+)", result.stderr))
    assert "failed: it does not compile" in team.said("logs", f"--transaction-id={number}")
    packer.failing = lambda _: None
    said = ran(team, "rerun", "git-builder", "--source=src", "--name=demo")
    assert said == [f"Built package 'demo' {FIRST}"]


def test_tags_are_built_again_by_their_name(team: Entrepot, repo: Repo) -> None:
    repo.tag("v1.0")
    assert made(team, repo, "--build-trigger=tags", "--name=demo")[-1] == "Built package 'demo' 1.0"
    assert ran(team, "rerun", "git-builder", "--source=src", "--name=demo", "--tag=v1.0") == [
        "Built package 'demo' 1.0"
    ]
    code, said = team.failed("rerun", "git-builder", "--source=src", "--name=demo")
    assert (code, said[0]) == (2, "Error: the git builder demo follows tags")
    repo.delete_tag("v1.0")
    assert ran(team, "run", "git-builder", "--source=src", "--name=demo") == [
        "Removed package 'demo' 1.0, whose tag is gone"
    ]


def test_each_build_is_a_line(team: Entrepot, repo: Repo) -> None:
    repo.tag("v1.0")
    repo.tag("1.1", repo.commit({"DESCRIPTION": make_description("demo", "1.1")}))
    assert made(team, repo, "--build-trigger=tags")[-2:] == [
        "Built package 'demo' 1.0",
        "Built package 'demo' 1.1",
    ]


def test_edit_and_delete(team: Entrepot, repo: Repo) -> None:
    made(team, repo)
    repo.tag("v1.0")
    said = ran(team, "edit", "git-builder", "--source=src", "--name=demo", "--build-trigger=tags", "--clone-depth=0")
    assert "    Trigger: tags" in said
    assert "    Clone depth: all" in said
    assert said[-1] == "Built package 'demo' 1.0"
    assert team.failed("edit", "git-builder", "--source=src", "--name=demo")[0] == 2
    assert team.said("delete", "git-builder", "--source=src", "--name=demo") == ["Deleted git builder 'demo'"]
    assert team.failed("delete", "git-builder", "--source=src", "--name=demo")[0] == 4
    assert len(team.json("list", "packages", "--source=src")) == 1


def test_no_wait_prints_the_job_alone(team: Entrepot, repo: Repo) -> None:
    result = team("create", "git-builder", "--source=src", f"--url={repo.file_url}", "--no-wait")
    assert result.exit_code == 0
    number = result.stdout.splitlines()[-1]
    log = ran(team, "logs", f"--job={number}", "--follow")
    assert any("packing" in line for line in log)


def test_the_older_grammar(team: Entrepot, repo: Repo) -> None:
    repo.tag("v1.0")
    result = team("add", "--source=src", f"--git-url={repo.file_url}", "--git-build-trigger=tags")
    assert result.stdout.splitlines()[-1] == "Built package 'demo' 1.0", result.output


def test_what_can_not_be_made(team: Entrepot, repo: Repo) -> None:
    assert team.failed("create", "git-builder", "--source=src", "--url=ext::sh -c id")[0] == 2
    code, said = team.failed(
        "create", "git-builder", "--source=src", f"--url={repo.file_url}", "--build-trigger=branches"
    )
    assert (code, said[0]) == (2, "Error: '--build-trigger' is either commits or tags, not 'branches'")
    elsewhere = ["create", "git-builder", "--source=src", "--url=https://git.example.org/a.git"]
    assert team.failed(*elsewhere, "--credential=none")[0] == 4
    made(team, repo, "--name=demo")
    code, said = team.failed("create", "git-builder", "--source=src", f"--url={repo.file_url}", "--name=demo")
    assert code == 5
    again = ["create", "git-builder", "--source=src", f"--url={repo.file_url}", "--name=demo"]
    assert ran(team, *again, "--succeed-on-existing")[-1] == "Nothing new for 'demo'"


def test_the_activity_log_tells_of_each_attempt(team: Entrepot, repo: Repo, packer: Packer) -> None:
    packer.failing = lambda _: BuildFailed("it does not compile")
    team("create", "git-builder", "--source=src", f"--url={repo.file_url}")
    rows = team.json("list", "transactions", "--source=src")
    assert "it does not compile" in rows[0]["message"]
    assert f"entrepot logs --transaction-id={rows[0]['id']}" in rows[0]["message"]
    assert json.dumps(rows).count("it does not compile") == 1
