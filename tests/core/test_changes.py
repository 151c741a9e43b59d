"""`core.changes`: from what a mirror knew to what it found, one transaction a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.changes import Change, ChangeKind, History, Plan, Seen, describe, plan
from entrepot.core.model import File, FileStatus, Listed, PackageName
from entrepot.core.timelines import Event, Found, Move

CURRENT, ARCHIVED = FileStatus.CURRENT, FileStatus.ARCHIVED
SYNC_DAY = date(2024, 3, 10)
P = PackageName("p")


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


def off(day: int) -> Event:
    return Event(date(2024, 3, day), Move.ARCHIVED)


def back(day: int) -> Event:
    return Event(date(2024, 3, day), Move.RETURNED)


def test_a_package_that_was_off_is_not_there_meanwhile() -> None:
    """A dated archival takes the current version off; a return brings the newest one back, a new version itself."""
    made = plan(
        [],
        [found("1.0", ARCHIVED, 1), found("1.1", ARCHIVED, 2), found("2.0", CURRENT, 8)],
        first_open=None,
        sync_day=SYNC_DAY,
        events={P: [off(3), back(5), off(6), back(8)]},
    )
    assert days_of(made) == [
        (1, [], [("1.0", CURRENT)]),
        (2, ["1.0"], [("1.0", ARCHIVED), ("1.1", CURRENT)]),
        (3, ["1.1"], [("1.1", ARCHIVED)]),
        (5, ["1.1"], [("1.1", CURRENT)]),
        (6, ["1.1"], [("1.1", ARCHIVED)]),
        (8, [], [("2.0", CURRENT)]),
    ]
    gone = plan([], [found("1.0", ARCHIVED, 1)], first_open=None, sync_day=SYNC_DAY, events={P: [off(3)]})
    assert days_of(gone) == [(1, [], [("1.0", CURRENT)]), (3, ["1.0"], [("1.0", ARCHIVED)])]


def test_one_day_of_a_package() -> None:
    """Publications come before what was done with the package that day; of that the order is upstream's."""
    versions = [found("1.0", ARCHIVED, 1), found("1.1", ARCHIVED, 3)]
    off_at_last = plan([], versions, first_open=None, sync_day=SYNC_DAY, events={P: [off(2), back(3), off(3)]})
    assert days_of(off_at_last) == [
        (1, [], [("1.0", CURRENT)]),
        (2, ["1.0"], [("1.0", ARCHIVED)]),
        (3, [], [("1.1", ARCHIVED)]),
    ]
    there_at_last = plan([], versions, first_open=None, sync_day=SYNC_DAY, events={P: [off(3), back(3), off(7)]})
    assert [day.day.day for day in there_at_last.days] == [1, 3, 7]
    assert days_of(there_at_last)[1] == (3, ["1.0"], [("1.0", ARCHIVED), ("1.1", CURRENT)])


def test_what_upstream_has_now_wins_over_what_it_says_of_the_past() -> None:
    """A package that is current although its last comment says that it was taken off is there from the sync on."""
    made = plan([], [found("1.0", CURRENT, 1)], first_open=None, sync_day=SYNC_DAY, events={P: [off(3)]})
    assert days_of(made) == [
        (1, [], [("1.0", CURRENT)]),
        (3, ["1.0"], [("1.0", ARCHIVED)]),
        (10, ["1.0"], [("1.0", CURRENT)]),
    ]


def test_events_of_later_syncs_belong_to_their_days() -> None:
    """Taken off or back again: on the day that upstream tells, or on the first open one if that is later."""
    now = [found("1.0", ARCHIVED, 1)]
    for told, day in ((9, 9), (8, 8), (3, 8)):
        made = plan([known(1, "1.0")], now, first_open=date(2024, 3, 8), sync_day=SYNC_DAY, events={P: [off(told)]})
        assert days_of(made) == [(day, ["#1"], [("#1", ARCHIVED)])]
    for fields in ("", "other"):
        returned = plan(
            [known(1, "1.0", ARCHIVED)],
            [found("1.0", CURRENT, 1, fields=fields)],
            first_open=date(2024, 3, 8),
            sync_day=SYNC_DAY,
            events={P: [off(2), back(9)]},
        )
        assert days_of(returned) == [(9, ["#1"], [("1.0" if fields else "#1", CURRENT)])]


def test_a_first_sync_without_history() -> None:
    """The present alone, in one transaction on the day of the sync; later syncs are like any other."""
    now = [found("1.0", ARCHIVED, 1), found("1.1", CURRENT, 3), found("0.1", ARCHIVED, 2, package="q")]
    made = plan([], now, first_open=None, sync_day=SYNC_DAY, events={P: [off(2)]}, history=History.NONE)
    assert days_of(made) == [(10, [], [("1.0", ARCHIVED), ("1.1", CURRENT), ("0.1", ARCHIVED)])]
    rows = [known(1, "1.0", ARCHIVED), known(2, "1.1")]
    later = plan(
        rows,
        [*now[:1], found("1.1", ARCHIVED, 3), found("1.2", CURRENT, 9)],
        first_open=date(2024, 3, 8),
        sync_day=SYNC_DAY,
        history=History.NONE,
    )
    assert days_of(later) == [(9, ["#2"], [("#2", ARCHIVED), ("1.2", CURRENT)])]


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
EVENTS = st.dictionaries(
    st.sampled_from([PackageName("a"), PackageName("b")]),
    st.lists(st.builds(Event, st.integers(1, 28).map(lambda n: date(2024, 3, n)), st.sampled_from(Move)), max_size=4),
)
UPSTREAMS = st.tuples(
    VERSIONS, st.fixed_dictionaries({"a": st.sampled_from(["1.0", "2.0"]), "b": st.sampled_from(["", "3.0"])}), EVENTS
)


