"""A whole installation with something on every page, made by what users do: syncs, uploads, builds, downloads.

    with showroom(tmp_path) as room:
        room.live, room.administrator, room.builds ...

`words` says how texts are written (harm.py has those that mean harm); the shelves are in wares.py. It takes ten
seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from entrepot.sandbox.box import detect
from entrepot.settings import Settings
from tests.support import showstock, wares
from tests.support.archives import make_source_package
from tests.support.binaries import X86_64, make_binary
from tests.support.distributions import wheel
from tests.support.fake_bioc import FakeBioc
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.git import Repo
from tests.support.gitsite import OVER
from tests.support.server import Live, Ticking, eventually, installed, running
from tests.support.showstock import (
    BUILT,
    BUILT_PY,
    CLOSED_REPO,
    COMPILED,
    CURATED,
    FAMOUS,
    FROZEN,
    GIT,
    GIT_PY,
    HALF_A_MEGABYTE,
    LOCAL,
    LOCAL_PY,
    OPENED,
    OWN,
    OWN_PY,
    PY_FAMOUS,
    PY_REPO,
    R_REPO,
    TARGET,
    WEEKS,
    Words,
)

_CLIENTS = (
    ("R/4.5.0 R (4.5.0 x86_64-pc-linux-gnu x86_64 linux-gnu)", 5),
    ("R/4.4.3 R (4.4.3 x86_64-w64-mingw32 x86_64 mingw32)", 3),
    ("renv/1.1.4 R (4.4.1 aarch64-apple-darwin20 aarch64 darwin20)", 1),
)
_PY_CLIENTS = (("pip/25.1 {}", 4), ("uv/0.7.2 {}", 3))
_LINEHAUL = '{"installer":{"name":"x","version":"1"},"python":"3.12.4","implementation":{"name":"CPython"}}'
_PATIENCE = 300.0


@dataclass
class Showroom:
    """The running installation, and what tests need to find their way in it."""

    live: Live
    clock: Ticking
    cran: FakeCran
    pypi: FakePypi
    bioc: FakeBioc
    words: Words
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)
    guids: dict[str, str] = field(default_factory=dict)
    builds: list[dict[str, Any]] = field(default_factory=list)
    failed_build: int | None = None
    binary_builds: dict[str, int] = field(default_factory=dict)
    own_transaction: int = 0
    proposal: int = 0
    job: int = 0
    running_job: int = 0

    @property
    def administrator(self) -> str:
        """A token with which everything is seen."""
        return self.live.token

    @property
    def has_builds(self) -> bool:
        return bool(self.builds)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """What the API answers to the administrator, who may not fail."""
        status, told = self.live.api(method, path, body)
        assert status < 300, f"{method} {path}: {status} {told}"
        return told

    def finished(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """A job once it is over, however it ended."""
        return eventually(
            lambda: self.api("GET", f"/jobs/{job['id']}"), lambda now: now["state"] in OVER, seconds=_PATIENCE
        )

    def wait(self, **span: float) -> None:
        """Let time go by, once no job is under way: its worker would look as if it had been silent all the time."""
        for state in ("queued", "running"):
            eventually(
                lambda now=state: self.api("GET", f"/jobs?state={now}"), lambda jobs: not jobs, seconds=_PATIENCE
            )
        self.clock.wait(**span)

    def sync(self, source: str) -> dict[str, Any]:
        return self.finished(self.api("POST", f"/sources/{source}/sync", {}))


@contextmanager
def showroom(folder: Path, *, words: Words | None = None, builds: bool = True, **more: Any) -> Iterator[Showroom]:
    """An installation in `folder` that is served until the end of the block.

    Args:
        words: how texts are written.
        builds: build packages, which takes longer than all else; without bubblewrap there are none anyway.
        more: further settings by section.
    """
    words, clock = words or Words(), Ticking(OPENED)
    with ExitStack() as stack, ExitStack() as upstreams:
        cran, pypi, bioc = (upstreams.enter_context(kind()) for kind in (FakeCran, FakePypi, FakeBioc))
        values = {
            "server": {"data_dir": folder / "data", "listen": "127.0.0.1:0"},
            "cran": {
                "upstream": cran.url,
                "sync_schedule": "0 3 * * *",
                "describe_rate": 1000,
                "binaries": ["windows/4.5"],
            },
            "pypi": {"upstream": pypi.upstream, "sync_schedule": "17 */6 * * *", "metadata_rate": 1000},
            "bioconductor": {"upstream": bioc.url, "sync_schedule": ""},
            "git": {"allow_file": True, "poll_interval": "1d", "concurrent_builds": 4},
            "sysreqs": {"rules": str(showstock.write_rules(folder / "rules")), "sync_schedule": ""},
            **more,
        }
        showstock.stock_cran(cran, words)
        showstock.stock_pypi(pypi, words)
        showstock.stock_bioc(bioc)
        app = stack.enter_context(installed(Settings.model_validate(values), clock))
        live = stack.enter_context(running(app, schedules=True))
        room = Showroom(live, clock, cran, pypi, bioc, words, folder)
        _open(room)
        _fill(room)
        can_build = builds and detect() is None
        if can_build:
            _build(room)
        _weeks(room)
        if can_build:
            _fail_to_build(room)
        _curate(room)
        _people(room)
        _work(room)
        try:
            yield room
        finally:
            # The upstreams end first, so that nothing waits for them any more.
            live.api("POST", f"/jobs/{room.running_job}/cancel", {})


# --- the installation ----------------------------------------------------------------------------------------------


def _open(room: Showroom) -> None:
    """Sources, repositories and what subscribes to what."""
    for name, type_, more in (
        (LOCAL, "local", {}),
        (CURATED, "curated-cran", {}),
        (GIT, "git", {}),
        (LOCAL_PY, "local-python", {}),
        (GIT_PY, "git-python", {}),
    ):
        room.api("POST", "/sources", {"name": name, "type": type_, **more})
    room.finished(room.api("POST", "/sysreqs/rules/sync"))
    for source in ("cran", "pypi", "bioconductor"):
        assert room.sync(source)["state"] == "done"
    room.api("POST", "/sources", {"name": FROZEN, "type": "cran-snapshot", "snapshot": "2025-03-15"})
    for name, type_, description, sources, closed in (
        (R_REPO, "R", "R packages of the data team, before those of CRAN", (GIT, "cran"), False),
        ("validated", "R", "Packages that were reviewed, and no others", (CURATED,), False),
        ("spring-2025", "R", "CRAN as it stood on 15 March 2025, for the courses", (FROZEN,), False),
        (CLOSED_REPO, "R", "For the study group alone", (LOCAL, CURATED), True),
        (
            PY_REPO,
            "Python",
            "Python packages of the data team, and the index behind them",
            (LOCAL_PY, GIT_PY, "pypi"),
            False,
        ),
    ):
        wish = {"name": name, "type": type_, "description": room.words.line(description, 2000), "authenticated": closed}
        room.api("POST", "/repos", wish)
        for source in sources:
            room.api("POST", f"/repos/{name}/sources", {"source": source})
    room.api("POST", f"/repos/{R_REPO}/sources", {"source": LOCAL})


def _fill(room: Showroom) -> None:
    """Local packages over some weeks, binaries, and one that takes precedence over CRAN's."""
    words, live = room.words, room.live

    def upload(source: str, *files: tuple[str, bytes], comment: str) -> int:
        status, told = live.upload(source, *files, comment=words.line(comment, 1000))
        assert status < 300, told
        return int(told["transaction"])

    title = "Plots in the Style of the House"
    plots = [showstock.own_package(OWN, version, title, words) for version in ("0.9.0", "1.0.0")]
    upload(LOCAL, plots[0], comment="first release, see ticket 1702")
    room.wait(days=6)
    upload(LOCAL, plots[1], comment="the palette of 2025")
    own_cli = showstock.own_package("cli", "3.6.5.1", "Command Lines, with the House's Own Colours", words)
    room.own_transaction = upload(LOCAL, own_cli, comment="until upstream takes our change")
    room.wait(days=3)
    # From now on the local source comes before CRAN, and its cli wins.
    room.api("PUT", f"/repos/{R_REPO}/sources", {"sources": [LOCAL, GIT, "cran"]})
    for version, day in (("0.3.0", 1), ("0.4.0", 8)):
        room.wait(days=day)
        told = {"fields": {"Summary": words.line("What the team does every day"), "License-Expression": "MIT"}}
        readme = words.readme(f"# {OWN_PY}\n\nUsed by *every* job of the team.\n")
        files = [wheel(OWN_PY, version, requires=["requests>=2.31", "rich"], description=readme, **told)]
        upload(LOCAL_PY, *files, comment=f"release {version}")
    for name, r, platform, distribution in (
        (f"{OWN}_1.0.0_R_{X86_64}.tar.gz", "4.5.0", X86_64, "bookworm"),
        (f"{OWN}_1.0.0_R_{X86_64}.tar.gz", "4.4.3", X86_64, "jammy"),
    ):
        data = make_binary(OWN, "1.0.0", r=r, platform=platform)
        answer = live.pool.request(
            "POST",
            f"{live.address}/__api__/sources/{LOCAL}/binaries",
            headers={"Authorization": f"Bearer {live.token}"},
            fields=[("files", (name, data, "application/gzip")), ("distribution", distribution)],
        )
        assert answer.status == 200, answer.data


