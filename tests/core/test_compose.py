"""`core.compose`: the first source that has a package's name wins, for all of its versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.compose import compose
from entrepot.core.model import File, FileStatus, Listed, PackageName

NAME = attrgetter("file.package")
CURRENT, ARCHIVED = FileStatus.CURRENT, FileStatus.ARCHIVED
ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "2"]), st.sampled_from([CURRENT, ARCHIVED])), max_size=6
)


class FixedLayer:
    """A source with these rows, of which those that `wanted` accepts are listed."""

    def __init__(self, source_id: int, rows: Iterable[tuple[str, str, FileStatus]], wanted: FileStatus | None) -> None:
        self.rows = sorted(
            (
                Listed(File(n, source_id, PackageName(p), v, f"{p}_{v}.tar.gz", 1, None, None, None, None, ""), status)
                for n, (p, v, status) in enumerate(rows)
            ),
            key=lambda row: row.file.package,
        )
        self.wanted = wanted

    def listed(self) -> list[Listed]:
        return [row for row in self.rows if self.wanted in (None, row.status)]

    def names(self) -> set[PackageName]:
        return {row.file.package for row in self.rows}

    def names_among(self, names: Collection[PackageName]) -> set[PackageName]:
        return self.names().intersection(names)


@given(st.lists(ROWS, max_size=4), st.sampled_from([None, CURRENT, ARCHIVED]))
def test_each_name_comes_from_the_first_source_that_has_it(
    sources: list[list[tuple[str, str, FileStatus]]], wanted: FileStatus | None
) -> None:
    """A row is listed if and only if its source is the first one with that name, current or archived."""
    layers = [FixedLayer(n, rows, wanted) for n, rows in enumerate(sources)]
    listing = compose(layers, NAME)
    for layer in layers:
        for row in layer.listed():
            first = next(n for n, other in enumerate(layers) if row.file.package in other.names())
            assert (row in listing) == (row.file.source_id == first)
    assert [row.file.package for row in listing] == sorted(row.file.package for row in listing)


def test_an_archived_name_still_hides_later_sources() -> None:
    """Archiving an internal package does not let a public one of its name through."""
    internal = FixedLayer(0, [("secret", "1.0", ARCHIVED)], CURRENT)
    public = FixedLayer(1, [("secret", "99.0", CURRENT), ("other", "1", CURRENT)], CURRENT)
    assert [row.file.package for row in compose([internal, public], NAME)] == ["other"]


def test_a_layer_is_asked_only_for_what_a_later_one_lists() -> None:
    """The names of a large source need not be known for a small one behind it."""
    asked: list[set[PackageName]] = []

    class Watched(FixedLayer):
        def names_among(self, names: Collection[PackageName]) -> set[PackageName]:
            asked.append(set(names))
            return super().names_among(names)

    rows = [
        [("a", "1", CURRENT), ("b", "1", ARCHIVED), ("x", "1", CURRENT)],
        [("b", "2", CURRENT), ("c", "1", CURRENT)],
    ]
    listing = compose([Watched(n, of_one, CURRENT) for n, of_one in enumerate([*rows, rows[0], []])], NAME)
    assert [(row.file.source_id, row.file.package) for row in listing] == [(0, "a"), (1, "c"), (0, "x")]
    assert asked == [{"a", "b", "c", "x"}]
