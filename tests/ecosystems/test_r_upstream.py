"""What an upstream's indexes say that it has."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import UpstreamInvalid
from entrepot.core.model import FileStatus, PackageName
from entrepot.core.timelines import Found
from entrepot.ecosystems.r import packages
from entrepot.ecosystems.r.archivewrite import render_archive, render_current
from entrepot.ecosystems.r.paths import file_name
from entrepot.ecosystems.r.upstream import Texts, decompress_index, inventory
from tests.ecosystems.views import PUBLISHED, archived, listed

LIMIT = 1 << 20


def found(
    package: str,
    version: str,
    *,
    status: FileStatus = FileStatus.CURRENT,
    fields: str | None = None,
    size: int | None = None,
    md5: str | None = None,
    published: datetime | None = None,
) -> Found:
    name = file_name(package, version)
    return Found(PackageName(package), version, name, status, fields, size, md5, published)


def test_the_three_documents_are_put_together() -> None:
    """Fields and MD5 from PACKAGES, size and date from current.rds, the past from archive.rds."""
    index = f"Package: aa\nVersion: 1.1\nImports: utils\nMD5sum: {'A' * 32}\n\nPackage: bb\nVersion: 0.1\n"
    past = [archived("aa", "1.0"), archived("aa", "1.1"), archived("gone", "0.9", size=None, published=None)]
    current = render_current([listed("aa", "1.1").file.brief])
    got = inventory(Texts(index.encode(), render_archive([each.file.brief for each in past]), current))
    assert got.faults == []
    assert got.found == [
        found("aa", "1.1", fields="Imports: utils\n", size=1000, md5="a" * 32, published=PUBLISHED),
        found("bb", "0.1", fields=""),
        found("aa", "1.0", status=FileStatus.ARCHIVED, size=1000, published=PUBLISHED),
        found("gone", "0.9", status=FileStatus.ARCHIVED),
    ]


def test_an_upstream_without_lists_of_files_is_read_as_well() -> None:
    """Dates are then those that PACKAGES tells, if any."""
    index = """\
Package: aa
Version: 1.0
Published: 2024-01-31

Package: bb
Version: 1.0
Date/Publication: 2024-01-31 12:00:02 UTC

Package: cc
Version: 1.0
Published: 2024-02-31
"""
    dates = [each.published for each in inventory(Texts(index.encode())).found]
    assert dates == [datetime(2024, 1, 31, tzinfo=UTC), PUBLISHED, None]


def test_of_several_versions_the_highest_is_current() -> None:
    """The others are archived with what is known of them; another folder's stanzas are no business of ours."""
    stanzas = ["Package: aa\nVersion: 1.9\nImports: x", "Package: aa\nVersion: 1.10", "Package: aa\nVersion: 1.2"]
    stanzas.append("Package: aa\nVersion: 2.0\nPath: 4.3.0/Recommended")
    got = inventory(Texts("\n\n".join(stanzas).encode(), render_archive([archived("aa", "1.9").file.brief])))
    assert got.found == [
        found("aa", "1.9", status=FileStatus.ARCHIVED, fields="Imports: x\n", size=1000, published=PUBLISHED),
        found("aa", "1.10", fields=""),
        found("aa", "1.2", status=FileStatus.ARCHIVED, fields=""),
    ]


def test_a_bad_stanza_neither_stops_nor_hides_the_rest() -> None:
    """Each is told with its place and its reason."""
    stanzas = [
        "Version: 1.0",
        "Package: aa",
        "Package: ../../etc\nVersion: 1.0",
        "Package: bb\nVersion: 1.0/../..",
        "Package: cc\nVersion: 1.0",
        "Package: cc\nVersion: 1.0",
        "Package: dd\nVersion: 1.0\nMD5sum: none",
    ]
    got = inventory(Texts("\n\n".join(stanzas).encode()))
    assert got.found == [found("cc", "1.0", fields=""), found("dd", "1.0", fields="")]
    assert got.faults == [
        "entry 1 of PACKAGES (without a name) was left out: it has no Package field",
        "entry 2 of PACKAGES ('aa') was left out: it has no Version field",
        "entry 3 of PACKAGES ('../../etc') was left out: '../../etc' is not a name for an R package",
        "entry 4 of PACKAGES ('bb') was left out: '1.0/../..' is not a version of an R package",
        "entry 6 of PACKAGES (cc 1.0) was left out: listed before",
    ]


