"""`diff` and `check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Entrepot
from tests.support.archives import make_source_package
from tests.support.server import Live

HEAD = (
    "change,name,version_before,version_after,crosses_major,license_before,license_after,license_changed,"
    "source_before,source_after,releases_added,releases_removed\n"
)


@pytest.fixture
def real(live: Live) -> Entrepot:
    """The command line for a real server with a repository of one source, whose first transaction is `START`."""
    command = Entrepot(live.address, live.token)
    command.said("create", "source", "--name=internal")
    command.said("create", "repo", "--name=mine")
    command.said("subscribe", "--repo=mine", "--source=internal")
    live.upload("internal", package("abc", "1.0"), package("xyz", "1.0"))
    return command


def package(name: str, version: str, license: str = "GPL-3") -> tuple[str, bytes]:
    return f"{name}_{version}.tar.gz", make_source_package(name, version, fields={"License": license})


@pytest.fixture
def start(real: Entrepot, live: Live) -> str:
    """`--from` the state before the last changes: one package updated, one added, one archived."""
    id_ = real.json("info", "--source=internal")["transaction"]
    live.upload("internal", package("abc", "2.0", "MIT + file LICENSE"), package("new", "0.1"))
    real.said("archive", "--name=xyz", "--source=internal")
    return f"--from={id_}"


def test_diff_for_people(real: Entrepot, start: str) -> None:
    """A line a package with both versions and what else there is to know; how many there are on standard error."""
    result = real("diff", "--repo=mine", start)
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "updated   abc  1.0 -> 2.0  major version, license: GPL-3 -> MIT + file LICENSE",
            "added     new  0.1",
            "archived  xyz  1.0",
        ],
    )
    assert result.stderr == (
        "3 packages differ: 1 added, 1 updated, 1 archived (1 across a major version, 1 with another license)\n"
    )
    assert real("diff", "--source=internal", start).stdout == result.stdout
    back = real("diff", "--repo=mine", "--from=latest", start.replace("--from", "--to"))
    assert [line.split()[:2] for line in back.stdout.splitlines()] == [
        ["downgraded", "abc"],
        ["removed", "new"],
        ["added", "xyz"],
    ]
    assert real("diff", "--repo=mine", "--from=latest").stderr == "No package differs\n"


def test_diff_for_programs(real: Entrepot, live: Live, start: str) -> None:
    """JSON is what the API answers."""
    assert real.json("diff", "--repo=mine", start) == live.api("GET", f"/repos/mine/diff?{start.removeprefix('--')}")[1]


def test_diff_as_csv(real: Entrepot, start: str, tmp_path: Path) -> None:
    """CSV goes to standard output or to a file that is there whole, with the permissions of the one before."""
    csv = HEAD + (
        "updated,abc,1.0,2.0,true,GPL-3,MIT + file LICENSE,true,internal,internal,,\n"
        "added,new,,0.1,false,,GPL-3,false,,internal,,\n"
        "archived,xyz,1.0,,false,GPL-3,,false,internal,,,\n"
    )
    assert real("diff", "--repo=mine", start, "--csv-out=-").stdout == csv
    path = tmp_path / "out.csv"
    path.write_text("before")
    path.chmod(0o600)
    result = real("diff", "--repo=mine", start, f"--csv-out={path}")
    assert (result.exit_code, result.stdout, path.read_text()) == (0, "", csv)
    assert path.stat().st_mode & 0o777 == 0o600
    both = real("diff", "--repo=mine", start, f"--csv-out={tmp_path / 'new.csv'}", "-ojson")
    assert len(json.loads(both.stdout)["changes"]) == 3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    real("diff", "--repo=mine", "--from=latest", f"--csv-out={link}")
    assert (link.is_symlink(), path.read_text()) == (True, HEAD)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--from=1",), "name either a repository or a source"),
        (("--from=1", "--repo=mine", "--source=internal"), "name either a repository or a source"),
        (("--repo=mine",), "Missing option '--from'"),
        (("--from=1", "--repo=mine", "--csv-out=-", "-ojson"), "standard output takes either JSON or CSV"),
        (("--from=1", "--repo=mine", "--csv-out="), "--csv-out needs the name of a file"),
    ],
)
def test_diff_that_is_asked_wrongly(stubbed: Entrepot, flags: tuple[str, ...], said: str) -> None:
    """A wrong command line is told at once (2)."""
    code, lines = stubbed.failed("diff", *flags)
    assert (code, said in " ".join(lines)) == (2, True)


def test_diff_of_what_is_not_there(real: Entrepot, tmp_path: Path) -> None:
    """An unknown name or snapshot is not found (4); a file that can't be written is told (2) and nothing is left."""
    assert real.failed("diff", "--repo=no", "--from=latest")[0] == 4
    assert real.failed("diff", "--repo=mine", "--from=2031-01-01")[0] == 4
    code, lines = real.failed("diff", "--repo=mine", "--from=latest", f"--csv-out={tmp_path}/no/x.csv")
    assert (code, lines[0]) == (2, f"Error: can't use '{tmp_path}/no/x.csv': no such file or directory")


def test_diff_of_an_index_says_that_it_is_partial(real: Entrepot) -> None:
    """What was read of an index is compared, and people are told so."""
    result = real("diff", "--repo=pypi", "--from=2023-05-01", "--to=2023-05-02")
    assert result.stderr.splitlines() == [
        "No package differs",
        "Projects of an index are compared as far as they were read; upstream was not asked",
    ]
