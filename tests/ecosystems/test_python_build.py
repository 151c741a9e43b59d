"""What a Python project says of its build, and the versions that its commits get."""

from __future__ import annotations

import configparser
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from entrepot.core.errors import Invalid
from entrepot.ecosystems.python.build import (
    DEFAULT_REQUIRES,
    MOST_REQUIREMENTS,
    Files,
    Place,
    Project,
    commit_version,
    environment_of,
    is_above,
    is_named_by,
    is_of,
    read_project,
    read_requirements,
    with_version,
)
from entrepot.ecosystems.python.names import is_canonical

STAMP = 1537204599
POETRY = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'


def files(pyproject: str | None = None, cfg: str | None = None, py: str | None = None) -> Files:
    pyproject_, cfg_, py_ = (None if text is None else text.encode() for text in (pyproject, cfg, py))
    return Files(pyproject_, cfg_, py_)


def told(given: Files) -> tuple[str | None, str | None, Place]:
    project = read_project(given)
    return project.name, project.version, project.place


# --- what the files say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (files('[project]\nname="My.Demo_x"\nversion="1.0.0-RC1"\n'), ("my-demo-x", "1.0.0rc1", Place.PROJECT)),
        (files('[project]\nname="demo"\ndynamic=["version"]\n'), ("demo", None, Place.PROJECT)),
        (files(POETRY + '[tool.poetry]\nname="demo"\nversion="1"\n'), ("demo", "1", Place.POETRY)),
        (
            files(POETRY + '[project]\nname="demo"\ndynamic=["version"]\n[tool.poetry]\nversion="1"\n'),
            ("demo", "1", Place.POETRY),
        ),
        (
            files('[build-system]\nrequires=[]\nbuild-backend="poetry_x.backend"\n[tool.poetry]\nversion="0.0.0"\n'),
            (None, None, Place.POETRY),
        ),
        (files("", "[metadata]\nname = demo\nversion = 1.0\n"), ("demo", "1.0", Place.SETUP_CFG)),
        (files("", "[metadata]\nname = demo\nversion = attr: demo.v\n"), ("demo", None, Place.SETUP_CFG)),
        (files("", "[metadata]\nversion = 1.0\n[egg_info]\ntag_build = .dev\n"), (None, None, Place.SETUP_CFG)),
        (files(None, "[metadata]\nversion = 1.0\n", "setup(version=V)"), (None, None, Place.APPENDED)),
        (files(None, None, "from setuptools import setup\nsetup(name='x')"), (None, None, Place.APPENDED)),
        (files(None, None, "setup(use_scm_version=True)"), (None, None, Place.SCM)),
        (files('[build-system]\nrequires=["Setuptools_SCM[toml]>=6"]\n', None, "setup()"), (None, None, Place.SCM)),
        (files('[build-system]\nrequires=["setuptools-scm-x"]\n', None, "setup()"), (None, None, Place.APPENDED)),
        (files('[build-system]\nrequires=[]\nbuild-backend="own"\n'), (None, None, Place.NOWHERE)),
        (files('[project]\nname="-"\nversion="1"\n'), (None, "1", Place.PROJECT)),
        (files("project = 1\ntool = 2\n"), (None, None, Place.NOWHERE)),
    ],
)
def test_name_version_and_where_it_is_set(given: Files, expected: tuple[str | None, str | None, Place]) -> None:
    """What stands there for good is told; what a build backend works out is not."""
    assert told(given) == expected


def test_what_a_build_needs_first() -> None:
    """PEP 518's default counts only where nothing is said."""
    assert read_project(files(None, None, "")).requires == DEFAULT_REQUIRES
    assert read_project(files('[project]\nname="x"\n')).requires == DEFAULT_REQUIRES
    assert read_project(files('[build-system]\nrequires=["a", "b>1"]\n')).requires == ("a", "b>1")


def test_a_version_that_setup_py_seems_to_give() -> None:
    """One literal is a guess; several, or none, are nothing."""
    assert read_project(files(None, None, "setup(name='x',\n  version = '1.0',\n)")).guess == "1.0"
    assert read_project(files(None, None, "version='1'\nversion='2'")).guess is None
    assert read_project(files(None, None, "setup(python_version='3', version=read())")).guess is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (files(None, "[metadata]\nname=x\n"), "neither a pyproject.toml nor a setup.py"),
        (files("["), "pyproject.toml can't be read"),
        (files("a=" + "[" * 5000), "pyproject.toml can't be read: it is nested too deeply"),
        (Files(b"\xff", None, None), "pyproject.toml can't be read"),
        (files("", "no section = 1"), "setup.cfg can't be read"),
        (files("build-system = 1\n"), "no list 'requires'"),
        (files('[build-system]\nbuild-backend="x"\n'), "no list 'requires'"),
        (files("[build-system]\nrequires=[1]\n"), "no list 'requires'"),
        (files('[project]\nname="x"\nversion="one"\n'), "its version 'one' is none"),
        (files(f'[project]\nname="x"\nversion="{"1" * 201}"\n'), "is none"),
    ],
)
def test_what_cant_be_read(given: Files, message: str) -> None:
    """One line says what is wrong."""
    with pytest.raises(Invalid, match=message) as caught:
        read_project(given)
    assert "\n" not in caught.value.message


