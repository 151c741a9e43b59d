"""Six real clients publish to a source of our own, and pip installs what they published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.distributions import sdist, wheel
from tests.support.python import Tools
from tests.support.server import Live

pytestmark = pytest.mark.one_shape

NAME = "Demo.Pkg"
PYPROJECT = f"""
[build-system]
requires = ["flit_core >=3.2,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "{NAME}"
version = "1.0"
description = "What it does"
requires-python = ">=3.8"
readme = "README.md"
classifiers = ["Private :: Do Not Upload"]

[tool.flit.module]
name = "demo_pkg"
"""
"""Of a project that needs no build tool from elsewhere: flit builds by itself, the others find what is built."""


@pytest.fixture
def site(live: Live) -> Live:
    """With the source `team` in the repository `py`."""
    live.api("POST", "/sources", {"name": "team", "type": "local-python"})
    live.api("POST", "/repos", {"name": "py", "type": "python"})
    live.api("POST", "/repos/py/sources", {"source": "team"})
    return live


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "clients")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with its wheel and its sdist in `dist`."""
    folder = tmp_path / "project"
    build(folder)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "README.md").write_text("Hällo\n")
    (folder / "demo_pkg.py").write_text('"""What it does"""\n__version__ = "1.0"\n')
    return folder


def build(folder: Path, *, description: str = "") -> None:
    (folder / "dist").mkdir(parents=True, exist_ok=True)
    for name, data in (
        wheel(NAME, "1.0", requires_python=">=3.8", description=description),
        sdist(NAME, "1.0", requires_python=">=3.8", description=description),
    ):
        (folder / "dist" / name).write_bytes(data)


def url(site: Live) -> str:
    return f"{site.address}/upload/pypi/team"


def with_twine(tools: Tools, site: Live, project: Path) -> str:
    env = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": site.token, "TWINE_NON_INTERACTIVE": "1"}
    return tools.run("twine", "upload", "--repository-url", url(site), *files(project), cwd=project, env=env)


def with_uv(tools: Tools, site: Live, project: Path) -> str:
    env = {"UV_PUBLISH_TOKEN": site.token, "UV_PUBLISH_URL": url(site)}
    return tools.run("uv", "publish", "--trusted-publishing", "never", *files(project), cwd=project, env=env)


def with_poetry(tools: Tools, site: Live, project: Path, *more: str) -> str:
    env = {"POETRY_REPOSITORIES_TEAM_URL": url(site), "POETRY_PYPI_TOKEN_TEAM": site.token}
    return tools.run("poetry", "publish", "--repository", "team", *more, cwd=project, env=env)


def with_pdm(tools: Tools, site: Live, project: Path, *more: str) -> str:
    env = {"PDM_PUBLISH_REPO": url(site), "PDM_PUBLISH_USERNAME": "__token__", "PDM_PUBLISH_PASSWORD": site.token}
    return tools.run("pdm", "publish", "--no-build", *more, cwd=project, env=env)


def with_hatch(tools: Tools, site: Live, project: Path) -> str:
    env = {"HATCH_INDEX_REPO": url(site), "HATCH_INDEX_USER": "__token__", "HATCH_INDEX_AUTH": site.token}
    return tools.run("hatch", "publish", "--no-prompt", *files(project), cwd=project, env=env)


def with_flit(tools: Tools, site: Live, project: Path) -> str:
    env = {"FLIT_INDEX_URL": url(site), "FLIT_USERNAME": "__token__", "FLIT_PASSWORD": site.token}
    return tools.run("flit", "publish", cwd=project, env=env)


Publish = Callable[..., str]
"""Of tools, site, project and, for some, more flags."""
CLIENTS: dict[str, Publish] = {
    "twine": with_twine,
    "uv": with_uv,
    "poetry": with_poetry,
    "pdm": with_pdm,
    "hatch": with_hatch,
    "flit": with_flit,
}


def files(project: Path) -> list[str]:
    return sorted(str(path) for path in (project / "dist").iterdir())


