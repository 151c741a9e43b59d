"""Curated sources from the terminal: `create source`, `update`, `add`, `remove package`, `list proposals`."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Entrepot
from tests.support.archives import make_source_package
from tests.support.distributions import sdist, wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import Live, sync

MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
TODAY = "2024-03-01"
HEAD = "name,version,previous,change,license,needs_compilation,dependency,why,asked,size,releases"

List = Callable[..., str]


@pytest.fixture
def lines(tmp_path: Path) -> List:
    """Makes `--file-in=` a file of these lines."""

    def make(*lines: str, name: str = "requirements.txt") -> str:
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return f"--file-in={tmp_path / name}"

    return make


@pytest.fixture
def team(live_proxied: Live, pypi: FakePypi) -> Entrepot:
    """The command line for a server with the curated source `set` over an index."""
    mit = {"License-Expression": "MIT"}
    pypi.add(*wheel("demo", "1.0", fields=mit), uploaded=MAY)
    pypi.add(*wheel("demo", "1.1", fields=mit), uploaded=MAY + timedelta(days=40))
    pypi.add(*sdist("demo", "1.1", fields=mit), uploaded=MAY + timedelta(days=40))
    pypi.add(*wheel("app", "2.0", requires=["mid"]), uploaded=MAY)
    pypi.add(*wheel("mid", "0.3", requires=["demo<1.1"], tag="cp39-abi3-manylinux_2_17_x86_64"), uploaded=MAY)
    sync(live_proxied.app, "pypi")
    command = Entrepot(live_proxied.address, live_proxied.token)
    command.said("create", "source", "--name=set", "--type=curated-pypi")
    command.said("create", "repo", "--name=team", "--type=python")
    return command


@pytest.fixture
def r_team(live_mirrored: Live, cran: FakeCran) -> Entrepot:
    """The command line for a server whose mirror of CRAN has `demo`, which imports `low`, and a newer `demo`."""

    def add(name: str, version: str, day: int, **fields: str) -> None:
        data = make_source_package(name, version, fields={"License": "GPL-3", **fields})
        cran.add(name, version, data, datetime(2024, 2, day, 9, tzinfo=UTC))

    add("low", "0.1", 1)
    add("demo", "1.0", 1, Imports="low")
    add("demo", "1.1", 20, Imports="low")
    add("other", "3", 1, Suggests="low")
    cran.publish()
    sync(live_mirrored.app)
    return Entrepot(live_mirrored.address, live_mirrored.token)


def test_sources_of_a_snapshot_of_cran(r_team: Entrepot) -> None:
    """Where a source is made and subscribed to, it is told with its type and snapshot."""
    created = r_team.said("create", "source", "--name=subset", "--type=curated-cran", "--snapshot=2024-02-10")
    assert created == ["Source 'subset':", "  Type:  Curated CRAN - 2024-02-10"]
    assert r_team.said("create", "source", "--name=pin", "--type=cran-snapshot", "--snapshot=2024-02-10") == [
        "Source 'pin':",
        "  Type:  CRAN Snapshot - 2024-02-10",
    ]
    r_team.said("create", "repo", "--name=mine")
    r_team.said("subscribe", "--repo=mine", "--source=pin")
    assert r_team.said("subscribe", "--repo=mine", "--source=subset") == [
        "Repository: mine",
        "Sources:",
        "--pin (CRAN Snapshot - 2024-02-10)",
        "--subset (Curated CRAN - 2024-02-10)",
    ]
    assert r_team.json("info", "--source=subset")["include"] == ["imports", "depends", "linking-to"]
    r_team.said("create", "source", "--name=all", "--type=curated-cran", "--include=imports,suggests", "--no-archived")
    found = r_team.json("info", "--source=all")
    assert (found["include"], found["archived"]) == (["imports", "suggests"], False)


def test_an_update_of_a_curated_cran_source(r_team: Entrepot, lines: List) -> None:
    """A table of what would be in and why, then the command that commits it, which does what it says."""
    r_team.said("create", "source", "--name=subset", "--type=curated-cran", "--snapshot=2024-02-10")
    said = r_team.said("update", "--source=subset", "--snapshot=2024-02-10", lines("demo"))
    assert said == [
        "Proposal 2 for source 'subset' at snapshot 2024-02-10:",
        "",
        "Name  Version  Previous  Change  License  Needs Compilation  Why",
        "demo  1.0                added   GPL-3    no                 asked for",
        "low   0.1                added   GPL-3    no                 demo",
        "",
        "2 added.",
        "To complete this operation, execute this command with the --commit and --snapshot=2024-02-10 flags:",
        "  entrepot update --source=subset --snapshot=2024-02-10 --proposal=2 --commit",
    ]
    done = r_team.said(*shlex.split(said[-1])[1:])
    at = r_team.json("info", "--source=subset")["transaction"]
    assert done == [
        "Added package 'demo' 1.0",
        "Added package 'low' 0.1",
        f"Source 'subset' is at snapshot 2024-02-10 with transaction {at}: 2 added",
    ]
    moved = r_team.said("update", "--source=subset", f"--snapshot={TODAY}")
    assert moved[2:-2] == [
        "Name  Version  Previous  Change     License  Needs Compilation  Why",
        "demo  1.1      1.0       updated    GPL-3    no                 asked for",
        "low   0.1      0.1       unchanged  GPL-3    no                 demo",
        "demo  1.0                archived                               replaced by 1.1",
        "",
        "1 updated, 1 unchanged, 1 archived.",
    ]


def test_an_update_and_its_commit(team: Entrepot, lines: List) -> None:
    """A proposal changes nothing and ends with the sentence and the very command that commits it."""
    file_in = lines("demo", "app  # ours", "demoo")
    said = team.said(
        "update", "--source=set", file_in, "--with-dependencies", "--python-versions=3.12", "--skip-missing"
    )
    assert said == [
        f"Proposal 1 for source 'set' at snapshot {TODAY}:",
        "",
        "Name  Version  Previous  Change  License  Needs Compilation  Why",
        "app   2.0                added            no                 asked for",
        "demo  1.1                added   MIT      no                 asked for",
        "mid   0.3                added            yes                app",
        "",
        "Not found: demoo (the snapshot has no such project)",
        "3 added, 1 missing.",
        f"To complete this operation, execute this command with the --commit and --snapshot={TODAY} flags:",
        f"  entrepot update --source=set --snapshot={TODAY} --proposal=1 --commit",
    ]
    assert team.json("list", "packages", "--source=set") == []
    done = team.said(*shlex.split(said[-1])[1:])
    assert done[:-1] == ["Added package 'app' 2.0", "Added package 'demo' 1.1", "Added package 'mid' 0.3"]
    assert done[-1].startswith(f"Source 'set' is at snapshot {TODAY} with transaction ")
    assert [row["name"] for row in team.json("list", "packages", "--source=set")] == ["app", "demo", "mid"]
    assert team.said("info", "--source=set")[1] == f"  Type:  Curated PyPI - {TODAY}"
    again = team.said("update", "--source=set", "--proposal=1")
    assert again[-1].startswith("It was committed as transaction ")
    code, error = team.failed(*shlex.split(said[-1])[1:])
    assert (code, error[0].startswith("Error: proposal 1 was committed as transaction ")) == (5, True)
    assert [line.split(":")[0] for line in error] == ["Error", "Hint"]


def test_what_leaves_and_what_to_know(team: Entrepot, lines: List) -> None:
    """What leaves stands in the table with its reason; notes tell what else a reviewer should know."""
    team.said("update", "--source=set", lines("demo"), f"--snapshot={TODAY}", "--commit")
    flags = ("--with-dependencies", "--python-versions=3.12", "--platforms=linux-x86_64", "--only-binary")
    said = team.said("update", "--source=set", lines("app", "demo>=1.0,<1.1"), *flags)
    assert said[2:-2] == [
        "Name  Version  Previous  Change      License  Needs Compilation  Why",
        "app   2.0                added                no                 asked for",
        "demo  1.0      1.1       downgraded  MIT      no                 asked for",
        "mid   0.3                added                yes                app",
        "demo  1.1                removed                                 not admitted any more",
        "",
        "2 added, 1 downgraded, 1 removed.",
    ]


def test_an_update_for_programs(team: Entrepot, live_proxied: Live, lines: List, tmp_path: Path) -> None:
    """JSON is what the API answers; CSV has a row a package, to a file or to standard output."""
    flags = ("--skip-missing", "--with-dependencies", "--python-versions=3.12")
    asked = ("update", "--source=set", lines("app", "nothing-here"), *flags)
    made = team.json(*asked)
    assert made == live_proxied.api("GET", f"/sources/set/proposals/{made['id']}")[1]
    rows = [
        f"app,2.0,,added,,false,false,asked for,app,{made['items'][0]['size']},1",
        f"demo,1.0,,added,MIT,false,true,app > mid,,{made['items'][1]['size']},1",
        f"mid,0.3,,added,,true,true,app,,{made['items'][2]['size']},1",
        "nothing-here,,,missing,,,,the snapshot has no such project,,,",
    ]
    assert team.said(*asked, "--csv-out=-") == [HEAD, *rows]
    path = tmp_path / "out.csv"
    said = team.said(*asked, f"--csv-out={path}")
    assert path.read_text().splitlines() == [HEAD, *rows]
    assert said[-1].endswith(f"--proposal={made['id']} --commit")
    assert len(list(csv.reader(io.StringIO(path.read_text())))) == 5
    both = team(*asked, f"--csv-out={path}", "-ojson")
    assert json.loads(both.stdout) == made
    code, error = team.failed(*asked, "--csv-out=-", "-ojson")
    assert (code, json.loads("".join(error))["error"]) == (2, "standard output takes either JSON or CSV")
    done = team.json("update", "--source=set", f"--proposal={made['id']}", "--commit")
    at = done["committed"]
    assert done == {**made, "committed": at, "state": "committed", "newest": at}


def test_a_commit_by_its_snapshot(team: Entrepot, lines: List) -> None:
    """The same command with both flags commits; without the snapshot it is a wrong command line (2)."""
    code, error = team.failed("update", "--source=set", lines("demo"), "--commit")
    assert (code, error) == (
        2,
        [
            "Error: --commit needs --snapshot or --proposal",
            "Hint: run the command without --commit first: it ends with the command that commits what it shows",
        ],
    )
    asked = ("update", "--source=set", lines("demo"), "--snapshot=2023-05-02")
    assert team.said(*asked)[-1] == "  entrepot update --source=set --snapshot=2023-05-02 --proposal=1 --commit"
    done = team.said(*asked, "--commit", "--comment=as agreed")
    assert done[0] == "Added package 'demo' 1.0"
    at = team.json("info", "--source=set")["transaction"]
    assert done[1] == f"Source 'set' is at snapshot 2023-05-02 with transaction {at}: 1 added"
    assert team.said(*asked, "--commit") == ["Nothing changed"]
    moved = team.said("update", "--source=set", f"--snapshot={TODAY}", "--commit")
    assert moved[0] == "Updated package 'demo' 1.1 (was 1.0)"


def test_a_commit_of_something_else(team: Entrepot, pypi: FakePypi, lines: List, live_proxied: Live) -> None:
    """Where upstream has moved on, a commit by its snapshot is a conflict (5) that names the difference."""
    asked = ("update", "--source=set", lines("demo"), f"--snapshot={TODAY}")
    team.said(*asked)
    pypi.remove("demo-1.1.tar.gz")
    live_proxied.app.clock.wait(hours=1)  # type: ignore[attr-defined]
    code, error = team.failed(*asked, "--commit")
    assert (code, error) == (
        5,
        [
            "Error: this is not what proposal 1 showed: - demo demo-1.1.tar.gz",
            "Hint: review proposal 2 and commit that one, or 1 as it was shown, with --proposal",
        ],
    )
    assert team.said("update", "--source=set", "--proposal=1", "--commit")[0] == "Added package 'demo' 1.1"


def test_list_proposals(team: Entrepot, lines: List) -> None:
    """They are listed with the newest first, and shown whole by their id."""
    shown = team.said("update", "--source=set", lines("demo"))
    team.said("update", "--source=set", lines("app"), "--snapshot=2023-06-01", "--commit")
    at = team.json("info", "--source=set")["transaction"]
    assert team.said("list", "proposals", "--source=set") == [
        f"2  2024-03-01 12:00 UTC  update  2023-06-01  committed as {at}  admin  1 added",
        f"1  2024-03-01 12:00 UTC  update  2024-03-01  {'open':{len(f'committed as {at}')}}  admin  1 added",
    ]
    assert team.said("list", "proposals", "--source=set", "--id=1") == shown
    assert [row["id"] for row in team.json("list", "proposals", "--source=set")] == [2, 1]
    page = team("list", "proposals", "--source=set", "--count=1", "--page=2")
    assert page.stdout.startswith("1  2024")
    assert "2" in page.stderr
    assert team.failed("list", "proposals", "--source=set", "--id=9")[0] == 4
    assert team.said("list", "proposals", "--source=set", "--id=1", "--csv-out=-")[0] == HEAD
    assert team.failed("list", "proposals", "--source=pypi")[0] == 2


def test_add_to_a_curated_source(team: Entrepot, lines: List) -> None:
    """Packages by their names or from a list are proposed, and committed by the command that is told."""
    team.said("update", "--source=set", lines("app"), "--snapshot=2023-06-01", "--commit")
    said = team.said("add", "--source=set", "--packages=demo,mid>=0.1")
    assert said[2:] == [
        "Name  Version  Previous  Change     License  Needs Compilation  Why",
        "app   2.0      2.0       unchanged           no                 asked for",
        "demo  1.0                added      MIT      no                 asked for",
        "mid   0.3                added               yes                asked for",
        "",
        "2 added, 1 unchanged.",
        "To complete this operation, execute this command with the --commit and --snapshot=2023-06-01 flags:",
        "  entrepot add --source=set --snapshot=2023-06-01 --proposal=2 --commit",
    ]
    assert team.said(*shlex.split(said[-1])[1:])[:2] == ["Added package 'demo' 1.0", "Added package 'mid' 0.3"]
    again = team.said("add", "--source=set", lines("demo"), "--snapshot=2023-06-01", "--commit")
    assert again == ["Nothing changed"]
    assert team.failed("add", "--source=set", "--packages=nothing")[0] == 4
    assert team.failed("add", "--source=set", "--packages=demo", "--commit")[0] == 2
    assert team.failed("add", "--source=set")[0] == 2
    assert team.failed("add", "--source=pypi", "--packages=demo")[0] == 2


def test_add_to_a_local_source(team: Entrepot, tmp_path: Path, lines: List) -> None:
    """Of a local source the lines of a file are paths, as ever."""
    team.said("create", "source", "--name=own", "--type=local-python")
    name, data = wheel("mine", "1.0")
    (tmp_path / name).write_bytes(data)
    assert team.said("add", "--source=own", lines("# ours", str(tmp_path / name))) == [f"Added package '{name}'"]
    assert team.failed("add", "--source=own", "--packages=demo")[0] == 2
    assert team.failed("add", "--source=set", f"--path={tmp_path / name}")[0] == 2


def test_remove_from_a_curated_source(team: Entrepot, lines: List) -> None:
    """A version, a file or all of a package is taken out at once; a later update doesn't bring it back."""
    team.said("update", "--source=set", lines("demo", "app"), f"--snapshot={TODAY}", "--commit")
    removed = team.said("remove", "package", "--source=set", "--name=demo@1.0")
    assert removed == ["Removed package 'demo' 1.0"]
    assert team.said("remove", "package", "--source=set", "--name=demo@demo-1.1.tar.gz") == [
        "Removed file 'demo-1.1.tar.gz'"
    ]
    assert team.said("remove", "package", "--source=set", "--name=app@all") == ["Removed package 'app' 2.0"]
    assert team.failed("remove", "package", "--source=set", "--name=demo@1.0")[0] == 4
    assert team.failed("remove", "package", "--source=set", "--name=demo")[0] == 2
    said = team.said("update", "--source=set")
    assert (said[3].split(), said[5]) == (
        ["demo", "1.1", "1.1", "unchanged", "MIT", "no", "asked", "for"],
        "1 unchanged.",
    )


