"""Resolver scenarios (packse): each resolved by uv from our own source and from a static index of the same files.

All of their packages are in one source, each name with that of its scenario before it. The scenarios are shared data
beside the checkout; without them this is skipped.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi, Form
from tests.support.python import Tools, index
from tests.support.server import Live

DATA = Path(__file__).parents[3] / "shared" / "data"
SCENARIOS = 148
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""What is resolved for, where the scenario doesn't say."""
_TOOK = re.compile(r" in [0-9.]+m?s\b")
SOLVED_BY_NOW = {"preferences-dependent-forking-conflicting"}
"""What uv finds a solution for that the scenarios' authors didn't expect; also of pre-releases it takes more."""
AT_ONCE = 100
"""Files of one upload."""
pytestmark = [
    pytest.mark.one_shape,
    pytest.mark.shared,
    pytest.mark.skipif(not list(DATA.glob("packse-scenarios-*.tar.xz")), reason="no shared data beside the checkout"),
]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: its packages' files, which of them are yanked, and what uv is asked."""

    name: str
    requires: list[str]
    requires_python: str | None
    files: list[tuple[str, bytes]]
    yanked: list[tuple[str, str]]
    options: dict[str, Any]
    python: str
    expected: dict[str, Any]

    def package(self, name: str) -> str:
        return _renamed(self.name, name)


def read_scenarios() -> Iterator[Scenario]:
    (archive,) = DATA.glob("packse-scenarios-*.tar.xz")
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            found = tar.extractfile(member) if member.name.endswith(".toml") else None
            if found is not None:
                yield _scenario(tomllib.loads(found.read().decode()))


def _scenario(told: dict[str, Any]) -> Scenario:
    name, options = told["name"], told.get("resolver_options", {})
    files: list[tuple[str, bytes]] = []
    yanked = []
    for package, versions in told["packages"].items():
        for version, facts in versions["versions"].items():
            files += _files(name, package, version, facts)
            if facts.get("yanked"):
                yanked.append((_renamed(name, package), version))
    return Scenario(
        name,
        [_requirement(name, line) for line in told["root"]["requires"]],
        told["root"].get("requires_python"),
        files,
        yanked,
        options,
        options.get("python") or told.get("environment", {}).get("python", PYTHON),
        told["expected"],
    )


