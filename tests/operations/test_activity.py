"""The record of changes, searched: whatever is looked for, what comes is what one would pick by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.activity import ActivityKind, Wanted
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.errors import Invalid, NotFound, SourceNotFound
from entrepot.core.model import FOREVER, FileStatus, PackageName, RepositoryType, Source, SourceType
from entrepot.db import files as db_files
from entrepot.db import transactions as db_transactions
from entrepot.operations import activity, packages, proposals, repositories, sources
from entrepot.operations.activity import TransactionInfo
from entrepot.operations.browsing import Page
from entrepot.operations.curating import Curation
from entrepot.operations.proposals import Wish
from tests.operations.test_browsing import bare_file, statements, turn
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import NOON, Clock, sync

ALL = Page(1000)
CHANGES = [kind.value for kind in ChangeKind]


def settled(app: App) -> None:
    """Count what was not counted yet."""
    while activity.settle(app):
        pass


def write(
    app: App,
    source: Source,
    day: int,
    state: dict[int, FileStatus],
    after: dict[int, FileStatus],
    new: dict[int, tuple[str, str]],
) -> None:
    """One transaction that leads a source from one state of its files to another."""
    with app.db.write() as connection:
        facts = {"time": NOON, "day": NOON.date() + timedelta(days=day), "actor": "test", "message": ""}
        at = db_transactions.add(connection, source_id=source.id, **facts)
        db_files.add(connection, [bare_file(id_, source.id, *name) for id_, name in new.items()])
        db_files.hide(connection, source.id, [(id_, at) for id_ in state if state[id_] is not after.get(id_)])
        begun = [(id_, status) for id_, status in after.items() if state.get(id_) is not status]
        db_files.show(connection, [(id_, source.id, status, at, FOREVER) for id_, status in begun])


def history(app: App, type_: SourceType, seed: int) -> list[str]:
    """Two sources of some type with any history, in one repository `all`; their names."""
    chance = random.Random(seed)
    of = RepositoryType.PYTHON if type_ is SourceType.LOCAL_PYTHON else RepositoryType.R
    repositories.create_repository(app, "all", type_=of)
    made = [sources.create_source(app, name, type_=type_)[0].source for name in ("one", "two")]
    for source in made:
        repositories.subscribe(app, "all", source.name, actor="test")
    states: dict[int, dict[int, FileStatus]] = {source.id: {} for source in made}
    known: dict[int, tuple[str, str]] = {}
    for day in range(30):
        source = chance.choice(made)
        before = states[source.id]
        if type_ is SourceType.LOCAL:
            after = turn(chance, before, known, ids := [])
        else:
            ids = [len(known) + n for n in range(1, chance.randint(1, 4))]
            known |= {id_: (chance.choice("abc"), chance.choice(("1.0", "1.1"))) for id_ in ids}
            kept = {id_: status for id_, status in before.items() if chance.random() < 0.7}
            after = kept | dict.fromkeys(ids, FileStatus.CURRENT)
        write(app, source, day // 3, before, after, {id_: known[id_] for id_ in ids})
        states[source.id] = after
        if day == 15:
            settled(app)  # the rest is counted when it is asked for
    return [source.name for source in made]


def by_hand(rows: list[TransactionInfo], wanted: Wanted) -> list[int]:
    """The transactions among some (with all their changes) that are wanted."""

    def changes(row: TransactionInfo) -> list[Change]:
        return [change for change in row.changes if wanted.package in (None, change.package)]

    def is_wanted(row: TransactionInfo) -> bool:
        kinds = {change.kind.value for change in changes(row)} | ({"subscription"} if row.repository else set())
        return (
            (wanted.package is None or bool(changes(row)))
            and (not wanted.kinds or bool(kinds.intersection(wanted.kinds)))
            and (wanted.start is None or row.transaction.day >= wanted.start)
            and (wanted.end is None or row.transaction.day <= wanted.end)
        )

    return [row.transaction.id for row in rows if is_wanted(row)]


@pytest.mark.parametrize(
    ("type_", "seed"), [(SourceType.LOCAL, 1), (SourceType.LOCAL, 2), (SourceType.LOCAL_PYTHON, 3)]
)
def test_what_is_found_is_what_one_would_pick_by_hand(app: App, type_: SourceType, seed: int) -> None:
    """By kinds, packages, days and sources, of a repository and of a source, counted or not, page by page."""
    names = history(app, type_, seed)
    every, total = activity.list_transactions(app, repo="all", page=ALL)
    full = [activity.transaction(app, row.transaction.id) for row in every]
    assert [row.counts for row in every] == [row.counts for row in full]
    assert len(full) == total == 32
    kinds = [(), ("added",), ("removed", "archived"), ("subscription", "updated"), ("build",)]
    days = [(None, None), (NOON.date() + timedelta(days=3), NOON.date() + timedelta(days=8))]
    searches = [
        Wanted([ActivityKind(kind) for kind in some], package and PackageName(package), start, end)
        for some, package, (start, end) in product(kinds, (None, "a", "none"), days)
    ]
    for round_ in range(2):
        for wanted in searches:
            expected = by_hand(full, wanted)
            found, total = activity.list_transactions(app, repo="all", wanted=wanted, page=ALL)
            assert ([row.transaction.id for row in found], total) == (expected, len(expected))
            if wanted.package is not None:
                one = [
                    [c for c in row.changes if c.package == wanted.package]
                    for row in full
                    if row.transaction.id in expected
                ]
                assert [list(row.changes) for row in found] == one
            pages = [
                activity.list_transactions(app, repo="all", wanted=wanted, ascending=True, page=Page(20, n))
                for n in (1, 2)
            ]
            assert [row.transaction.id for rows, _ in pages for row in rows] == expected[::-1]
            for name in names:
                mine = by_hand([row for row in full if row.source == name], wanted)
                of_source = activity.list_transactions(app, source=name, wanted=wanted, page=ALL)
                of_both = activity.list_transactions(app, repo="all", source=name, wanted=wanted, page=ALL)
                assert of_source == of_both
                assert [row.transaction.id for row in of_source[0]] == mine
        if not round_:
            settled(app)
            assert activity.list_transactions(app, repo="all", page=ALL) == (every, 32)


def test_the_changes_of_one_transaction_come_in_pages(mirrored: App, cran: FakeCran) -> None:
    """In the order of names, of all packages or of one, of all kinds or of some."""
    for name, version in product("abcdefg", ("1.0", "2.0")):
        cran.add(f"p{name}", version, make_source_package(f"p{name}", version), NOON)
    cran.publish()
    sync(mirrored)
    (row,), _ = activity.list_transactions(mirrored, source="cran", page=ALL)
    id_ = row.transaction.id
    whole = list(activity.transaction(mirrored, id_).changes)
    assert row.counts == {kind: sum(change.kind is kind for change in whole) for kind in ChangeKind}
    assert activity.list_changes(mirrored, id_, page=Page(3, 2)) == (whole[3:6], len(whole))
    of_one = [change for change in whole if change.package == "pc"]
    assert activity.list_changes(mirrored, id_, package="pc", page=ALL) == (of_one, len(of_one))
    assert activity.list_changes(mirrored, id_, package="none", page=ALL) == ([], 0)
    for kind in ChangeKind:
        some = [change for change in whole if change.kind is kind]
        assert activity.list_changes(mirrored, id_, kinds=[kind], page=ALL) == (some, len(some))
    assert activity.transaction(mirrored, id_, with_changes=False) == row
    with pytest.raises(NotFound):
        activity.list_changes(mirrored, id_ + 1, page=ALL)


def test_a_package_of_pinned_and_curated_sources(mirrored: App, cran: FakeCran, clock: Clock) -> None:
    """What moving to another snapshot did to one package is found too, though such a source has no rows of its own."""
    for version in ("1.0", "2.0"):
        cran.add("alpha", version, make_source_package("alpha", version), clock())
        cran.add("beta", "1.0", make_source_package("beta", "1.0"), clock())
        cran.publish()
        sync(mirrored, force=True)
        clock.wait(days=1)
    sync(mirrored, force=True)
    moves: dict[str, list[Wish]] = {
        "frozen": [Wish("update", snapshot="2024-03-02")],
        "picked": [Wish("update", packages=("alpha", "beta"), snapshot=f"2024-03-0{day}") for day in (1, 2)],
    }
    frozen = Curation("2024-03-01", None, shows_archive=True)
    sources.create_source(mirrored, "frozen", type_=SourceType.CRAN_SNAPSHOT, curation=frozen)
    sources.create_source(mirrored, "picked", type_=SourceType.CURATED_CRAN)
    for name, wishes in moves.items():
        for wish in wishes:
            proposals.apply_wish(mirrored, name, wish, actor="test")
    for _ in range(2):
        for name in moves:
            about_alpha = Wanted(package=PackageName("alpha"))
            rows, total = activity.list_transactions(mirrored, source=name, wanted=about_alpha, page=ALL)
            assert [[(c.kind.value, c.version, c.previous) for c in row.changes] for row in rows] == [
                [("updated", "2.0", "1.0")],
                [("added", "1.0", None)],
            ]
            assert total == 2
            updated = Wanted([ActivityKind.UPDATED], PackageName("beta"))
            assert activity.list_transactions(mirrored, source=name, wanted=updated, page=ALL) == ([], 0)
        settled(mirrored)


def test_what_can_not_be_meant(app: App) -> None:
    """Days in the wrong order and sources that a repository never had are told; one that is gone is still found."""
    sources.create_source(app, "one", type_=SourceType.LOCAL)
    repositories.create_repository(app, "all", type_=RepositoryType.R)
    repositories.subscribe(app, "all", "one", actor="test")
    repositories.unsubscribe(app, "all", "one", actor="test")
    wanted = Wanted(start=NOON.date() + timedelta(days=1), end=NOON.date())
    with pytest.raises(Invalid, match="the days from 2024-03-02 to 2024-03-01 are none"):
        activity.list_transactions(app, repo="all", wanted=wanted, page=ALL)
    with pytest.raises(SourceNotFound, match="never had a source named 'cran'") as raised:
        activity.list_transactions(app, repo="all", source="cran", page=ALL)
    assert raised.value.hint == "it had one"
    assert activity.list_transactions(app, repo="all", source="one", page=ALL) == ([], 0)


def test_a_search_takes_the_same_few_statements(app: App, tmp_path: Path) -> None:
    """However many transactions there are, once they are counted."""
    sources.create_source(app, "one", type_=SourceType.LOCAL)
    (tmp_path / "x").write_bytes(make_source_package("demo", "1.0"))
    upload = packages.Upload("demo_1.0.tar.gz", tmp_path / "x")

    def measure() -> dict[str, int]:
        settled(app)
        found = {}
        searches: dict[str, Callable[[], object]] = {
            "all": lambda: activity.list_transactions(app, source="one", page=ALL),
            "kind": lambda: activity.list_transactions(app, source="one", wanted=Wanted(list(ActivityKind)), page=ALL),
            "package": lambda: activity.list_transactions(
                app, source="one", wanted=Wanted(package=PackageName("demo")), page=ALL
            ),
        }
        for name, search in searches.items():
            with statements(app) as seen:
                search()
            found[name] = len(seen)
        return found

    packages.add_files(app, "one", [upload], actor="test")
    few = measure()
    for _ in range(10):
        packages.remove_package(app, "one", "demo", scope="all", actor="test")
        packages.add_files(app, "one", [upload], actor="test")
    assert measure() == few
    assert max(few.values()) <= 12
