"""Packages built from Git: looks at many endpoints, the way from a push to a package, builds that misbehave."""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadcell import milli
from rig import Fault, Installation, free_port, program
from table import Row

if TYPE_CHECKING:
    from cells import Bench

BUILDERS = 100
ROUNDS = 5
REQUESTS = 400
INDEX = "/team/latest/src/contrib/PACKAGES.gz"
_DESCRIPTION = """Package: {name}
Version: 1.0
Title: Something Small
Description: Is there to be built.
License: MIT
Author: A Person
Maintainer: A Person <a.person@example.org>
"""
_HOG = """#!/bin/sh
# Takes all processors with a hundred processes until somebody ends it, and writes what it can.
for i in $(seq 100); do (while :; do :; done) & done
dd if=/dev/zero of=/tmp/filled bs=1M 2>/dev/null
wait
"""
_LOOK = """
import sys, time
from pathlib import Path
from entrepot.app import open_app
from entrepot.jobs.polls import Polls
from entrepot.operations import builders
from entrepot.settings import load_settings
app = open_app(load_settings(Path("entrepot.toml"), {}))
polls = Polls(app, lambda job: None)
watched = [info.builder for info in builders.list_builders(app)]
began = time.perf_counter()
found = polls.look(watched)
print(len(watched), len(found), time.perf_counter() - began)
app.close()
"""


@dataclass
class Git:
    """An installation with a git source, and bare repositories that a daemon serves."""

    at: Installation
    served: Path
    port: int

    def url(self, name: str) -> str:
        return f"git://127.0.0.1:{self.port}/{name}.git"

    def make(self, name: str, files: Mapping[str, str] | None = None) -> None:
        """A repository with one commit."""
        self._commit(name, {"DESCRIPTION": _DESCRIPTION.format(name=name), "NAMESPACE": "", **(files or {})})

    def push(self, name: str, number: int) -> None:
        """One more commit."""
        self._commit(name, {"NEWS": f"{number}\n"})

    def _commit(self, name: str, files: Mapping[str, str]) -> None:
        path = self.served / f"{name}.git"
        if not path.exists():
            _git(path, "init", "--quiet", "--bare", "--initial-branch=main")
        who = f"committer A Person <a@example.org> {int(time.time())} +0000\n"
        lines = [f"commit refs/heads/main\n{who}data 1\n.\n"]
        if _git(path, "for-each-ref"):
            lines.append("from refs/heads/main^0\n")
        for file, text in files.items():
            mode = "100755" if text.startswith("#!") else "100644"
            lines.append(f"M {mode} inline {file}\ndata {len(text.encode())}\n{text}\n")
        _git(path, "fast-import", "--quiet", text="".join(lines))


