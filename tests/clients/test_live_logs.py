"""What a build says is in the log of its job while the build still goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.git import Repo, Script
from tests.support.gitsite import OVER, finished, team
from tests.support.server import Clock, Live, eventually

pytestmark = [pytest.mark.one_shape, pytest.mark.usefixtures("sandboxed")]
BACKEND = (Path(__file__).parents[1] / "support" / "python_backend.py").read_text()
FIRST, LAST = "these are the first words", "and these the last"
PAUSE = 3
"""Seconds between what a build says first and last; it comes to the log in one."""


@pytest.fixture
def r_site(settings: Settings, clock: Clock, rscript: Path) -> Iterator[Live]:
    with team(settings, clock, source="git", repo="r") as site:
        yield site


@pytest.fixture
def python_site(settings: Settings, clock: Clock) -> Iterator[Live]:
    with team(settings, clock, source="git-python", repo="python") as site:
        yield site


def check_is_live(live: Live, job: dict[str, Any], *, first: str = FIRST, last: str = LAST) -> None:
    """Follow a job as clients do: its first words come while it runs, each line once, and in the end all of them."""
    seen: list[dict[str, Any]] = []

    def look() -> str:
        after = seen[-1]["id"] if seen else 0
        state = str(live.api("GET", f"/jobs/{job['id']}")[1]["state"])
        seen.extend(live.api("GET", f"/jobs/{job['id']}/logs?after={after}")[1])
        return state

    def texts() -> list[str]:
        return [line["text"] for line in seen]

    state = eventually(look, lambda state: first in texts() or state in OVER, seconds=60)
    assert (state, last in texts()) == ("running", False), texts()
    finished(live, job)
    look()
    assert texts().count(first) == 1
    assert texts().index(first) < texts().index(last)
    (_, whole) = live.api("GET", f"/jobs/{job['id']}/logs")
    assert seen == whole


def started(live: Live, **settings: Any) -> dict[str, Any]:
    status, told = live.api("POST", "/sources/git/git-builders", settings)
    assert status == 201, told
    return dict(told["job"])


@pytest.mark.r
def test_r_cmd_build(r_site: Live, tmp_path: Path) -> None:
    """What R CMD build is doing is told at once; it shows nothing of what a package's own script prints."""
    repo = Repo(tmp_path / "served" / "demo.git")
    description = (
        "Package: demo\nVersion: 1.0\nTitle: A Demo\nDescription: It demonstrates.\nAuthor: A Person\n"
        "Maintainer: A Person <person@example.org>\nLicense: MIT\n"
    )
    cleanup = Script(f"#!/bin/sh\nsleep {PAUSE}\n")
    repo.tag("v1.0", repo.commit({"DESCRIPTION": description, "NAMESPACE": "", "cleanup": cleanup}))
    job = started(r_site, url=repo.file_url, build_trigger="tags")
    check_is_live(r_site, job, first="* running ‘cleanup’", last="* building ‘demo_1.0.tar.gz’")


def test_a_python_backend(python_site: Live, tmp_path: Path) -> None:
    """What a build backend prints is told at once, though its output is no terminal."""
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit(
        {
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "demo"\nversion = "1.0"\n',
            "backend.py": BACKEND,
            "hook.py": f'import time\nprint("{FIRST}")\ntime.sleep({PAUSE})\nprint("{LAST}")\n',
            "demo/__init__.py": "",
        }
    )
    check_is_live(python_site, started(python_site, url=repo.file_url, name="demo", build_trigger="commits"))


@pytest.mark.r
def test_a_build_target(r_site: Live) -> None:
    """What is printed while R compiles a package for a build target is told at once."""
    assert r_site.api("POST", "/sources", {"name": "local"})[0] == 201
    assert r_site.api("POST", "/repos/team/sources", {"source": "local"})[0] == 200
    rules = f"all: talk $(SHLIB)\ntalk:\n\t@echo {FIRST}\n\t@sleep {PAUSE}\n\t@echo {LAST}\n"
    files = {"src/Makevars": rules.encode(), "src/x.c": b"int x;\n"}
    package = make_source_package("demo", "1.0", fields={"NeedsCompilation": "yes"}, files=files)
    assert r_site.upload("local", ("demo_1.0.tar.gz", package))[0] == 200
    status, told = r_site.api("POST", "/build-targets", {"distribution": "bookworm", "repository": "team"})
    assert status == 201, told
    check_is_live(r_site, told["job"])
