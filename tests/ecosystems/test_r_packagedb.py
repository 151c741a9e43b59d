"""`packages.rds`, read by the columns that count."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from entrepot.core.errors import Invalid
from entrepot.core.facts import Fact
from entrepot.ecosystems.r import packagedb, rds
from entrepot.ecosystems.r.rdsvalues import Kind, RVector, strings
from tests.support.r import rscript, run_r

LIMIT = 1 << 20


def _read(data: bytes, limit: int = LIMIT) -> list[Fact]:
    return list(packagedb.read(data, limit=limit, progress=lambda *_: None).values())


def _frame(**columns: RVector) -> bytes:
    rows = [str(n) for n in range(len(next(iter(columns.values()))))]
    return rds.write(rds.data_frame(columns, rows))


def test_the_columns_that_count_are_read() -> None:
    """Others are passed over, whatever they hold; texts come on one line, of a version told twice the first counts."""
    data = _frame(
        Package=strings(["a", "b", "a", None]),
        Version=strings(["1.0", "2.0", "1.0", "3.0"]),
        Priority=strings([None] * 4),
        Size=RVector(Kind.INTEGER, [1, 2, 3, 4]),
        Title=strings(["A  title\n over lines", "B", "other", "none"]),
        SystemRequirements=strings([None, "libcurl,\n  openssl", "x", ""]),
    )
    expected = [Fact("a", "1.0", "A title over lines", None), Fact("b", "2.0", "B", "libcurl, openssl")]
    assert _read(data) == expected
    assert _read(lzma.compress(gzip.decompress(data))) == expected


def test_columns_may_be_missing_but_for_names_and_versions() -> None:
    assert _read(_frame(Package=strings(["a"]), Version=strings(["1"]))) == [Fact("a", "1", None, None)]
    with pytest.raises(Invalid, match="has no column Version"):
        _read(_frame(Package=strings(["a"])))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"<html>", "not an R data file"),
        (rds.write(strings(["a"])), "does not hold a list"),
        (rds.write(RVector(Kind.LIST, [strings(["a"])])), "cut short"),
        (_frame(Package=strings(["a"]), Version=strings(["1"]))[:-60], "cut short|damaged"),
        (_frame(Package=strings(["a"]), Version=RVector(Kind.INTEGER, [1])), "no text"),
        (_frame(Package=strings(["a", "b"]), Version=strings(["1"])), "not equally long"),
        (rds.write(RVector(Kind.LIST, [strings([])] * 1001)), "1001 columns"),
    ],
)
def test_what_is_no_such_frame_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        _read(data)


def test_what_unpacks_to_too_much_is_refused() -> None:
    data = lzma.compress(gzip.decompress(_frame(Package=strings(["a" * 5000]), Version=strings(["1"]))))
    with pytest.raises(Invalid, match="more than 1,000 bytes"):
        _read(data, limit=1000)


@pytest.mark.r
@pytest.mark.skipif(rscript() is None, reason="no Rscript on PATH")
def test_a_frame_as_r_writes_it(tmp_path: Path) -> None:
    """With dates, factors and compact row names among the columns."""
    path = tmp_path / "packages.rds"
    run_r(
        f"""
        d <- data.frame(Package = c("a", "b"), Version = c("1.0", "2.0"), stringsAsFactors = FALSE)
        d$Published <- as.Date(c("2024-01-01", NA))
        d$License <- factor(c("GPL", "MIT"))
        d$n <- 1:2
        d$Title <- c("Caf\\u00e9", NA)
        d$SystemRequirements <- c(NA, "GNU make")
        saveRDS(d, {json.dumps(str(path))}, compress = "xz")
        """
    )
    assert _read(path.read_bytes()) == [Fact("a", "1.0", "Café", None), Fact("b", "2.0", None, "GNU make")]