def test_remove_what_others_need(team: Entrepot, lines: List) -> None:
    """What came along can't be taken out whole (5), and no version without which nothing fits (2)."""
    flags = ("--with-dependencies", f"--snapshot={TODAY}", "--commit")
    team.said("update", "--source=set", lines("app"), *flags)
    code, error = team.failed("remove", "package", "--source=set", "--name=mid@all")
    assert (code, error) == (
        5,
        ["Error: mid is needed: app > mid", "Hint: remove app first, or a version alone: mid@0.3"],
    )
    code, error = team.failed("remove", "package", "--source=set", "--name=demo@1.0")
    assert (code, error[1]) == (2, "Hint: what was taken out by hand doesn't come back: demo 1.0")


def test_standard_input_and_constraints(team: Entrepot, tmp_path: Path) -> None:
    """`-` reads the list from standard input; a constraints file bounds it."""
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("demo<1.1\n")
    result = team("update", "--source=set", "--file-in=-", f"--constraints={constraints}", stdin="demo\n")
    assert (result.exit_code, result.stdout.splitlines()[3].split()[:3]) == (0, ["demo", "1.0", "added"])


def test_narrowing_is_taken_back(team: Entrepot, lines: List) -> None:
    """Flags hold for later updates too, until they are given otherwise; `all` is every platform and Python."""
    flags = ("--platforms=windows", "--python-versions=3.12,3.13")
    said = team.failed("update", "--source=set", lines("mid", "demo"), *flags)
    assert (said[0], "mid: none of its files is for the wanted platforms and Pythons" in said[1][0]) == (4, True)
    narrowed = ("--only-binary", "--platforms=linux", "--platforms=macos")
    team.said("update", "--source=set", lines("mid", "demo"), f"--snapshot={TODAY}", "--commit", *narrowed)
    sizes = [row["size"] for row in team.json("update", "--source=set")["items"]]
    found = team.json("update", "--source=set", "--platforms=all", "--python-versions=all", "--no-only-binary")
    assert [(row["change"], row["size"] > size) for row, size in zip(found["items"], sizes, strict=True)] == [
        ("changed", True),
        ("unchanged", False),
    ]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("demo\nno-such-thing-here\n", 4, "1 package can't be had at this snapshot: no-such-thing-here"),
        ("demoo\n", 4, "(did you mean demo?)"),
        ("demo>9\n", 2, "no version of demo at this snapshot satisfies line 1 (demo>9)"),
        ("", 2, ""),
        ("demo\n=> 1\n", 2, "line 2"),
        ("Package: x\nVersion: 1.0\n", 2, "R packages"),
        ("\0\1\2", 2, ""),
    ],
)
def test_lists_that_are_refused(team: Entrepot, tmp_path: Path, text: str, code: int, said: str) -> None:
    """One line says what is wrong, a hint what to do; the exit code says of which kind it is."""
    path = tmp_path / "list.txt"
    path.write_text(text)
    found, error = team.failed("update", "--source=set", f"--file-in={path}")
    assert (found, [line.split(":")[0] for line in error], said in error[0]) == (code, ["Error", "Hint"], True)
    assert team.json("list", "proposals", "--source=set") == []


