"""Jobs that build from Git: so many at once as may be, one at a time for a builder, ended when it is deleted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entrepot.db import builders as db_builders
from entrepot.db.engine import Database
from entrepot.jobs.polls import Polls
from entrepot.operations import builders
from entrepot.operations.builds import Ask
from entrepot.settings import Settings
from tests.support.archives import make_description
from tests.support.git import Repo
from tests.support.gitsite import OVER, run, team
from tests.support.packer import Packer, packing
from tests.support.server import Clock, Live, eventually

MOST = 2


class Gate:
    """Holds builds until it is opened, and counts those that wait at it."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, _: Ask) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.is_open.wait(30)
        with self.lock:
            self.now -= 1


@pytest.fixture
def packer(monkeypatch: pytest.MonkeyPatch) -> Packer:
    return packing(monkeypatch)


@pytest.fixture
def live(settings: Settings, clock: Clock, packer: Packer) -> Iterator[Live]:
    settings = settings.model_copy(update={"git": settings.git.model_copy(update={"concurrent_builds": MOST})})
    with team(settings, clock, source="git", repo="r") as site:
        yield site


@pytest.fixture
def make(live: Live, tmp_path: Path) -> Callable[[str], int]:
    """Makes a builder of a new repository; the number of its first job."""

    def made(name: str) -> int:
        repo = Repo(tmp_path / "served" / f"{name}.git")
        repo.commit({"DESCRIPTION": make_description(name, "1.0")})
        status, told = live.api("POST", "/sources/git/git-builders", {"url": repo.file_url, "name": name})
        assert status == 201
        return int(told["job"]["id"])

    return made


def state(live: Live, job: int) -> str:
    return str(live.api("GET", f"/jobs/{job}")[1]["state"])


def test_no_more_than_may(live: Live, packer: Packer, make: Callable[[str], int]) -> None:
    gate = packer.failing = Gate()
    jobs = [make(f"demo{letter}") for letter in "abcde"]
    eventually(lambda: gate.now, lambda now: now == MOST, seconds=20)
    assert sorted(state(live, job) for job in jobs) == ["queued"] * 3 + ["running"] * 2
    gate.is_open.set()
    for job in jobs:
        eventually(lambda job=job: state(live, job), lambda found: found == "done", seconds=40)
    assert gate.most == MOST


def test_a_run_that_is_asked_for_while_one_goes_on_sees_what_came_meanwhile(
    live: Live, packer: Packer, make: Callable[[str], int], tmp_path: Path
) -> None:
    gate = packer.failing = Gate()
    first = make("demo")
    eventually(lambda: gate.now, bool, seconds=20)
    repo = Repo(tmp_path / "served" / "other.git")
    repo.commit({"DESCRIPTION": make_description("demo", "1.1")})
    (tmp_path / "served" / "demo.git").rename(tmp_path / "served" / "before.git")
    (tmp_path / "served" / "other.git").rename(tmp_path / "served" / "demo.git")
    status, second = live.api("POST", "/sources/git/git-builders/demo/run", {})
    assert (status, second["id"] != first) == (202, True)
    assert live.api("POST", "/sources/git/git-builders/demo/run", {})[1]["id"] == second["id"]
    gate.is_open.set()
    eventually(lambda: state(live, second["id"]), lambda found: found == "done", seconds=40)
    assert [version.rsplit(".", 4)[0] for _, version in packer.built] == ["1.0", "1.1"]


def test_a_deleted_builder_ends_its_job(live: Live, packer: Packer, make: Callable[[str], int]) -> None:
    gate = packer.failing = Gate()
    jobs = [make(name) for name in ("demo", "demob", "democ")]
    eventually(lambda: gate.now, lambda now: now == MOST, seconds=20)
    assert live.api("DELETE", "/sources/git/git-builders/democ")[0] == 204
    assert state(live, jobs[2]) == "cancelled"
    assert live.api("DELETE", "/sources/git/git-builders/demo")[0] == 204
    assert live.api("GET", f"/jobs/{jobs[0]}")[1]["is_cancelled"]
    gate.is_open.set()
    eventually(lambda: state(live, jobs[0]), lambda found: found in OVER, seconds=20)
    eventually(lambda: state(live, jobs[1]), lambda found: found == "done", seconds=20)
    assert [row["name"] for row in live.api("GET", "/sources/git/packages")[1]] == ["demob"]


def test_polls_bring_what_is_new_and_what_is_to_be_tried_again(
    live: Live, make: Callable[[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make("demo")
    eventually(lambda: state(live, job), lambda found: found == "done", seconds=20)
    woken: list[int] = []
    polls = Polls(live.app, woken.append)
    now = 0.0
    monkeypatch.setattr("entrepot.jobs.polls.time.monotonic", lambda: now)
    polls._round()
    now = 1000.0
    polls._round()
    assert woken == []
    (builder,) = builders.list_builders(live.app, "git")
    with live.app.db.write() as connection:
        (update,) = db_builders.updates(connection, [builder.builder.id])[builder.builder.id]
        db_builders.change_update(connection, update.id, state=type(update.state).WAITING, attempts=1)
    polls._round()
    polls._round()
    assert len(woken) == 1
    assert run(live) is not None


def test_one_node_leads(live: Live) -> None:
    """Of several processes on one database one looks at the endpoints, and the next when that is gone."""
    other = Database(live.app.db.url)
    with live.app.db.leading(7) as first, other.leading(7) as second:
        assert (first, second) == (True, live.app.db.is_sqlite)
    with other.leading(7) as second:
        assert second
    other.close()