def _build(room: Showroom) -> None:
    """A builder of two tags of an R package, and one of a tag of a Python package; all of them succeed."""
    words, now = room.words, int(room.clock().timestamp())
    tables, scripts = (Repo(room.folder / "served" / f"{name}.git") for name in (BUILT, BUILT_PY))
    message = words.block("Units come with the tables") + words.bulk(HALF_A_MEGABYTE)
    for number, version in enumerate(("0.1.0", "0.2.0")):
        sha = tables.commit(showstock.r_tree(version, words), message=message, time=now - 7200 + 3600 * number)
        tables.tag(f"v{version}", sha, annotated=True)
    scripts.tag("1.0", scripts.commit(showstock.py_tree("1.0", words), time=now - 3600))
    jobs = [
        room.api(
            "POST", f"/sources/{source}/git-builders", {"url": repo.file_url, "build_trigger": "tags", "name": name}
        )
        for source, repo, name in ((GIT, tables, BUILT), (GIT_PY, scripts, BUILT_PY))
    ]
    for each in jobs:
        assert room.finished(each["job"])["state"] == "done"
    room.wait(days=8)


def _fail_to_build(room: Showroom) -> None:
    """A builder of commits whose build failed, and a build target of whose two packages one can't be built."""
    words, broken = room.words, Repo(room.folder / "served" / "teammodels.git")
    tree = showstock.r_tree("0.1.0", words)
    needs = f"utils (1.0 {' '.join(words.said()[:12])}".rstrip()
    tree["DESCRIPTION"] = str(tree["DESCRIPTION"]).replace(BUILT, "teammodels").replace("utils", needs)
    broken.commit(tree, message=words.block("Fit models side by side"), time=int(room.clock().timestamp()) - 600)
    build = room.api("POST", f"/sources/{GIT}/git-builders", {"url": broken.file_url})["job"]
    compile_ = _target(room)
    for job in (build, compile_):
        room.finished(job)
    room.builds = room.api("GET", f"/sources/{GIT}/git-builds")
    room.failed_build = next(each["transaction"] for each in room.builds if each["status"] == "failed")
    room.binary_builds = {each["package"]: each["id"] for each in room.api("GET", "/binary-builds")}


