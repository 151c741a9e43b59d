"""`core.changes`: from what a mirror knew to what it found, one transaction a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.changes import Change, ChangeKind, Found, Plan, Seen, describe, plan
from entrepot.core.model import File, FileStatus, Listed, PackageName

CURRENT, ARCHIVED = FileStatus.CURRENT, FileStatus.ARCHIVED
SYNC_DAY = date(2024, 3, 10)


def found(
    version: str, status: FileStatus = CURRENT, day: int | None = None, *, fields: str | None = "", package: str = "p"
) -> Found:
    """A version found upstream, published on that day of March 2024."""
    published = datetime(2024, 3, day, 12, tzinfo=UTC) if day else None
    told = fields if status is CURRENT else None
    return Found(PackageName(package), version, f"{package}_{version}.tar.gz", status, told, 1, None, published)


def known(
    id_: int, version: str, status: FileStatus = CURRENT, *, fields: str | None = "", package: str = "p"
) -> Listed:
    name = f"{package}_{version}.tar.gz"
    return Listed(File(id_, 1, PackageName(package), version, name, 1, None, None, None, None, fields), status)


def days_of(made: Plan) -> list[tuple[int, list[str], list[tuple[str, FileStatus]]]]:
    """(day of the month, what ends, what begins) with new files by version and known ones by id."""

    def name(handle: int) -> str:
        return made.new_files[-handle - 1].version if handle < 0 else f"#{handle}"

    return [
        (day.day.day, [name(h) for h in day.ends], [(name(h), status) for h, status in day.begins]) for day in made.days
    ]


def test_the_first_sync_replays_what_upstream_tells_of_its_past() -> None:
    """Each version is current from its own day until the next one's, then archived."""
    made = plan(
        [],
        [found("1.0", ARCHIVED, 1), found("1.1", ARCHIVED, 3), found("2.0", CURRENT, 5)],
        first_open=None,
        sync_day=SYNC_DAY,
    )
    assert days_of(made) == [
        (1, [], [("1.0", CURRENT)]),
        (3, ["1.0"], [("1.0", ARCHIVED), ("1.1", CURRENT)]),
        (5, ["1.1"], [("1.1", ARCHIVED), ("2.0", CURRENT)]),
    ]


def test_a_last_version_whose_end_is_unknown_stays_until_the_first_sync() -> None:
    """When a package was taken off nobody tells; one that is in the archive alone ends at the first sync."""
    made = plan([], [found("1.0", ARCHIVED, 1)], first_open=None, sync_day=SYNC_DAY)
    assert days_of(made) == [(1, [], [("1.0", CURRENT)]), (10, ["1.0"], [("1.0", ARCHIVED)])]


def test_nothing_new_is_no_transaction() -> None:
    """The same state again plans nothing at all."""
    rows = [known(1, "1.0"), known(2, "0.9", ARCHIVED)]
    made = plan(rows, [found("1.0", CURRENT, 2), found("0.9", ARCHIVED, 1)], first_open=SYNC_DAY, sync_day=SYNC_DAY)
    assert (made.new_files, made.days) == ([], [])


def test_a_change_belongs_to_its_day_or_the_first_open_one() -> None:
    """A file dated before the first day not yet closed comes on that day; one dated ahead comes on the sync's day."""
    rows = [known(1, "1.0", package="a"), known(2, "1.0", package="b")]
    made = plan(
        rows,
        [found("2.0", CURRENT, 2, package="a"), found("2.0", CURRENT, 30, package="b")],
        first_open=date(2024, 3, 8),
        sync_day=SYNC_DAY,
    )
    assert [day.day.day for day in made.days] == [8, 10]


def test_an_update_archives_even_before_upstream_lists_the_old_version() -> None:
    """Indexes of a mirror are not of one moment: a version that was superseded is never lost in between."""
    made = plan([known(1, "1.0")], [found("2.0", CURRENT, 9)], first_open=date(2024, 3, 9), sync_day=SYNC_DAY)
    assert days_of(made) == [(9, ["#1"], [("#1", ARCHIVED), ("2.0", CURRENT)])]


def test_two_releases_between_two_syncs() -> None:
    """The one in between had its day as the current version."""
    made = plan(
        [known(1, "1.0")],
        [found("3.0", CURRENT, 10), found("2.0", ARCHIVED, 9), found("1.0", ARCHIVED, 1)],
        first_open=date(2024, 3, 9),
        sync_day=SYNC_DAY,
    )
    assert days_of(made) == [
        (9, ["#1"], [("#1", ARCHIVED), ("2.0", CURRENT)]),
        (10, ["2.0"], [("2.0", ARCHIVED), ("3.0", CURRENT)]),
    ]


def test_taken_off_and_back_again() -> None:
    """A package taken off goes to the archive; one that returns is current again, the same file."""
    off = plan([known(1, "1.0")], [found("1.0", ARCHIVED, 1)], first_open=date(2024, 3, 9), sync_day=SYNC_DAY)
    assert days_of(off) == [(9, ["#1"], [("#1", ARCHIVED)])]
    back = plan([known(1, "1.0", ARCHIVED)], [found("1.0", CURRENT, 1)], first_open=SYNC_DAY, sync_day=SYNC_DAY)
    assert days_of(back) == [(10, ["#1"], [("#1", CURRENT)])]


