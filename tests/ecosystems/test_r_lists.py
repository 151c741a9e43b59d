"""Lists of wanted R packages."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import Invalid, InvalidBatch
from entrepot.core.model import PackageName
from entrepot.core.requirements import ListFormat, Requirement, RequirementList
from entrepot.ecosystems.r.base import BASE
from entrepot.ecosystems.r.lists import bounds, read, satisfies
from entrepot.ecosystems.r.versions import version_key
from tests.support.r import run_r

VERSIONS = st.from_regex(r"[0-9]{1,2}([.-][0-9]{1,2}){0,3}", fullmatch=True)
OPERATORS = st.sampled_from(["==", "!=", ">=", "<=", ">", "<"])
BLANKS = st.sampled_from(["", " ", "\t "])


def wanted(package: str, specifier: str = "", *extras: str, line: int | None = 1) -> Requirement:
    return Requirement(PackageName(package), specifier, extras, line=line)


LINES: dict[str, Requirement] = {
    "ggplot2": wanted("ggplot2"),
    "  data.table\t": wanted("data.table"),
    "dplyr>=1.0,<2.0": wanted("dplyr", ">=1.0,<2.0"),
    "dplyr (>= 1.0)": wanted("dplyr", ">=1.0"),
    "dplyr(>= 1.0 , < 2)": wanted("dplyr", ">=1.0,<2"),
    "dplyr >=2": wanted("dplyr", ">=2"),
    "pkg == 1.2 , != 1.3": wanted("pkg", "==1.2,!=1.3"),
    "pkg>1.0-1,>1.0-1": wanted("pkg", ">1.0-1"),
    "shiny==1.7.4 [suggests]": wanted("shiny", "==1.7.4", "suggests"),
    "shiny[Suggests, enhances]>=1.7": wanted("shiny", ">=1.7", "suggests", "enhances"),
    "shiny [LinkingTo]": wanted("shiny", "", "linking-to"),
    "shiny [linking-to,linkingto,imports]": wanted("shiny", "", "imports", "linking-to"),
    "shiny (>= 1.7) [ALL]": wanted("shiny", ">=1.7", "imports", "depends", "linking-to", "suggests"),
    "cli # because": wanted("cli"),
    "cli>=3.0\t#because": wanted("cli", ">=3.0"),
    "utils": wanted("utils"),
}

FAULTS: dict[str, tuple[str, str]] = {
    "dplyr=1.0": ("'=' is not an operator", "==1.0"),
    "dplyr~=1.0": ("'~=' is not an operator", ">=1.4,<2"),
    "dplyr===1.0": ("'===' is not an operator", "=="),
    "dplyr=>1.0": ("'=>' is not an operator", ">="),
    "dplyr>=1.0a": ("'1.0a' is not a version", "1.0-2"),
    "dplyr>=": ("'' is not a version", "1.0-2"),
    "dplyr>=1.0,": ("a bound is missing", "dplyr"),
    "dplyr ()": ("'()' is not a bound", "dplyr"),
    "dplyr (>= 1.0": ("'(>= 1.0' is not a bound", "dplyr"),
    "dplyr[]": ("'' is not a kind of dependencies", "linking-to"),
    "dplyr[dev]": ("'dev' is not a kind of dependencies", "linking-to"),
    "dplyr>=1[all],<2": ("the extras in brackets", "[suggests]"),
    "dplyr, tidyr": ("'dplyr, tidyr' is not a requirement", "one package a line"),
    "dplyr 1.0": ("'dplyr 1.0' is not a requirement", "dplyr==1.0"),
    "dplyr@1.0": ("'dplyr@1.0' is not a requirement", "dplyr==1.0"),
    "tidyverse/dplyr": ("'tidyverse/dplyr' is not a requirement", "GitHub"),
    "../dplyr": ("'../dplyr' is not a requirement", "neither paths"),
    '"dplyr"': ("is not a requirement", "dplyr"),
    "my_pkg": ("'my_pkg' is not a name", "letters, digits and dots"),
    "R (>= 4.1)": ("R itself is not a package", "leave the line out"),
}

OF_PYTHON = [
    "-r other.txt",
    "--index-url https://index.example.org/simple",
    "numpy==1.0 --hash=sha256:00",
    "numpy ; python_version < '3.8'",
    "numpy>=1;sys_platform == 'linux'",
    "numpy @ https://example.org/numpy.whl",
    "git+https://example.org/numpy",
]

UV_LOCK = 'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "a"\n'


@pytest.mark.parametrize(("line", "expected"), LINES.items())
def test_a_line(line: str, expected: Requirement) -> None:
    """A package, its bounds and its extras, in any of the ways in which people write them."""
    assert read(line) == RequirementList(ListFormat.LINES, (expected,))


@pytest.mark.parametrize(("line", "message", "hint"), [(line, *told) for line, told in FAULTS.items()])
def test_a_faulty_line(line: str, message: str, hint: str) -> None:
    """A line that can't be read is told with its number and what to write instead."""
    with pytest.raises(Invalid) as caught:
        read(f"cli\n{line}\n")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.message.startswith("line 2: ")
    assert caught.value.payload == {"line": 2}


