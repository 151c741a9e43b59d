"""Names of Python projects and of their files."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from entrepot.ecosystems.python.names import (
    FileName,
    canonical_version,
    is_canonical,
    is_file_name,
    is_name,
    is_of_project,
    normalize,
    parse_file_name,
)

NUMBERS = st.integers(0, 10**6).map(str)
VERSIONS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "v", "1!", "0!"]),
        st.lists(st.sampled_from(["0", "00", "1", "01", "2024", "10"]), min_size=1, max_size=4).map(".".join),
        st.sampled_from(["", "a1", "-beta.2", "rc", ".c03", "_pre4"]),
        st.sampled_from(["", ".post1", "-2", "post", ".rev02"]),
        st.sampled_from(["", ".dev0", "dev", "-dev01"]),
        st.sampled_from(["", "+cu118", "+1.02", "+UBUNTU_1", "+0a.b0"]),
    ),
)


@given(VERSIONS)
def test_versions_look_alike(version: str) -> None:
    """Whatever its spelling, a version has the form that `packaging` writes, and that form is known as such."""
    written = str(Version(version))
    assert canonical_version(version) == written
    assert is_canonical(written)
    assert is_canonical(version) == (version == written)


@given(st.text(st.characters(codec="ascii"), max_size=12))
@example("1.0\n")
@example("1.0-x")
def test_what_is_no_version_stays(text: str) -> None:
    """It is left as it is, and never taken for one."""
    try:
        written = str(Version(text))
    except ValueError:
        assert canonical_version(text) == text
        assert not is_canonical(text)
    else:
        assert canonical_version(text) == written


def test_numbers_without_end() -> None:
    """A version longer than any is none: Python itself refuses to read such a number."""
    assert canonical_version("01" * 3000) == "01" * 3000
    assert not is_canonical("1" * 5000)
    assert parse_file_name(normalize("demo"), f"demo-{'9' * 5000}.0-py3-none-any.whl").kind == "wheel"


@pytest.mark.parametrize(
    ("project", "name", "want"),
    [
        ("demo", "demo-1.0-py3-none-any.whl", FileName("wheel", "1.0")),
        ("demo", "Demo-1.0-1-py3-none-any.whl", FileName("wheel", "1.0")),
        ("zope-interface", "zope.interface-5.0rc1-cp39-cp39-win32.whl", FileName("wheel", "5.0rc1")),
        ("a-b", "a__b-1.0+cu118-py3-none-any.whl", FileName("wheel", "1.0+cu118")),
        ("demo", "demo-1.0.whl", FileName("wheel", "1.0")),
        ("demo", "demo-1.0.tar.gz", FileName("sdist", "1.0")),
        ("demo", "demo-1.0.zip", FileName("sdist", "1.0")),
        ("demo", "demo-01.0-BETA.tar.bz2", FileName("sdist", "1.0b0")),
        # The project decides where the version begins.
        ("demo", "demo-1.0-1.tar.gz", FileName("sdist", "1.0.post1")),
        ("demo", "demo-2-1.tar.gz", FileName("sdist", "2.post1")),
        ("demo-2", "demo-2-1.tar.gz", FileName("sdist", "1")),
        ("demo", "demo-1.0.linux-x86_64.tar.gz", FileName("sdist", "1.0.linux-x86_64")),
        ("demo", "demo-1.0-py2.7.egg", FileName("other", "1.0")),
        ("demo", "demo-1.0.win32-py2.7.exe", FileName("other", "1.0")),
        ("demo", "demo-1.0-1.noarch.rpm", FileName("other", "1.0")),
        ("demo", "demo.tar.gz", FileName("sdist", "")),
        ("demo", "demo-.tar.gz", FileName("sdist", "")),
        ("demo", "python-demo_1.0.deb", FileName("other", "")),
        ("demo", "other-1.0.tar.gz", FileName("sdist", "")),
        ("demo", "", FileName("other", "")),
    ],
)
def test_file_names(project: str, name: str, want: FileName) -> None:
    """The version is what follows the project's name, however that is spelled."""
    assert parse_file_name(normalize(project), name) == want


@given(
    st.from_regex(r"[a-z0-9]{1,4}([-_.][a-z0-9]{1,4}){0,3}", fullmatch=True), st.integers(0, 99), st.sampled_from("ab")
)
def test_file_names_as_packaging_reads_them(name: str, number: int, phase: str) -> None:
    """Names that follow the rules of today are read as `packaging` reads them."""
    project, stem = normalize(name), normalize(name).replace("-", "_")
    wheel, sdist = f"{stem}-{number}.0{phase}1-py3-none-any.whl", f"{stem}-{number}.0{phase}1.tar.gz"
    assert parse_file_name(project, wheel) == FileName("wheel", str(parse_wheel_filename(wheel)[1]))
    assert parse_file_name(project, sdist) == FileName("sdist", str(parse_sdist_filename(sdist)[1]))
    assert is_of_project(project, wheel)
    assert is_of_project(project, sdist)
    assert is_file_name(wheel)


@pytest.mark.parametrize(
    ("name", "is_its"),
    [
        ("demo-1.0.tar.gz", True),
        ("DEMO-1.0-py3-none-any.whl", True),
        ("demo2-1.0.tar.gz", False),
        ("other_demo-1.0-py3-none-any.whl", False),
        ("demо-1.0.tar.gz", False),  # with a Cyrillic o
        ("demo-1.0.exe", True),
        ("python-demo_1.0.deb", True),
    ],
)
def test_files_of_other_projects(name: str, is_its: bool) -> None:
    """Told by the name's beginning, for all kinds of files that clients install."""
    assert is_of_project(normalize("demo"), name) == is_its


@pytest.mark.parametrize("name", ["a", "A.b_c-d", "0", "x" * 200])
def test_names_of_projects(name: str) -> None:
    """ASCII letters and digits at both ends."""
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a.", "..", "a/b", "a b", "ä", "ſix", "a\n", "\u212a", "x" * 201, "a\0"])
def test_what_names_no_project(name: str) -> None:
    """Nor what looks like a letter and isn't one."""
    assert not is_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".x", "a/b", "a\\b", 'a"b', "a\nb", "a\n", "a%2fb", "ä", "a\0", "x" * 401]
)
def test_what_names_no_file(name: str) -> None:
    """What has a meaning of its own in a path or a header."""
    assert not is_file_name(name)
