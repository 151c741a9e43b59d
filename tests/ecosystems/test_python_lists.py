"""Lists of wanted Python packages."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from entrepot.core.errors import Invalid, InvalidBatch
from entrepot.core.model import PackageName, Sha256
from entrepot.core.requirements import ListFormat, Requirement, RequirementList
from entrepot.ecosystems.python import poetry, requirementlines
from entrepot.ecosystems.python.lists import read, read_constraints
from tests.support.python import program

A, B = Sha256("a" * 64), Sha256("0b" * 32)
PROJECT = '[project]\nname = "x"\n'


def wanted(
    package: str,
    specifier: str = "",
    *extras: str,
    hashes: tuple[Sha256, ...] = (),
    marker: str = "",
    line: int | None = None,
) -> Requirement:
    return Requirement(PackageName(package), specifier, extras, hashes, marker, line)


def refused(text: str, *, reader: Callable[[str], object] = read) -> Invalid:
    """The error of a list that isn't read."""
    with pytest.raises(Invalid) as caught:
        reader(text)
    return caught.value


LINES: dict[str, Requirement] = {
    "numpy": wanted("numpy", line=1),
    "  Zope.Interface\t": wanted("zope-interface", line=1),
    "numpy==1.26.4": wanted("numpy", "==1.26.4", line=1),
    "numpy >= 1.26, <3": wanted("numpy", "<3,>=1.26", line=1),
    "numpy (>=1.26)": wanted("numpy", ">=1.26", line=1),
    "numpy==1.*": wanted("numpy", "==1.*", line=1),
    "numpy~=1.26": wanted("numpy", "~=1.26", line=1),
    "torch==2.0+cpu": wanted("torch", "==2.0+cpu", line=1),
    "numpy>=1,>=1": wanted("numpy", ">=1", line=1),
    "uvicorn[Standard,http_x]": wanted("uvicorn", "", "http-x", "standard", line=1),
    "a[b]>=1;python_version<'3.9'": wanted("a", ">=1", "b", marker='python_version < "3.9"', line=1),
    "a==1 # why": wanted("a", "==1", line=1),
    f"a==1 --hash=sha256:{A}": wanted("a", "==1", hashes=(A,), line=1),
    f"a==1 ; os_name == 'nt' --hash=sha256:{A} --hash sha256:{B.upper()} --hash=sha256:{A}": wanted(
        "a", "==1", hashes=(A, B), marker='os_name == "nt"', line=1
    ),
    f"a==1 --config-settings x=y --hash='sha256:{A}'": wanted("a", "==1", hashes=(A,), line=1),
}

SKIPPED = """\
-i https://pypi.example.org/simple
--index-url=https://pypi.example.org/simple --extra-index-url https://other.example.org
--no-index
-f ./wheels
--find-links=wheels
--trusted-host pypi.example.org
--pre
--no-binary :all:
--only-binary=numpy
--prefer-binary
--require-hashes
--use-feature=fast-deps
"""