def test_lines() -> None:
    """Comments and empty lines are passed over and counted; a package may be asked for twice."""
    assert read("\ufeff# ours\r\n\r\ncli\r\n  # dplyr\r\ncli>=3.0\r\n") == RequirementList(
        ListFormat.LINES, (wanted("cli", line=3), wanted("cli", ">=3.0", line=5))
    )


def test_all_faulty_lines_together() -> None:
    """Whoever corrects a list sees all that is wrong with it."""
    with pytest.raises(InvalidBatch) as caught:
        read("cli=1\nglue\nmy_pkg\n")
    assert [fault["subject"] for fault in caught.value.payload["faults"]] == ["line 1", "line 3"]  # type: ignore[attr-defined]


def test_very_many_faulty_lines() -> None:
    """Fifty are told one by one, and a list that is nothing but faults isn't read to its end."""
    with pytest.raises(InvalidBatch) as caught:
        read("a b\n" * 100_000)
    faults = caught.value.payload["faults"]
    assert isinstance(faults, list)
    assert [fault["subject"] for fault in faults] == [f"line {number}" for number in range(1, 51)] + ["further lines"]
    assert faults[-1]["error"] == "950 more can't be read"


@pytest.mark.parametrize("text", ["", "\n\n", "# cli\n", '{"Packages": {}}', "Package: a\nVersion: 1.0\nDepends: R\n"])
def test_no_package(text: str) -> None:
    """A list in which there is nothing is a mistake."""
    with pytest.raises(Invalid) as caught:
        read(text)
    assert caught.value.message == "there is no package in it"
    assert caught.value.hint


@pytest.mark.parametrize("line", OF_PYTHON)
def test_pips_requirements(line: str) -> None:
    """A list of Python packages is not told as a list of mistakes."""
    with pytest.raises(Invalid) as caught:
        read(f"numpy\n{line}\na b c\n")
    assert caught.value.message.startswith(
        "this is a list of Python packages (pip's requirements), and R packages are wanted here; line 2: "
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [(UV_LOCK, "uv.lock"), ("[project]\n", "pyproject.toml"), ('lock-version = "1.0"\npackages = []', "pylock.toml")],
)
def test_a_file_of_python(text: str, kind: str) -> None:
    """A file of Python's tools is named."""
    with pytest.raises(Invalid) as caught:
        read(text)
    assert caught.value.message == f"this is a list of Python packages ({kind}), and R packages are wanted here"


def test_renv_lock() -> None:
    """Every entry of renv.lock is wanted in exactly its version, wherever it was installed from."""
    document = {
        "R": {"Version": "4.4.1", "Repositories": [{"Name": "CRAN", "URL": "https://cran.example.org"}]},
        "Packages": {
            "R6": {"Package": "R6", "Version": "2.5.1", "Source": "Repository", "Hash": "x", "Requirements": ["R"]},
            "zoo": {"Package": "zoo", "Version": "1.8-12", "Source": "Repository", "Imports": ["utils"], "Type": "x"},
            "mine": {"Package": "mine", "Version": "0.0.0.9000", "Source": "GitHub", "RemoteUsername": "me"},
        },
    }
    assert read(json.dumps(document)) == RequirementList(
        ListFormat.RENV_LOCK,
        (
            wanted("R6", "==2.5.1", line=None),
            wanted("zoo", "==1.8-12", line=None),
            wanted("mine", "==0.0.0.9000", line=None),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"R": {}}', "renv.lock: 'Packages' is missing"),
        ('{"Packages": []}', "renv.lock: 'Packages' isn't an object"),
        ('{"Packages": {"R6": 1}}', "Packages.R6: isn't an object"),
        ('{"Packages": {"R6": {}}}', "Packages.R6: 'Version' is missing"),
        ('{"Packages": {"R6": {"Version": 2}}}', "Packages.R6: 'Version' isn't a string"),
        ('{"Packages": {"R6": {"Version": "x"}}}', "Packages.R6: 'x' is not a version of an R package"),
        ('{"Packages": {"R_6": {"Version": "1.0"}}}', "Packages.R_6: 'R_6' is not a name for an R package"),
    ],
)
def test_a_malformed_renv_lock(text: str, message: str) -> None:
    """The key at which the fault lies is named."""
    with pytest.raises(Invalid) as caught:
        read(text)
    assert caught.value.message == message


