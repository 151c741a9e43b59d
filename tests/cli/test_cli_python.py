"""Commands on Python packages, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Entrepot
from tests.support.distributions import sdist, wheel
from tests.support.server import Live

MARK = {"change": "updated", "name": "demo", "version": "1.0", "previous": None}


@pytest.fixture
def live_server(live: Live) -> Live:
    """In place of the stand-in."""
    return live


@pytest.fixture
def team(entrepot: Entrepot, tmp_path: Path) -> Entrepot:
    """The command line for a server whose source `team` has demo 1.0, as wheel and sdist, and 1.1."""
    entrepot.said("create", "source", "--name=team", "--type=local-python")
    paths = []
    for name, data in (wheel("demo", "1.0"), sdist("demo", "1.0"), wheel("demo", "1.1")):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    said = entrepot.said("add", "--source=team", f"--path={','.join(map(str, paths))}")
    assert said == [f"Added package '{path.name}'" for path in paths]
    return entrepot


def test_add_again(team: Entrepot, tmp_path: Path) -> None:
    """The same file is no change, another one under its name a conflict (5)."""
    path = tmp_path / "demo-1.1-py3-none-any.whl"
    assert team.said("add", "--source=team", f"--path={path}") == ["Nothing changed"]
    path.write_bytes(wheel("demo", "1.1", description="other")[1])
    code, said = team.failed("add", "--source=team", f"--path={path}")
    assert code == 5
    assert "demo-1.1-py3-none-any.whl already exists in source 'team' with other bytes" in said[0]
    assert team.said("add", "--source=team", f"--path={path}", "--replace") == [f"Added package '{path.name}'"]


def test_yank_and_unyank(team: Entrepot) -> None:
    """A version or a file; a second time changes nothing."""
    name = "--name=demo@1.0"
    assert team.said("yank", name, "--source=team", "--reason=bad") == ["Yanked package 'demo' 1.0"]
    assert team.said("yank", name, "--source=team", "--reason=bad") == ["Nothing changed"]
    done = team.json("unyank", name, "--source=team", "--comment=fine again")
    assert done["changes"] == [MARK]
    file = "--name=demo@demo-1.0.tar.gz"
    assert team.said("yank", file, "--source=team") == ["Yanked file 'demo-1.0.tar.gz'"]
    assert team.said("unyank", file, "--source=team") == ["Unyanked file 'demo-1.0.tar.gz'"]


def test_what_can_not_be_yanked(team: Entrepot) -> None:
    """Versions that aren't there (4), names that don't say which (2), R packages (2); archiving has no meaning (2)."""
    assert team.failed("yank", "--name=demo@9.9", "--source=team")[0] == 4
    for verb in ("yank", "unyank"):
        assert team.failed(verb, "--name=demo", "--source=team") == (
            2,
            [
                f"Error: 'demo' does not say what of the package to {verb}",
                "Hint: give --name=demo@1.2.3 (that version)",
            ],
        )
    assert team.failed("archive", "--name=demo", "--source=team")[0] == 2
    assert team.failed("yank", "--name=demo@1.0", "--source=cran")[0] == 2


def test_remove(team: Entrepot) -> None:
    """A file, the newest version, a version, all."""
    said = team.said("remove", "package", "--name=demo@demo-1.0.tar.gz", "--source=team")
    assert said == ["Removed file 'demo-1.0.tar.gz'"]
    assert team.said("remove", "package", "--name=Demo@current", "--source=team") == ["Removed package 'demo' 1.1"]
    assert team.said("remove", "package", "--name=demo@1.0.0", "--source=team") == ["Removed package 'demo' 1.0"]
    assert team.failed("remove", "package", "--name=demo@all", "--source=team")[0] == 4


def test_bad_files_are_all_named(team: Entrepot, tmp_path: Path) -> None:
    """All faults of an add together (2), and nothing is added."""
    bad = [tmp_path / "x-1.0.tar.gz", tmp_path / "y-1.0-py3-none-any.whl"]
    for path in bad:
        path.write_bytes(b"")
    code, said = team.failed("add", "--source=team", f"--path={bad[0]},{bad[1]}")
    assert code == 2
    assert all(path.name in "\n".join(said) for path in bad)