def test_made_up_fields_can_not_make_the_index_grow_with_the_square() -> None:
    """A few hundred field names are kept, the rest is told of and left out."""
    stanzas = [f"Package: p{n}\nVersion: 1.0\nOdd{n}: x" for n in range(1000)]
    got = inventory(Texts("\n\n".join(stanzas).encode()))
    assert len(got.found) == 1000
    assert sum("Odd" in (each.fields or "") for each in got.found) < 300
    assert len(got.faults) > 700


@pytest.mark.parametrize(
    ("index", "archive_rds", "current_rds"),
    [
        (b"<html>", None, None),
        (b"Package: aa\nVersion: 1.0\n\nPack", None, None),
        (b"Package: aa\nVersion: 1.0\n", b"<html>", None),
        (b"Package: aa\nVersion: 1.0\n", None, b""),
        (b"Package: aa\nVersion: 1.0\n", render_archive([archived("aa", "0.1").file.brief])[:-9], None),
    ],
)
def test_a_document_that_is_not_what_it_should_be_is_refused(
    index: bytes, archive_rds: bytes | None, current_rds: bytes | None
) -> None:
    """A page, a cut index or a cut list of files is an error and never an upstream with fewer packages."""
    with pytest.raises(UpstreamInvalid, match="can't be read"):
        inventory(Texts(index, archive_rds, current_rds))


@given(
    st.lists(st.tuples(st.sampled_from(["aa", "bb"]), st.sampled_from(["1.0", "1.0-1", "1.0.1", "2.0"])), max_size=8)
)
def test_every_version_is_found_once(versions: list[tuple[str, str]]) -> None:
    """Whatever is listed, each package has exactly one current version, of which none is higher."""
    text = "\n\n".join(f"Package: {package}\nVersion: {version}" for package, version in versions)
    got = inventory(Texts(text.encode(), render_archive([archived("aa", "2.0").file.brief]))).found
    keys = [(each.package, each.version) for each in got]
    assert sorted(keys) == sorted({*versions, ("aa", "2.0")})
    current = [each.package for each in got if each.status is FileStatus.CURRENT]
    assert sorted(current) == sorted({package for package, _ in versions})


def test_an_index_is_unpacked() -> None:
    """Plain text stays as it is; a list of no packages is one, where it is packed."""
    text = b"Package: aa\nVersion: 1.0\n"
    assert decompress_index(text, gz=False, limit=LIMIT) == text
    assert decompress_index(gzip.compress(text), gz=True, limit=LIMIT) == text
    assert decompress_index(packages.gz(b""), gz=True, limit=LIMIT) == b""


PACKED = gzip.compress(b"Package: aa\nVersion: 1.0\n", mtime=0)


@pytest.mark.parametrize(
    ("body", "gz", "message"),
    [
        (b"", True, "empty"),
        (b"", False, "empty"),
        (b"\n <!DOCTYPE html><title>Sign in</title>", True, "web page"),
        (b"<html>", False, "web page"),
        (gzip.compress(b"<html>", mtime=0), True, "web page"),
        (b"Package: aa\n", True, "not a gzip stream"),
        (PACKED[:-1], True, "cut short"),
        (PACKED[:12], True, "cut short"),
        (PACKED[:-8] + bytes(8), True, "damaged"),
        (PACKED + b"x", True, "follows"),
        (gzip.compress(bytes(LIMIT + 1), mtime=0), True, "more than 1,048,576 bytes"),
        (b"x" * (LIMIT + 1), False, "larger than 1,048,576 bytes"),
    ],
)
def test_an_answer_that_is_no_index_is_refused(body: bytes, gz: bool, message: str) -> None:
    """Clear words for what upstreams and proxies send with status 200."""
    with pytest.raises(UpstreamInvalid, match=message):
        decompress_index(body, gz=gz, limit=LIMIT)