def test_description() -> None:
    """What the package needs, once each with all its bounds; neither R nor what it suggests."""
    text = (
        "Package: hello\nVersion: 1.0\nTitle: Says\n  Hello\n"
        "Depends: R (>= 4.1), methods, cli\n"
        "Imports:\n    dplyr (>= 1.0),\n    cli (>= 3.0),Rcpp,\n"
        "LinkingTo: Rcpp (>= 1.0.5), dplyr (< 2.0)\nSuggests: testthat\n"
    )
    assert read(text) == RequirementList(
        ListFormat.DESCRIPTION,
        (
            wanted("methods", line=None),
            wanted("cli", ">=3.0", line=None),
            wanted("dplyr", ">=1.0,<2.0", line=None),
            wanted("Rcpp", ">=1.0.5", line=None),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Package: a\nImports: cli (= 1.0)\n", "Imports: cli (= 1.0): '=' is not an operator"),
        ("Package: a\nImports: cli [all]\n", "Imports: cli [all]: there are no extras in DESCRIPTION"),
        (
            "Package: a\nVersion: 1.0\n\nPackage: b\nVersion: 1.0\n",
            "this describes several packages (PACKAGES), not one",
        ),
        ("Package: a\nImports: cli\nnonsense\n", "line 3 is neither a field nor a continuation: 'nonsense'"),
    ],
)
def test_a_malformed_description(text: str, message: str) -> None:
    """A bound that can't be read is a fault, not a looser list."""
    with pytest.raises(Invalid) as caught:
        read(text)
    assert caught.value.message == message


@given(
    st.lists(st.tuples(OPERATORS, VERSIONS), unique=True, max_size=4),
    BLANKS,
    BLANKS,
    st.booleans(),
)
def test_bounds_round_trip(told: list[tuple[str, str]], outer: str, inner: str, in_parentheses: bool) -> None:
    """However blanks and parentheses are set, the bounds that are read are those that were written."""
    text = f"{outer},{inner}".join(f"{compare}{inner}{version}" for compare, version in told)
    line = f"cli{outer}" + (f"({inner}{text}{outer})" if in_parentheses and told else text)
    (requirement,) = read(line).requirements
    assert bounds(requirement.specifier) == tuple(told)
    assert read(requirement.text).requirements == (requirement,)


@given(VERSIONS, OPERATORS, VERSIONS)
def test_satisfies(version: str, compare: str, other: str) -> None:
    """A bound holds as the order of versions says."""
    ours, theirs = version_key(version), version_key(other)
    expected = {
        "==": ours == theirs,
        "!=": ours != theirs,
        ">=": ours >= theirs,
        "<=": ours <= theirs,
        ">": ours > theirs,
        "<": ours < theirs,
    }
    assert satisfies(version, compare + other) is expected[compare]


@given(VERSIONS, st.lists(st.builds(str.__add__, OPERATORS, VERSIONS), max_size=4))
def test_all_bounds_have_to_hold(version: str, told: list[str]) -> None:
    """Bounds are joined by "and"; without any, every version will do."""
    assert satisfies(version, ",".join(told)) is all(satisfies(version, bound) for bound in told)


@given(
    st.text() | st.lists(st.sampled_from(["cli", ">=", "1.0", "[", "]", "all", "(", ")", ",", " ", "\n"])).map("".join)
)
def test_any_text(text: str) -> None:
    """Every text is a list or Invalid."""
    with contextlib.suppress(Invalid):
        assert read(text).requirements


@pytest.mark.r
def test_r_agrees(tmp_path: Path) -> None:
    """R compares the same versions the same way, and has the same packages of its own."""
    versions = ["0.9", "1.0", "1.0-1", "1.0.1", "1.0.1.0", "1.1", "1.10", "1.9", "2", "2.0", "10.0"]
    pairs = [(a, b) for a in versions for b in versions]
    done = run_r(f"""
        a <- c({", ".join(f'"{a}"' for a, _ in pairs)})
        b <- c({", ".join(f'"{b}"' for _, b in pairs)})
        cat(mapply(compareVersion, a, b), sep = " ")
        cat("\\n")
        cat(tools:::.get_standard_package_names()$base)
    """)
    compared, base = done.stdout.splitlines()
    expected = [
        str(1 if satisfies(a, f">{b}") else -1 if satisfies(a, f"<{b}") else 0 if satisfies(a, f"=={b}") else None)
        for a, b in pairs
    ]
    assert compared.split() == expected
    assert set(base.split()) == BASE
