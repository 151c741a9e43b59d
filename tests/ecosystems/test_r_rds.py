"""R's serialisation, against R itself."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import struct
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import Invalid
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.r import rds
from entrepot.ecosystems.r.altrep import as_character
from entrepot.ecosystems.r.rdsvalues import Kind, RVector, data_frame, strings
from tests.support.r import run_r


def matrix(columns: dict[str, list[str | None]], row_names: list[str] | None = None) -> bytes:
    return rds.write_matrix({name: list(map(rds.string, cells)) for name, cells in columns.items()}, row_names)


NUMBERS = [1e5, 123456.0, 0.1, 1e-5, 1 / 3, 1e15, 1e-300, -1e5, 3.0, 1e22, 123456789012.5, 0.0, 2.5e-4, 100.0]
WRITTEN = {
    "matrix": (
        matrix({"A": ["x", "ü", ""], "B é": [None, "x", "日本"]}, ["r1", "r2", "r3"]),
        'matrix(c("x", "ü", "", NA, "x", "日本"), 3L, dimnames = list(c("r1", "r2", "r3"), c("A", "B é")))',
    ),
    "matrix without row names": (
        matrix({"A": ["x"]}),
        'matrix("x", 1L, dimnames = list(NULL, "A"))',
    ),
    "matrix without rows": (
        matrix({"A": [], "B": []}),
        'matrix(character(), 0L, 2L, dimnames = list(NULL, c("A", "B")))',
    ),
    "data frame": (
        rds.write(
            data_frame(
                {
                    "n": RVector(Kind.REAL, [1, None, 2.5]),
                    "i": RVector(Kind.INTEGER, [1, None, -3]),
                    "l": RVector(Kind.LOGICAL, [True, None, False]),
                    "s": strings(["a", None, "é"]),
                    "t": RVector(Kind.REAL, [0.0, None, 1.5], {"class": strings(("POSIXct", "POSIXt"))}),
                },
                ["a", "b", "c"],
            )
        ),
        """data.frame(n = c(1, NA, 2.5), i = c(1L, NA, -3L), l = c(TRUE, NA, FALSE), s = c("a", NA, "é"),
            t = structure(c(0, NA, 1.5), class = c("POSIXct", "POSIXt")), row.names = c("a", "b", "c"))""",
    ),
    "list": (
        rds.write(RVector(Kind.LIST, [None, strings([]), RVector(Kind.RAW, b"\x01\x02")], {"names": strings("abc")})),
        "list(a = NULL, b = character(), c = as.raw(1:2))",
    ),
}


def test_equal_input_gives_equal_bytes() -> None:
    """Nothing of the time or the machine is in the file."""
    assert matrix({"A": ["x"]}) == matrix({"A": ["x"]})


def test_text_that_r_can_not_hold_is_written_without_it() -> None:
    """NUL and half a surrogate pair do not make a file that R can't read."""
    assert rds.read(rds.write(strings(["a\0b", "\ud800"]))) == strings(["ab", "?"])


def test_every_form_of_compression_is_read() -> None:
    """gzip, bzip2, xz and none."""
    vector = strings(["x", None])
    raw = gzip.decompress(rds.write(vector))
    for data in (raw, gzip.compress(raw), bz2.compress(raw), lzma.compress(raw)):
        assert rds.read(data) == RVector(Kind.STRING, ["x", None])


_VECTORS = st.one_of(
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))).map(strings),
    st.lists(st.none() | st.integers(1 - 2**31, 2**31 - 1)).map(lambda v: RVector(Kind.INTEGER, v)),
    st.lists(st.floats(allow_nan=False)).map(lambda v: RVector(Kind.REAL, v)),
    st.lists(st.none() | st.booleans()).map(lambda v: RVector(Kind.LOGICAL, v)),
)
_NAMES = st.text("abcdef", min_size=1)
_VALUES = st.recursive(
    st.none() | _VECTORS,
    lambda inner: st.builds(RVector, st.just(Kind.LIST), st.lists(inner), st.dictionaries(_NAMES, inner)),
    max_leaves=8,
)


