"""Build targets from the terminal: their whole life, and what is refused."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.conftest import Entrepot
from tests.support.archives import make_source_package
from tests.support.server import Live

pytestmark = [pytest.mark.r, pytest.mark.one_shape, pytest.mark.usefixtures("rscript", "sandboxed")]


@pytest.fixture
def live_server(live: Live) -> Live:
    return live


def out(entrepot: Entrepot, *args: str) -> list[str]:
    """The lines on standard output of a command that waits for a job, which tells how far that is besides."""
    done = entrepot(*args)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_a_target_from_its_beginning_to_its_end(entrepot: Entrepot, live: Live) -> None:
    assert live.api("POST", "/sources", {"name": "local", "type": "local"})[0] == 201
    bad = make_source_package("bad", "1.0", files={"R/x.R": b"stop('never')\n"})
    assert live.upload("local", ("pure_1.0.tar.gz", make_source_package("pure", "1.0")))[0] in (200, 201)
    assert live.upload("local", ("bad_1.0.tar.gz", bad))[0] in (200, 201)
    r = shutil.which("R")
    said = out(entrepot, "create", "build-target", "--distribution=bookworm", f"--r={r}", "--name=mine")
    assert said[0] == "- mine"
    assert "    Sources: all" in said
    assert said[-2:] == ["Built binary of 'pure' 1.0", "1 package failed"]
    assert out(entrepot, "run", "build-target", "--name=mine") == ["Nothing to build: 1 package with a binary"]
    listed = entrepot.said("list", "build-targets")
    assert listed[:2] == ["Build Targets:", "- mine"]
    builds = entrepot.json("list", "binary-builds", "--source=local")
    assert {(build["package"], build["status"]) for build in builds} == {("pure", "built"), ("bad", "failed")}
    (row, more) = entrepot.said("list", "binary-builds", "--status=failed", "--target=mine")
    assert row.split()[1:5] == ["failed", "local", "bad", "1.0"]
    assert "never" in "\n".join(entrepot.said(*more.partition("entrepot ")[2].split()))
    assert out(entrepot, "rerun", "build-target", "--name=mine", "--package=bad") == ["1 package failed"]
    assert entrepot.said("delete", "build-target", "--name=mine") == ["Deleted build target 'mine'"]
    assert entrepot.said("list", "build-targets") == ["Build Targets: none"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("create build-target --distribution=nowhere", 2, "there is no distribution 'nowhere'"),
        ("create build-target --distribution=bookworm --r=/no/such/R", 2, "there is no R that works at /no/such/R"),
        ("run build-target --name=none", 4, "there is no build target named 'none'"),
        ("list binary-builds --status=odd", 2, "either built or failed"),
        ("logs --binary-build=99", 4, "there is no binary build 99"),
        ("logs --binary-build=99 --job=1", 2, "logs are of one job or one build"),
    ],
)
def test_refusals(entrepot: Entrepot, words: str, code: int, says: str) -> None:
    done = entrepot(*words.split())
    assert done.exit_code == code
    assert says in done.stderr
