"""Search in names and titles: which rows match in which class, in which order; names by the hundred thousand."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entrepot.core.errors import Invalid
from entrepot.core.licensing import alternatives, names_of
from entrepot.core.model import PackageName
from entrepot.core.searching import (
    LONGEST,
    MOST_FOUND,
    Followed,
    LongNames,
    best_first,
    fold,
    match,
    places,
    query_of,
    text_of,
)
from entrepot.ecosystems.python.names import normalize

ROWS = [
    ("data.table", "Extension of `data.frame`"),
    ("DT", "A Wrapper of the JavaScript Library DataTables"),
    ("dtplyr", "Data Table Back-End for 'dplyr'"),
    ("dplyr", "A Grammar of Data Manipulation"),
    ("Rcpp", "Seamless R and C++ Integration"),
    ("poisson", "Modèles de régression de Poisson"),
    ("untold", None),
]


def found(text: str, rows: list[tuple[str, str | None]] = ROWS, form: object = str) -> list[list[str]]:
    """The names that match, class by class."""
    folded = [form(fold(name)) for name, _ in rows]  # type: ignore[operator]
    texts = [text_of(name, title) for name, (_, title) in zip(folded, rows, strict=True)]
    matches = match(query_of(text, form), folded, texts)  # type: ignore[arg-type]
    return [[rows[row][0] for row in some] for some in matches]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dplyr", [["dplyr"], [], [], ["dtplyr"]]),
        ("DPLYR", [["dplyr"], [], [], ["dtplyr"]]),
        ("dt", [["DT"], ["dtplyr"], [], []]),
        ("cpp", [[], [], ["Rcpp"], []]),
        ("table data", [[], [], [], ["data.table", "DT", "dtplyr"]]),
        ("data  DATA data", [[], [], [], ["data.table", "DT", "dtplyr", "dplyr"]]),
        ("regression", [[], [], [], ["poisson"]]),
        ("RÉGRESSION modeles", [[], [], [], ["poisson"]]),
        ("c++", [[], [], [], ["Rcpp"]]),
        (".*", [[], [], [], []]),
        ("[", [[], [], [], []]),
        ("\0dplyr\u200b\t", [["dplyr"], [], [], ["dtplyr"]]),
        ("nothing", [[], [], [], []]),
        ("untold", [["untold"], [], [], []]),
        ("untold data", [[], [], [], []]),
    ],
)
def test_each_package_is_in_the_best_class(text: str, expected: list[list[str]]) -> None:
    """The name itself, its beginning, a part of it, all words in name and title; in any case, with or without accents;
    what a pattern would mean elsewhere stands for itself."""
    assert found(text) == expected


@pytest.mark.parametrize("text", ["", "  ", "\0\x01", "\u200b"])
def test_without_words_everything_matches(text: str) -> None:
    assert found(text) == [[], [], [], [name for name, _ in ROWS]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Scikit_Learn", [["scikit-learn"], ["scikit-learn-extra"], [], []]),
        ("scikit learn", [[], [], [], ["scikit-learn", "scikit-learn-extra"]]),
        ("learn.extra", [[], [], ["scikit-learn-extra"], []]),
        ("built_in", [[], [], [], ["zope"]]),
    ],
)
def test_python_names_in_any_spelling(text: str, expected: list[list[str]]) -> None:
    """Names as PEP 503 has them; in titles a word is looked for as it was written."""
    rows = [("scikit-learn", "ML"), ("scikit-learn-extra", None), ("zope", "Of built_in types")]
    assert found(text, rows, normalize) == expected  # type: ignore[arg-type]


words = st.text("abAB.-é ", max_size=6)


@given(words, st.lists(st.tuples(st.text("abAB.-é", min_size=1, max_size=5), st.none() | words), max_size=12))
@example("a.", [("a-", "a.")])
def test_it_is_what_a_slow_search_finds(text: str, rows: list[tuple[str, str | None]]) -> None:
    """Against each row looked at by itself."""
    for form in (str, normalize):
        query = query_of(text, form)
        expected: list[list[str]] = [[], [], [], []]
        for name, title in rows:
            folded, of_title = form(fold(name)), fold(title or "")
            if query.is_empty:
                kind = 3
            elif folded == query.name:
                kind = 0
            elif query.name and folded.startswith(query.name):
                kind = 1
            elif query.name and query.name in folded:
                kind = 2
            elif all(w in folded or w in of_title or (form(w) and form(w) in folded) for w in fold(text).split()):
                kind = 3
            else:
                continue
            expected[kind].append(name)
        assert found(text, rows, form) == expected


def test_a_query_is_bounded() -> None:
    """A longer one than anybody types is refused, one of very many words takes its time once for all."""
    with pytest.raises(Invalid) as caught:
        query_of("a" * (LONGEST + 1), str)
    assert caught.value.hint == f"search for up to {LONGEST} characters"
    rows: list[tuple[str, str | None]] = [(f"package{number}", "b c d e f g " * 20) for number in range(2000)]
    began = time.process_time()
    assert found(" ".join("abcdefghijklmnopqrstuvwxyz" * 3), rows) == [[], [], [], []]
    assert time.process_time() - began < 1


def test_the_order_is_by_downloads_then_by_need_then_by_name() -> None:
    """Class after class; in each the most used first."""
    names = [PackageName(name) for name in ("b", "a", "C", "used", "needed", "Both")]
    place = places(names, {PackageName("used"): 2, PackageName("Both"): 2}, {"needed": 9, "Both": 1})
    ordered = best_first([[0, 2], [1, 3, 4, 5], []], place)
    assert [names[row] for row in ordered] == ["b", "C", "Both", "used", "needed", "a"]


names_ = st.lists(st.text("ab-1", min_size=1, max_size=4), unique=True, max_size=30).map(sorted)


@given(names_, st.text("ab-1", min_size=1, max_size=3), st.integers(0, 30), st.integers(0, 5))
def test_long_names_are_a_list(names: list[str], part: str, start: int, count: int) -> None:
    """Rows, places, beginnings and parts as a list of names has them."""
    long = LongNames(iter(names))
    assert (len(long), long.total, [long[row] for row in range(len(long))]) == (len(names), len(names), names)
    assert long.piece(start, count) == names[start : start + count]
    assert [long.row_of(name) for name in names] == list(range(len(names)))
    assert long.row_of("zz") is None
    assert [long[row] for row in long.beginning(part)] == [name for name in names if name.startswith(part)]
    assert [long[row] for row in long.having([part])] == [name for name in names if part in name]
    both = [name for name in names if part in name and "a" in name]
    assert [long[row] for row in long.having([part, "a"])] == both


@given(names_, st.text("ab-1 ", min_size=1, max_size=4), st.sets(st.text("ab-1", min_size=1, max_size=4)))
def test_long_names_are_found_in_the_same_classes(names: list[str], text: str, but: set[str]) -> None:
    """As `match` finds them among rows without titles, but for those that are left out."""
    query = query_of(text, normalize)
    names = sorted({normalize(name) for name in names})
    expected = match(query, names, names)
    if query.is_empty:
        return
    told = [[names[row] for row in rows if names[row] not in but] for rows in expected]
    assert LongNames(iter(names)).found(query, but) == told


def test_what_is_found_of_long_names_is_bounded() -> None:
    """The best classes count first; a word that is in all names doesn't keep anybody."""
    long = LongNames(f"name-{number:06}-x" for number in range(50_000))
    found = long.found(query_of("name-000009-x", normalize), frozenset())
    assert found == [["name-000009-x"], [], [], []]
    assert list(map(len, long.found(query_of("name", normalize), frozenset()))) == [0, MOST_FOUND, 0, 0]
    assert list(map(len, long.found(query_of("x name", normalize), frozenset()))) == [0, 0, 0, MOST_FOUND]


