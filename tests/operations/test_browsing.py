"""Lists of what is there: the same number of statements however long they are, and counts that tell the truth."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from entrepot.app import App
from entrepot.core.changes import ChangeKind
from entrepot.core.errors import SnapshotNotFound
from entrepot.core.model import FOREVER, File, FileStatus, Listed, PackageName, RepositoryType, SourceType, seconds
from entrepot.db import files as db_files
from entrepot.db import jobs as db_jobs
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r.versions import version_key
from entrepot.operations import activity, browsing, listing, packages, repositories, serving, sources
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import NOON, Clock, sync

CURRENT, ARCHIVED = FileStatus.CURRENT, FileStatus.ARCHIVED


@contextmanager
def statements(app: App) -> Iterator[list[str]]:
    """The SQL statements that are executed meanwhile."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(app.db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(app.db.engine, "before_cursor_execute", note)


def grow(app: App, upto: int, tmp_path: Path) -> None:
    """Sources s0, s1, ... with a package and a sync waiting each, each in a repository, and all of them in `all`."""
    repositories.create_repository(app, "all", type_=RepositoryType.R, succeed_on_existing=True)
    have = len(repositories.list_repositories(app)) - 3
    path = tmp_path / "x"
    path.write_bytes(make_source_package("demo", "1.0"))
    for number in range(have, upto):
        source, _ = sources.create_source(app, f"s{number}", type_=SourceType.LOCAL)
        repositories.create_repository(app, f"r{number}", type_=RepositoryType.R)
        for repo in (f"r{number}", "all"):
            repositories.subscribe(app, repo, f"s{number}", actor="test")
        packages.add_files(app, f"s{number}", [packages.Upload("demo_1.0.tar.gz", path)], actor="test")
        with app.db.write() as connection:
            db_jobs.add(connection, kind="sync", payload={}, source_id=source.source.id, now=app.clock())


LISTS: dict[str, Callable[[App], int]] = {
    "repositories": lambda app: len(repositories.list_repositories(app)),
    "sources": lambda app: len(sources.list_sources(app)),
    "sources of a repository": lambda app: len(sources.repository_sources(app, "all")),
    "transactions": lambda app: len(activity.list_transactions(app, repo="all", page=browsing.Page(limit=1000))[0]),
}


def test_the_number_of_statements_is_fixed(app: App, tmp_path: Path) -> None:
    """A list of thirty needs no more statements than one of three."""

    def measure() -> dict[str, tuple[int, int]]:
        found = {}
        for name, look in LISTS.items():
            with statements(app) as seen:
                rows = look(app)
            found[name] = (rows, len(seen))
        return found

    grow(app, 3, tmp_path)
    three = measure()
    grow(app, 30, tmp_path)
    thirty = measure()
    assert [rows for rows, _ in three.values()] == [6, 6, 3, 6]
    assert [rows for rows, _ in thirty.values()] == [33, 33, 30, 60]
    assert {name: number for name, (_, number) in thirty.items()} == {
        name: number for name, (_, number) in three.items()
    }
    assert max(number for _, number in thirty.values()) <= 8


def test_opening_a_snapshot_takes_the_same_few_statements(app: App, clock: Clock, tmp_path: Path) -> None:
    """However many sources a repository has, and however often they were changed, on whatever days."""
    snapshots = ["latest", "3", "2024-03-02", "2024-03-01", "2024-02-01", "1", "2023-01-01", "2999-01-01"]

    def measure() -> dict[str, tuple[str, int]]:
        found = {}
        for snapshot in snapshots:
            with statements(app) as seen:
                try:
                    serving.open_view(app, "all", snapshot, who=serving.inside)
                    outcome = "shown"
                except SnapshotNotFound:
                    outcome = "refused"
            found[snapshot] = (outcome, len(seen))
        return found

    grow(app, 2, tmp_path)
    clock.now += timedelta(days=3)
    few = measure()
    for _ in range(6):
        repositories.unsubscribe(app, "all", "s0", actor="test")
        repositories.subscribe(app, "all", "s0", actor="test")
        clock.now += timedelta(days=1)
    grow(app, 8, tmp_path)
    clock.now += timedelta(days=1)
    many = measure()
    assert many == few
    assert {outcome for outcome, _ in few.values()} == {"shown", "refused"}
    assert max(number for _, number in few.values()) <= 11