FAULTS: dict[str, tuple[str, str]] = {
    "-r other.txt": ("names another file", "--constraints"),
    "-rother.txt": ("names another file", "--constraints"),
    "--requirement=other.txt": ("names another file", "--constraints"),
    "-c other.txt": ("names another file", "--constraints"),
    "--pre --constraint other.txt": ("names another file", "--constraints"),
    "-e .": ("isn't drawn from an index", "by name and version"),
    "--editable git+https://example.org/x#egg=x": ("isn't drawn from an index", "by name and version"),
    "https://example.org/a-1.0.tar.gz": ("isn't drawn from an index", "by name and version"),
    "git+ssh://git@example.org/x": ("isn't drawn from an index", "by name and version"),
    "./downloads/a": ("isn't drawn from an index", "by name and version"),
    "downloads/a": ("isn't drawn from an index", "by name and version"),
    "C:\\a": ("isn't drawn from an index", "by name and version"),
    "a-1.0-py3-none-any.whl": ("isn't drawn from an index", "by name and version"),
    "a @ file:///x": ("isn't drawn from an index, but from an address", "by name and version"),
    "a=1.0": ("'=' is not an operator", "a==1.0"),
    "a=1.0=py_0": ("'=' is not an operator", "a==1.0"),
    "a b": ("'a b' is not a requirement: Expected", "numpy>=1.26,<3"),
    "a==1.0+l,>=x": ("is not a requirement", "numpy>=1.26,<3"),
    "a; nonsense == '1'": ("is not a requirement", "numpy>=1.26,<3"),
    "a;" + "(" * 9000: ("nested too deeply", "numpy>=1.26,<3"),
    "a==${VERSION}": ("variables aren't filled in", "numpy>=1.26,<3"),
    "a_": ("'a_' is not the name of a project", ""),
    "a==" + "1" * 5000: ("at most 200 characters", ""),
    "a" * 20_000: ("is too long", "numpy>=1.26,<3"),
    f"a==1 --hash=sha512:{A}{A}": ("is not a SHA-256", "--hash=sha256"),
    "a==1 --hash=md5:00": ("is not a SHA-256", "--hash=sha256"),
    "a==1 --hash=sha256:00": ("is not a SHA-256", "64 hexadecimal digits"),
    "a==1 --hash": ("is not a SHA-256", "--hash=sha256"),
    "a==1 --no-deps": ("'--no-deps' is not an option of a requirement", ""),
    "--no-such-option": ("'--no-such-option' is not an option of a requirements file", ""),
    "--index-url 'x": ("a quotation mark is missing", ""),
}


@pytest.mark.parametrize(("line", "expected"), LINES.items())
def test_a_line(line: str, expected: Requirement) -> None:
    """A requirement of PEP 508 with pip's options for it, in one form however it was written."""
    assert read(line) == RequirementList(ListFormat.LINES, (expected,))


@pytest.mark.parametrize(("line", "message", "hint"), [(line, *told) for line, told in FAULTS.items()])
def test_a_faulty_line(line: str, message: str, hint: str) -> None:
    """A line that can't be drawn from an index is told with its number and what to write instead."""
    error = refused(f"numpy\n{line}\n")
    assert error.message.startswith("line 2: ")
    assert message in error.message
    assert hint in (error.hint or "")
    assert error.payload == {"line": 2}


def test_options_that_say_where_to_look() -> None:
    """Indexes and ways to choose are the source's business: such lines are passed over."""
    assert read(SKIPPED + "numpy\n") == RequirementList(ListFormat.LINES, (wanted("numpy", line=13),))


def test_lines() -> None:
    """Comments and empty lines are passed over; a line that goes on counts where it began."""
    text = f"\ufeff# ours\n\na==1 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n    # via b\nb>=\\\n2\na"
    expected = RequirementList(
        ListFormat.LINES, (wanted("a", "==1", hashes=(A, B), line=3), wanted("b", ">=2", line=7), wanted("a", line=9))
    )
    assert read(text) == expected
    assert read(text.replace("\n", "\r\n")) == expected


def test_the_same_name_in_several_environments() -> None:
    """Each line stands for itself."""
    assert read("a<2 ; python_version < '3.9'\na>=2 ; python_version >= '3.9'").requirements == (
        wanted("a", "<2", marker='python_version < "3.9"', line=1),
        wanted("a", ">=2", marker='python_version >= "3.9"', line=2),
    )


def test_what_pip_freeze_prints() -> None:
    """Comments of `pip freeze` are comments; what isn't of an index is told."""
    error = refused("a==1.0\n# Editable install with no version control (x==1)\n-e /x\nb @ file:///b\n")
    assert isinstance(error, InvalidBatch)
    assert [fault["subject"] for fault in error.payload["faults"]] == ["line 3", "line 4"]  # type: ignore[attr-defined]


def test_very_many_faulty_lines() -> None:
    """Fifty are told one by one, and a list that is nothing but faults isn't read to its end."""
    with pytest.raises(InvalidBatch) as caught:
        read("a b\n" * 100_000)
    faults = caught.value.payload["faults"]
    assert isinstance(faults, list)
    assert [fault["subject"] for fault in faults] == [f"line {number}" for number in range(1, 51)] + ["further lines"]
    assert faults[-1]["error"] == "950 more can't be read"


