"""Fields as R's `read.dcf` takes them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import Invalid
from entrepot.ecosystems.r import dcf
from tests.support.r import run_r

ODD = {
    "folded": b"Package: a\nDepends: R (>= 3.5),\n    methods\n\tstats\n",
    "line ends of Windows": b"Package: a\r\nVersion: 1\r\n\r\nPackage: b\r\n",
    "runs of blank lines": b"\n\nPackage: a\n\n \t\n\nPackage: b\n\n\n",
    "no line end at the end": b"Package: a\n\nPackage: b",
    "a value from the next line": b"Package: a\nTitle:\n  One\n  Two\n",
    "an escaped blank line": b"Package: a\nDescription: One\n  .\n  Two\n",
    "a colon in the value": b"Package: a\nURL: https://example.org: x\n",
    "the same field twice": b"Package: a\nTitle: One\nTitle: Two\n",
    "no value": b"Package: a\nTitle:\nVersion: 1\n",
    "UTF-8": "Package: a\nAuthor: Ångström\n".encode(),
    "spaces in a field's name": b"Package: a\nOdd name: x\n",
    "no space behind the colon": b"Package:a\nVersion:1\n",
}


def parse(data: bytes) -> list[dict[str, str]]:
    return list(dcf.parse(data))


def test_an_index_is_its_stanzas() -> None:
    """Whitespace runs, line ends of any kind and blank lines in any number make no difference."""
    want = [{"Package": "a", "Depends": "R (>= 3.5), methods"}, {"Package": "b", "Version": "1.0"}]
    text = "Package: a\nDepends: R (>= 3.5),\n\t methods\n\nPackage:   b\nVersion: 1.0  \n"
    for form in (
        text,
        "\n\n" + text + "\n \n\n",
        text.replace("\n", "\r\n"),
        text.replace("\n", "\r"),
        "\ufeff" + text,
    ):
        assert parse(form.encode()) == want


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\t\n", "\ufeff".encode()])
def test_an_empty_index_has_no_stanzas(data: bytes) -> None:
    """Nothing but blanks is a list of nothing."""
    assert parse(data) == []


def test_a_stanza_that_is_not_utf_8_is_latin_1() -> None:
    """One stanza in Latin-1 spoils neither itself nor the others."""
    data = "Package: a\nAuthor: Ü\n\n".encode() + "Package: b\nAuthor: Ü\n".encode("latin-1")
    assert parse(data) == [{"Package": "a", "Author": "Ü"}, {"Package": "b", "Author": "Ü"}]


def test_a_no_break_space_belongs_to_the_value() -> None:
    """Only ASCII whitespace is collapsed, as by R."""
    assert parse("A: x\u00a0\u00a0y\n".encode()) == [{"A": "x\u00a0\u00a0y"}]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"Package: a\nnonsense\n", 2),
        (b"Package: a\n\n\nPackage: b\n: empty\n", 5),
        (b"\n  continues\n", 2),
        (b"\n<!DOCTYPE html><a href='http://x'>\n", 1),
        ("\ufeff<html>: y".encode(), 1),
    ],
)
def test_what_is_no_field_is_refused_with_its_line(data: bytes, line: int) -> None:
    """An HTML page or a damaged index is an error that says where."""
    with pytest.raises(Invalid) as raised:
        parse(data)
    assert raised.value.payload == {"line": line}


def test_a_description_is_its_first_stanza() -> None:
    """What follows a blank line is read over, but it has to be fields as well."""
    assert dcf.parse_one("Package: a\nVersion: 1.0\n\nPackage: b\n") == {"Package": "a", "Version": "1.0"}
    with pytest.raises(Invalid, match="line 3"):
        dcf.parse_one("Package: a\n\nnonsense\n")
    with pytest.raises(Invalid, match="no fields"):
        dcf.parse_one("\n\n")


def test_fields_are_written_on_one_line_each() -> None:
    """No value can begin a line, a field or a stanza of its own; empty ones are left out."""
    fields = {"A": "x\n\nPackage: evil", "B": "a\x00\x1b b\t c", "C": "  ", "D": "é"}
    assert dcf.write_fields(fields) == "A: x Package: evil\nB: a b c\nD: é\n"


_KEYS = st.from_regex(r"[A-Z][A-Za-z0-9_@/-]{0,10}", fullmatch=True)
_VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(dcf.collapse).filter(bool)


@given(st.lists(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=5), max_size=5))
def test_what_was_written_is_read_again(stanzas: list[dict[str, str]]) -> None:
    """Reading is the inverse of writing."""
    assert parse("\n".join(map(dcf.write_fields, stanzas)).encode()) == stanzas


@given(st.binary(max_size=200))
def test_any_bytes_are_stanzas_or_refused(data: bytes) -> None:
    """No input makes it fail otherwise."""
    with suppress(Invalid):
        assert all(parse(data))


@pytest.mark.r
def test_r_reads_the_same(rscript: Path, tmp_path: Path) -> None:
    """For every odd but legal form the fields are those of `read.dcf`, whitespace aside."""
    for number, data in enumerate(ODD.values()):
        (tmp_path / f"{number}.dcf").write_bytes(data)
    run_r(f"""
        for (i in seq_len({len(ODD)}) - 1L) {{
            x <- read.dcf(file.path("{tmp_path}", paste0(i, ".dcf")))
            x <- apply(x, 1L, function(row) row[!is.na(row)], simplify = FALSE)
            flat <- unlist(lapply(x, function(row) c(rbind(names(row), gsub("[[:space:]]+", " ", row)), "---")))
            writeLines(encodeString(flat, quote = '"'), file.path("{tmp_path}", paste0(i, ".txt")), useBytes = TRUE)
        }}""")
    for number, (what, data) in enumerate(ODD.items()):
        lines = [json.loads(line) for line in (tmp_path / f"{number}.txt").read_text().splitlines()]
        ours = [cell for stanza in parse(data) for pair in [*stanza.items(), ["---"]] for cell in pair]
        assert sorted(ours) == sorted(lines), what