def test_lists_tell_the_same_as_single_look_ups(app: App, tmp_path: Path) -> None:
    """What a list says of a repository or a source is what is said of it alone."""
    grow(app, 3, tmp_path)
    assert repositories.list_repositories(app) == [
        repositories.repository_info(app, name) for name in ("cran", "pypi", "all", "r0", "r1", "r2")
    ]
    assert sources.list_sources(app) == [
        sources.source_info(app, name) for name in ("cran", "pypi", "bioconductor", "s0", "s1", "s2")
    ]
    found = sources.source_info(app, "s1")
    assert (found.packages, found.transaction, found.mirror, found.job is not None) == (1, 8, None, True)
    assert repositories.repository_info(app, "r1").transaction == 8
    assert repositories.repository_info(app, "all").transaction == 11
    empty = sources.create_source(app, "empty", type_=SourceType.LOCAL)[0]
    assert (empty.packages, empty.transaction, empty.job) == (0, None, None)
    repositories.unsubscribe(app, "all", "s1", actor="test")
    assert repositories.repository_info(app, "all").transaction == 12


def test_a_page_of_titles_is_one_statement(app: App, tmp_path: Path) -> None:
    """The DESCRIPTIONs of a page are read at once, and only those of the page."""
    sources.create_source(app, "internal", type_=SourceType.LOCAL)
    for number in range(12):
        path = tmp_path / str(number)
        path.write_bytes(make_source_package(f"p{number:02}", "1.0"))
        upload = packages.Upload(f"p{number:02}_1.0.tar.gz", path)
        packages.add_files(app, "internal", [upload], actor="test")
    found = {}
    for limit in (2, 10):
        opened = browsing.open_source(app, "internal", "latest")
        with statements(app) as seen:
            rows, total = listing.list_packages(app, opened, page=browsing.Page(limit))
        assert [(row.described.title, total) for row in rows] == [(f"What p{n:02} Does", 12) for n in range(limit)]
        found[limit] = len(seen)
    assert found == {2: 3, 10: 2}  # which names there are is known by then


def bare_file(
    id_: int, source_id: int, package: str, version: str, *, size: int | None = None, published: datetime | None = None
) -> File:
    """A file of which hardly anything is known."""
    return File(id_, source_id, PackageName(package), version, "x", size, None, None, None, seconds(published), None)


def test_what_is_not_known_sorts_first(app: App) -> None:
    """A package whose size or date nobody knows is before all others, and backwards the last one."""
    source = sources.create_source(app, "one", type_=SourceType.LOCAL)[0].source
    known: list[tuple[str, int | None, datetime | None]] = [
        ("a", 0, NOON),
        ("b", None, None),
        ("c", 5, datetime(1960, 1, 1, tzinfo=UTC)),
    ]
    with app.db.write() as connection:
        at = db_transactions.add(connection, time=NOON, day=NOON.date(), actor="test", message="", source_id=source.id)
        files = [
            bare_file(n, source.id, name, "1.0", size=size, published=date)
            for n, (name, size, date) in enumerate(known, 1)
        ]
        db_files.add(connection, files)
        db_files.show(connection, [(file.id, source.id, CURRENT, at, FOREVER) for file in files])
    orders: dict[listing.PackageSort, tuple[str, str]] = {
        "package_size": ("bac", "cab"),
        "package_date": ("bca", "acb"),
    }
    for sort, wanted in orders.items():
        for descending in (False, True):
            opened = browsing.open_source(app, "one", "latest")
            rows, _ = listing.list_packages(app, opened, sort=sort, descending=descending, page=browsing.Page())
            assert "".join(row.name for row in rows) == wanted[descending]


def two_sources(app: App) -> None:
    """A repository `both` over sources with many packages, some of them in both, some in one's archive alone."""
    repositories.create_repository(app, "both", type_=RepositoryType.R)
    chance = random.Random(7)
    number = 0
    for name in ("mine", "theirs"):
        source = sources.create_source(app, name, type_=SourceType.LOCAL)[0].source
        repositories.subscribe(app, "both", name, actor="test")
        files = []
        for package in chance.sample([f"{a}{b}{c}" for a in "aBc" for b in "xyZ" for c in "123"], 18):
            number += 1
            version = chance.choice(["1.0", "1.0-0", "1.0.0", "1.10", "1.9", "0.1"])
            size, published = chance.choice([None, 1, 2]), chance.choice([None, NOON, NOON - timedelta(days=1)])
            files.append(bare_file(number, source.id, package, version, size=size, published=published))
        with app.db.write() as connection:
            facts = {"time": NOON, "day": NOON.date(), "actor": "test", "message": ""}
            at = db_transactions.add(connection, **facts, source_id=source.id)
            db_files.add(connection, files)
            shown = [(f.id, source.id, ARCHIVED if n % 5 == 0 else CURRENT, at, FOREVER) for n, f in enumerate(files)]
            db_files.show(connection, shown)