def test_several_lines_that_are_wrong(team: Entrepot, lines: List) -> None:
    """Each has a line of its own with its number."""
    code, error = team.failed("update", "--source=set", lines("demo", "a b", "lib", "-e ."))
    assert (code, error[0]) == (2, "Error: 2 faults, nothing was changed:")
    assert [line.split(":")[0] for line in error[1:]] == ["  line 2", "  line 4"]


def test_what_is_asked_wrongly(team: Entrepot, lines: List, tmp_path: Path) -> None:
    """Sources and files that aren't there, of another type, binary or too large; flags that exclude each other."""
    assert team.failed("update", "--source=none", lines("demo"))[0] == 4
    assert team.failed("update", "--source=pypi", lines("demo"))[0] == 2
    assert team.failed("update", "--source=set", f"--file-in={tmp_path}/none.txt")[0] == 2
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"#" * 20_000_001)
    assert team.failed("update", "--source=set", f"--file-in={binary}") == (
        2,
        [f"Error: '{binary}' is not a text file", "Hint: a list is text, in UTF-8"],
    )
    assert team.failed("update", "--source=set", f"--file-in={large}")[1][0] == f"Error: '{large}' has more than 20 MB"
    assert team.failed("update", "--source=set", lines("demo"), "--proposal=1") == (
        2,
        ["Error: --proposal says what to commit", "Hint: leave out what was asked when it was made"],
    )
    assert team.failed("update", "--source=set", "--proposal=7", "--commit")[0] == 4
    assert team.failed("update", "--source=set", lines("demo"), "--snapshot=2031-01-01")[0] == 4
    assert team.failed("create", "source", "--name=x", "--type=curated-pypi", "--snapshot=2024-01-01")[0] == 2


def test_upstream_is_down(team: Entrepot, pypi: FakePypi, lines: List) -> None:
    """What can't be asked is an exit code of its own (6)."""
    pypi.fail("*", "500")
    assert team.failed("update", "--source=set", lines("demo"))[0] == 6
