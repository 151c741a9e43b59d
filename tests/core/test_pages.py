"""`core.pages`: what a page read anew begins and ends, and that no time which was closed ever changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.model import File, FileStatus, Listed, PackageName, Sha256
from entrepot.core.pages import FoundFile, compare

NAMES = ("demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl", "demo-1.1.tar.gz")


def found(name: str, *, uploaded: int | None = 100, fields: str = "{}", sha256: str | None = "a" * 64) -> FoundFile:
    sha = Sha256(sha256) if sha256 else None
    return FoundFile(name, "1.0", f"https://example.org/{name}", 10, None, sha, uploaded, fields)


def row(id_: int, file: FoundFile) -> Listed:
    known = File(
        id=id_,
        source_id=1,
        package=PackageName("demo"),
        version=file.version,
        name=file.name,
        size=file.size,
        md5=file.md5,
        sha256=file.sha256,
        sha256_since=None,
        published_at=file.uploaded,
        fields=file.fields,
    )
    return Listed(known, FileStatus.CURRENT)


def test_the_first_reading_tells_the_past() -> None:
    """Each file begins when it was uploaded, none before; one with a time that is yet to come begins now."""
    changes = compare((), [found("a"), found("b", uploaded=900), found("c", uploaded=None)], checked=None, now=500)
    assert [(b.found.name, b.begins) for b in changes.begins] == [("a", 100), ("b", 500), ("c", None)]
    assert changes.ends == ()


def test_nothing_new_is_no_change() -> None:
    """The same page again, also where a hash was learnt that upstream doesn't give."""
    learnt = row(1, found("a"))
    assert not compare([learnt], [found("a", sha256=None)], checked=500, now=600)


def test_what_changes_later_reaches_back_to_the_last_reading_and_no_further() -> None:
    """A yank, a deletion and a file that shows late although it is old."""
    known = [row(1, found("yanked")), row(2, found("deleted"))]
    page = [found("yanked", fields='{"yanked":""}'), found("late", uploaded=200), found("new", uploaded=550)]
    changes = compare(known, page, checked=500, now=600)
    assert (changes.at, [file.name for file in changes.ends]) == (501, ["yanked", "deleted"])
    assert [(b.found.name, b.begins) for b in changes.begins] == [("yanked", 501), ("late", 501), ("new", 550)]
    assert changes.begins[0].replaces == known[0].file


def test_other_bytes_under_a_name_are_another_file() -> None:
    """A hash that differs ends the one and begins the other."""
    changes = compare([row(1, found("a"))], [found("a", sha256="b" * 64)], checked=500, now=600)
    assert (len(changes.ends), len(changes.begins)) == (1, 1)


@dataclass
class History:
    """The rows of one project as a catalogue keeps them: (file, begins, ends)."""

    rows: list[tuple[File, int | None, int | None]] = field(default_factory=list)
    checked: int | None = None

    def read(self, page: list[FoundFile], now: int) -> None:
        open_ = [Listed(file, FileStatus.CURRENT) for file, _, ends in self.rows if ends is None]
        changes = compare(open_, page, checked=self.checked, now=now)
        gone = {file.id for file in changes.ends}
        self.rows = [
            (file, begins, changes.at if ends is None and file.id in gone else ends) for file, begins, ends in self.rows
        ]
        for begin in changes.begins:
            self.rows.append((row(len(self.rows) + 1, begin.found).file, begin.begins, None))
        self.checked = now

    def at(self, time: int) -> set[tuple[str, str]]:
        return {
            (file.name, file.fields or "")
            for file, begins, ends in self.rows
            if begins is not None and begins <= time and (ends is None or time < ends)
        }


pages = st.lists(
    st.builds(
        found,
        st.sampled_from(NAMES),
        uploaded=st.none() | st.integers(0, 60),
        fields=st.sampled_from(["{}", '{"yanked":""}']),
    ),
    unique_by=lambda file: file.name,
    max_size=3,
)


@given(st.lists(st.tuples(pages, st.integers(0, 20)), min_size=1, max_size=6))
def test_a_closed_time_never_changes(readings: list[tuple[list[FoundFile], int]]) -> None:
    """Whatever upstream does: each time up to a reading shows for ever what it showed after that reading."""
    history, now = History(), 10
    shown: dict[int, set[tuple[str, str]]] = {}
    for page, wait in readings:
        now += wait
        history.read(page, now)
        for time, before in shown.items():
            assert history.at(time) == before
        dated = {(file.name, file.fields) for file in page if file.uploaded is not None}
        assert history.at(now) == dated or wait == 0
        shown |= {time: history.at(time) for time in range(now + 1)}
