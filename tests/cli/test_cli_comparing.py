"""`diff` and `check`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Entrepot
from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.fake_pypi import FakePypi
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


# --- check ---


def lock(folder: Path, *lines: str) -> str:
    """`--file-in` a file of these lines."""
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return f"--file-in={path}"


def test_check_of_what_can_be_served(real: Entrepot, tmp_path: Path) -> None:
    """Everything is there: exit code 0, and what each entry gets."""
    result = real("check", "--repo=mine", lock(tmp_path, "abc>=0.9", "xyz==1.0", "utils"))
    assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (
        0,
        ["with-r  utils", "served  abc>=0.9  1.0", "served  xyz==1.0  1.0"],
        "3 of 3 entries can be served: 1 with-r, 2 served\n",
    )


def test_check_of_what_is_missing(real: Entrepot, start: str, tmp_path: Path) -> None:
    """Something is missing: exit code 4, and what comes nearest, at the end where it is seen."""
    file_in = lock(tmp_path, "abd", "abc==1.5", "qqqqqq", "abc==1.0", "abc>=3")
    result = real("check", "--repo=mine", file_in)
    assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (
        4,
        [
            "served   abc==1.0  1.0, archived",
            "missing  abd       there is no such package",
            "missing  abc==1.5  there is no such version; nearest 1.0 and 2.0",
            "missing  qqqqqq    there is no such package",
            "missing  abc>=3    there is no such version; nearest 2.0",
        ],
        "1 of 5 entries can be served: 1 served, 4 missing\n",
    )
    named = real("check", "--repo=mine", lock(tmp_path, "ABC"))
    assert named.stdout == "missing  ABC  there is no such package; did you mean abc?\n"
    before = real("check", "--repo=mine", lock(tmp_path, "new"), f"--snapshot={start.partition('=')[2]}")
    assert before.exit_code == 4


def test_check_for_programs(real: Entrepot, live: Live, tmp_path: Path) -> None:
    """JSON is what the API answers, with the same exit code; CSV has a row an entry."""
    file_in = lock(tmp_path, "abc==1.5", "xyz")
    result = real("check", "--repo=mine", file_in, "-ojson")
    asked = {"list": "abc==1.5\nxyz"}
    assert (result.exit_code, json.loads(result.stdout)) == (4, live.api("POST", "/repos/mine/check", asked)[1])
    csv = real("check", "--repo=mine", file_in, "--csv-out=-")
    assert (csv.exit_code, csv.stdout.splitlines()) == (
        4,
        [
            "name,requirement,line,marker,verdict,lacks,version,source,archived,yanked,files_wanted,files_listed,lower,"
            "higher,near,reason",
            "abc,abc==1.5,1,,missing,version,,,false,false,0,0,1.0,,,",
            "xyz,xyz,2,,served,,1.0,internal,false,false,0,0,,,,",
        ],
    )


def test_check_of_standard_input(real: Entrepot) -> None:
    """`-` reads standard input."""
    result = real("check", "--repo=mine", "--file-in=-", stdin="abc\n")
    assert (result.exit_code, result.stdout) == (0, "served  abc  1.0\n")


def test_check_with_constraints(real: Entrepot, live: Live, tmp_path: Path) -> None:
    """A constraints file is read beside a list of Python packages; some files of a release are some of it."""
    real.said("create", "source", "--name=py", "--type=local-python")
    real.said("create", "repo", "--name=team", "--type=python")
    real.said("subscribe", "--repo=team", "--source=py")
    wheels = [wheel("demo", "1.0"), wheel("demo", "2.0")]
    live.upload("py", *wheels)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("demo<2\n")
    flags = ("--repo=team", f"--constraints={constraints}", lock(tmp_path, "demo"))
    result = real("check", *flags)
    assert (result.exit_code, result.stdout) == (0, "served  demo<2  1.0\n")
    digests = " ".join(f"--hash=sha256:{digest}" for digest in (hashlib.sha256(wheels[0][1]).hexdigest(), "0" * 64))
    some = real("check", "--repo=team", lock(tmp_path, f"demo==1.0 {digests}"))
    assert (some.exit_code, some.stdout) == (0, "partial  demo==1.0  1.0, 1 of 2 files\n")
    none = real("check", "--repo=team", lock(tmp_path, f"demo==2.0 {digests}"))
    assert (none.exit_code, none.stdout) == (4, "missing  demo==2.0  none of 2 files is there; 2.0 has others\n")


def test_check_with_an_upstream_that_does_not_answer(live_proxied: Live, pypi: FakePypi, tmp_path: Path) -> None:
    """What can't be told is exit code 6, unless something is missing."""
    command = Entrepot(live_proxied.address, live_proxied.token)
    pypi.fail(pypi.page("demo"), "html")
    result = command("check", "--repo=pypi", lock(tmp_path, "demo"))
    assert (result.exit_code, result.stdout.split()[:2]) == (6, ["unknown", "demo"])
    assert command("check", "--repo=pypi", lock(tmp_path, "demo", "nothing-there")).exit_code == 4


def test_lists_that_can_not_be_checked(real: Entrepot, tmp_path: Path) -> None:
    """A file that is not there, no text, too large, empty or of the other ecosystem is told (2)."""
    path = tmp_path / "x"
    assert real.failed("check", "--repo=mine", f"--file-in={path}") == (
        2,
        [f"Error: can't use '{path}': no such file or directory"],
    )
    for data, words in (
        (b"\xff\xfe\x00", "is not a text file"),
        (b"x" * 20_000_001, "more than 20 MB"),
        (b"", "the list is empty"),
        (b'version = 1\n[[package]]\nname = "x"\n', "Python"),
    ):
        path.write_bytes(data)
        code, lines = real.failed("check", "--repo=mine", f"--file-in={path}")
        assert (code, words in lines[0]) == (2, True), lines
    assert real.failed("check", "--repo=mine", f"--file-in={tmp_path}")[0] == 2
    assert real.failed("check", "--repo=no", lock(tmp_path, "abc"))[0] == 4
    assert real.failed("check", "--repo=mine", lock(tmp_path, "abc"), "--snapshot=2031-01-01")[0] == 4