def _target(room: Showroom) -> dict[str, Any]:
    """The job of a new build target with two packages of its own."""
    said = "".join(f"message({json.dumps(line)})\n" for line in room.words.said()[:12])
    files = {"R/x.R": f"{said}installed_version <- missing_object\n".encode()}
    room.api("POST", "/sources", {"name": COMPILED, "type": "local"})
    packages = (make_source_package("teamfast", "1.0"), make_source_package("teamslow", "1.0", files=files))
    room.live.upload(COMPILED, *zip(("teamfast_1.0.tar.gz", "teamslow_1.0.tar.gz"), packages, strict=True))
    asked = {"distribution": "bookworm", "sources": [COMPILED], "name": TARGET}
    job: dict[str, Any] = room.api("POST", "/build-targets", asked)["job"]
    return job


def _weeks(room: Showroom) -> None:
    """Weeks go by: CRAN has news, and people look at packages and download them."""
    stock, words = wares.load(), room.words
    for project in stock.python:
        room.api("GET", f"/repos/{PY_REPO}/packages/{project.name}")
    for version in next(package.versions for package in stock.r if package.name == FAMOUS):
        room.api("GET", f"/repos/{R_REPO}/packages/{FAMOUS}?version={version}")
    newer = [package for package in stock.r if len(package.versions) > 2]
    latest = {package.name: package.versions[-1] for package in stock.r}
    for week in range(WEEKS):
        for number, package in enumerate(newer[week::WEEKS]):
            version = latest[package.name] = f"{package.versions[-1]}.{week + 1}"
            day = room.clock() - timedelta(days=number, hours=2)
            room.cran.add(package.name, version, showstock.package_of(package, version, words), day)
        _other_news(room, week, latest)
        room.cran.publish()
        showstock.publish_facts(room.cran, stock.r, latest, words, room.clock())
        room.sync("cran")
        if week == 7:
            room.bioc.part("3.18", "bioc", {**stock.bioconductor["bioc"], **stock.bioconductor_later})
        if week % 4 == 3 or week == WEEKS - 1:
            room.sync("bioconductor")
        current = {each["name"]: each["version"] for each in room.api("GET", f"/repos/{R_REPO}/packages?_limit=1000")}
        for day in range(5):
            _downloads(room, week * 7 + day, current)
            room.live.app.usage.flush()
            room.wait(days=1)
        if week < WEEKS - 1:
            room.wait(days=2)