@pytest.mark.parametrize("text", ["", "# a\n", "--pre\n", PROJECT, PROJECT + "dependencies = []\n"])
def test_no_package(text: str) -> None:
    """A list in which there is nothing is a mistake."""
    error = refused(text)
    assert error.message == "there is no package in it"
    assert error.hint


@pytest.mark.parametrize(
    ("text", "kind"), [('{"Packages": {}}', "renv.lock"), ("Package: a\nVersion: 1.0\n", "DESCRIPTION")]
)
def test_a_file_of_r(text: str, kind: str) -> None:
    """A file of R's tools is named."""
    assert refused(text).message == f"this is a list of R packages ({kind}), and Python packages are wanted here"


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,5}[A-Za-z0-9])?", fullmatch=True)
VERSIONS = st.from_regex(
    r"(1!)?[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?", fullmatch=True
)
BOUNDS = st.builds(str.__add__, st.sampled_from(["==", "!= ", ">=", "<= ", "<", ">", "~=", "==="]), VERSIONS)
MARKERS = st.sampled_from(["python_version < '3.9'", 'os_name=="nt" and extra == "x"', "nonsense", ""])
TOKENS = st.sampled_from(
    ["a", "b-c", "A_B", "1.0", "2", ".", "==", ">=", "<", "~=", "===", ",", " ", "[", "]", "x", ";", "python_version",
     "'3.8'", "(", ")", "1!", "a1", "+l", ".*", "@"]
)  # fmt: skip


@st.composite
def requirement_lines(draw: st.DrawFn) -> str:
    """Requirements, most of them sound."""
    extras = draw(st.lists(NAMES, max_size=2))
    semicolon = draw(st.sampled_from(["", ";", " ; "]))
    return (
        draw(NAMES)
        + (f"[{','.join(extras)}]" if draw(st.booleans()) else "")
        + draw(st.sampled_from([",", " , "])).join(draw(st.lists(BOUNDS, max_size=3)))
        + (semicolon + draw(MARKERS) if semicolon else "")
    )


@given(requirement_lines() | st.lists(TOKENS, min_size=1, max_size=8).map(lambda tokens: "".join(tokens).strip()))
@example("a==1.0,==1.0.0,==1.0")
@example("a>=1.0,")
def test_packaging_agrees(line: str) -> None:
    """What `packaging` takes is taken, and says the same; what it doesn't, isn't."""
    try:
        expected = Pep508(line)
    except InvalidRequirement:
        with pytest.raises(Invalid):
            requirementlines.requirement(line)
        return
    if expected.url is not None or expected.name.endswith("_"):
        with pytest.raises(Invalid):
            requirementlines.requirement(line)
        return
    assert requirementlines.requirement(line) == Requirement(
        canonicalize_name(expected.name),  # type: ignore[arg-type]
        ",".join(sorted({str(bound) for bound in expected.specifier})),
        tuple(sorted({canonicalize_name(extra) for extra in expected.extras})),
        (),
        str(expected.marker or ""),
    )


@given(st.text() | st.lists(TOKENS | st.sampled_from(["\n", "\\\n", "#", "-r", "--hash="])).map("".join))
def test_any_text(text: str) -> None:
    """Every text is a list or Invalid."""
    with contextlib.suppress(Invalid):
        assert read(text, constraints=text).requirements