def upstream_state(versions: dict[tuple[str, str], tuple[int | None, str]], current: dict[str, str]) -> list[Found]:
    rows = []
    for (package, version), (day, fields) in versions.items():
        status = CURRENT if current.get(package) == version else ARCHIVED
        rows.append(found(version, status, day, fields=fields, package=package))
    return rows


class Catalogue:
    """Rows as a sync leaves them; each transaction is checked as it is written."""

    def __init__(self) -> None:
        self.visible: dict[int, tuple[Found, FileStatus]] = {}
        self.next_id = 1
        self.first_open: date | None = None
        self.last_day = date.min

    def rows(self) -> list[Listed]:
        return [
            known(id_, file.version, status, fields=file.fields, package=file.package)
            for id_, (file, status) in self.visible.items()
        ]

    def write(self, made: Plan, sync_day: date) -> None:
        ids = {-n - 1: self.next_id + n for n in range(len(made.new_files))}
        files = {ids[-n - 1]: file for n, file in enumerate(made.new_files)}
        self.next_id += len(made.new_files)
        for day in made.days:
            assert self.last_day <= day.day <= sync_day or self.first_open is None
            assert self.first_open is None or day.day >= self.first_open
            assert day.ends or day.begins
            for handle in day.ends:
                id_ = ids.get(handle, handle)
                files[id_] = self.visible.pop(id_)[0]
            for handle, status in day.begins:
                id_ = ids.get(handle, handle)
                assert id_ not in self.visible
                self.visible[id_] = (files[id_], status)
            now_current = [file.package for file, status in self.visible.values() if status is CURRENT]
            assert len(now_current) == len(set(now_current))
        self.last_day = max([self.last_day, *(day.day for day in made.days)])
        self.first_open = sync_day


@given(st.lists(UPSTREAMS, min_size=1, max_size=4), st.sampled_from(History))
def test_a_plan_always_ends_at_what_was_found(
    syncs: list[tuple[dict[tuple[str, str], tuple[int | None, str]], dict[str, str], dict[PackageName, list[Event]]]],
    history: History,
) -> None:
    """After any number of syncs all that upstream has is visible with its status, at most one current a package."""
    catalogue = Catalogue()
    for number, (versions, current, events) in enumerate(syncs):
        sync_day = SYNC_DAY + timedelta(number)
        state = upstream_state(versions, current)
        made = plan(
            catalogue.rows(),
            state,
            first_open=catalogue.first_open,
            sync_day=sync_day,
            events={package: sorted(told, key=lambda event: event.day) for package, told in events.items()},
            history=history,
        )
        catalogue.write(made, sync_day)
        visible = catalogue.visible.values()
        shown = {(file.package, file.version): status for file, status in visible}
        expected = {(row.package, row.version): row.status for row in state}
        assert expected.items() <= shown.items()
        assert len(shown) == len(visible)
        assert all(shown[extra] is ARCHIVED for extra in shown.keys() - expected.keys())


@given(st.lists(st.tuples(UPSTREAMS, st.sets(st.sampled_from("ab")), st.integers(0, 2)), min_size=2, max_size=5))
def test_a_plan_of_what_changed_is_the_whole_plan(
    syncs: list[
        tuple[
            tuple[dict[tuple[str, str], tuple[int | None, str]], dict[str, str], dict[PackageName, list[Event]]],
            set[str],
            int,
        ]
    ],
) -> None:
    """Packages of which upstream tells the same as before may be left out, but for those called unsettled."""
    catalogue = Catalogue()
    state: dict[PackageName, tuple[list[Found], list[Event]]] = {}
    unsettled: frozenset[PackageName] = frozenset()
    sync_day = SYNC_DAY
    for (versions, current, events), touched, days in syncs:
        before, sync_day = state, sync_day + timedelta(days)
        rows = upstream_state(versions, current)
        state = dict(before)
        for package in map(PackageName, touched):
            told = sorted(events.get(package, []), key=lambda event: event.day)
            state[package] = [row for row in rows if row.package == package], told
        changed = {package for package in state if state[package] != before.get(package)} | unsettled
        whole, part = (
            plan(
                [row for row in catalogue.rows() if row.file.package in packages],
                [row for package in packages for row in state[package][0]],
                first_open=catalogue.first_open,
                sync_day=sync_day,
                events={package: state[package][1] for package in packages},
            )
            for packages in (set(state), changed)
        )
        assert part == whole
        catalogue.write(whole, sync_day)
        unsettled = whole.unsettled


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


def test_describe_versions_side_by_side() -> None:
    """Where every version is current, all that happens to the files of one version is one change."""
    p, q = PackageName("p"), PackageName("q")

    def seen(*versions: tuple[PackageName, str]) -> list[Seen]:
        return [Seen(*version, CURRENT) for version in versions]

    begun = seen((p, "2.0"), (p, "2.0"), (p, "1.1"), (p, "0.9"), (q, "1.0"))
    ended = seen((p, "1.0"), (p, "1.0"), (p, "1.1"), (p, "0.8"))
    assert describe(begun, ended, beside={(p, "0.9"), (p, "0.8"), (p, "3.0")}) == [
        Change(ChangeKind.ADDED, p, "2.0"),
        Change(ChangeKind.REMOVED, p, "1.0"),
        Change(ChangeKind.UPDATED, p, "0.8"),  # lost a file, and has others
        Change(ChangeKind.UPDATED, p, "0.9"),  # got one more
        Change(ChangeKind.UPDATED, p, "1.1"),  # as by a yank
        Change(ChangeKind.ADDED, q, "1.0"),
    ]
