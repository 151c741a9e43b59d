"""Endpoints and packages that mean harm, seen from the site: each is told in the activity log, and others go on."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.settings import Settings
from tests.support import git
from tests.support.archives import make_description
from tests.support.git import Repo, Script
from tests.support.gitsite import OVER, build, team
from tests.support.server import Clock, Live, eventually

pytestmark = pytest.mark.one_shape
HANG = Script("#!/bin/sh\ntrap '' TERM INT\n(setsid sh -c 'while :; do sleep 1; done' &)\nwhile :; do sleep 1; done\n")
FORKS = Script("#!/bin/sh\nf() { f | f & }; f\nsleep 600\n")
FILLS = Script("#!/bin/sh\nhead -c 200000000 /dev/zero >/tmp/x\n")


@pytest.fixture
def live(settings: Settings, clock: Clock) -> Iterator[Live]:
    limits = {"build_time": 6.0, "build_disk": 64 * 1024**2, "build_memory": 512 * 1024**2, "build_processes": 64}
    settings = settings.model_copy(update={"git": settings.git.model_copy(update=limits)})
    with team(settings, clock, source="git", repo="r") as site:
        yield site


def package(name: str, **more: Any) -> dict[str, Any]:
    return {"DESCRIPTION": make_description(name, "1.0"), "NAMESPACE": "", **more}


def failed(live: Live, **settings: Any) -> dict[str, Any]:
    """The error of the first run of a new builder."""
    status, told = live.api("POST", "/sources/git/git-builders", settings)
    assert status == 201, told
    over = eventually(
        lambda: live.api("GET", f"/jobs/{told['job']['id']}")[1], lambda job: job["state"] in OVER, seconds=60
    )
    assert over["state"] == "failed"
    return dict(over["error"])


def told(live: Live) -> list[str]:
    """The messages of the source's activity, the newest first."""
    return [row["message"] for row in live.api("GET", "/sources/git/transactions")[1]]


@pytest.mark.r
@pytest.mark.usefixtures("rscript", "sandboxed")
@pytest.mark.parametrize(
    ("script", "why"),
    [(HANG, "build_time"), (FORKS, "build_processes|build_time"), (FILLS, "build_disk|made no")],
    ids=["hang", "forks", "fills"],
)
def test_a_build_that_takes_all_is_stopped_and_others_go_on(
    live: Live, script: Script, why: str, tmp_path: Path
) -> None:
    bad, good = Repo(tmp_path / "served" / "bad.git"), Repo(tmp_path / "served" / "good.git")
    bad.commit(package("bad", cleanup=script))
    good.commit(package("good"))
    began = time.monotonic()
    _, first = live.api("POST", "/sources/git/git-builders", {"url": bad.file_url, "name": "bad"})
    assert [each["status"] for each in build(live, url=good.file_url, name="good")] == ["succeeded"]
    job = first["job"]["id"]
    over = eventually(lambda: live.api("GET", f"/jobs/{job}")[1], lambda found: found["state"] in OVER, seconds=60)
    assert over["state"] == "failed"
    assert re.search(why, over["error"]["error"])
    assert time.monotonic() - began < 60
    (number,) = {row["transaction"] for row in over["error"]["payload"]["builds"]}
    assert re.search(why, live.api("GET", f"/transactions/{number}/log")[1]["log"])
    assert any(re.search(why, message) and f"--transaction-id={number}" in message for message in told(live))
    assert [row["name"] for row in live.api("GET", "/sources/git/packages")[1]] == ["good"]


def test_an_endpoint_that_wants_a_login(live: Live, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit(package("demo"))
    credential = {"kind": "https", "name": "login", "username": "builder", "password": "wrong horse"}
    assert live.api("POST", "/git-credentials", credential)[0] == 201
    with git.smart_http(repo.path.parent, "builder", "right horse") as server:
        error = failed(live, url=server.url("demo.git"), name="without")
        assert (error["code"], "wants user and password" in error["error"]) == ("build-endpoint-refused", True)
        error = failed(live, url=server.url("demo.git"), name="wrong", credential="login")
        assert (error["code"], "were refused" in error["error"]) == ("build-endpoint-refused", True)
    assert [name in message for name, message in zip(("wrong", "without"), told(live), strict=True)] == [True, True]
    assert "horse" not in str(told(live)) + str(live.api("GET", "/git-builders"))


def test_a_host_whose_key_changed(live: Live, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit(package("demo"))
    key = git.ssh_key()
    assert live.api("POST", "/git-credentials", {"kind": "ssh", "name": "key", "key": key.private})[0] == 201
    with git.sshd(repo.path.parent, key.public, folder=tmp_path / "sshd") as server:
        settings = {"credential": "key", "build_trigger": "tags"}
        assert build(live, url=server.url("demo.git"), name="demo", **settings) == []
        server.change_host_key()
        error = failed(live, url=server.url("demo.git"), name="demo2", **settings)
    assert (error["code"], "another one than it was" in error["error"]) == ("build-endpoint-refused", True)
    assert "entrepot logs --transaction-id=" in told(live)[0]


def test_a_tree_without_a_package_there(live: Live, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit({"README": "nothing here"})
    for settings in ({}, {"sub_dir": "r-package"}):
        error = failed(live, url=repo.file_url, **settings)
        assert error["code"] == "build-failed"
    status, answer = live.api("POST", "/sources/git/git-builders", {"url": repo.file_url, "sub_dir": "a/../../b"})
    assert (status, answer["code"]) == (422, "invalid")
    assert len(told(live)) == 2
