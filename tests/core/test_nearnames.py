"""Names that somebody may have meant."""

from __future__ import annotations

from difflib import SequenceMatcher

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.nearnames import CUTOFF, near

NAMES = ["DBI", "data.table", "dplyr", "ggplot2", "ggplot2movies", "ggpubr", "plyr", "pki", "rjson", "RJSON", "tidyr"]


def test_a_slip_of_the_fingers_finds_the_name() -> None:
    """Letters that are missing, too many or in the wrong order still lead to the name."""
    assert near("ggplto2", NAMES) == ["ggplot2"]
    assert near("dplr", NAMES) == ["dplyr", "plyr"]
    assert near("data.tables", NAMES) == ["data.table"]
    assert near("ggplot", NAMES) == ["ggplot2"]


def test_names_that_differ_by_case_come_first() -> None:
    """R tells `Dbi` from `DBI`: that is the likeliest mistake."""
    assert near("dbi", NAMES) == ["DBI"]
    assert near("RJson", NAMES) == ["RJSON", "rjson"]


def test_nothing_like_it() -> None:
    """A name that is like none has no neighbours; nor has one a neighbour in itself."""
    assert near("zzzzzzzz", NAMES) == []
    assert near("dplyr", ["dplyr"]) == []
    assert near("", NAMES) == []
    assert near("dplyr", []) == []


def test_no_more_than_asked_for() -> None:
    """`limit` bounds the answer."""
    names = [f"package{number}" for number in range(9)]
    assert near("package", names, limit=2) == ["package0", "package1"]


@given(st.text("abcAB.", max_size=8), st.lists(st.text("abcAB.", min_size=1, max_size=8), unique=True))
def test_what_is_named_is_there_and_alike(name: str, names: list[str]) -> None:
    """Each answer is one of the names, another one than was asked for, and alike enough."""
    found = near(name, names)
    assert len(found) == len(set(found)) <= 3
    assert set(found) <= set(names) - {name}
    assert all(
        SequenceMatcher(None, name.casefold(), each.casefold(), autojunk=False).ratio() >= CUTOFF for each in found
    )