def test_gone_without_a_trace_is_removed() -> None:
    """What upstream has neither current nor archived is removed; if it tells nothing of its archive, that is kept."""
    rows = [known(1, "2.0"), known(2, "1.0", ARCHIVED)]
    gone = plan(rows, [], first_open=SYNC_DAY, sync_day=SYNC_DAY)
    assert days_of(gone) == [(10, ["#1", "#2"], [])]
    kept = plan(rows, [found("2.0", CURRENT, 1)], first_open=SYNC_DAY, sync_day=SYNC_DAY, archive_is_known=False)
    assert kept.days == []


def test_a_version_replaced_before_it_was_archived_is_another_file() -> None:
    """Of its archive upstream tells the size alone: if that is not the known file's, the known file is gone."""
    rows, now = [known(1, "1.0")], found("1.0", ARCHIVED, 2)._replace(size=2)
    made = plan(rows, [now], first_open=SYNC_DAY, sync_day=SYNC_DAY)
    assert made.new_files == [now]
    assert days_of(made) == [(10, ["#1"], [("1.0", ARCHIVED)])]
    same = plan(rows, [now._replace(size=1)], first_open=SYNC_DAY, sync_day=SYNC_DAY)
    assert days_of(same) == [(10, ["#1"], [("#1", ARCHIVED)])]


def test_a_version_with_other_bytes_replaces_the_old_file() -> None:
    """The same version with another index entry is a new file, and the old one is not archived beside it."""
    made = plan(
        [known(1, "1.0", fields="a")],
        [found("1.0", CURRENT, 9, fields="b")],
        first_open=date(2024, 3, 9),
        sync_day=SYNC_DAY,
    )
    assert days_of(made) == [(9, ["#1"], [("1.0", CURRENT)])]


VERSIONS = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["1.0", "1.1", "2.0", "3.0"])),
    st.tuples(st.none() | st.integers(1, 28), st.sampled_from(["", "x"])),
    max_size=6,
)


def upstream_state(versions: dict[tuple[str, str], tuple[int | None, str]], current: dict[str, str]) -> list[Found]:
    rows = []
    for (package, version), (day, fields) in versions.items():
        status = CURRENT if current.get(package) == version else ARCHIVED
        rows.append(found(version, status, day, fields=fields, package=package))
    return rows


@given(
    st.lists(
        st.tuples(
            VERSIONS, st.fixed_dictionaries({"a": st.sampled_from(["1.0", "2.0"]), "b": st.sampled_from(["", "3.0"])})
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_plan_always_ends_at_what_was_found(
    syncs: list[tuple[dict[tuple[str, str], tuple[int | None, str]], dict[str, str]]],
) -> None:
    """After any number of syncs all that upstream has is visible with its status, at most one current a package."""
    visible: dict[int, tuple[Found | File, FileStatus]] = {}
    next_id = 1
    first_open: date | None = None
    last_day = date.min
    for number, (versions, current) in enumerate(syncs):
        sync_day = SYNC_DAY + timedelta(number)
        rows = [
            known(id_, file.version, status, fields=file.fields, package=file.package)
            for id_, (file, status) in visible.items()
        ]
        state = upstream_state(versions, current)
        made = plan(rows, state, first_open=first_open, sync_day=sync_day)
        ids = {-n - 1: next_id + n for n in range(len(made.new_files))}
        files = {ids[-n - 1]: file for n, file in enumerate(made.new_files)}
        next_id += len(made.new_files)
        for day in made.days:
            assert last_day <= day.day <= sync_day or first_open is None
            assert first_open is None or day.day >= first_open
            for handle in day.ends:
                files[ids.get(handle, handle)] = visible.pop(ids.get(handle, handle))[0]  # type: ignore[assignment]
            for handle, status in day.begins:
                id_ = ids.get(handle, handle)
                assert id_ not in visible
                visible[id_] = (files[id_], status)
            now_current = [file.package for file, status in visible.values() if status is CURRENT]
            assert len(now_current) == len(set(now_current))
        shown = {(file.package, file.version): status for file, status in visible.values()}
        expected = {(row.package, row.version): row.status for row in state}
        assert expected.items() <= shown.items()
        assert len(shown) == len(visible)
        assert all(shown[extra] is ARCHIVED for extra in shown.keys() - expected.keys())
        first_open, last_day = sync_day, max([last_day, *(day.day for day in made.days)])


def test_describe() -> None:
    """Rows that begin and end, in the words of an activity log."""
    p, q, r = PackageName("p"), PackageName("q"), PackageName("r")
    begun = [Seen(p, "2.0", CURRENT), Seen(p, "1.0", ARCHIVED), Seen(q, "1.0", ARCHIVED), Seen(r, "0.1", CURRENT)]
    ended = [Seen(p, "1.0", CURRENT), Seen(q, "1.0", CURRENT), Seen(PackageName("s"), "9", CURRENT)]
    assert describe(begun, ended) == [
        Change(ChangeKind.UPDATED, p, "2.0", "1.0"),
        Change(ChangeKind.ARCHIVED, q, "1.0"),
        Change(ChangeKind.ADDED, r, "0.1"),
        Change(ChangeKind.REMOVED, PackageName("s"), "9"),
    ]
