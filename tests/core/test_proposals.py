"""`core.proposals`: what a proposal tells survives being kept, and what differs between two of them is named."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.proposals import Item, ItemChange, Leaving, Missing, Report, changes_anything, difference, summary

TEXT = st.text(max_size=8)
CHAINS = st.lists(TEXT, max_size=3).map(tuple)
MAYBE = st.none() | TEXT
COUNTS = st.none() | st.integers(0, 2**40)
ITEMS = st.builds(Item, TEXT, TEXT, MAYBE, st.sampled_from(ItemChange), MAYBE, MAYBE, CHAINS, TEXT, COUNTS, COUNTS)
LEAVING = st.builds(Leaving, TEXT, TEXT, st.sampled_from(["archived", "removed"]), TEXT)
MISSING = st.builds(Missing, TEXT, CHAINS, TEXT)
REPORTS = st.builds(
    Report,
    st.lists(ITEMS, max_size=3).map(tuple),
    st.lists(LEAVING, max_size=3).map(tuple),
    st.lists(MISSING, max_size=3).map(tuple),
    CHAINS,
    st.integers(0, 30_000),
)


def item(package: str, change: ItemChange, previous: str | None = None) -> Item:
    return Item(package, "1.0", previous, change, None, None, (), package, None)


@given(REPORTS)
def test_a_report_comes_back_as_it_was_kept(report: Report) -> None:
    """JSON and back is the same report, chains and kinds included."""
    kept = Report.of_json(json.loads(json.dumps(report.as_json())))
    assert kept == report
    assert all(isinstance(each.change, ItemChange) and isinstance(each.why, tuple) for each in kept.items)


def test_an_item_without_a_number_of_releases_is_read() -> None:
    """What was kept without the last value has none."""
    told = Report((item("a", ItemChange.ADDED),)).as_json()
    told["items"] = [row[:-1] for row in told["items"]]
    assert Report.of_json(told) == Report((item("a", ItemChange.ADDED),))


def test_counts_name_each_kind_once() -> None:
    """Every kind has its number, those of which there are none too; what isn't listed counts as unchanged."""
    report = Report(
        (
            item("a", ItemChange.ADDED),
            item("b", ItemChange.ADDED),
            item("c", ItemChange.UPDATED, "0.9"),
            item("d", ItemChange.UNCHANGED, "1.0"),
        ),
        (Leaving("c", "0.9", "archived", "replaced by 1.0"), Leaving("e", "1.0", "removed", "taken out")),
        (Missing("f", ("a",), "the snapshot has no such package"),),
        unchanged=20,
    )
    assert report.counts() == {
        "added": 2,
        "updated": 1,
        "downgraded": 0,
        "changed": 0,
        "unchanged": 21,
        "archived": 1,
        "removed": 1,
        "missing": 1,
    }
    assert Report().counts() == dict.fromkeys(report.counts(), 0)


def test_what_counts_as_a_change() -> None:
    """Anything but packages that stay and packages that are missing."""
    for change in ItemChange:
        assert changes_anything(Report((item("a", change),)).counts()) is (change is not ItemChange.UNCHANGED)
    for left in ("archived", "removed"):
        assert changes_anything(Report(leaving=(Leaving("a", "1", left, ""),)).counts())
    assert not changes_anything(Report(missing=(Missing("a", (), ""),), unchanged=7).counts())


def test_a_summary_leaves_out_what_there_is_none_of() -> None:
    """In the order of kinds; of no change at all it says so."""
    report = Report(
        (item("a", ItemChange.ADDED), item("b", ItemChange.DOWNGRADED, "2.0")),
        (Leaving("b", "2.0", "archived", ""),),
        (Missing("c", (), ""),),
    )
    assert summary(report.counts()) == "1 added, 1 downgraded, 1 archived"
    assert summary(Report((item("a", ItemChange.UNCHANGED),)).counts()) == "1 unchanged"
    assert summary(Report().counts()) == "nothing"


def test_why_a_package_is_in_reads_as_a_chain() -> None:
    """From what was asked for to what needs it."""
    assert item("a", ItemChange.ADDED).reason == "asked for"
    assert item("c", ItemChange.ADDED)._replace(why=("a", "b")).reason == "a > b"


def test_a_difference_is_what_one_side_has_alone() -> None:
    """Sorted by name and version, what goes marked with a minus and what comes with a plus."""
    before = [("b", "1.0"), ("a", "1.0"), ("c", "1.0", "archived")]
    after = [("a", "1.0"), ("b", "1.1"), ("b", "1.0", "archived"), ("d", "0.1")]
    assert difference(before, after) == ["- b 1.0", "+ b 1.0 archived", "+ b 1.1", "- c 1.0 archived", "+ d 0.1"]
    assert difference(before, list(reversed(before))) == []


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2"])), max_size=5)


@given(ROWS, ROWS)
def test_a_difference_applied_gives_the_other(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    """What is left of one after its lines with a minus, with those with a plus, is the other."""
    lines = difference(before, after)
    gone, come = ({tuple(line[2:].split()) for line in lines if line[0] == sign} for sign in "-+")
    assert set(before) - gone | come == set(after)
    assert (gone <= set(before), gone & set(after), come & set(before)) == (True, set(), set())