def listed(site: Live) -> dict[str, dict[str, object]]:
    """File name -> what the project's page says of it."""
    page = site.get("/py/latest/simple/demo-pkg/", Accept="application/vnd.pypi.simple.v1+json")
    return {file["filename"]: file for file in page.json()["files"]} if page.status == 200 else {}


@pytest.mark.parametrize("client", CLIENTS)
def test_publish_and_install(client: str, tools: Tools, site: Live, project: Path) -> None:
    """Wheel and sdist are published, again without a change, and pip installs each of them."""
    CLIENTS[client](tools, site, project)
    found = listed(site)
    assert found.keys() == {"demo_pkg-1.0-py3-none-any.whl", "demo_pkg-1.0.tar.gz"} or client == "flit"
    assert len(found) == 2
    assert {file["requires-python"] for file in found.values()} == {">=3.8"}
    if client != "flit":  # which builds anew, with other times
        CLIENTS[client](tools, site, project)
    assert listed(site) == found
    index = f"{site.address}/py/latest/simple/"
    kinds = ["--only-binary=:all:"] if client == "flit" else ["--only-binary=:all:", "--no-binary=:all:"]
    for kind in kinds:
        venv = tools.venv()
        tools.pip("install", "--index-url", index, kind, "demo.pkg", venv=venv)
        assert tools.says(venv, "import demo_pkg; print(demo_pkg.__version__)") == "1.0"


@pytest.mark.parametrize("client", ["twine", "poetry", "pdm", "hatch"])
def test_other_bytes_under_a_name_are_refused(client: str, tools: Tools, site: Live, project: Path) -> None:
    """In our words; poetry and pdm take that for no failure where they are told to (twine does for one index alone)."""
    CLIENTS[client](tools, site, project)
    before = listed(site)
    build(project, description="other")
    with pytest.raises(AssertionError) as raised:
        CLIENTS[client](tools, site, project)
    assert "409" in str(raised.value)
    assert "already exists in source 'team' with other" in " ".join(str(raised.value).split())
    if client in ("poetry", "pdm"):
        CLIENTS[client](tools, site, project, "--skip-existing")
    assert listed(site) == before


def test_uv_looks_at_the_index_first(tools: Tools, site: Live, project: Path) -> None:
    """`--check-url`: what is there already is not sent again; a file of other bytes is an error."""
    env = {"UV_PUBLISH_TOKEN": site.token, "UV_PUBLISH_URL": url(site)}
    publish = ["publish", "--check-url", f"{site.address}/py/latest/simple/", "--trusted-publishing", "never"]
    with_uv(tools, site, project)
    said = tools.run("uv", *publish, *files(project), cwd=project, env=env)
    assert said.count("already exists") == 2
    build(project, description="other")
    tools.run("uv", *publish, *files(project), cwd=project, env=env, fails=True)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_clients_show_of_a_refusal(client: str, tools: Tools, site: Live, project: Path) -> None:
    """A token that isn't valid is told as such."""
    with pytest.raises(AssertionError) as raised:
        CLIENTS[client](tools, replace(site, token="wrong"), project)
    assert "401" in str(raised.value)
    assert "the token is not good" in " ".join(str(raised.value).split())
    assert listed(site) == {}


@pytest.mark.parametrize("client", ["twine", "uv", "poetry", "pdm", "hatch"])
def test_what_clients_show_of_a_bad_file(client: str, tools: Tools, site: Live, project: Path) -> None:
    """A wheel whose RECORD is wrong, which each of them sends without a look at it."""
    (wheel_file,) = (project / "dist").glob("*.whl")
    (project / "dist" / "demo_pkg-1.0.tar.gz").unlink()
    wheel_file.write_bytes(wheel(NAME, "1.0", edit_record=lambda record: record.replace("sha256=", "sha256=x", 1))[1])
    with pytest.raises(AssertionError) as raised:
        CLIENTS[client](tools, site, project)
    assert "400" in str(raised.value)
    assert "its RECORD has another hash" in " ".join(str(raised.value).split())
    assert listed(site) == {}