def _git(path: Path, *words: str, text: str = "") -> str:
    done = subprocess.run(
        [program("git"), f"--git-dir={path}", *words], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Fault(f"git {words[0]} failed: {done.stderr[-300:]}")
    return done.stdout


@contextmanager
def _served(bench: Bench, name: str, **settings: str) -> Iterator[Git]:
    """A new installation, and `git daemon` beside it."""
    folder = bench.rig.work / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "served").mkdir(parents=True)
    at = bench.rig.installation(name, "/__api__/status")
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    with (folder / "entrepot.toml").open("a") as file:
        file.write(f"\n[git]\npoll_interval = 86400\n{lines}")
    port = free_port()
    options = ["--listen=127.0.0.1", f"--port={port}", "--export-all", "--reuseaddr", "--max-connections=64"]
    daemon = subprocess.Popen(
        [program("git"), "daemon", *options, f"--base-path={folder / 'served'}", str(folder / "served")],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        at.serve()
        at.run("create", "source", "--name=src", "--type=git")
        at.run("create", "repo", "--name=team")
        at.run("subscribe", "--repo=team", "--source=src")
        yield Git(at, folder / "served", port)
    finally:
        at.stop()
        os.killpg(daemon.pid, 15)
        daemon.wait()


def polls(bench: Bench) -> Iterator[Row]:
    """Looks at many endpoints where nothing is new."""
    with _served(bench, "git-polls") as git:
        git.make("demo")
        names = [f"p{number:03}" for number in range(BUILDERS)]
        for name in names:
            shutil.copytree(git.served / "demo.git", git.served / f"{name}.git")
            body = {"url": git.url(name), "name": name}
            path = "/__api__/sources/src/git-builders"
            reply = git.at.server.ask(path, git.at.token(), method="POST", json=body)
            if reply.status != 201:
                raise Fault(f"a builder could not be made: {reply.body[:300]!r}")
        git.at.stop()
        _settle(git.at)
        before = git.at.rows()
        looks = [_look(git.at) for _ in range(ROUNDS)]
        written = {name: count for name, count in git.at.rows().items() if count != before[name]}
    yield Row(
        f"looks at {BUILDERS} Git endpoints without news",
        f"{statistics.median(looks):.1f} s median",
        goal="at most 10 s, nothing written",
        met=max(looks) <= 10 and not written,
        besides=f"max {max(looks):.1f} s, over git://; rows written: {written or 'none'}",
    )


def _settle(at: Installation) -> None:
    """Let every builder know its endpoint as it is, as if its first build were over."""
    with closing(sqlite3.connect(at.folder / "data" / "entrepot.db")) as database, database:
        heads = {path.stem: _git(path, "rev-parse", "main").strip() for path in (at.folder / "served").glob("p*.git")}
        database.execute("DELETE FROM git_updates")
        for id_, name in database.execute("SELECT id, name FROM git_builders").fetchall():
            database.execute(
                "INSERT INTO git_updates (builder_id, sha, seen, state, attempts) VALUES (?, ?, ?, 'built', 0)",
                (id_, heads[name], "2024-01-01 00:00:00.000000"),
            )
        database.execute("UPDATE git_builders SET fault = NULL")
        database.execute("UPDATE jobs SET state = 'cancelled' WHERE state IN ('queued', 'running')")


def _look(at: Installation) -> float:
    """Seconds for one look at all of them."""
    python = Path(program("entrepot")).parent / "python"
    done = subprocess.run([python, "-c", _LOOK], cwd=at.folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Fault(f"the look failed: {done.stderr[-300:]}")
    watched, news, seconds = done.stdout.split()
    if (int(watched), int(news)) != (BUILDERS, 0):
        raise Fault(f"{news} of {watched} endpoints had news")
    return float(seconds)


def pushed(bench: Bench) -> Iterator[Row]:
    """From a pushed commit to a package that can be installed."""
    with _served(bench, "git-build") as git:
        git.make("demo")
        git.at.run("create", "git-builder", "--source=src", f"--url={git.url('demo')}")
        times, alone = [], []
        for number in range(ROUNDS):
            git.push("demo", number)
            times.append(git.at.run("run", "git-builder", "--source=src", "--name=demo", "--wait").seconds)
            alone.append(_r_alone(git, number))
        listed = git.at.server.ask_well(INDEX)
    more = statistics.median(times) - statistics.median(alone)
    yield Row(
        "a pushed commit of a small R package, installable",
        f"{statistics.median(times):.1f} s median",
        goal="at most 5 s more than `R CMD build`",
        met=more <= 5,
        besides=f"`R CMD build` alone {statistics.median(alone):.1f} s; with the start of the command line; max "
        f"{max(times):.1f} s; index of {len(listed.body)} bytes",
    )


def _r_alone(git: Git, number: int) -> float:
    """Seconds of R CMD build for the same tree."""
    tree = git.at.folder / f"tree{number}"
    subprocess.run([program("git"), "clone", "--quiet", git.served / "demo.git", tree], check=True)
    began = time.perf_counter()
    build = [program("R"), "CMD", "build", "--no-build-vignettes", "--no-manual", tree]
    subprocess.run(build, cwd=git.at.folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def misbehaving(bench: Bench) -> Iterator[Row]:
    """Answers while builds take all that they may."""
    with _served(bench, "git-hog", build_time="15", build_disk=str(256 * 1024**2), concurrent_builds="2") as git:
        git.make("demo")
        git.at.run("create", "git-builder", "--source=src", f"--url={git.url('demo')}")
        usual = _answers(git.at)
        for number in range(2):
            git.make(f"hog{number}", {"cleanup": _HOG})
            url = git.url(f"hog{number}")
            git.at.run("create", "git-builder", "--source=src", f"--url={url}", "--no-wait")
        _wait_for_hogs()
        under, load = _answers(git.at), os.getloadavg()[0]
        stopped = _stopped(git.at)
    ratio = statistics.median(under) / statistics.median(usual)
    yield Row(
        "answers while two builds take all that they may",
        f"{milli(statistics.median(under))} median",
        ratio=f"{ratio:.2f} of usual",
        goal="at most twice the usual time, builds stopped",
        met=ratio <= 2 and stopped,
        besides=f"usual {milli(statistics.median(usual))}; {REQUESTS} requests each, one after the other; 200 busy "
        f"processes, load {load:.0f}; each stopped at its limit",
    )


def _answers(at: Installation) -> list[float]:
    """Seconds of each of some requests for an index."""
    return [at.server.ask_well(INDEX).seconds for _ in range(REQUESTS)]


def _wait_for_hogs() -> None:
    until = time.perf_counter() + 30
    while time.perf_counter() < until:
        busy = [path for path in Path("/proc").glob("[0-9]*/comm") if _name(path) == "cleanup"]
        if len(busy) >= 150:
            return
        time.sleep(0.2)
    raise Fault("the builds that misbehave did not begin")


def _name(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _stopped(at: Installation) -> bool:
    """Whether both builds were ended at their limit, and nothing of them is left."""
    until = time.perf_counter() + 60
    while time.perf_counter() < until:
        told = at.server.ask_well("/__api__/sources/src/git-builds").body.decode()
        left = [path for path in Path("/proc").glob("[0-9]*/comm") if _name(path) == "cleanup"]
        if told.count('"failed"') >= 2 and not left:
            return True
        time.sleep(0.5)
    return False


GIT_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {
    "git-polls": polls,
    "git-build": pushed,
    "git-hogs": misbehaving,
}