def test_requirements() -> None:
    """They come in one form, so that no line can be an option of an installer; URLs, nonsense and floods don't."""
    assert read_requirements(["setuptools >= 61,<90", 'x[a] ; os_name=="nt"']) == (
        "setuptools<90,>=61",
        'x[a]; os_name == "nt"',
    )
    for line, message in (
        ("x @ https://git.example.org/x.whl", "needs x from a URL"),
        ("--index-url=https://index.example.org", "is no requirement"),
        ("x\n--no-binary :all:", "is no requirement"),
        ("x; " + "(" * 5000, "is no requirement"),
        ("-e .", "is no requirement"),
        ("x" * (MOST_REQUIREMENTS + 1), "a list of more than"),
    ):
        with pytest.raises(Invalid, match=message):
            read_requirements([line])


# --- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "version", "is_it"),
    [
        ("1.0", "1.0", True),
        ("v1.0", "1.0", True),
        ("v1.0.0-rc.1", "1.0rc1", True),
        ("1", "1.0.0", True),
        ("vv1.0", "1.0", False),
        ("1.1", "1.0", False),
        ("release-1.0", "1.0", False),
        ("", "1.0", False),
        ("v", "1.0", False),
        ("1.0+local", "1.0", False),
    ],
)
def test_tags(tag: str, version: str, is_it: bool) -> None:
    """`x` and `vx` name the version that is equal to x (PEP 440), whatever its form."""
    assert is_named_by(tag, version) == is_it


@pytest.mark.parametrize(
    ("own", "newest", "expected"),
    [
        ("1.0", None, "1.0.post1537204599"),
        ("1.0", "1.0", "1.0.post1537204599"),
        ("1.0rc1", None, "1.0rc1.post1537204599"),
        ("1.0.dev0", None, "1.0.dev1537204599"),
        ("1.0.post2", None, "1.0.post1537204599"),
        ("1.0.post2.dev3", None, "1.0.post2.dev1537204599"),
        ("2!1.0+g1234", None, "2!1.0.post1537204599"),
        ("1.0", "1.0.post1537204599", "1.0.post1537204600"),
        ("1.0.0", "1.0.post1600000000", "1.0.post1600000001"),
        ("1.1", "1.0.post1600000000", "1.1.post1537204599"),
        ("1.0", "1.1.post1537204000", "1.1.post1537204599"),
        ("1.0", "1.1", "1.1.post1537204599"),
        ("1.0", "1.1+local.7", "1.1.post1537204599"),
        ("1.0.dev0", "1.0.post5", "1.0.post1537204599"),
        ("1.0", "1.0.dev1700000000", "1.0.post1537204599"),
        ("0.1.dev1", "0.1.dev1700000000+gabc", "0.1.dev1700000001"),
    ],
)
def test_a_commits_version(own: str, newest: str | None, expected: str) -> None:
    """Its own and the stamp; above what was there, if need be by what was there."""
    assert commit_version(own, STAMP, newest) == expected


def numbers() -> st.SearchStrategy[int]:
    return st.one_of(st.integers(0, 3), st.integers(1_500_000_000, 1_500_000_002))


@st.composite
def versions(draw: st.DrawFn) -> str:
    text = ".".join(map(str, draw(st.lists(st.integers(0, 2), min_size=1, max_size=3))))
    text += draw(st.sampled_from(["", "", "a1", "rc2"]))
    text += draw(st.sampled_from(["", f".post{draw(numbers())}"]))
    text += draw(st.sampled_from(["", f".dev{draw(numbers())}"]))
    return draw(st.sampled_from(["", "", "1!"])) + text + draw(st.sampled_from(["", "", "+g1", "+7.x"]))


@given(own=versions(), newest=st.none() | versions(), stamp=numbers())
def test_a_commits_version_is_always_above(own: str, newest: str | None, stamp: int) -> None:
    """Valid, in its normal form, strictly above the newest; the project's own base where that can be."""
    made = commit_version(own, stamp, newest)
    assert str(Version(made)) == made
    assert is_canonical(made)
    assert is_above(made, newest)
    assert Version(made).local is None
    assert is_of(made, own) or not is_above(commit_version(own, stamp, None), newest)
    # The commit after it comes next again, also with an older stamp.
    assert is_above(commit_version(own, 0, made), made)