ORDERS: dict[listing.PackageSort, Callable[[File], object]] = {
    "name": lambda file: file.package,
    "version": lambda file: version_key(file.version),
    "package_date": lambda file: float("-inf") if file.published_at is None else file.published_at,
    "package_size": lambda file: -1 if file.size is None else file.size,
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ORDERS)
def test_a_page_is_a_part_of_the_whole_list(app: App, sort: listing.PackageSort, descending: bool) -> None:
    """In every order, of all packages or of those that are asked for, with the number of them all."""
    two_sources(app)
    opened = browsing.open_repository(app, "both", "latest")
    whole = opened.view.current()
    assert {row.file.source_id for row in whole} == set(opened.names)
    whole.sort(key=lambda row: ORDERS[sort](row.file), reverse=descending)
    hidden = next(row.file.package for name in opened.names.values() for row in archived_only(app, opened, name))
    wanted: list[tuple[dict[str, str], list[Listed]]] = [
        ({}, whole),
        ({"name_like": "bX"}, [row for row in whole if "bx" in row.file.package.lower()]),
        ({"name_like": "nothing"}, []),
        ({"name": whole[3].file.package}, [whole[3]]),
        ({"name": whole[3].file.package, "name_like": "?"}, []),
        ({"name": hidden}, []),
        ({"name": "no\0ne"}, []),
    ]
    for chosen, rows in wanted:
        for page in (browsing.Page(), *(browsing.Page(7, number) for number in range(1, 6))):
            found, total = listing.list_packages(app, opened, **chosen, sort=sort, descending=descending, page=page)
            assert ([each.release.files[0].listed for each in found], total) == (
                rows[page.offset :][: page.limit],
                len(rows),
            )
            assert [each.source for each in found] == [opened.names[each.release.file.source_id] for each in found]


def archived_only(app: App, opened: browsing.Opened, source: str) -> list[Listed]:
    """The archived files of a source whose package the view has nothing current of."""
    current = {row.file.package for row in opened.view.current()}
    alone = browsing.open_source(app, source, "latest").view
    rows = [row for brief in alone.in_brief(ARCHIVED) for row in alone.of_package(brief.package)]
    return [row for row in rows if row.file.package not in current]


def in_full(app: App, source: str) -> list[tuple[int, dict[ChangeKind, int]]]:
    """Each transaction of a source with its changes counted one by one, newest first."""
    rows, _ = activity.list_transactions(app, source=source, page=browsing.Page(1000))
    found = []
    for row in rows:
        info = activity.transaction(app, row.transaction.id)
        counted = Counter(change.kind for change in info.changes)
        assert info.counts == {kind: counted[kind] for kind in ChangeKind}
        found.append((row.transaction.id, info.counts))
    return found


def test_a_sources_transactions_are_its_own(mirrored: App, cran: FakeCran, tmp_path: Path) -> None:
    """The list of one source has nothing of another's, nor of a repository's."""
    cran.add("alpha", "1.0", make_source_package("alpha", "1.0"), NOON - timedelta(days=3))
    cran.publish()
    sync(mirrored)
    sources.create_source(mirrored, "mine", type_=SourceType.LOCAL)
    (tmp_path / "demo").write_bytes(make_source_package("demo", "1.0"))
    upload = packages.Upload("demo_1.0.tar.gz", tmp_path / "demo")
    added = packages.add_files(mirrored, "mine", [upload], actor="test")
    assert [id_ for id_, _ in in_list(mirrored, "mine")] == [added.transaction]
    assert added.transaction not in [id_ for id_, _ in in_list(mirrored, "cran")]


def in_list(app: App, source: str) -> list[tuple[int, dict[ChangeKind, int]]]:
    rows, _ = activity.list_transactions(app, source=source, page=browsing.Page(1000))
    assert not any(row.changes for row in rows)
    return [(row.transaction.id, row.counts) for row in rows]


def test_counts_of_a_mirror(mirrored: App, cran: FakeCran) -> None:
    """The first sync of a mirror, and a later one that archives and removes: a list counts what each one lists."""
    for number, version in enumerate(("1.0", "1.1", "2.0")):
        cran.add("alpha", version, make_source_package("alpha", version), NOON - timedelta(days=20 - number))
        cran.add("beta", version, make_source_package("beta", version), NOON - timedelta(days=20 - number))
    cran.publish()
    sync(mirrored)
    assert [sum(counts.values()) for _, counts in in_list(mirrored, "cran")] == [2, 2, 2]
    assert in_list(mirrored, "cran") == in_full(mirrored, "cran")


