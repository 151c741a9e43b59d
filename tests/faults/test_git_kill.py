"""kill -9 of a server that builds from Git: what it was at is built once more, and published once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.core.model import SourceType
from entrepot.operations import activity, builders, sources, working
from entrepot.operations.browsing import Page
from entrepot.operations.builders import Wanted
from entrepot.operations.building import BUILDING
from entrepot.settings import Settings
from tests.support.archives import make_description
from tests.support.checks import check_store
from tests.support.git import Repo, Script
from tests.support.process import Served, forget_heartbeats, installation
from tests.support.server import eventually
from tests.support.victim import Victims

pytestmark = pytest.mark.usefixtures("rscript", "sandboxed")
KILLS = 6
"""About so often is a run cut off, at steps spread over it."""
SLOW = 'i=; while [ "$i" != ........ ]; do i=".$i"; echo "cleaning up $i"; sleep 0.5; done\n'


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as started:
        yield started


@pytest.fixture
def built(settings: Settings) -> Settings:
    """Settings of an installation that may build from this machine's folders."""
    return settings.model_copy(update={"git": settings.git.model_copy(update={"allow_file": True})})


def repository(tmp_path: Path, **more: Any) -> Repo:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit({"DESCRIPTION": make_description("demo", "1.0"), "NAMESPACE": "", **more})
    return repo


def ask(settings: Settings, repo: Repo) -> int:
    """A builder whose first run waits for a server."""
    with installation(settings) as app:
        sources.create_source(app, "src", type_=SourceType.GIT)
        return builders.create_builder(app, "src", Wanted(repo.file_url), actor="admin")[1].id


def published(settings: Settings) -> list[str]:
    """The messages of the source's transactions; the store is checked as well."""
    with installation(settings) as app:
        check_store(app)
        rows, _ = activity.list_transactions(app, source="src", page=Page(100, 1))
        return [row.transaction.message.split(";")[0] for row in rows]


def left(settings: Settings) -> list[Path]:
    return list((settings.server.data_dir / "tmp").glob(f"{BUILDING}*"))


def test_a_run_that_is_killed_at_any_step(victims: Victims, built: Settings, tmp_path: Path) -> None:
    repo = repository(tmp_path)
    never = built.model_copy(update={"server": built.server.model_copy(update={"data_dir": tmp_path / "never"})})
    never = never.model_copy(update={"database": Settings().database, "storage": Settings().storage})
    ask(never, repo)
    steps = victims.run("serve", never, thread="job-").steps
    wanted = published(never)
    assert len(wanted) == 1
    job, ends = ask(built, repo), []
    for at in range(1, len(steps) + 1, max(1, len(steps) // KILLS)):
        met = victims.run("serve", built, at=at, thread="job-")
        if not met.was_killed:
            break
        found = published(built)
        assert found in ([], wanted), met.steps[-1]
        ends.append(found == wanted)
        forget_heartbeats(built)
    assert len(ends) >= KILLS // 2
    assert ends == sorted(ends)
    victims.run("serve", built)
    assert published(built) == wanted
    with installation(built) as app:
        assert working.get_job(app, job).job.state == "done"


def test_a_server_that_is_killed_in_a_build(built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the build is left when its server is gone, and the next server builds it anew."""
    monkeypatch.setenv("ENTREPOT_GIT__ALLOW_FILE", "true")
    job = ask(built, repository(tmp_path, cleanup=Script(f"#!/bin/sh\n{SLOW}")))
    with Served(built) as first:
        eventually(lambda: running_builds(), bool, seconds=30)
        first.process.kill()
        first.process.wait()
        eventually(lambda: running_builds(), lambda found: not found, seconds=10)
    forget_heartbeats(built)
    with Served(built) as second:
        eventually(lambda: second.api("GET", f"/jobs/{job}")[1]["state"], lambda state: state == "done", seconds=60)
    assert len(published(built)) == 1
    assert left(built) == []


def running_builds() -> list[str]:
    """Processes of R CMD build on this machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"CMD\0build" in command or b"cleanup" in command:
            found.append(process.name)
    return found