# --- setting one ---------------------------------------------------------------------------------------------------


def changed(given: Files, version: str, *, own: str) -> dict[str, str]:
    place = read_project(given).place
    return {name: data.decode() for name, data in with_version(given, place, version, own=own).items()}


def test_set_in_pyproject() -> None:
    """The version changes or comes to be, nothing else does, comments included."""
    text = '# ours\n[project]\nname = "demo"  # its name\nversion = "1.0"\n\n[tool.x]\ny = [1,\n  2]\n'
    assert changed(files(text), "1.0.post5", own="1.0") == {"pyproject.toml": text.replace('"1.0"', '"1.0.post5"')}
    dynamic = '[project]\nname = "demo"\ndynamic = ["readme", "version"]\n'
    (after,) = changed(files(dynamic), "1.0.post5", own="1.0").values()
    assert tomllib.loads(after) == {"project": {"name": "demo", "dynamic": ["readme"], "version": "1.0.post5"}}
    poetry = POETRY + '[tool.poetry]\nversion = "1"\n'
    assert changed(files(poetry), "1.post5", own="1") == {"pyproject.toml": poetry.replace('"1"', '"1.post5"')}
    inline = 'project = {name = "demo", version = "1.0"}\n'
    assert tomllib.loads(changed(files(inline), "2", own="1.0")["pyproject.toml"])["project"]["version"] == "2"


def test_set_in_setup_cfg() -> None:
    """Other sections and options stay, what setuptools would append goes."""
    cfg = "[metadata]\nname = demo\nversion = attr: x.y\n[Options.X]\nKey%1 = a\n    b\n[egg_info]\ntag-build = dev\n"
    after = configparser.RawConfigParser()
    after.optionxform = str  # type: ignore[assignment, method-assign]
    after.read_string(changed(files("", cfg), "1.0.post5", own="1.0.dev0")["setup.cfg"])
    assert {name: dict(after[name]) for name in after.sections()} == {
        "metadata": {"name": "demo", "version": "1.0.post5"},
        "Options.X": {"Key%1": "a\nb"},
        "egg_info": {"tag_build": "", "tag_date": "0"},
    }
    both = changed(files('[project]\nname="x"\nversion="1"\n', "[egg_info]\ntag_date = 1\n"), "2", own="1")
    assert "tag_date = 0" in both["setup.cfg"]
    assert "version=" in both["pyproject.toml"].replace(" ", "")


@pytest.mark.parametrize(
    ("own", "cfg", "version", "suffix"),
    [
        ("1.0", None, "1.0.post5", ".post5"),
        ("1.0rc1", None, "1.0rc1.post5", ".post5"),
        ("1.0.dev0", None, "1.0.dev5", "5"),
        ("1.0.dev0", "[egg_info]\ntag_build = .dev\n", "1.0.dev5", ".dev5"),
        ("1.0.dev7", "[egg_info]\ntag_build = dev7\n", "1.0.post5", ".post5"),
        ("1.0.post2", "[egg_info]\ntag-build = -2\n", "1.0.post5", ".post5"),
    ],
)
def test_appended_to_setup_py(own: str, cfg: str | None, version: str, suffix: str) -> None:
    """What setup.py gives can only be added to."""
    after = configparser.RawConfigParser()
    after.read_string(changed(files(None, cfg, "setup(version=x)"), version, own=own)["setup.cfg"])
    assert after["egg_info"]["tag_build"] == suffix


def test_what_cant_be_set() -> None:
    """The message says both versions, or where the trouble is."""
    with pytest.raises(Invalid, match=r"its version 1.0.post2 can't be made into 1.0.post5 by appending"):
        changed(files(None, None, "setup(version=x)"), "1.0.post5", own="1.0.post2")
    with pytest.raises(Invalid, match=r"its version is 1.0 again, .* no way to make it 1.0.post5"):
        changed(files('[build-system]\nrequires=[]\nbuild-backend="own"\n'), "1.0.post5", own="1.0")


def test_set_in_the_environment() -> None:
    """Tools that work a version out of a repository can be told another one."""
    assert changed(files(None, None, "setup(use_scm_version=True)"), "1.0.post5", own="1.0") == {}
    assert environment_of("1.0.post5", Place.SCM) == {"SETUPTOOLS_SCM_PRETEND_VERSION": "1.0.post5"}
    assert environment_of("1.0.post5", Place.PROJECT) == {}


def test_a_project_is_a_value() -> None:
    """Equal files give equal projects."""
    expected = Project(("a",), None, None, None, Place.NOWHERE)
    assert read_project(files('[build-system]\nrequires=["a"]\n')) == expected