def test_pip_agrees() -> None:
    """pip joins the same lines, cuts the same comments off and counts alike."""
    parts = [
        "a",
        "b==1.0",
        " ",
        "\t",
        "\\",
        "\\\n",
        "\n",
        "\r\n",
        "#c",
        " #c",
        "# c \\\n",
        "\x0c",
        " \\\n",
        "\\\\\n",
        "#",
    ]
    rng = random.Random(508)
    texts = ["".join(rng.choices(parts, k=rng.randrange(12))) for _ in range(2000)]
    code = (
        "import json, sys\nfrom pip._internal.req.req_file import preprocess\n"
        "print(json.dumps([[list(line) for line in preprocess(text)] for text in json.load(sys.stdin)]))"
    )
    done = subprocess.run(
        [str(program("python")), "-I", "-c", code], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    ours = []
    for text in texts:
        told = requirementlines._lines(text)
        ours.append([[number, line] for number, line in told])
    assert json.loads(done.stdout) == ours


def test_constraints() -> None:
    """Bounds of the same name are joined, those of an environment to requirements of the same one; nothing is added."""
    constraints = "# ours\nNumpy<3,>=1\nscipy==1\nb<2 ; os_name == 'nt'\nnumpy!=2.0\n"
    assert read("numpy>=1.26\nb\nb>=1 ; os_name=='nt'\nc[d]\n", constraints=constraints).requirements == (
        wanted("numpy", "!=2.0,<3,>=1,>=1.26", line=1),
        wanted("b", line=2),
        wanted("b", "<2,>=1", marker='os_name == "nt"', line=3),
        wanted("c", "", "d", line=4),
    )
    assert read_constraints(constraints) == (
        wanted("numpy", "<3,>=1", line=2),
        wanted("scipy", "==1", line=3),
        wanted("b", "<2", marker='os_name == "nt"', line=4),
        wanted("numpy", "!=2.0", line=5),
    )
    assert read_constraints("\n# none\n") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb[c]<2\n", "constraints, line 2: 'b[c]<2': a constraint has no extras"),
        (f"b<2 --hash=sha256:{A}", "constraints, line 1: 'b<2': a constraint has no hashes"),
        ("b @ https://x/y", "constraints, line 1: 'b @ https://x/y' isn't drawn from an index, but from an address"),
        (PROJECT, "constraints are a requirement a line, not pyproject.toml"),
    ],
)
def test_faulty_constraints(text: str, message: str) -> None:
    """It is said that the fault lies in the constraints."""
    with pytest.raises(Invalid) as caught:
        read("a\n", constraints=text)
    assert caught.value.message == message


def test_pyproject() -> None:
    """What the project needs always, neither its extras nor its groups."""
    text = PROJECT + (
        'dependencies = [\n  "Flask>=3",\n  "tomli; python_version<\'3.11\'",\n]\n'
        '[project.optional-dependencies]\ndev = ["pytest"]\n[tool.poetry.dependencies]\nx = "*"\n'
        '[dependency-groups]\ndev = ["ruff"]\n'
    )
    assert read(text) == RequirementList(
        ListFormat.PYPROJECT, (wanted("flask", ">=3"), wanted("tomli", marker='python_version < "3.11"'))
    )


def test_poetrys_tables() -> None:
    """Poetry's own tables are read as the bounds and markers that they stand for."""
    text = """
[tool.poetry.dependencies]
python = "^3.9"
Flask = "^3.1"
a = "*"
b = { version = "~1.2.3", extras = ["Y", "x"], python = "^3.8", platform = "linux" }
c = { version = "1.0", markers = "os_name == 'nt' or os_name == 'java'", python = ">=3.8.1" }
d = [{ version = "<2", python = "<3.9" }, { version = ">=2", python = ">=3.9" }]
e = { version = "1.0", optional = true }
[tool.poetry.group.dev.dependencies]
f = "*"
"""
    assert read(text) == RequirementList(
        ListFormat.PYPROJECT,
        (
            wanted("flask", "<4,>=3.1"),
            wanted("a"),
            wanted(
                "b",
                "<1.3,>=1.2.3",
                "x",
                "y",
                marker='python_version < "4" and python_version >= "3.8" and sys_platform == "linux"',
            ),
            wanted(
                "c",
                "==1.0",
                marker='(os_name == "nt" or os_name == "java") and python_full_version >= "3.8.1"',
            ),
            wanted("d", "<2", marker='python_version < "3.9"'),
            wanted("d", ">=2", marker='python_version >= "3.9"'),
        ),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("^1.2.3", "<2,>=1.2.3"),
        ("^1.2", "<2,>=1.2"),
        ("^1", "<2,>=1"),
        ("^0.2.3", "<0.3,>=0.2.3"),
        ("^0.0.3", "<0.0.4,>=0.0.3"),
        ("^0.0", "<0.1,>=0.0"),
        ("^0", "<1,>=0"),
        ("^1!2.0", "<1!3,>=1!2.0"),
        ("~1.2.3", "<1.3,>=1.2.3"),
        ("~1.2", "<1.3,>=1.2"),
        ("~1", "<2,>=1"),
        ("~=1.2", "~=1.2"),
        ("*", ""),
        ("1.*", "==1.*"),
        ("1.2.3", "==1.2.3"),
        ("=1.2.3", "==1.2.3"),
        (">= 1.2, < 1.5", "<1.5,>=1.2"),
        (">=1.2 <1.5", "<1.5,>=1.2"),
        ("^1.2,!=1.3", "!=1.3,<2,>=1.2"),
    ],
)
def test_bounds_of_poetry(text: str, expected: str) -> None:
    """Caret, tilde, wildcards and bare versions, as Poetry's documentation explains them."""
    assert poetry.bounds(text) == expected


