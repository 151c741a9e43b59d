"""Meta/archive.rds and Meta/current.rds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.core.errors import Invalid
from entrepot.ecosystems.r import archive, rds
from entrepot.ecosystems.r.archive import ArchivedRow
from entrepot.ecosystems.r.archivewrite import render_archive, render_current
from entrepot.ecosystems.r.rdsvalues import Kind, RVector, data_frame, strings
from tests.ecosystems.views import PUBLISHED, archived, listed
from tests.support.r import run_r

SUMMER = datetime(1998, 7, 1, 1, 2, 3, tzinfo=UTC)
ARCHIVED = [
    archived("aa", "0.1", published=SUMMER).file.brief,
    archived("aa", "1.0-1", size=None, published=None).file.brief,
    archived("b.b", "2.0").file.brief,
]
NOW = [listed("aa", "1.1"), listed("cc", "1.0", size=None, published=None)]


def frame(*row_names: str, **columns: RVector) -> RVector:
    return data_frame(columns, row_names)


def of_frames(*frames: object) -> bytes:
    return rds.write(RVector(Kind.LIST, list(frames)))


def test_what_is_written_is_read_again() -> None:
    """Names, sizes and dates survive, and so does their absence."""
    assert archive.parse_archive(render_archive(ARCHIVED)) == [
        ArchivedRow("aa", "0.1", "aa_0.1.tar.gz", 1000, SUMMER),
        ArchivedRow("aa", "1.0-1", "aa_1.0-1.tar.gz", None, None),
        ArchivedRow("b.b", "2.0", "b.b_2.0.tar.gz", 1000, PUBLISHED),
    ]
    current = render_current([each.file.brief for each in NOW])
    assert archive.parse_current(current) == {"aa_1.1.tar.gz": (1000, PUBLISHED), "cc_1.0.tar.gz": (None, None)}


def test_nothing_archived_is_an_empty_list() -> None:
    """A young repository has both files as well."""
    assert archive.parse_archive(render_archive([])) == []
    assert archive.parse_current(render_current([])) == {}


def test_odd_rows_are_left_out_and_hide_nothing() -> None:
    """Folders, other files, rows of other packages' folders and frames without columns: the rest is read."""
    sizes = RVector(Kind.REAL, [float("nan"), -1.0, 1e300, 5.0, float("inf"), 7.0])
    times = RVector(Kind.REAL, [None, 1e300, float("inf"), 0.0, -1e18, 1.5])
    names = [
        "aa/aa_1.0.tar.gz",
        "aa/aa_1.1.tar.gz",
        "aa/aa_1.2.tar.gz",
        "aa/README",
        "bb/aa_1.3.tar.gz",
        "aa_1.4.tar.gz",
    ]
    data = of_frames(
        None,
        strings(["cc/cc_1.0.tar.gz"]),
        frame(*names, size=sizes, mtime=times),
        frame("dd/dd_1.0.tar.gz", "../dd_1.0.tar.gz", "dd/dd_1.x.tar.gz"),
        frame("ee/ee_1.0.tar.gz", size=strings(["many"]), mtime=RVector(Kind.REAL, [1.0, 2.0])),
        RVector(Kind.LIST, [], {"row.names": RVector(Kind.INTEGER, [None, -3])}),
    )
    at = datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert archive.parse_archive(data) == [
        ArchivedRow("aa", "1.0", "aa_1.0.tar.gz", None, None),
        ArchivedRow("aa", "1.1", "aa_1.1.tar.gz", None, None),
        ArchivedRow("aa", "1.2", "aa_1.2.tar.gz", None, None),
        ArchivedRow("aa", "1.4", "aa_1.4.tar.gz", 7, at),
        ArchivedRow("dd", "1.0", "dd_1.0.tar.gz", None, None),
        ArchivedRow("ee", "1.0", "ee_1.0.tar.gz", None, None),
    ]


@pytest.mark.parametrize("data", [b"", b"<html>", rds.write(None), rds.write(strings(["x"])), b"\x1f\x8bnonsense"])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    """A web page or another object is not taken for an empty archive."""
    with pytest.raises(Invalid):
        archive.parse_archive(data)
    with pytest.raises(Invalid):
        archive.parse_current(data)


EXPECTED = """
    info <- function(names, size, mtime) {
        n <- length(names); time <- structure(mtime, class = c("POSIXct", "POSIXt"))
        structure(list(size = size, isdir = rep(FALSE, n), mode = structure(rep(420L, n), class = "octmode"),
            mtime = time, ctime = time, atime = time, uid = rep(NA_integer_, n), gid = rep(NA_integer_, n),
            uname = rep(NA_character_, n), grname = rep(NA_character_, n)), class = "data.frame", row.names = names)
    }"""


@pytest.mark.r
def test_r_reads_what_cran_publishes(rscript: Path, tmp_path: Path) -> None:
    """The objects are identical to ones made of `file.info`'s columns, and have its columns and classes."""
    (tmp_path / "archive.rds").write_bytes(render_archive(ARCHIVED))
    (tmp_path / "current.rds").write_bytes(render_current([NOW[0].file.brief]))
    (tmp_path / "empty.rds").write_bytes(render_archive([]))
    done = run_r(f"""{EXPECTED}
        setwd("{tmp_path}")
        x <- readRDS("archive.rds"); real <- file.info("archive.rds")
        cat(identical(x, list(
            aa = info(c("aa/aa_0.1.tar.gz", "aa/aa_1.0-1.tar.gz"), c(1000, NA), c({SUMMER.timestamp()}, NA)),
            b.b = info("b.b/b.b_2.0.tar.gz", 1000, {PUBLISHED.timestamp()}))), "")
        cat(identical(readRDS("current.rds"), info("aa_1.1.tar.gz", 1000, {PUBLISHED.timestamp()})), "")
        cat(identical(lapply(x$aa, class), lapply(real, class)), is.null(x[["zz"]]), "")
        cat(length(readRDS("empty.rds")), format(x$aa$mtime[1], tz = "UTC"))
        saveRDS(x, "again.rds", version = 3, compress = "xz")""")
    assert done.stdout == "TRUE TRUE TRUE TRUE 0 1998-07-01 01:02:03"
    again = archive.parse_archive((tmp_path / "again.rds").read_bytes())
    assert again == archive.parse_archive((tmp_path / "archive.rds").read_bytes())
