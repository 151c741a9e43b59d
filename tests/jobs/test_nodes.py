"""Several processes on one database: who has which job, and what becomes of the jobs of one that is gone."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.jobs.postgres import DEAD_AFTER
from entrepot.operations import syncing, working
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.process import Served, entrepot
from tests.support.server import eventually

INDEX = "src/contrib/PACKAGES.gz"


@pytest.fixture
def node(mirrored: App, cran: FakeCran, tmp_path: Path) -> Settings:
    """Settings of a process beside the test's own on the same database, over an upstream with a package."""
    cran.add("demo", "1.0", make_source_package("demo", "1.0"))
    cran.publish()
    return beside(mirrored.settings, tmp_path / "node")


def beside(settings: Settings, data_dir: Path) -> Settings:
    return settings.model_copy(update={"server": settings.server.model_copy(update={"data_dir": data_dir})})


@contextmanager
def worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """`entrepot worker`, ready; killed at the end if it still runs."""
    process = entrepot(settings, "worker")
    try:
        assert process.stdout is not None
        assert b"worker is ready" in process.stdout.readline()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finished(app: App, id_: int, seconds: float) -> working.Job:
    return eventually(
        lambda: working.get_job(app, id_).job, lambda job: job.state not in ("queued", "running"), seconds=seconds
    )


def test_a_worker_alone_does_the_work(mirrored: App, node: Settings) -> None:
    """`entrepot worker` finds a job that was left in the database, says so in its log, and ends in order at SIGTERM."""
    settings = node if not mirrored.db.is_sqlite else mirrored.settings
    job = syncing.request_sync(mirrored, "cran")
    with worker(settings) as process:
        assert finished(mirrored, job.id, 30).state == "done"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_worker_leaves_a_servers_folder_alone(mirrored: App, node: Settings) -> None:
    """Where a server has the data folder, which does this work itself, a worker says so and doesn't start (5)."""
    with Served(node):
        process = entrepot(node, "worker")
        process.communicate(timeout=30)
        assert process.returncode == 5


def test_a_job_of_a_worker_that_was_killed(mirrored: App, node: Settings, cran: FakeCran, tmp_path: Path) -> None:
    """Another worker finishes it within a minute, and meanwhile nobody syncs that source twice."""
    if mirrored.db.is_sqlite:
        pytest.skip("several nodes share PostgreSQL only")
    cran.fail(INDEX, "hang", times=1)
    job = syncing.request_sync(mirrored, "cran")
    with worker(node) as first:
        eventually(lambda: cran.count(INDEX), bool, seconds=20)
        with worker(beside(node, tmp_path / "other")):
            time.sleep(3)
            assert cran.count(INDEX) == 1
            first.send_signal(signal.SIGKILL)
            first.wait()
            killed = time.monotonic()
            done = finished(mirrored, job.id, DEAD_AFTER + 30)
            assert time.monotonic() - killed > DEAD_AFTER / 2
    assert (done.state, (done.result or {})["added"], done.attempts) == ("done", 1, 2)
    lines = [line.text for line in working.read_log(mirrored, job.id, after=0, limit=100)[0]]
    assert any(line.startswith("taken over from ") for line in lines)


def test_the_queues_tables_are_those_of_the_library() -> None:
    """The migration made the tables of procrastinate 3.10; another one needs a migration that runs its own."""
    assert metadata.version("procrastinate").startswith("3.10.")