@pytest.mark.parametrize("text", ["", "^", "^x", "1 || 2", "^1|^2", ">=", "^^1", ">=1.*", "~" + "1" * 5000, "a b"])
def test_no_bounds_of_poetry(text: str) -> None:
    """What can't be written as bounds of PEP 440 is a fault."""
    with pytest.raises(Invalid):
        poetry.bounds(text)


@given(VERSIONS, VERSIONS)
def test_a_caret_keeps_its_first_number(bound: str, version: str) -> None:
    """Whatever a caret or a tilde takes isn't older, and is within the same series; the bound itself is taken."""
    for sign in "^~":
        taken = SpecifierSet(poetry.bounds(sign + bound), prereleases=True)
        assert taken.contains(bound)
        if taken.contains(version):
            assert Version(version) >= Version(bound)
            assert Version(version).epoch == Version(bound).epoch
            assert Version(version).major <= Version(bound).major + (Version(version).is_prerelease)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            PROJECT + 'dynamic = ["dependencies"]\n',
            "pyproject.toml: the dependencies are dynamic, so they aren't in it",
        ),
        ("[tool.ruff]\n", "pyproject.toml: there is neither [project] nor [tool.poetry.dependencies]"),
        (PROJECT + 'dependencies = "a"\n', "pyproject.toml: project.dependencies isn't a list"),
        (PROJECT + "dependencies = [1]\n", "project.dependencies, entry 1: isn't a string"),
        (
            PROJECT + 'dependencies = ["a", "b @ https://x/y"]\n',
            "project.dependencies, entry 2: 'b @ https://x/y' isn't drawn from an index, but from an address",
        ),
        (
            '[tool.poetry.dependencies]\na = {path = "../a"}\n',
            "tool.poetry.dependencies.a: isn't drawn from an index",
        ),
        ("[tool.poetry.dependencies]\na = 1\n", "tool.poetry.dependencies.a: is neither bounds nor a table"),
        ("[tool.poetry.dependencies]\na = {}\n", "tool.poetry.dependencies.a: 'version' is missing"),
    ],
)
def test_a_malformed_pyproject(text: str, message: str) -> None:
    """The place at which the fault lies is named."""
    assert refused(text).message == message


UV_LOCK = f"""
version = 1
revision = 3
requires-python = ">=3.9"
resolution-markers = ["python_full_version >= '3.10'", "python_full_version < '3.10'"]

[[package]]
name = "mine"
version = "0.1.0"
source = {{ editable = "." }}
dependencies = [{{ name = "numpy", version = "2.0.2", marker = "python_full_version < '3.10'" }}]

[[package]]
name = "workspace"
source = {{ virtual = "packages/w" }}

[[package]]
name = "numpy"
version = "2.0.2"
source = {{ registry = "https://index.example.org/simple" }}
resolution-markers = ["python_full_version < '3.10'", "os_name == 'nt' and os_name == 'x'"]
sdist = {{ url = "https://x/numpy-2.0.2.tar.gz", hash = "sha256:{A}", size = 1 }}
wheels = [
    {{ url = "https://x/numpy-2.0.2-cp39-cp39-win32.whl", hash = "sha256:{B}", size = 1 }},
]

[[package]]
name = "tqdm"
version = "4.67.1"
source = {{ registry = "https://index.example.org/simple" }}
wheels = [{{ url = "https://x/tqdm-4.67.1-py3-none-any.whl", hash = "sha256:{B}" }}]
"""