@pytest.mark.parametrize("seed", range(4))
def test_counts_where_versions_stand_side_by_side(app: App, seed: int) -> None:
    """Of Python packages a list counts what each transaction lists: one change a version, however many files."""
    chance = random.Random(seed)
    source = sources.create_source(app, "one", type_=SourceType.LOCAL_PYTHON)[0].source
    shown: dict[int, tuple[str, str]] = {}
    total = 0
    for _ in range(60):
        gone = [id_ for id_ in shown if chance.random() < 0.25]
        names = [(chance.choice("ab"), chance.choice(("1.0", "1.1", "2.0"))) for _ in range(chance.randint(0, 4))]
        new = {total + n: name for n, name in enumerate(names, 1)}
        total += len(new)
        with app.db.write() as connection:
            facts = {"time": NOON, "day": NOON.date(), "actor": "test", "message": "", "source_id": source.id}
            at = db_transactions.add(connection, **facts)
            db_files.add(connection, [bare_file(id_, source.id, *name) for id_, name in new.items()])
            db_files.hide(connection, source.id, [(id_, at) for id_ in gone])
            db_files.show(connection, [(id_, source.id, CURRENT, at, FOREVER) for id_ in new])
        before = set(shown.values())
        shown = {id_: name for id_, name in shown.items() if id_ not in gone} | new
        told = activity.transaction(app, at).changes
        assert len({(change.package, change.version) for change in told}) == len(told)
        kinds = {kind: {(c.package, c.version) for c in told if c.kind is kind} for kind in ChangeKind}
        assert kinds[ChangeKind.ADDED] == set(shown.values()) - before
        assert kinds[ChangeKind.REMOVED] == before - set(shown.values())
    assert in_list(app, "one") == in_full(app, "one")
    assert all(any(c[kind] for _, c in in_list(app, "one")) for kind in ChangeKind if kind is not ChangeKind.ARCHIVED)


@pytest.mark.parametrize("seed", range(5))
def test_counts_of_anything(app: App, seed: int) -> None:
    """Whatever transactions do to the files of three packages, the database counts as `describe` does.

    A package has at most one current file, as everywhere; versions may have several files one after the other.
    """
    chance = random.Random(seed)
    infos = [sources.create_source(app, name, type_=SourceType.LOCAL)[0] for name in ("one", "two")]
    states: dict[int, dict[int, FileStatus]] = {info.source.id: {} for info in infos}
    known: dict[int, tuple[str, str]] = {}
    for _ in range(60):
        source = chance.choice(infos).source
        with app.db.write() as connection:
            at = db_transactions.add(
                connection, time=NOON, day=NOON.date(), actor="test", message="", source_id=source.id
            )
            before, after = states[source.id], turn(chance, states[source.id], known, new := [])
            db_files.add(connection, [bare_file(id_, source.id, *known[id_]) for id_ in new])
            db_files.hide(connection, source.id, [(id_, at) for id_ in before if before[id_] is not after.get(id_)])
            begun = [(id_, status) for id_, status in after.items() if before.get(id_) is not status]
            db_files.show(connection, [(id_, source.id, status, at, FOREVER) for id_, status in begun])
            states[source.id] = after
    for name in ("one", "two"):
        assert in_list(app, name) == in_full(app, name)
    assert all(any(counts[kind] for name in ("one", "two") for _, counts in in_list(app, name)) for kind in ChangeKind)


def turn(
    chance: random.Random, before: dict[int, FileStatus], known: dict[int, tuple[str, str]], new: list[int]
) -> dict[int, FileStatus]:
    """Another state of a source: for some packages every file gets a new fate, and there may be new files."""
    after = dict(before)
    for package in chance.sample(("a", "b", "c"), chance.randint(0, 3)):
        mine = [id_ for id_ in before if known[id_][0] == package]
        taken = set()
        for _ in range(chance.randint(0, 2)):
            id_ = len(known) + 1
            known[id_] = (package, chance.choice(("1.0", "1.1", "2.0")))
            new.append(id_)
            mine.append(id_)
        chance.shuffle(mine)
        for number, id_ in enumerate(mine):
            fate = chance.choice((CURRENT, ARCHIVED) if number == 0 else (ARCHIVED, ARCHIVED, None))
            after.pop(id_, None)
            if fate is not None and known[id_] not in taken:
                taken.add(known[id_])
                after[id_] = fate
    return after