def plain(value: object) -> object:
    """A value with lists for all sequences, to compare by."""
    if not isinstance(value, RVector):
        return value
    return value.kind, [plain(v) for v in value.values], {k: plain(v) for k, v in value.attributes.items()}


@given(_VALUES)
def test_what_was_written_is_read_again(value: rds.RValue) -> None:
    """Reading is the inverse of writing, for any nesting and any attributes."""
    assert plain(rds.read(rds.write(value))) == plain(value)


SAMPLE = gzip.decompress(WRITTEN["data frame"][0])


@given(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=4))
def test_damaged_bytes_are_read_or_refused(at: int, damage: bytes) -> None:
    """No change to a file makes the reader fail otherwise."""
    with suppress(Invalid):
        rds.read(SAMPLE[:at] + damage + SAMPLE[at + len(damage) :])


def test_a_file_cut_anywhere_is_refused() -> None:
    """Not one beginning of a file passes for a whole one, packed or not."""
    packed = WRITTEN["data frame"][0]
    for data in (SAMPLE, packed, bz2.compress(SAMPLE), lzma.compress(SAMPLE)):
        for end in range(len(data)):
            with pytest.raises(Invalid):
                rds.read(data[:end])


def item(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}i", *numbers)


HEAD = b"X\n" + item(2, 0x40202, 0x20300)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an R data file"),
        (b"<html>", "not an R data file"),
        (b"A\n2\n", "not an R data file"),
        (b"X\n" + item(4, 0, 0, 254), "serialisation version 4"),
        (HEAD + item(3, 0, 0, 0), "type 3"),
        (HEAD + item(255 | 5 << 8), "a reference to nothing"),
        (HEAD + item(19, 2**31 - 1), "longer than what is left"),
        (HEAD + item(16, 2**30), "longer than what is left"),
        (HEAD + item(13, -1), "longer than what is left"),
        (HEAD + item(19, 1) * 200 + item(254), "nested deeper"),
        (HEAD + item(2) * 200, "nested deeper"),
    ],
)
def test_what_is_no_plain_data_is_refused(data: bytes, message: str) -> None:
    """Other formats, closures, lengths that can't be and bottomless nesting."""
    with pytest.raises(Invalid, match=message):
        rds.read(data)


def compact(class_: str, *state: float) -> bytes:
    """A compact sequence as saveRDS writes it."""
    name = class_.encode()
    info = item(2, 1, 0x40009, len(name)) + name + item(254)
    return (
        HEAD[:2]
        + item(3, 0x40202, 0x30500, 5)
        + b"UTF-8"
        + item(238)
        + info
        + item(14, 3)
        + struct.pack(">3d", *state)
        + item(254)
    )


@pytest.mark.parametrize(
    "state", [(1e18, 1, 1), (-1, 1, 1), (math.nan, 1, 1), (3, math.inf, 1), (3, 1, 0), (1e9, 0.5, 1)]
)
def test_a_compact_sequence_can_not_be_a_bomb(state: tuple[float, float, float]) -> None:
    """Forty bytes never become gigabytes."""
    assert rds.read(compact("compact_intseq", 3, 1, 1)) == RVector(Kind.INTEGER, range(1, 4))
    with pytest.raises(Invalid, match="compact"):
        rds.read(compact("compact_realseq", *state), limit=1 << 20)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_refused(pack: object) -> None:
    """What unpacks to more than the limit is not unpacked further."""
    assert callable(pack)
    with pytest.raises(Invalid, match="more than"):
        rds.read(pack(HEAD + item(13, 1 << 20) + bytes(4 << 20)), limit=1 << 20)


def test_a_list_can_be_read_element_by_element() -> None:
    """Its elements are those that `read` gives; anything but a list is refused."""
    value = RVector(Kind.LIST, [strings(["a"]), None, strings(["b"])], {"names": strings("xyz")})
    assert [plain(e) for e in rds.Elements(rds.write(value))] == [plain(e) for e in value.values]
    with pytest.raises(Invalid, match="not hold a list"):
        list(rds.Elements(rds.write(strings(["a"]))))


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), st.integers(1, 50), st.integers(0, 9))
def test_gzip_of_any_make_up_is_read(members: list[bytes], step: int, level: int) -> None:
    """Several members, read in any step, from a stream that hands out single bytes."""
    packed = b"".join(gzips.compress(member, level=level) for member in members)
    reader = gzips.Reader(_Drip(packed), limit=1000)
    assert b"".join(iter(lambda: reader.read(step), b"")) == b"".join(members)
    assert gzip.decompress(packed) == b"".join(members)


