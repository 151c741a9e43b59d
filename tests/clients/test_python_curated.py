"""pip and uv install from a curated PyPI source alone, on two versions of Python."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import proposals, repositories, sources
from entrepot.operations.proposals import Narrow, Proposal, Wish
from tests.support import pages
from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi
from tests.support.python import Tools, index
from tests.support.server import Clock, Live

pytestmark = pytest.mark.one_shape

MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
OWN = sys.version_info.minor
MACHINE = platform.machine()
PLATFORM = {"darwin": f"macos-{MACHINE}", "win32": "windows"}.get(sys.platform, f"linux-{MACHINE}")
TAG = f"macosx_11_0_{MACHINE}" if sys.platform == "darwin" else f"manylinux_2_17_{MACHINE}"
ELSEWHERE = "win_amd64"

Interpreters = dict[int, str]
"""Minor version of Python 3 -> an interpreter."""


def found(minor: int) -> str | None:
    """An interpreter of that version that starts: on PATH, or installed beside the one that runs the tests."""
    name = f"python3.{minor}"
    beside = Path(sys.base_prefix).resolve().parent.glob(f"*/bin/{name}")
    for path in (shutil.which(name), *sorted(map(str, beside))):
        code = "import sys; print(sys.implementation.name, *sys.version_info[:2])"
        done = path and subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        if done and done.stdout.split() == ["cpython", "3", str(minor)]:
            return path
    return None


@pytest.fixture(scope="module")
def pythons() -> Interpreters:
    """The interpreter of the tests and one of another version, the older one first."""
    other = next(((minor, path) for minor in (12, 13, 14, 10, 11) if minor != OWN and (path := found(minor))), None)
    if other is None:
        pytest.skip("there is no second version of Python on PATH or beside this one")
    return dict(sorted([(OWN, sys.executable), other]))


@pytest.fixture
def site(live_proxied: Live, pypi: FakePypi, pythons: Interpreters, clock: Clock) -> Live:
    """A site whose repository `team` is the curated source `set` alone, over an index with the needs of an application.

    Binary wheels are for both Pythons, other platforms and older Pythons; a project has only an sdist; there is one
    version of `numbers` for each of the two Pythons; of each there came a newer version after the snapshot.
    """
    stock(pypi, *pythons)
    sources.create_source(live_proxied.app, "set", type_=SourceType.CURATED_PYPI, actor="test")
    repositories.create_repository(live_proxied.app, "team", type_=RepositoryType.PYTHON)
    repositories.subscribe(live_proxied.app, "team", "set", actor="test")
    return live_proxied


def stock(pypi: FakePypi, old: int, new: int) -> None:
    def add(*file: tuple[str, bytes], at: datetime = MAY) -> None:
        for each in file:
            pypi.add(*each, uploaded=at)

    needs = [
        "fast[accelerated]>=1",
        f"backport; python_version < '3.{new}'",
        "colours; sys_platform == 'win32'",
        "numbers",
        "stable~=1.0",
    ]
    cli = ["prompts; extra == 'cli'"]
    add(wheel("app", "1.0", requires=["fast"]), wheel("app", "2.0", requires=[*needs, *cli], extras=["cli"]))
    extra = {"requires": ["deep; extra == 'accelerated'"], "extras": ["accelerated"]}
    for python in (f"cp3{old}-cp3{old}", f"cp3{new}-cp3{new}", "cp38-cp38"):
        for system in (TAG, ELSEWHERE):
            add(wheel("fast", "1.5", tag=f"{python}-{system}", **extra))  # type: ignore[arg-type]
    add(sdist("fast", "1.5", **extra))  # type: ignore[arg-type]
    for system in (TAG, ELSEWHERE):
        add(wheel("stable", "1.2", tag=f"cp39-abi3-{system}"))
    add(wheel("stable", "2.0", tag=f"cp39-abi3-{TAG}"), wheel("backport", "0.3", requires=["deep<3"]))
    add(
        wheel("colours", "1"), wheel("prompts", "4.1", requires=["Deep>=1"]), wheel("deep", "1.0"), wheel("deep", "2.0")
    )
    add(wheel("numbers", "1.9", requires_python=">=3.8"), wheel("numbers", "2.4", requires_python=f">=3.{new}"))
    add(sdist("source", "0.7", requires=["deep"]))
    for name in ("app", "fast", "numbers", "deep", "source", "backport", "stable", "prompts"):
        add(wheel(name, "9.0", requires=["unheard-of"]), at=MAY + timedelta(days=90))


LIST = ("app[cli]>=1", "deep")
BINARY = {"app": "2.0", "fast": "1.5", "stable": "1.2", "prompts": "4.1", "deep": "2.0"}


def expected(minor: int, pythons: Interpreters, *more: str) -> dict[str, str]:
    """What is installed on a Python."""
    by_python = {"numbers": "2.4"} if minor == max(pythons) else {"numbers": "1.9", "backport": "0.3"}
    return {**BINARY, **by_python, **dict(each.split("==") for each in more)}


def commit(site: Live, *lines: str, narrow: Narrow) -> Proposal:
    wish = Wish("update", list_text="\n".join(lines), snapshot="2023-06-01", narrow=narrow)
    return proposals.propose_and_commit(site.app, "set", wish, actor="test")[0]


def check_installs(site: Live, tools: Tools, lines: tuple[str, ...], minor: int, python: str) -> list[dict[str, str]]:
    """What is there after `uv pip compile` and `uv pip sync`, and after `pip install`."""
    url = index(site, repo="team")
    listed, locked = tools.folder / f"in-{minor}.txt", tools.folder / f"lock-{minor}.txt"
    listed.write_text("\n".join(lines))
    synced, installed = (tools.folder / f"{name}-{minor}" for name in ("uv", "pip"))
    for folder in (synced, installed):
        tools.uv("venv", "--quiet", "--python", python, str(folder))
    compiled = ("--generate-hashes", "--quiet", "--no-emit-index-url", "--output-file", str(locked))
    tools.uv("pip", "compile", "--default-index", url, "--python", python, *compiled, str(listed))
    assert locked.read_text().count("sha256:") >= len(BINARY)
    hashes = ("--require-hashes", "--default-index", url)
    tools.uv("pip", "sync", "--quiet", "--python", str(synced), *hashes, str(locked))
    tools.pip("install", "--no-cache-dir", "--index-url", url, "--requirement", str(listed), venv=installed)
    return [tools.installed(synced), tools.installed(installed)]


def test_a_list_with_what_it_needs(site: Live, tools: Tools, pypi: FakePypi, pythons: Interpreters) -> None:
    """`uv pip sync` and `pip install` succeed from the source alone, on both Pythons, with what was there at the
    snapshot; upstream is asked for files and nothing else."""
    lines = (*LIST, "source")
    narrow = Narrow(with_dependencies=True, python_versions=tuple(f"3.{minor}" for minor in pythons))
    made = commit(site, *lines, narrow=narrow)
    names = {*expected(min(pythons), pythons), "colours", "source"}
    assert {item.package for item in made.report.items} == names
    assert made.report.missing == ()
    assert pages.names(site, repo="team") == sorted(names)
    pypi.requests.clear()
    for minor, python in pythons.items():
        wanted = expected(minor, pythons, "source==0.7")
        assert check_installs(site, tools, lines, minor, python) == [wanted, wanted]
    assert {asked.path.partition("/")[0] for asked in pypi.requests} == {"files"}


def test_narrowed_to_these_machines(site: Live, tools: Tools, pypi: FakePypi, pythons: Interpreters) -> None:
    """With wheels alone, for this platform and these Pythons, both still install all of it."""
    versions = tuple(f"3.{minor}" for minor in pythons)
    narrow = Narrow(with_dependencies=True, only_binary=True, platforms=(PLATFORM,), python_versions=versions)
    commit(site, *LIST, narrow=narrow)
    assert sorted(pages.files(site, "fast", repo="team")) == [
        f"fast-1.5-cp3{minor}-cp3{minor}-{TAG}.whl" for minor in sorted(pythons, key=str)
    ]
    assert list(pages.files(site, "stable", repo="team")) == [f"stable-1.2-cp39-abi3-{TAG}.whl"]
    for minor, python in pythons.items():
        wanted = expected(minor, pythons)
        assert check_installs(site, tools, LIST, minor, python) == [wanted, wanted]


def test_one_python_of_the_two(site: Live, tools: Tools, pythons: Interpreters) -> None:
    """What was narrowed to one Python has nothing that another one could take in place of it."""
    old, new = pythons
    narrow = Narrow(with_dependencies=True, only_binary=True, python_versions=(f"3.{new}",))
    commit(site, *LIST, narrow=narrow)
    assert pages.files(site, "backport", repo="team") == {}
    url = index(site, repo="team")
    folder = tools.folder / "old"
    tools.uv("venv", "--quiet", "--python", pythons[old], str(folder))
    tools.pip("install", "--index-url", url, *LIST, venv=folder, fails=True)
    tools.uv("pip", "install", "--python", str(folder), "--default-index", url, *LIST, fails=True)
    assert tools.installed(folder) == {}


def test_without_what_it_needs(site: Live, tools: Tools, pythons: Interpreters) -> None:
    """The list alone is a filter: what it doesn't name can't be had, and an installer says so."""
    commit(site, "app", "deep", narrow=Narrow())
    folder = tools.folder / "alone"
    tools.uv("venv", "--quiet", "--python", sys.executable, str(folder))
    said = tools.pip("install", "--index-url", index(site, repo="team"), "app>=2", venv=folder, fails=True)
    assert "No matching distribution found for fast" in said
    tools.pip("install", "--index-url", index(site, repo="team"), "deep", venv=folder)
    assert tools.installed(folder) == {"deep": "2.0"}


def test_a_lock_goes_on_to_install(
    site: Live, tools: Tools, pypi: FakePypi, clock: Clock, pythons: Interpreters
) -> None:
    """A lock that was compiled from a snapshot of the repository installs after the source has moved on, from the
    transaction that it was compiled at."""
    narrow = Narrow(with_dependencies=True, python_versions=tuple(f"3.{minor}" for minor in pythons))
    at = commit(site, *LIST, narrow=narrow).row.committed
    url = index(site, str(at), repo="team")
    listed, locked = tools.folder / "in.txt", tools.folder / "lock.txt"
    listed.write_text("\n".join(LIST))
    compiled = ("--generate-hashes", "--quiet", "--output-file", str(locked), str(listed))
    tools.uv("pip", "compile", "--default-index", url, "--python", sys.executable, *compiled)
    pypi.change("deep-2.0-py3-none-any.whl", yanked="broken")
    clock.wait(days=1)
    moved = Wish("update", list_text="deep", narrow=Narrow(with_dependencies=False))
    made = proposals.propose(site.app, "set", moved, actor="test")
    proposals.commit(site.app, "set", made.row.id, actor="test")
    assert pages.files(site, "app", repo="team") == {}
    folder = tools.folder / "later"
    tools.uv("venv", "--quiet", "--python", sys.executable, str(folder))
    tools.uv("pip", "sync", "--quiet", "--python", str(folder), "--default-index", url, str(locked))
    assert tools.installed(folder) == expected(OWN, pythons)
