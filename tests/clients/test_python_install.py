"""Real clients install from a mirrored index and from our own packages: now, and as of a day."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.python import Tools, index
from tests.support.server import Live

DAY = "2023-05-01"
OLD = {"app": "1.0", "six-foo-bar": "1.0", "leaf": "1.5"}
NEW = {"app": "2.0", "six-foo-bar": "2.0", "leaf": "1.9.1"}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


Install = Callable[[Tools, str], dict[str, str]]


def with_pip(tools: Tools, url: str) -> dict[str, str]:
    venv = tools.venv()
    tools.pip("install", "--index-url", url, "app", venv=venv)
    return tools.installed(venv)


def with_uv(tools: Tools, url: str) -> dict[str, str]:
    venv = tools.venv()
    tools.uv("pip", "install", "--python", str(venv), "--default-index", url, "app")
    return tools.installed(venv)


def with_uv_project(tools: Tools, url: str) -> dict[str, str]:
    """uv lock, then sync from the lock file, which names hashes and our URLs."""
    folder = project(tools, "uv", f'[[tool.uv.index]]\nurl = "{url}"\ndefault = true\n')
    tools.uv("lock", cwd=folder)
    locked = (folder / "uv.lock").read_text()
    assert locked.count("sha256:") >= 3
    tools.uv("sync", "--locked", "--python", sys.executable, cwd=folder)
    return tools.installed(folder / ".venv")


def with_poetry(tools: Tools, url: str) -> dict[str, str]:
    source = f'[[tool.poetry.source]]\nname = "ours"\nurl = "{url}"\npriority = "primary"\n'
    folder = project(tools, "poetry", f"[tool.poetry]\npackage-mode = false\n{source}")
    tools.run("poetry", "lock", cwd=folder)
    tools.run("poetry", "sync", cwd=folder)
    return tools.installed(folder / ".venv")


def with_pdm(tools: Tools, url: str) -> dict[str, str]:
    source = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{url}"\nverify_ssl = false\n'
    finals = "[tool.pdm.resolution]\nallow-prereleases = false\n"
    folder = project(tools, "pdm", f"[tool.pdm]\ndistribution = false\n{finals}{source}")
    tools.uv("venv", "--quiet", "--python", sys.executable, cwd=folder)
    tools.run("pdm", "install", cwd=folder)
    return tools.installed(folder / ".venv")


def with_pipenv(tools: Tools, url: str) -> dict[str, str]:
    folder = tools.folder / "pipenv"
    folder.mkdir()
    source = f'[[source]]\nname = "ours"\nurl = "{url}"\nverify_ssl = false\n'
    (folder / "Pipfile").write_text(f'{source}\n[packages]\napp = "*"\n')
    tools.run("pipenv", "--python", sys.executable, "install", cwd=folder)
    assert "sha256:" in (folder / "Pipfile.lock").read_text()
    return tools.installed(folder / ".venv")


def project(tools: Tools, name: str, more: str) -> Path:
    """A folder with a pyproject.toml that needs `app`."""
    folder = tools.folder / name
    folder.mkdir()
    about = f'[project]\nname = "mine"\nversion = "0"\nrequires-python = "=={PYTHON}.*"\ndependencies = ["app"]\n'
    (folder / "pyproject.toml").write_text(f"{about}\n{more}")
    return folder


CLIENTS: dict[str, Install] = {
    "pip": with_pip,
    "uv pip": with_uv,
    "uv": with_uv_project,
    "poetry": with_poetry,
    "pdm": with_pdm,
    "pipenv": with_pipenv,
}


@pytest.mark.parametrize("install", CLIENTS.values(), ids=CLIENTS.keys())
@pytest.mark.parametrize("snapshot", ["latest", DAY])
def test_a_client_installs(stocked: Live, tools: Tools, install: Install, snapshot: str) -> None:
    """A project with its dependencies: of `latest` the newest of each, of a day what there was."""
    found = install(tools, index(stocked, snapshot))
    expected = NEW if snapshot == "latest" else OLD
    assert {name: version for name, version in found.items() if name in expected} == expected
