"""The dependency fields of DESCRIPTION, as R reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.ecosystems.r.dependencies import Dependency, of_description, parse
from tests.support.r import run_r

GOLDEN: dict[str, list[Dependency]] = {
    "": [],
    "methods": [Dependency("methods")],
    "R (>= 3.5.0), methods, utils": [Dependency("R", ">=", "3.5.0"), Dependency("methods"), Dependency("utils")],
    "rlang (>= 1.0-2),cli(>= 3.0)": [Dependency("rlang", ">=", "1.0-2"), Dependency("cli", ">=", "3.0")],
    "a (> 1.0), a (<= 2.0), b (== 1.1), c (!= 0.9), d (< 4.0)": [
        Dependency("a", ">", "1.0"),
        Dependency("a", "<=", "2.0"),
        Dependency("b", "==", "1.1"),
        Dependency("c", "!=", "0.9"),
        Dependency("d", "<", "4.0"),
    ],
    "a ,\n    b\t(  >=  1.2)\n": [Dependency("a"), Dependency("b", ">=", "1.2")],
    "a, b, a": [Dependency("a"), Dependency("b")],
    "R (>= r52164)": [Dependency("R", ">=", "r52164")],
}
"""What R reads as well."""

ODD: dict[str, list[Dependency]] = {
    "a, , b,": [Dependency("a"), Dependency("b")],
    "a (>=1.0)": [Dependency("a", ">=", "1.0")],
    "a ( >= 1.0 )": [Dependency("a", ">=", "1.0")],
    "a (1.0)": [Dependency("a")],
    "a (>= )": [Dependency("a")],
    "a (>= 1.0": [Dependency("a")],
    "a ()": [Dependency("a")],
    "(>= 1.0), b": [Dependency("b")],
}
"""What R stumbles over or reads as something else; packages in the wild have it."""


@pytest.mark.parametrize("value", [*GOLDEN, *ODD])
def test_a_field(value: str) -> None:
    """Names in their order, each with the bound that is told of it; what can't be read is left out."""
    assert parse(value) == {**GOLDEN, **ODD}[value]


def test_a_description() -> None:
    """All five fields are there under their lower-case names, the missing ones empty."""
    assert of_description({"Package": "x", "Imports": "a", "LinkingTo": "b (>= 1.0)"}) == {
        "depends": [],
        "imports": [Dependency("a")],
        "linkingto": [Dependency("b", ">=", "1.0")],
        "suggests": [],
        "enhances": [],
    }


@given(st.text(alphabet="aR.1 ,()<>=!-\n\tä\0", max_size=60))
def test_any_text_is_read(value: str) -> None:
    """Whatever an upstream says, it is no error, and no name is empty or has a space or a comma in it."""
    assert all(one.name and not set(one.name) & set(" ,\n\t(") for one in parse(value))


@pytest.mark.r
def test_r_reads_the_same(rscript: Path, tmp_path: Path) -> None:
    """`tools:::.split_dependencies` finds the same names, operators and versions."""
    for number, value in enumerate(GOLDEN):
        (tmp_path / str(number)).write_text(value + "\n")
    done = run_r(f"""
        told <- function(x) if (is.null(x)) "" else as.character(x)
        for (i in seq_len({len(GOLDEN)}) - 1L) {{
            text <- paste(readLines(file.path("{tmp_path}", i)), collapse = "\n")
            for (one in tools:::.split_dependencies(text))
                cat(sprintf('[%d, "%s", "%s", "%s"]\n', i, one$name, told(one$op), told(one$version)))
        }}""")
    # R tells versions with dots alone.
    ours = [
        [number, one.name, one.operator or "", (one.version or "").replace("-", ".")]
        for number, value in enumerate(GOLDEN)
        for one in parse(value)
    ]
    assert [json.loads(line) for line in done.stdout.splitlines()] == ours
