"""Pages of long lists of names: those of the whole list, whatever it is made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.model import PackageName
from entrepot.core.namelists import Backwards, Few, Joined

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=25)


@given(NAMES, st.sets(st.integers(0, 24)), st.integers(0, 30), st.integers(0, 30))
def test_a_page_is_a_part_of_the_whole(names: list[str], others: set[int], start: int, count: int) -> None:
    """Wherever the names that are at hand stand among the others, and from either end."""
    whole = [PackageName(name) for name in sorted(names)]
    few = [name for number, name in enumerate(whole) if number in others]
    joined = Joined(Few([name for name in whole if name not in few]), few)
    assert joined.total == len(whole)
    assert joined.piece(start, count) == whole[start : start + count]
    assert Backwards(joined).piece(start, count) == whole[::-1][start : start + count]