def _files(scenario: str, package: str, version: str, facts: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The wheels and the sdist of a version."""
    extras = facts.get("extras", {})
    requires = [_requirement(scenario, line) for line in facts.get("requires", [])]
    for extra, lines in extras.items():
        requires += [_with_extra(_requirement(scenario, line), extra) for line in lines]
    more: dict[str, Any] = {
        "requires": requires,
        "requires_python": facts.get("requires_python"),
        "extras": list(extras),
    }
    if facts.get("wheel", True):
        for tag in facts.get("wheel_tags", ["py3-none-any"]):
            yield wheel(_renamed(scenario, package), version, tag=tag, **more)
    if facts.get("sdist", True):
        yield sdist(_renamed(scenario, package), version, **more)


def _renamed(scenario: str, package: str) -> str:
    return canonicalize_name(f"{scenario}-{package}")


def _requirement(scenario: str, line: str) -> str:
    found = Requirement(line)
    found.name = _renamed(scenario, found.name)
    return str(found)


def _with_extra(requirement: str, extra: str) -> str:
    line, _, marker = requirement.partition(";")
    marker = f"({marker.strip()}) and " if marker else ""
    return f"{line.strip()} ; {marker}extra == '{extra}'"


# --- the two indexes -----------------------------------------------------------------------------------------------


@pytest.fixture
def ours(live: Live) -> str:
    """The index of our own source, still empty."""
    assert live.api("POST", "/sources", {"name": "packse", "type": "local-python"})[0] == 201
    assert live.api("POST", "/repos", {"name": "packse", "type": "python"})[0] == 201
    assert live.api("POST", "/repos/packse/sources", {"source": "packse"})[0] == 200
    return index(live, repo="packse")


def fill(live: Live, scenarios: list[Scenario]) -> None:
    """Upload and yank."""
    files = [file for scenario in scenarios for file in scenario.files]
    for start in range(0, len(files), AT_ONCE):
        status, told = live.upload("packse", *files[start : start + AT_ONCE])
        assert status in (200, 201), told
    for package, version in (each for scenario in scenarios for each in scenario.yanked):
        body = {"scope": version, "reason": "broken"}
        status, told = live.api("POST", f"/sources/packse/packages/{package}/yank", body)
        assert status == 200, told


def fill_static(pypi: FakePypi, scenarios: list[Scenario]) -> None:
    """The same files as links in plain HTML."""
    pypi.form = Form.HTML
    for scenario in scenarios:
        for file in scenario.files:
            upload = pypi.add(*file, uploaded=None)
            if (canonicalize_name(upload.project), upload.version) in scenario.yanked:
                pypi.change(upload.name, yanked="broken")


# --- what uv makes of them -----------------------------------------------------------------------------------------


def outcome(tools: Tools, scenario: Scenario, url: str, folder: Path) -> str:
    """All that uv says and pins, without what must differ: the address of the index and where it has its files."""
    folder.mkdir(parents=True)
    # uv lock needs a Python that the project allows; where this one isn't, pip compile resolves for all platforms too.
    is_allowed = SpecifierSet(scenario.requires_python or "").contains(PYTHON)
    resolve = _lock if scenario.options.get("universal") and is_allowed else _compile
    said = resolve(tools, scenario, url, folder)
    return said.replace(url, "INDEX").replace(url.rstrip("/"), "INDEX").replace(str(folder), "FOLDER")


def _compile(tools: Tools, scenario: Scenario, url: str, folder: Path) -> str:
    wanted, options = folder / "wanted.in", scenario.options
    wanted.write_text("\n".join(scenario.requires))
    arguments = ["--python-version", scenario.python, "--no-header", "--generate-hashes", "--default-index", url]
    arguments += ["--universal"] if options.get("universal") else []
    arguments += ["--prerelease", "allow"] if options.get("prereleases") else []
    arguments += ["--python-platform", options["python_platform"]] if "python_platform" in options else []
    for name in options.get("no_build", ()):
        arguments += ["--only-binary", scenario.package(name)]
    for name in options.get("no_binary", ()):
        arguments += ["--no-binary", scenario.package(name)]
    status, said = tools.attempt("uv", "pip", "compile", *arguments, str(wanted), cwd=folder)
    return f"{status}\n{_TOOK.sub('', said)}"


def _lock(tools: Tools, scenario: Scenario, url: str, folder: Path) -> str:
    needed = scenario.options.get("required_environments", [])
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "root"\nversion = "0"\nrequires-python = "{scenario.requires_python or f">={PYTHON}"}"\n'
        f"dependencies = {scenario.requires!r}\n[tool.uv]\nrequired-environments = {needed!r}\n"
    )
    status, said = tools.attempt("uv", "lock", "--python", sys.executable, "--default-index", url, cwd=folder)
    if status:
        return f"{status}\n{said}"
    locked = (folder / "uv.lock").read_text()
    # Where a file is and when it came is each index's own affair.
    locked = re.sub(r'url = "[^"]*/', 'url = "', locked)
    return f"0\n{re.sub(r', (size|upload-time) = [^,}]*[^,} ]', '', locked)}"


def test_every_scenario_has_the_same_outcome(live: Live, ours: str, pypi: FakePypi, tmp_path: Path) -> None:
    """What uv pins, and what it says where nothing fits, is the same from us and from a static index."""
    scenarios = list(read_scenarios())
    assert len(scenarios) == SCENARIOS
    fill(live, scenarios)
    fill_static(pypi, scenarios)
    tools = Tools(tmp_path / "uv")

    def resolve(scenario: Scenario) -> tuple[str, str]:
        place = tmp_path / scenario.name
        from_us = outcome(tools, scenario, ours, place / "ours")
        return from_us, outcome(tools, scenario, f"{pypi.upstream}/", place / "static")

    with ThreadPoolExecutor(3) as threads:
        found = dict(zip((scenario.name for scenario in scenarios), threads.map(resolve, scenarios), strict=True))
    assert {name: ours for name, (ours, _) in found.items()} == {name: static for name, (_, static) in found.items()}
    solved = {name for name, (ours, _) in found.items() if ours.startswith("0\n")}
    expected = {scenario.name for scenario in scenarios if scenario.expected["satisfiable"]}
    assert {name for name in solved ^ expected if "prerelease" not in name} <= SOLVED_BY_NOW
