"""R installs what was built from Git: over each transport, of commits and of tags, from latest and from before."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from entrepot.settings import Settings
from tests.support import git
from tests.support.git import Repo
from tests.support.gitsite import build, run, team
from tests.support.r import run_r
from tests.support.server import Clock, Live

pytestmark = [pytest.mark.r, pytest.mark.one_shape, pytest.mark.usefixtures("rscript", "sandboxed")]
PASSPHRASE, PASSWORD = "open sesame", "s3cret/word"


@pytest.fixture
def live(settings: Settings, clock: Clock) -> Iterator[Live]:
    """An installation that takes file:// URLs too, with a git source in a repository."""
    with team(settings, clock, source="git", repo="r") as site:
        yield site


def package(version: str, said: str) -> dict[str, git.Content]:
    """The files of a package whose function `said` says something."""
    return {
        "DESCRIPTION": f"Package: demo\nVersion: {version}\nTitle: A Demo\nDescription: It demonstrates.\n"
        "Author: A Person\nMaintainer: A Person <person@example.org>\nLicense: MIT\n",
        "NAMESPACE": "export(said)\n",
        "R/said.R": f'said <- function() "{said}"\n',
    }


@dataclass
class Endpoint:
    """Where a repository is, and what its builder is told besides."""

    url: str
    settings: dict[str, Any]


def over_file(live: Live, repo: Repo, stack: ExitStack, tmp_path: Path) -> Endpoint:
    return Endpoint(repo.file_url, {})


def over_git(live: Live, repo: Repo, stack: ExitStack, tmp_path: Path) -> Endpoint:
    return Endpoint(stack.enter_context(git.git_daemon(repo.path.parent)).url(repo.path.name), {})


def over_http(live: Live, repo: Repo, stack: ExitStack, tmp_path: Path) -> Endpoint:
    server = stack.enter_context(git.smart_http(repo.path.parent, "builder", PASSWORD))
    credential = {"kind": "https", "name": "login", "username": "builder", "password": PASSWORD}
    assert live.api("POST", "/git-credentials", credential)[0] == 201
    return Endpoint(server.url(repo.path.name), {"credential": "login"})


def over_ssh(live: Live, repo: Repo, stack: ExitStack, tmp_path: Path) -> Endpoint:
    key = git.ssh_key(PASSPHRASE)
    server = stack.enter_context(git.sshd(repo.path.parent, key.public, folder=tmp_path / "sshd"))
    credential = {"kind": "ssh", "name": "login", "key": key.private, "passphrase": PASSPHRASE}
    assert live.api("POST", "/git-credentials", credential)[0] == 201
    return Endpoint(server.url(repo.path.name), {"credential": "login"})


TRANSPORTS: dict[str, Callable[[Live, Repo, ExitStack, Path], Endpoint]] = {
    "file": over_file,
    "git": over_git,
    "http": over_http,
    "ssh": over_ssh,
}


def said(live: Live, snapshot: str | int, lib: Path) -> tuple[str, str]:
    """(version, what the package says) as R installs it from a snapshot."""
    done = run_r(
        f"""
        install.packages("demo", repos = "{live.address}/team/{snapshot}", quiet = TRUE)
        cat("@", as.character(packageVersion("demo")), demo::said(), "\\n")
        """,
        lib=lib,
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("@ "))
    _, version, word = line.split()
    return version, word


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_r_installs_tags(live: Live, transport: str, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.tag("v1.0-1", repo.commit(package("1.0-1", "first")))
    with ExitStack() as stack:
        endpoint = TRANSPORTS[transport](live, repo, stack, tmp_path)
        (first,) = build(live, url=endpoint.url, build_trigger="tags", **endpoint.settings)
        repo.tag("1.1", repo.commit(package("1.1", "second")), annotated=True)
        (second,) = run(live)
    assert (first["version"], second["version"]) == ("1.0-1", "1.1")
    assert said(live, "latest", tmp_path / "latest") == ("1.1", "second")
    assert said(live, first["transaction"], tmp_path / "first") == ("1.0.1", "first")
    told = live.api("GET", f"/transactions/{first['transaction']}/log")[1]["log"]
    assert "building" in told
    assert PASSWORD not in told


def test_r_installs_commits(live: Live, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit(package("1.1-3", "first"), time=1_537_204_599)
    (first,) = build(live, url=repo.file_url)
    repo.commit(package("1.1-3", "second"), time=1_537_218_677)
    run(live)
    assert said(live, "latest", tmp_path / "latest") == ("1.1.3.0.0.0.1537218677", "second")
    assert said(live, first["transaction"], tmp_path / "first") == ("1.1.3.0.0.0.1537204599", "first")


@pytest.mark.shared
def test_r_installs_the_history_of_a_real_package(live: Live, tmp_path: Path) -> None:
    """Versions of R6 as CRAN has them, made into commits and tags of one history."""
    tree = Path(os.environ.get("TEST_CRAN_TREE", "/nowhere")) / "src" / "contrib"
    files = sorted([*tree.glob("Archive/R6/R6_*.tar.gz"), *tree.glob("R6_*.tar.gz")], key=lambda path: path.name)
    if len(files) < 2:
        pytest.skip("TEST_CRAN_TREE names no folder with two versions of R6")
    repo = Repo(tmp_path / "served" / "R6.git")
    versions = []
    for path in files[-2:]:
        version = path.name.removeprefix("R6_").removesuffix(".tar.gz")
        with tarfile.open(path) as tar:
            members = [member for member in tar.getmembers() if member.isfile()]
            contents = {m.name.removeprefix("R6/"): read.read() for m in members if (read := tar.extractfile(m))}
        repo.tag(version, repo.commit(dict(contents), is_orphan=True))
        versions.append(version)
    builds = build(live, url=repo.file_url, build_trigger="tags")
    assert [each["version"] for each in builds] == versions
    for snapshot, version in ((builds[0]["transaction"], versions[0]), ("latest", versions[1])):
        done = run_r(
            f"""
            install.packages("R6", repos = "{live.address}/team/{snapshot}", quiet = TRUE)
            cat("@", as.character(packageVersion("R6")), class(R6::R6Class("A")$new())[1], "\\n")
            """,
            lib=tmp_path / f"lib-{version}",
        )
        assert f"@ {version} A" in done.stdout