def _other_news(room: Showroom, week: int, latest: dict[str, str]) -> None:
    """What is not just a newer version: a package that is new, one that is off, one with another licence."""
    day, stock = room.clock() - timedelta(hours=3), {package.name: package for package in wares.load().r}
    if week == 2:
        package = replace(stock["zip"], name="arrow", title="Columns in Memory, Shared with Others")
        room.cran.add("arrow", "20.0.0", showstock.package_of(package, "20.0.0", room.words), day)
    elif week == 4:
        room.cran.remove("praise", day)
    elif week == 6:
        latest["yaml"] = "3.0.0"
        package = replace(stock["yaml"], licence="Apache License (>= 2)")
        room.cran.add("yaml", "3.0.0", showstock.package_of(package, "3.0.0", room.words), day)


def _downloads(room: Showroom, day: int, current: Mapping[str, str]) -> None:
    """One day's: more of some than of others, by several clients."""
    for place, name in enumerate((FAMOUS, "rlang", "dplyr", "cli", OWN)):
        path = f"/{R_REPO}/latest/{CONTRIB}/{name}_{current[name]}.tar.gz"
        for agent, share in _CLIENTS:
            for _ in range((share * (day % 7 + 2 + day // 15) * (5 - place)) // 30):
                assert room.live.get(path, user_agent=agent).status == 200, path
    for name in (PY_FAMOUS, "numpy"):
        upload = room.pypi.uploads(name)[-2]
        for agent, share in _PY_CLIENTS:
            for _ in range(share * (day % 5 + 1) // 5):
                path = f"/{PY_REPO}/latest/packages/{name}/{upload.name}"
                room.live.get(f"/{PY_REPO}/latest/simple/{name}/", user_agent=agent.format(_LINEHAUL))
                assert room.live.get(path, user_agent=agent.format(_LINEHAUL)).status == 200, path


def _curate(room: Showroom) -> None:
    """A curated source at a snapshot of some weeks ago, and a proposal that nobody has decided on yet."""
    path, comment = f"/sources/{CURATED}/proposals", room.words.line("reviewed by the board on 6 May", 1000)
    listed = "ggplot2\nshiny\nsf\ndata.table\n"
    room.api("POST", path, {"list": listed, "snapshot": "2025-05-05", "commit": True, "comment": comment})
    made = room.api("POST", path, {"list": f"{listed}httr2\nknitr\ndata.tabel\n", "skip_missing": True})
    room.proposal = made["id"]


def _people(room: Showroom) -> None:
    """Tokens of people and machines, one of them revoked."""
    for user, scopes, described, more in (
        ("ada", ["repos:read"], "her laptop", {"repos": [CLOSED_REPO], "expires": "90d"}),
        ("ci", ["sources:write"], "publishes what the pipelines make", {"sources": [LOCAL, LOCAL_PY]}),
        ("noor", ["global:admin"], "administration", {"expires": "30d"}),
        ("guest", ["repos:read"], "a visitor", {"repos": ["*"], "expires": "7d"}),
    ):
        wish = {"scopes": scopes, "user": user, "description": room.words.line(described, 500), **more}
        made = room.api("POST", "/tokens", wish)
        room.tokens[user], room.guids[user] = made["token"], made["guid"]
    room.api("POST", "/tokens/revoke", {"guid": made["guid"]})


def _work(room: Showroom) -> None:
    """Jobs: one that failed, and one that is under way and stays so."""
    indexes = [f"{CONTRIB}/{name}" for name in ("PACKAGES.gz", "PACKAGES")]
    for index in indexes:
        room.cran.fail(index, "html")
    room.job = room.sync("cran")["id"]
    for index in indexes:
        room.cran.heal(index)
    room.wait(minutes=20)
    room.sync("cran")
    # CRAN tells nothing of what archived versions need: they are read one by one, until some don't answer.
    for package in wares.load().r:
        for version in package.versions if package.name >= "r" else ():
            path = f"{CONTRIB}/Archive/{package.name}/{package.name}_{version}.tar.gz"
            room.cran.fail(path, "drip")
    room.running_job = room.api("POST", "/sources/cran/describe", {})["id"]
    eventually(
        lambda: room.api("GET", f"/jobs/{room.running_job}"), lambda job: job["progress"]["done"], seconds=_PATIENCE
    )
