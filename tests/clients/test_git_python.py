"""pip and uv install what was built from Git: a project in a sub-directory whose version comes from its history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.settings import Settings
from tests.support.git import START, Content, Repo
from tests.support.gitsite import build, run, team
from tests.support.python import Tools, index
from tests.support.server import Clock, Live

pytestmark = [pytest.mark.one_shape, pytest.mark.usefixtures("sandboxed")]
BACKEND = (Path(__file__).parents[1] / "support" / "python_backend.py").read_text()
DESCRIBE = """import subprocess
told = subprocess.check_output(["git", "describe", "--tags", "--long"], text=True).strip()
tag, distance, commit = told.rsplit("-", 2)
tag = tag.removeprefix("v")
open("VERSION", "w").write(tag if distance == "0" else f"{tag}.post{distance}+{commit}")
"""
"""Works out a version from the tags, as setuptools-scm and its like do."""


@pytest.fixture
def live(settings: Settings, clock: Clock) -> Iterator[Live]:
    with team(settings, clock, source="git-python", repo="python") as site:
        yield site


def project(said: str, *, version: str | None = None) -> dict[str, Content]:
    """A project in `python/` of a larger repository; without a version its history says which it is."""
    told = f'version = "{version}"' if version else 'dynamic = ["version"]'
    return {
        "README": "There is more than Python in here.\n",
        "python/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "demo"\n{told}\n',
        "python/backend.py": BACKEND,
        "python/hook.py": "" if version else DESCRIBE,
        "python/demo/__init__.py": f'said = "{said}"\n',
    }


def installed(tools: Tools, live: Live, snapshot: str | int, *, uv: bool) -> tuple[str, str]:
    """(version, what the package says) as a client installs it from a snapshot."""
    venv = tools.venv()
    where = ("--index-url", index(live, str(snapshot), repo="team"))
    if uv:
        tools.uv("pip", "install", "--quiet", "--python", str(venv), *where, "demo")
    else:
        tools.pip("install", "--quiet", *where, "demo", venv=venv)
    return tools.installed(venv)["demo"], tools.says(venv, "import demo; print(demo.said)")


@pytest.mark.parametrize("uv", [False, True], ids=["pip", "uv"])
def test_tags_of_a_dynamic_version(live: Live, tools: Tools, tmp_path: Path, uv: bool) -> None:
    repo = Repo(tmp_path / "served" / "mono.git")
    repo.tag("1.0", repo.commit(project("first")), annotated=True)
    settings = {"url": repo.file_url, "name": "demo", "sub_dir": "python", "build_trigger": "tags"}
    (first,) = build(live, **settings)
    repo.tag("v1.1", repo.commit(project("second")), annotated=True)
    (second,) = run(live)
    assert (first["version"], second["version"]) == ("1.0", "1.1")
    assert installed(tools, live, "latest", uv=uv) == ("1.1", "second")
    assert installed(tools, live, first["transaction"], uv=uv) == ("1.0", "first")


def test_commits_of_a_dynamic_version_that_rises(live: Live, tools: Tools, tmp_path: Path) -> None:
    """The backend's own version is taken as long as it rises; what doesn't gets the commit's time."""
    repo = Repo(tmp_path / "served" / "mono.git")
    first = repo.commit(project("first"), time=START)
    repo.tag("1.0", first)
    settings = {"url": repo.file_url, "name": "demo", "sub_dir": "python", "clone_depth": 0}
    assert [each["version"] for each in build(live, **settings)] == ["1.0"]
    repo.commit(project("second"), time=START + 60)
    (second,) = run(live)
    assert second["version"].startswith("1.0.post1+g")
    repo.branch("main", first)
    (back,) = run(live)
    assert installed(tools, live, "latest", uv=True) == (back["version"], "first")
    assert installed(tools, live, second["transaction"], uv=False) == (second["version"], "second")


def test_commits_of_a_static_version(live: Live, tools: Tools, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "served" / "mono.git")
    repo.commit(project("first", version="2.0"), time=START)
    (first,) = build(live, url=repo.file_url, name="demo", sub_dir="python")
    repo.commit(project("second", version="2.0"), time=START + 60)
    run(live, "Demo")
    assert installed(tools, live, "latest", uv=False) == (f"2.0.post{START + 60}", "second")
    assert installed(tools, live, first["transaction"], uv=True) == (f"2.0.post{START}", "first")