def test_uv_lock() -> None:
    """Each package of a registry in just its version and files, forks with their markers; not the project itself."""
    assert read(UV_LOCK) == RequirementList(
        ListFormat.UV_LOCK,
        (
            wanted(
                "numpy",
                "==2.0.2",
                hashes=(A, B),
                marker='python_full_version < "3.10" or (os_name == "nt" and os_name == "x")',
            ),
            wanted("tqdm", "==4.67.1", hashes=(B,)),
        ),
    )


UV = 'version = 1\n[[package]]\nname = "a"\nversion = "1"\n'
IN_REGISTRY = UV + 'source = { registry = "x" }\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('version = 2\n[[package]]\nname = "a"\n', "uv.lock of version 2 can't be read, only of version 1"),
        (UV, "a: 'source' is missing"),
        (UV + 'source = "registry+https://x"\n', "a: 'source' isn't a table"),
        (UV + 'source = { git = "https://x/y" }\n', "a: comes from git, not an index"),
        (UV + 'source = { url = "https://x/y" }\n', "a: comes from url, not an index"),
        (UV + 'source = { path = "../y.whl" }\n', "a: comes from path, not an index"),
        (IN_REGISTRY + 'wheels = [{ hash = "md5:00" }]\n', "a: a file has no SHA-256"),
        (IN_REGISTRY + "wheels = [1]\n", "a: '1' isn't a table"),
        (IN_REGISTRY + "wheels = 1\n", "a: 'wheels' isn't a list"),
        (IN_REGISTRY + "resolution-markers = 1\n", "a: 'resolution-markers' isn't a list of strings"),
        ('version = 1\n[[package]]\nsource = { registry = "x" }\n', "package 1: 'name' is missing"),
        ('version = 1\n[[package]]\nname = "a"\nsource = { registry = "x" }\n', "a: 'version' is missing"),
        (IN_REGISTRY.replace('"1"', '"x"'), "a: 'x' is not a version"),
    ],
)
def test_a_malformed_uv_lock(text: str, message: str) -> None:
    """The package at which the fault lies is named."""
    assert refused(text).message == message


PYLOCK = f"""
lock-version = "1.0"
created-by = "x"

[[packages]]
name = "mine"
[packages.directory]
path = "."
editable = true

[[packages]]
name = "attrs"
version = "25.1.0"
marker = "python_version >= '3.9'"
wheels = [
  {{ url = "https://x/attrs-25.1.0-py3-none-any.whl", hashes = {{ sha256 = "{A}" }} }},
]
[packages.sdist]
name = "attrs-25.1.0.tar.gz"
url = "https://x/attrs-25.1.0.tar.gz"
hashes = {{ sha256 = "{B}", md5 = "00" }}

[[packages]]
name = "pytest"
version = "8"
marker = "'dev' in dependency_groups"
wheels = []
"""


def test_pylock() -> None:
    """Each package in just its version and files, with its marker; not the project itself."""
    expected = (
        wanted("attrs", "==25.1.0", hashes=(B, A), marker='python_version >= "3.9"'),
        wanted("pytest", "==8", marker='"dev" in dependency_groups'),
    )
    assert read(PYLOCK) == RequirementList(ListFormat.PYLOCK, expected)


PY = 'lock-version = "1.0"\n[[packages]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lock-version = "2.0"\npackages = []\n', "pylock.toml of version 2.0 can't be read, only of version 1"),
        ('lock-version = "1.0"\npackages = 1\n', "pylock.toml: 'packages' isn't a list"),
        ('lock-version = "1.0"\npackages = [1]\n', "package 1: '1' isn't a table"),
        (PY + "[packages.vcs]\n", "a: comes from vcs, not an index"),
        (PY + '[packages.directory]\npath = "../b"\n', "a: comes from directory, not an index"),
        (PY + "[packages.archive]\n", "a: comes from archive, not an index"),
        (PY, "a: 'version' is missing"),
        (PY + 'version = "1"\nmarker = "x"\n', "a: 'x' is not a marker: Expected a marker variable or quoted string"),
        (PY + 'version = "1"\nsdist = { hashes = { sha512 = "00" } }\n', "a: a file has no SHA-256"),
    ],
)
def test_a_malformed_pylock(text: str, message: str) -> None:
    """The package at which the fault lies is named."""
    assert refused(text).message == message
