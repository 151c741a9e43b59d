"""The history of a package: each entry is what its snapshot gives, and nothing that a snapshot gives is left out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from entrepot.app import App
from entrepot.core.errors import NeverSynced, NotFound, PackageNotFound
from entrepot.core.model import FOREVER, File, FileStatus, PackageName, RepositoryType, SourceType
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.operations import browsing, packages, proposals, repositories, serving, sources
from entrepot.operations.browsing import Page
from entrepot.operations.curating import Curation
from entrepot.operations.history import HistoryEntry, package_history
from entrepot.operations.proposals import Wish
from tests.operations.test_browsing import statements
from tests.operations.test_snapshots_hold import EVENTS, LOCALS, NAMES, world
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import NOON, Clock, sync


class Given(NamedTuple):
    """What a repository really gives of a package: of each source that has it the version, and the winner's files."""

    sources: tuple[tuple[str, str | None], ...]
    files: frozenset[tuple[int, FileStatus]]


NOTHING = Given((), frozenset())


def history(app: App, name: str, repo: str = "cran", *, bioc_version: str | None = None) -> list[HistoryEntry]:
    """All of it, in pages of three."""
    found: list[HistoryEntry] = []
    with suppress(PackageNotFound):
        while True:
            page, total = package_history(app, repo, name, bioc_version=bioc_version, page=Page(3, len(found) // 3 + 1))
            found += page
            if len(found) == total:
                break
    return found


@dataclass(slots=True)
class Served:
    """What a repository really gives of some packages; each snapshot is looked at once."""

    app: App
    repo: str
    names: Sequence[str]
    seen: dict[str, dict[str, Given] | None] = field(default_factory=dict)

    def at(self, name: str, snapshot: str) -> Given | None:
        """None if the snapshot is refused."""
        if snapshot not in self.seen:
            self.seen[snapshot] = self._look(snapshot)
        found = self.seen[snapshot]
        return found[name] if found is not None else None

    def _look(self, snapshot: str) -> dict[str, Given] | None:
        try:
            return serving.patiently(lambda: self._found(snapshot))
        except (NotFound, NeverSynced):
            return None

    def _found(self, snapshot: str) -> dict[str, Given]:
        opened = browsing.open_repository(self.app, self.repo, snapshot)
        names = [PackageName(name) for name in self.names]
        sources: dict[str, list[tuple[str, str | None]]] = {name: [] for name in names}
        with self.app.db.read() as connection:
            for cut in opened.cuts:
                rows = db_listings.visible_of(connection, cut, names)
                for name in names:
                    own = [row for row in rows if row.file.package == name]
                    known = opened.dialect.releases(own)
                    is_current = any(row.status is FileStatus.CURRENT for row in own)
                    if known is not None:
                        version = known.latest.version if is_current else None
                        sources[name].append((opened.names[cut.source_id], version))
        return {
            name: Given(
                tuple(sources[name]),
                frozenset((row.file.id, row.status) for row in opened.view.of_package(name)),
            )
            for name in names
        }


def told(entry: HistoryEntry) -> tuple[tuple[str, str | None], ...]:
    return tuple((source.name, source.version) for source in entry.sources)


def check(app: App, name: str, repo: str = "cran", served: Served | None = None) -> list[HistoryEntry]:
    """Compare the history of a package with all snapshots that there are; it, if it is right."""
    served = served or Served(app, repo, [name])
    entries = history(app, name, repo)
    with app.db.read() as connection:
        newest = db_transactions.newest(connection)
    ids = [str(number) for number in range(1, newest + 1)]
    days = [(app.today() - timedelta(number)).isoformat() for number in range(30, -2, -1)]
    for entry in entries:
        found = served.at(name, entry.snapshot)
        assert found is not None, entry
        assert found.sources == told(entry), entry
        assert [source.is_winning for source in entry.sources] == [number == 0 for number in range(len(entry.sources))]
    by_id, by_day = changes(served, name, ids), changes(served, name, days)
    by_recording = {str(entry.transaction) for entry in entries if entry.snapshot not in by_day}
    assert {str(entry.transaction) for entry in entries} >= by_id
    assert {entry.snapshot for entry in entries} >= by_day
    assert by_recording <= by_id
    assert {entry.snapshot for entry in entries} <= by_id | {entry.day.isoformat() for entry in entries}
    assert [entry.day for entry in entries] == sorted((entry.day for entry in entries), reverse=True)
    return entries


def changes(served: Served, name: str, snapshots: Iterable[str]) -> set[str]:
    """The snapshots that give other files, or of another source, than the one before them that is served."""
    found = set()
    before: tuple[Any, Any] = (None, frozenset())
    for snapshot in snapshots:
        now = served.at(name, snapshot)
        if now is None:
            continue
        winner = now.sources[0][0] if now.sources else None
        if (winner, now.files) != before:
            found.add(snapshot)
        before = winner, now.files
    return found


@settings(max_examples=15, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(EVENTS, min_size=3, max_size=14),
    st.sampled_from([2, 1, 0]),
    st.tuples(st.integers(2, 12), st.permutations([*LOCALS, "cran"])),
)
def test_entries_are_what_snapshots_give(
    events: list[tuple[Any, ...]], meta: int, late: tuple[int, Sequence[str]]
) -> None:
    """After any events: each entry tells what is served at its snapshot, every transaction and every day that gives
    something else than the one before has an entry, and nothing else has. So also in a repository that is younger than
    what it shows."""
    with world(meta) as here:
        for number, (name, *arguments) in enumerate(events):
            if number == late[0]:
                younger(here.app, late[1])
            getattr(here, name)(*arguments)
        here.wait(30)
        for repo in ("cran", "late") if late[0] < len(events) else ("cran",):
            served = Served(here.app, repo, NAMES)
            for name in NAMES:
                check(here.app, name, repo, served)


def younger(app: App, sources: Sequence[str]) -> None:
    """A repository `late`."""
    repositories.create_repository(app, "late", type_=RepositoryType.R)
    for source in sources:
        repositories.subscribe(app, "late", source, actor="test")


@pytest.fixture
def team(app: App, tmp_path: Path) -> Team:
    """A repository `team` over the sources `first` and `second`."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for source in ("first", "second"):
        sources.create_source(app, source, type_=SourceType.LOCAL)
        repositories.subscribe(app, "team", source, actor="anna")
    return Team(app, tmp_path / "upload")


@dataclass(frozen=True, slots=True)
class Team:
    app: App
    path: Path

    def add(self, source: str, name: str, version: str, comment: str = "") -> None:
        self.path.write_bytes(make_source_package(name, version))
        upload = packages.Upload(f"{name}_{version}.tar.gz", self.path)
        packages.add_files(self.app, source, [upload], actor="bert", comment=comment)


def brief(entry: HistoryEntry) -> tuple[list[tuple[str, str | None, str | None, str | None]], str | None, str | None]:
    """(changes, source that wins, current version) of an entry."""
    winner = entry.winner
    changes = [(each.kind, each.source, each.version, each.previous) for each in entry.changes]
    return changes, winner.name if winner else None, winner.version if winner else None


def test_what_is_told(app: App, team: Team, clock: Clock) -> None:
    """Changes with the version before, who did it and why; who won, by the order of sources as it was then."""
    team.add("second", "demo", "1.0", "the first one")
    clock.wait(days=1)
    team.add("second", "demo", "1.1")
    clock.wait(days=1)
    team.add("first", "demo", "0.5")
    team.add("second", "demo", "1.2")  # hidden by the first source: nothing that anybody is given changes
    clock.wait(days=1)
    repositories.reorder(app, "team", ["second", "first"], actor="anna")
    clock.wait(days=1)
    repositories.unsubscribe(app, "team", "second", actor="anna")
    packages.archive_package(app, "first", "demo", actor="bert")
    packages.remove_package(app, "first", "demo", scope="all", actor="bert")
    clock.wait(days=1)
    entries = check(app, "demo", repo="team")
    assert [brief(entry) for entry in entries] == [
        ([("removed", "first", "0.5", None)], None, None),
        ([("archived", "first", "0.5", None)], "first", None),
        ([("unsubscribed", "second", None, None)], "first", "0.5"),
        ([("reordered", "second", None, None)], "second", "1.2"),
        ([("added", "first", "0.5", None)], "first", "0.5"),
        ([("updated", "second", "1.1", "1.0")], "second", "1.1"),
        ([("added", "second", "1.0", None)], "second", "1.0"),
    ]
    assert [entry.snapshot for entry in entries[-4:]] == ["2024-03-04", "2024-03-03", "2024-03-02", "2024-03-01"]
    assert [entry.snapshot for entry in entries[:3]] == ["2024-03-05", "11", "10"]
    assert (entries[-1].message, entries[-1].actor) == ("the first one", "bert")
    assert (entries[3].actor, entries[3].time) == ("anna", NOON + timedelta(days=3))
    assert [(source.name, source.version, source.is_winning) for source in entries[4].sources] == [
        ("first", "0.5", True),
        ("second", "1.2", False),
    ]


def test_a_day_that_is_not_over_is_named_by_its_transaction(app: App, team: Team, clock: Clock) -> None:
    """A day can be used once it is over; then the same entry is of the day."""
    team.add("first", "demo", "1.0")
    (entry,) = history(app, "demo", "team")
    assert entry.snapshot == str(entry.transaction)
    clock.wait(days=1)
    (entry,) = history(app, "demo", "team")
    assert entry.snapshot == "2024-03-01"


def test_what_was_never_there(app: App, team: Team) -> None:
    """404, whatever the name is."""
    team.add("first", "demo", "1.0")
    for name in ("other", "Demo", "", "x" * 5000, "a/b", "\0"):
        with pytest.raises(PackageNotFound):
            package_history(app, "team", name, page=Page())


def test_a_pinned_source(mirrored: App, cran: FakeCran, clock: Clock) -> None:
    """What a source shows of a mirror as it stood changes with its own transactions, and has their days."""
    for version, day in (("1.0", 1), ("1.1", 10), ("1.2", 20)):
        cran.add("demo", version, make_source_package("demo", version), datetime(2024, 2, day, 9, tzinfo=UTC))
    cran.publish()
    sync(mirrored)
    sources.create_source(mirrored, "frozen", type_=SourceType.CRAN_SNAPSHOT, curation=Curation("2024-02-12"))
    repositories.create_repository(mirrored, "team", type_=RepositoryType.R)
    repositories.subscribe(mirrored, "team", "frozen", actor="anna")
    clock.wait(days=1)
    proposal = proposals.propose(mirrored, "frozen", Wish("update", snapshot="2024-02-25"), actor="anna")
    proposals.commit(mirrored, "frozen", proposal.row.id, actor="anna")
    clock.wait(days=1)
    entries = check(mirrored, "demo", repo="team")
    assert [brief(entry) for entry in entries] == [
        ([("updated", "frozen", "1.2", "1.1")], "frozen", "1.2"),
        ([("added", "frozen", "1.0", None), ("added", "frozen", "1.1", None)], "frozen", "1.1"),
    ]
    assert [entry.snapshot for entry in entries] == ["2024-03-02", "2024-03-01"]


def test_two_hundred_versions_in_four_sources(app: App, tmp_path: Path) -> None:
    """A page of them takes the same few statements as one of two, and no time that anybody waits for."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for number in range(4):
        sources.create_source(app, f"s{number}", type_=SourceType.LOCAL)
        repositories.subscribe(app, "team", f"s{number}", actor="test")

    def grow(versions: range) -> None:
        with app.db.write() as connection:
            first = db_files.next_id(connection)
            rows = []
            for offset, (number, version) in enumerate(product(range(4), versions)):
                source = db_sources.get(connection, f"s{number}").id
                at = db_transactions.add(
                    connection, time=app.clock(), day=app.today(), actor="test", message="", source_id=source
                )
                name = PackageName("demo")
                rows.append(File(first + offset, source, name, f"1.{version}", "x", 1, None, None, None, None, ""))
                db_files.hide(connection, source, [(row.id, at) for row in rows[:-1] if row.source_id == source])
                db_files.add(connection, rows[-1:])
                shown = [(first + offset, source, FileStatus.CURRENT, at, FOREVER)]
                before = [row for row in rows[-2:-1] if row.source_id == source]
                shown += [(row.id, source, FileStatus.ARCHIVED, at, FOREVER) for row in before]
                db_files.show(connection, shown)

    def measure() -> tuple[int, int, float]:
        with statements(app) as seen:
            began = time.process_time()
            _, total = package_history(app, "team", "demo", page=Page(100, 1))
            return total, len(seen), time.process_time() - began

    grow(range(2))
    few = measure()
    grow(range(2, 200))
    many = measure()
    assert few[1] == many[1] <= 16
    assert many[0] == 200
    assert many[2] < 0.5