@given(names_, st.data())
def test_the_rest_follows_what_is_known(names: list[str], data: st.DataObject) -> None:
    """Each name once, whatever piece is asked for."""
    long = LongNames(iter(names))
    known = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    rows = sorted(row for name in known if (row := long.row_of(name)) is not None)
    first = [PackageName(name) for name in ["other", *known]]
    followed = Followed(first, long, rows)
    whole = [*first, *(name for name in names if name not in known)]
    assert followed.total == len(whole)
    start, count = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 10))
    assert followed.piece(start, count) == whole[start : start + count]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MIT + file LICENSE", ("MIT",)),
        ("GPL(>=2) | BSD_3_clause + file LICENCE", ("GPL (>= 2)", "BSD_3_clause")),
        ("GPL (>= 2)|GPL  (>=2)", ("GPL (>= 2)",)),
        ("file LICENSE", ("file LICENSE",)),
        ("MIT OR Apache-2.0", ("MIT", "Apache-2.0")),
        ("LGPL (>= 2, < 3)", ("LGPL (>= 2, < 3)",)),
        (" | ", ()),
    ],
)
def test_licences_that_one_may_choose_from(text: str, expected: tuple[str, ...]) -> None:
    """Spaces and the file with the text make no difference; the whole text names it as well."""
    assert alternatives(text) == expected
    assert names_of(text) == {text.casefold(), *map(str.casefold, expected)}
