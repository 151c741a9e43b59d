"""Rules of system requirements: read, and matched as R matches."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from entrepot.core.errors import Invalid
from entrepot.ecosystems.r import sysreqs
from entrepot.ecosystems.r.grepl import compile_pattern, matches
from entrepot.ecosystems.r.sysreqs import Rules, Step, System
from tests.support.r import rscript, run_r

DATABASE = Path(__file__).parents[3] / "shared" / "data" / "r-system-requirements-61f1515.tar.xz"
with_r = pytest.mark.skipif(rscript() is None, reason="no Rscript on PATH")
with_database = pytest.mark.skipif(not DATABASE.exists(), reason="no shared data beside the checkout")

PATTERNS = (
    r"\bgdal\b",
    r"\Boost\b",
    r"\bmysql.*server\b",
    r"c\+\+",
    r"^\s*gnu\s+make\b",
    r"\w+-dev\W",
    r"[[:alpha:]]+\d{1,3}$",
    r"[^[:space:]]é",
    r"libstra(?:ß|ss)e",
    r"k\b",
    r"(?:lib)?xml-?2",
    r"\QC++\E(11|14)",
    r"[\d.]+\s*\)",
    r"tk(?!table)",
    r"(?<!pari-)gp\b",
    r"a.c",
    r"\x{e9}t\xe9",
    r"[a-z&&b~]x",
    r"x{,2}",
    r"\Agdal\Z",
)
TEXTS = (
    "",
    "GDAL (>= 2.0.1), GEOS",
    "libgdal",
    "gdal_x",
    "Boost headers",
    "boost",
    "MySQL client and server",
    "C++11",
    "C++",
    "  GNU   make",
    "gnu\xa0make",
    "libcurl-dev:",
    "éclair1",
    "ä12",
    "xé",
    " é",
    "LIBSTRASSE",
    "libstraße",
    "LIBSTRAẞE",
    "\u212a",
    "a\u212a b",
    "libxml2",
    "XML-2",
    "foo (2.1 )",
    "tktable",
    "tcltk",
    "pari-gp",
    "gp",
    "a\nc",
    "aéc",
    "ÉTÉ",
    "bx",
    "&x",
    "gdal\n",
    "naïve_gdal-é",
    "x{,2}",
)


def _r_strings(texts: tuple[str, ...] | list[str]) -> str:
    return "c(" + ",\n".join(json.dumps(text) for text in texts) + ")"


def _r_finds(patterns: list[str], texts: list[str], folder: Path) -> list[list[bool]]:
    """What R says of each pattern and text."""
    out = folder / "matrix"
    code = f"""
    patterns <- {_r_strings(patterns)}
    texts <- {_r_strings(texts)}
    rows <- vapply(patterns, function(p) vapply(texts, function(t)
        if (grepl(p, t, perl = TRUE, ignore.case = TRUE)) "1" else "0", ""), rep("", length(texts)))
    writeLines(apply(rows, 2, paste, collapse = ""), {json.dumps(str(out))})
    """
    run_r(code)
    return [[cell == "1" for cell in line] for line in out.read_text().splitlines()]


def _rule(*patterns: str, **more: Any) -> dict[str, Any]:
    return {"patterns": list(patterns), "dependencies": [{"packages": ["p"], **more}]}


def _rules(**values: dict[str, Any]) -> Rules:
    return Rules(sysreqs.of_value(f"{name}.json", value)[0] for name, value in values.items())


@pytest.mark.r
@with_r
def test_patterns_match_as_in_r(tmp_path: Path) -> None:
    """Borders, classes and letters mean what they mean to R, also in texts beyond ASCII."""
    theirs = _r_finds(list(PATTERNS), list(TEXTS), tmp_path)
    ours = [[matches(compile_pattern(pattern), text) for text in TEXTS] for pattern in PATTERNS]
    differ = [
        (pattern, text)
        for pattern, row, other in zip(PATTERNS, ours, theirs, strict=True)
        for text, one, two in zip(TEXTS, row, other, strict=True)
        if one != two
    ]
    assert differ == []


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("(", "not a pattern that is understood here"),
        ("[a", "a set without an end"),
        (r"\p{L}", "not known here"),
        (r"a\K", "not known here"),
        ("(?R)", "not known here"),
        ("(*ACCEPT)", "not known here"),
        (r"[[:^alpha:]]", "not known here"),
        (r"[\W]", "not known here"),
        ("(a+)+$", "forever"),
        ("(?:a|aa)*b", "forever"),
        ("a*a*a*b", "forever"),
        ("a?" * 40 + "b", "forever"),
        ("a{1000}", "more than 255 times"),
        ("a" * 501, "longer than 500 characters"),
        (r"\x{110000}", "that there is not"),
    ],
)
def test_a_pattern_that_is_not_known_to_mean_the_same_is_refused(pattern: str, fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"{", "x.json: not JSON"),
        (b"\xff", "x.json: not JSON"),
        (b"[]", "x.json: "),
        (b'{"patterns": ["a"]}', "x.json: dependencies: Field required"),
        (b'{"patterns": [], "dependencies": []}', "x.json: patterns: "),
        (json.dumps(_rule("a") | {"more": 1}).encode(), "x.json: more: "),
        (json.dumps(_rule("a", packages="curl")).encode(), "x.json: dependencies.0.packages: "),
        (json.dumps(_rule("a", constraints=[])).encode(), "x.json: dependencies.0.constraints: "),
        (json.dumps(_rule("a", constraints=[{"os": "beos"}])).encode(), "x.json: dependencies.0.constraints.0.os: "),
        (json.dumps(_rule("a", pre_install=[{}])).encode(), "x.json: dependencies.0.pre_install.0: either"),
        (json.dumps(_rule("(")).encode(), r"x.json: the pattern '\('"),
        (b"[" * 100_000, "x.json: not JSON"),
    ],
)
def test_a_bad_rule_is_one_line_that_names_its_file(data: bytes, fault: str) -> None:
    with pytest.raises(Invalid, match=fault) as raised:
        sysreqs.read_rule("x.json", data)
    assert "\n" not in raised.value.message


def test_bad_rules_and_patterns_leave_the_others_in_use() -> None:
    good, half = _rule("a"), _rule(r"\bb\b", r"\p{L}")
    files = {"good.json": good, "half.json": half, "bad.json": {}}
    values, faults = sysreqs.read_rules({name: json.dumps(value).encode() for name, value in files.items()})
    assert values == {"good.json": good, "half.json": half}
    assert faults == [
        "bad.json: patterns: Field required",
        r"half.json: the pattern '\\p{L}' has something that is not known here: '\\p{L'",
    ]


def test_the_first_part_that_is_for_a_system_counts() -> None:
    def linux(distribution: str, *versions: str) -> dict[str, Any]:
        return {"os": "linux", "distribution": distribution} | ({"versions": list(versions)} if versions else {})

    dependencies = [
        {"packages": ["old"], "constraints": [linux("ubuntu", "20.04")]},
        {"packages": ["new"], "constraints": [linux("debian"), linux("ubuntu")]},
        {"packages": ["rtools"], "constraints": [{"os": "windows"}]},
    ]
    rules = _rules(x={"patterns": ["x"], "dependencies": dependencies})
    found = {
        system: rules.requirements("needs x", System(*system)).packages
        for system in [("ubuntu", "20.04"), ("ubuntu", "22.04"), ("debian", "12"), ("redhat", "9")]
    }
    assert found == {
        ("ubuntu", "20.04"): ("old",),
        ("ubuntu", "22.04"): ("new",),
        ("debian", "12"): ("new",),
        ("redhat", "9"): (),
    }
    assert not rules.requirements("nothing", System("debian", "12"))


@pytest.mark.parametrize(
    ("named", "system"),
    [
        (("ubuntu", "22.04"), ("ubuntu", "22.04")),
        (("RHEL", "9.4"), ("redhat", "9")),
        (("rocky", "9"), ("rockylinux", "9")),
        (("debian", "12.5"), ("debian", "12")),
        (("sles", "15.6"), ("sle", "15.6")),
        (("ubuntu", "99.04"), None),
        (("beos", "5"), None),
        (("internal", "all"), None),
    ],
)
def test_systems_are_found_by_the_names_that_they_go_by(named: tuple[str, str], system: tuple[str, str] | None) -> None:
    assert _rules().find_system(*named) == system


def test_steps_are_done_once_and_what_follows_a_new_one_again() -> None:
    def steps(*commands: str) -> list[Step]:
        return [Step(command=command) for command in commands]

    merged = sysreqs.merge_steps([steps("tools", "add a", "update"), steps("tools", "add b", "update"), steps("add a")])
    assert [step.command for step in merged] == ["tools", "add a", "update", "add b", "update"]


def test_scripts_are_those_of_the_distribution_and_names_are_words() -> None:
    systems = [("ubuntu", "22.04"), ("redhat", "9"), ("centos", "7"), ("opensuse", "15.6"), ("alpine", "3.21")]
    found = [sysreqs.install_scripts(System(*system), ["a-dev", "b; reboot"]) for system in systems]
    assert found == [
        ["apt-get install -y a-dev", "apt-get install -y 'b; reboot'"],
        ["dnf install -y a-dev", "dnf install -y 'b; reboot'"],
        ["yum install -y a-dev", "yum install -y 'b; reboot'"],
        ["zypper --non-interactive install a-dev", "zypper --non-interactive install 'b; reboot'"],
        ["apk add --no-cache a-dev", "apk add --no-cache 'b; reboot'"],
    ]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["rules/a.json", "rules/.b.json", "schema.json", "test/sysreqs.json", "rules/c.txt"], ["a.json"]),
        (["db-1/rules/a.json", "db-1/systems.json", "db-1/old/rules/b.json"], ["a.json"]),
        (["a.json", "schema.json", "systems.json", "more/b.json"], ["a.json"]),
        (["README.md"], []),
    ],
)
def test_rules_are_found_in_their_folder_and_in_the_one_above(paths: list[str], names: list[str]) -> None:
    assert list(sysreqs.rule_files(paths).values()) == names


@pytest.fixture(scope="module")
def database() -> dict[str, bytes]:
    """The files of the public database."""
    with tarfile.open(DATABASE) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


@pytest.mark.r
@pytest.mark.shared
@with_r
@with_database
def test_the_public_rules_match_what_r_matches(database: dict[str, bytes], tmp_path: Path) -> None:
    """138 rules over the texts of 1,486 packages."""
    texts = [row["SystemRequirements"] for row in json.loads(database["test/sysreqs.json"])]
    rules = {name: json.loads(database[path]) for path, name in sysreqs.rule_files(database).items()}
    assert (len(rules), len(texts)) == (138, 1486)
    patterns = sorted({pattern for rule in rules.values() for pattern in rule["patterns"]})
    found = dict(zip(patterns, _r_finds(patterns, texts, tmp_path), strict=True))
    theirs = [
        sorted(name for name, rule in rules.items() if any(found[p][n] for p in rule["patterns"]))
        for n in range(len(texts))
    ]
    values, faults = sysreqs.read_rules({name: database[path] for path, name in sysreqs.rule_files(database).items()})
    ours = Rules(sysreqs.of_value(name, value)[0] for name, value in values.items())
    assert faults == []
    assert [[rule.name for rule in ours.matching(text)] for text in texts] == theirs
    assert sum(map(len, theirs)) > 1000


@pytest.mark.shared
@with_database
@pytest.mark.parametrize("system", [("ubuntu", "22.04"), ("redhat", "9"), ("opensuse", "15.6")])
def test_the_public_rules_give_the_packages_of_a_system(database: dict[str, bytes], system: tuple[str, str]) -> None:
    """Compared with a look at the files that knows nothing of ours but which rules match."""
    texts = [row["SystemRequirements"] for row in json.loads(database["test/sysreqs.json"])]
    files = {name: json.loads(database[path]) for path, name in sysreqs.rule_files(database).items()}
    ours = Rules(sysreqs.of_value(name, value)[0] for name, value in files.items())

    def expected(name: str) -> list[str]:
        for dependency in files[name]["dependencies"]:
            for constraint in dependency["constraints"]:
                if constraint.get("distribution") == system[0] and system[1] in constraint.get("versions", system[1:]):
                    return list(dependency["packages"])
        return []

    found = 0
    for text in texts:
        packages = [package for rule in ours.matching(text) for package in expected(rule.name)]
        got = list(ours.requirements(text, System(*system)).packages)
        assert got == list(dict.fromkeys(packages)), text
        found += bool(got)
    assert found > 500
