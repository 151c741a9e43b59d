"""What differs between two states."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.comparing import Difference, DifferenceKind, PackageChange, Standing, compare
from entrepot.core.model import PackageName

ADDED, UPDATED, DOWNGRADED, CHANGED, ARCHIVED, REMOVED = DifferenceKind
A, B, C = (PackageName(name) for name in "abc")


def standing(version: str, file: int = 1, source: str = "cran", license: str | None = None, *releases: str) -> Standing:
    return Standing(version, source, frozenset((file,)), license, frozenset(releases))


def major(version: str) -> object | None:
    return version.split(".")[0] if version[:1].isdigit() else None


def difference(
    start: dict[PackageName, Standing], end: dict[PackageName, Standing], archived: set[PackageName] | None = None
) -> Difference:
    versions = sorted({each.version for state in (start, end) for each in state.values()})
    ranks = {version: number for number, version in enumerate(versions)}
    return compare(start, end, archived=archived or set(), ranks=ranks, major=major)


def test_every_kind_of_change() -> None:
    """Each package that differs is told once, by name, with what it was and is."""
    start = {
        PackageName("down"): standing("2.1", 1),
        PackageName("gone"): standing("1.0", 2),
        PackageName("kept"): standing("1.0", 3),
        PackageName("old"): standing("1.0", 4),
        PackageName("other"): standing("1.0", 5),
        PackageName("up"): standing("1.9", 6, license="GPL-2"),
    }
    end = {
        PackageName("down"): standing("1.9", 11),
        PackageName("kept"): standing("1.0", 3),
        PackageName("new"): standing("1.0", 12),
        PackageName("other"): standing("1.0", 5, "internal"),
        PackageName("up"): standing("2.0", 16, license="MIT"),
    }
    found = difference(start, end, {PackageName("old"), PackageName("kept")})
    names = ["down", "gone", "new", "old", "other", "up"]
    kinds = [DOWNGRADED, REMOVED, ADDED, ARCHIVED, CHANGED, UPDATED]
    crossed = {"down", "up"}
    assert found.changes == tuple(
        PackageChange(kind, name, start.get(name), end.get(name), name in crossed)
        for kind, name in zip(kinds, map(PackageName, names), strict=True)
    )
    assert found.counts == dict.fromkeys(DifferenceKind, 1)
    assert [change.package for change in found.changes if change.changes_license] == ["up"]


def test_a_license_that_is_not_known_has_not_changed() -> None:
    """Only two known licenses can differ."""
    for before, after in ((None, "MIT"), ("MIT", None), (None, None), ("MIT", "MIT")):
        (change,) = difference({A: standing("1", 1, license=before)}, {A: standing("2", 2, license=after)}).changes
        assert not change.changes_license


def test_releases_are_counted_where_they_stand_side_by_side() -> None:
    """Releases that came and went are told of projects; of packages with one current version nothing is."""
    before, after = standing("1", 1, "pypi", None, "1", "0.9", "0.8"), standing("2", 2, "pypi", None, "1", "2")
    (change,) = difference({A: before}, {A: after}).changes
    assert (change.releases_added, change.releases_removed) == (1, 2)
    (gone,) = difference({A: before}, {}).changes
    assert (gone.releases_added, gone.releases_removed) == (0, 3)
    (plain,) = difference({A: standing("1", 1)}, {A: standing("2", 2)}).changes
    assert (plain.releases_added, plain.releases_removed) == (None, None)


def test_versions_that_are_equal_in_order() -> None:
    """1.0-1 and 1.0.1 are one version: neither newer nor older."""
    ranks = {"1.0-1": 0, "1.0.1": 0}
    found = compare({A: standing("1.0-1", 1)}, {A: standing("1.0.1", 2)}, ranks=ranks, major=major)
    assert found.counts[CHANGED] == 1


def test_a_major_version_that_can_not_be_told() -> None:
    """What is no version crosses no major one."""
    found = compare({A: standing("dev", 1)}, {A: standing("2.0", 2)}, ranks={"dev": 0, "2.0": 1}, major=major)
    assert [(change.kind, change.crosses_major) for change in found.changes] == [(UPDATED, False)]


STANDINGS = st.builds(
    standing,
    st.sampled_from(["1.0", "1.1", "2.0", "3.0"]),
    st.integers(1, 3),
    st.sampled_from(["cran", "internal"]),
    st.sampled_from([None, "MIT", "GPL-2"]),
)
STATES = st.dictionaries(st.sampled_from([PackageName(name) for name in "abcdefgh"]), STANDINGS)


@given(STATES, STATES, st.sets(st.sampled_from([A, B, C])))
def test_the_difference_leads_from_one_state_to_the_other(
    start: dict[PackageName, Standing], end: dict[PackageName, Standing], archived: set[PackageName]
) -> None:
    """Applied to the first state it gives the second, and back; it tells no package that is the same in both."""
    forth, back = difference(start, end, archived), difference(end, start)
    assert forth.applied_to(start) == end
    assert back.applied_to(end) == start
    assert {change.package for change in forth.changes} == {
        name for name in start.keys() | end.keys() if start.get(name) != end.get(name)
    }
    assert sum(forth.counts.values()) == len(forth.changes)
    opposite = {ADDED: {REMOVED}, REMOVED: {ADDED}, ARCHIVED: {ADDED}, CHANGED: {CHANGED}}
    opposite |= {UPDATED: {DOWNGRADED}, DOWNGRADED: {UPDATED}}
    assert all(b.kind in opposite[f.kind] for f, b in zip(forth.changes, back.changes, strict=True) if f.kind != ADDED)


@given(STATES)
def test_nothing_differs_from_itself(state: dict[PackageName, Standing]) -> None:
    """One state compared with itself has no changes."""
    assert difference(state, dict(state)) == Difference(())