class _Drip:
    """A stream that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def read(self, size: int = -1, /) -> bytes:
        return bytes(islice(self._bytes, min(1, abs(size))))


@pytest.mark.r
def test_r_reads_what_is_written(rscript: Path, tmp_path: Path) -> None:
    """Each file is `identical()` in R to the object it stands for."""
    checks = []
    for number, (data, code) in enumerate(WRITTEN.values()):
        (tmp_path / f"{number}.rds").write_bytes(data)
        checks.append(f'cat(identical(readRDS("{tmp_path}/{number}.rds"), {code}), "\\n")')
    done = run_r("\n".join(checks))
    assert dict(zip(WRITTEN, done.stdout.split(), strict=True)) == dict.fromkeys(WRITTEN, "TRUE")


OF_R = """list(
    i = 1:10, r = seq(0.5, 5.5), s = as.character(1:5), d = as.character(x), b = as.character(c(TRUE, NA)),
    n = NULL, l = c(TRUE, NA), na = NA_character_, u = "\\u00e9", lat = iconv("\\u00e9", "UTF-8", "latin1"),
    df = data.frame(a = 1:3, b = letters[1:3]), f = factor(c("a", "b", "a")), pl = pairlist(a = 1, b = "x"),
    raw = as.raw(1:3), sorted = sort(c(3, 1, 2)), deep = list(1, list(2)), int = c(NA, 5L),
    fi = file.info(c("a", "b"), extra_cols = TRUE), same = rep("z", 5L), sym = as.name("q"))"""


@pytest.mark.r
def test_what_r_writes_is_read(rscript: Path, tmp_path: Path) -> None:
    """Both versions, every compression, compact vectors and `file.info` frames give one and the same value."""
    numbers = ", ".join(map(repr, NUMBERS))
    run_r(f"""
        setwd("{tmp_path}"); writeLines("x", "a"); writeLines("xy", "b")
        x <- c({numbers}, NA, Inf)
        value <- {OF_R}
        for (v in 2:3) for (how in c("gzip", "bzip2", "xz", "none"))
            saveRDS(value, paste0(v, how, ".rds"), version = v, compress = if (how == "none") FALSE else how)""")
    values = {path.name: plain(rds.read(path.read_bytes())) for path in tmp_path.glob("*.rds")}
    assert len(values) == 8
    assert all(value == values["2gzip.rds"] for value in values.values())
    whole = rds.read((tmp_path / "3xz.rds").read_bytes())
    assert isinstance(whole, RVector)
    got = {name: plain(value) for name, value in whole.by_name().items()}
    assert got["i"] == (Kind.INTEGER, list(range(1, 11)), {})
    assert got["r"] == (Kind.REAL, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5], {})
    assert got["s"] == (Kind.STRING, list("12345"), {})
    assert got["b"] == (Kind.STRING, ["TRUE", None], {})
    assert got["u"] == got["lat"] == (Kind.STRING, ["é"], {})
    assert got["int"] == (Kind.INTEGER, [None, 5], {})
    assert got["same"] == (Kind.STRING, ["z"] * 5, {})
    assert got["sym"] == "q"
    assert got["n"] is None
    frame = got["fi"]
    assert isinstance(frame, tuple)
    assert frame[1][0] == (Kind.REAL, [2.0, 3.0], {})
    assert frame[2]["row.names"] == (Kind.STRING, ["a", "b"], {})


@pytest.mark.r
def test_numbers_become_text_as_in_r(rscript: Path) -> None:
    """The text of a deferred string is that of `as.character`."""
    done = run_r(f"cat(as.character(c({', '.join(map(repr, NUMBERS))})), sep = '\\n')")
    assert [as_character(number) for number in NUMBERS] == done.stdout.split()
