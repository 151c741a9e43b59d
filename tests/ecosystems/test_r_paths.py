"""Paths of a CRAN-like repository."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.model import FileStatus, PackageName
from entrepot.ecosystems.r import paths
from entrepot.ecosystems.r.paths import ArchiveIndex, CurrentIndex, Index, SourceFile

FILE = SourceFile(PackageName("data.table"), "1.0-2", "data.table_1.0-2.tar.gz")
ARCHIVED = replace(FILE, in_archive=True)


@pytest.mark.parametrize(
    ("tail", "want"),
    [
        ("src/contrib/PACKAGES", Index("plain")),
        ("src/contrib/PACKAGES.gz", Index("gz")),
        ("src/contrib/PACKAGES.rds", Index("rds")),
        ("src/contrib/Meta/archive.rds", ArchiveIndex()),
        ("src/contrib/Meta/current.rds", CurrentIndex()),
        ("src/contrib/data.table_1.0-2.tar.gz", FILE),
        ("src/contrib/Archive/data.table/data.table_1.0-2.tar.gz", ARCHIVED),
        ("src/contrib/archive/data.table/data.table_1.0-2.tar.gz", ARCHIVED),
    ],
)
def test_what_a_repository_has(tail: str, want: paths.RPath) -> None:
    """The three indexes, the two lists of files, and each file at two paths."""
    assert paths.parse(tail) == want


@pytest.mark.parametrize(
    "tail",
    [
        *("", "src", "src/contrib", "src/contrib/", "/src/contrib/PACKAGES", "src/contrib/PACKAGES/", "PACKAGES"),
        *("src/contrib/PACKAGES.xz", "src/contrib/packages", "src/contrib/Meta/", "src/contrib/Meta/PACKAGES"),
        *("src/contrib/Archive/", "src/contrib/Archive/data.table/", "src/contrib/ARCHIVE/ab/ab_1.0.tar.gz"),
        *("src/contrib/Archive/other/ab_1.0.tar.gz", "src/contrib/Archive/ab_1.0.tar.gz"),
        *("src/contrib/x/Archive/ab/ab_1.0.tar.gz", "src/contrib/../contrib/PACKAGES", "src/contrib/ab_1.0.tgz"),
        *(
            "src/contrib/ab_1.0.tar.gz\n",
            "src/contrib/ab_1.0.tar.gz ",
            "src/contrib/ab_1.tar.gz",
            "src/contrib/ab.tar.gz",
        ),
        *("src/contrib/a\0b_1.0.tar.gz", "src/contrib/ab_1.0_R_x86_64.tar.gz", "src/contrib/4.2.0/PACKAGES"),
        "src/contrib/" + "a" * 200 + "_1.0.tar.gz",
        "src/contrib/ab_" + "1." * 100 + "0.tar.gz",
        "src/contrib/Archive/" * 10_000,
    ],
)
def test_what_a_repository_has_not(tail: str) -> None:
    """Everything else is nothing."""
    assert paths.parse(tail) is None


@given(st.text(max_size=60).map(lambda rest: "src/contrib/" + rest))
def test_any_path_is_something_or_nothing(tail: str) -> None:
    """No path makes it fail, and a file's name is always one that R would make."""
    match paths.parse(tail):
        case SourceFile(package, version, name):
            assert name == paths.file_name(package, version)


def test_where_an_upstream_has_a_file() -> None:
    """Both places, the likelier first."""
    current, archived = "src/contrib/ab_1.0.tar.gz", "src/contrib/Archive/ab/ab_1.0.tar.gz"
    assert paths.upstream_paths("ab", "1.0", FileStatus.CURRENT) == (current, archived)
    assert paths.upstream_paths("ab", "1.0", FileStatus.ARCHIVED) == (archived, current)


def test_a_file_name_and_its_parts() -> None:
    """Splitting is the inverse of joining."""
    assert paths.split_file_name(paths.file_name("data.table", "1.0-2")) == ("data.table", "1.0-2")
    assert paths.split_file_name("data.table_1.0.zip") is None
