"""CRAN snapshot sources: all of the mirror frozen at a snapshot, moved by proposals, with every earlier state kept."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.answers import Ask, Document
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.errors import (
    EntrepotError,
    FileNotListed,
    Invalid,
    NeverSynced,
    SnapshotNotFound,
    WrongProposal,
    WrongType,
)
from entrepot.core.model import FileStatus, PackageName, RepositoryType, SourceType
from entrepot.core.proposals import Item, ItemChange, Leaving, Report
from entrepot.operations import activity, browsing, days, packages, proposals, repositories, serving, sources
from entrepot.operations.browsing import Page
from entrepot.operations.changing import Outcome
from entrepot.operations.curating import Curation
from entrepot.operations.proposals import Proposal, Wish
from tests.support.archives import make_source_package
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.server import Clock, Live, sync

FROZEN = "frozen"


def at(month: int, day: int, hour: int = 9) -> datetime:
    return datetime(2024, month, day, hour, tzinfo=UTC)


def put(cran: FakeCran, name: str, version: str, when: datetime) -> bytes:
    data = make_source_package(name, version)
    cran.add(name, version, data, when)
    return data


@pytest.fixture
def stocked(cran: FakeCran) -> FakeCran:
    """alpha 1.0, beta 0.5 and gone 1.0 in January; alpha 1.1 and new 1.0 in February, gone is taken off then."""
    put(cran, "alpha", "1.0", at(1, 5))
    put(cran, "beta", "0.5", at(1, 6))
    put(cran, "gone", "1.0", at(1, 7))
    put(cran, "alpha", "1.1", at(2, 10))
    put(cran, "new", "1.0", at(2, 11))
    cran.remove("gone", at(2, 12))
    cran.publish()
    return cran


@pytest.fixture
def synced(mirrored: App, stocked: FakeCran) -> App:
    sync(mirrored)
    return mirrored


def freeze(app: App, snapshot: str | None = None, *, archive: bool = True) -> int:
    """Make the source; its first transaction."""
    made = Curation(snapshot, shows_archive=archive)
    info, _ = sources.create_source(app, FROZEN, type_=SourceType.CRAN_SNAPSHOT, curation=made)
    assert info.transaction is not None
    return info.transaction


def propose(app: App, snapshot: str | None = None) -> Proposal:
    return proposals.propose(app, FROZEN, Wish("update", snapshot=snapshot), actor="ann")


def commit(app: App, proposal: Proposal, **more: Any) -> Outcome:
    return proposals.commit(app, FROZEN, proposal.row.id, actor="ann", **more)[1]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a source shows: package -> current version, and what is in its archive."""

    current: dict[str, str]
    archive: set[str]


JANUARY = Shown({"alpha": "1.0", "beta": "0.5", "gone": "1.0"}, set())
FEBRUARY = Shown({"alpha": "1.1", "beta": "0.5", "new": "1.0"}, {"alpha 1.0", "gone 1.0"})


def shown(app: App, snapshot: str | int = "latest", source: str = FROZEN) -> Shown:
    view = browsing.open_source(app, source, str(snapshot)).view
    return Shown(
        {row.file.package: row.file.version for row in view.current()},
        {f"{row.package} {row.version}" for row in view.in_brief(FileStatus.ARCHIVED)},
    )


def documents(app: App, repo: str, snapshot: str | int = "latest") -> dict[str, bytes]:
    """The indexes of a repository as clients get them."""
    opened = serving.open_view(app, repo, str(snapshot), who=serving.inside)
    found = {}
    for path in ("PACKAGES", "PACKAGES.rds", "Meta/archive.rds", "Meta/current.rds"):
        document = serving.answer(opened, Ask(f"{CONTRIB}/{path}"))
        assert isinstance(document, Document)
        found[path] = document.render().body
    return found


def serve(app: App, repo: str, *from_sources: str) -> None:
    repositories.create_repository(app, repo, type_=RepositoryType.R)
    for source in from_sources:
        repositories.subscribe(app, repo, source, actor="ann")


def told(changes: Iterable[Change]) -> set[tuple[str, str, str, str | None]]:
    return {(change.kind.value, change.package, change.version, change.previous) for change in changes}


# --- made ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("snapshot", "name", "has"),
    [
        (None, "2024-03-01", FEBRUARY),
        ("latest", "2024-03-01", FEBRUARY),
        ("2024-03-01", "2024-03-01", FEBRUARY),
        ("2024-01-31", "2024-01-31", JANUARY),
        ("5", "5", JANUARY),
        ("2024-01-05", "2024-01-05", Shown({"alpha": "1.0"}, set())),
    ],
)
def test_a_source_shows_all_of_the_mirror_at_its_snapshot(
    synced: App, snapshot: str | None, name: str, has: Shown
) -> None:
    """A day, a transaction or the newest: index and archive are those of the mirror then, from one transaction on."""
    first = freeze(synced, snapshot)
    info = sources.source_info(synced, FROZEN)
    assert (info.snapshot, info.packages, info.transaction) == (name, len(has.current), first)
    assert shown(synced) == shown(synced, first) == has
    made = activity.transaction(synced, first)
    assert told(made.changes) == {("added", package, version, None) for package, version in has.current.items()}
    assert made.transaction.message == f"pinned to snapshot {name}: {len(has.current)} added"


def test_the_indexes_are_those_of_the_mirror(synced: App) -> None:
    """Byte for byte what the mirror shows at that snapshot, in every form."""
    freeze(synced, "2024-01-31")
    serve(synced, "ours", FROZEN)
    assert documents(synced, "ours") == documents(synced, "cran", "2024-01-31")
    commit(synced, propose(synced))
    assert documents(synced, "ours") == documents(synced, "cran", "latest")


def test_without_archive_the_index_alone_is_shown(synced: App) -> None:
    """--no-archived: no version of before is listed or given, neither later."""
    freeze(synced, "2024-03-01", archive=False)
    serve(synced, "ours", FROZEN)
    assert shown(synced) == Shown(FEBRUARY.current, set())
    view = serving.open_view(synced, "ours", "latest", who=serving.inside).view
    assert [row.file.version for row in view.of_package(PackageName("alpha"))] == ["1.1"]
    assert view.of_package(PackageName("gone")) == []
    for name in ("alpha_1.0.tar.gz", "Archive/alpha/alpha_1.0.tar.gz", "gone_1.0.tar.gz"):
        with pytest.raises(FileNotListed):
            serving.answer(serving.open_view(synced, "ours", "latest", who=serving.inside), Ask(f"{CONTRIB}/{name}"))
    proposal = propose(synced, "2024-01-31")
    assert {leaving.change for leaving in proposal.report.leaving} == {"removed"}
    commit(synced, proposal)
    assert shown(synced) == Shown(JANUARY.current, set())


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        ("2024-03-02", "2024-03-02 is newer than the last sync of 'cran' (2024-03-01)"),
        ("2024-01-04", "source 'cran' has nothing at 2024-01-04"),
        ("99", "transaction 99 does not exist; this installation has 1 to 8"),
        ("soon", "'soon' is not a snapshot"),
    ],
)
def test_a_snapshot_that_there_is_not_is_refused(synced: App, snapshot: str, says: str) -> None:
    """At the making no source is made, at an update nothing is proposed."""
    with pytest.raises(SnapshotNotFound) as caught:
        freeze(synced, snapshot)
    assert caught.value.message == says
    assert [info.source.name for info in sources.list_sources(synced)] == ["cran", "pypi", "bioconductor"]
    freeze(synced)
    with pytest.raises(SnapshotNotFound):
        propose(synced, snapshot)
    assert proposals.list_proposals(synced, FROZEN, Page())[1] == 1


def test_before_the_first_sync_there_is_nothing_to_freeze(mirrored: App, stocked: FakeCran) -> None:
    """The source is not made."""
    with pytest.raises(NeverSynced):
        freeze(mirrored)
    assert [info.source.name for info in sources.list_sources(mirrored)] == ["cran", "pypi", "bioconductor"]


# --- moved ---------------------------------------------------------------------------------------------------------


def test_a_proposal_tells_what_would_differ(synced: App) -> None:
    """Packages that come or change with what there was; what goes to the archive; those that stay are a number."""
    first = freeze(synced, "2024-01-31")
    proposal = propose(synced)
    sizes = {name: len(make_source_package(name, version)) for name, version in (("alpha", "1.1"), ("new", "1.0"))}
    assert proposal.report == Report(
        (
            Item("alpha", "1.1", "1.0", ItemChange.UPDATED, "GPL-3", "no", (), "", sizes["alpha"]),
            Item("new", "1.0", None, ItemChange.ADDED, "GPL-3", "no", (), "", sizes["new"]),
        ),
        (
            Leaving("alpha", "1.0", "archived", "replaced by 1.1"),
            Leaving("gone", "1.0", "archived", "not on CRAN at that snapshot"),
        ),
        unchanged=1,
    )
    assert (proposal.row.snapshot, proposal.row.action, proposal.state) == ("2024-03-01", "update", "open")
    assert shown(synced) == JANUARY
    assert sources.source_info(synced, FROZEN).transaction == first
    assert propose(synced).row == proposal.row


def test_a_commit_moves_all_at_once_and_keeps_what_was(synced: App) -> None:
    """One transaction; the state of before stays reachable by its own, archive and all."""
    first = freeze(synced, "2024-01-31")
    proposal = propose(synced, "2024-03-01")
    done = commit(synced, proposal, comment="quarterly")
    assert done.transaction == first + 1
    assert (shown(synced), shown(synced, first)) == (FEBRUARY, JANUARY)
    assert told(done.changes) == {
        ("updated", "alpha", "1.1", "1.0"),
        ("archived", "gone", "1.0", None),
        ("added", "new", "1.0", None),
    }
    info = activity.transaction(synced, done.transaction)
    assert (info.changes, info.transaction.message) == (done.changes, "quarterly")
    assert sources.source_info(synced, FROZEN).snapshot == "2024-03-01"
    assert proposals.get_proposal(synced, FROZEN, proposal.row.id).row.committed == done.transaction


def test_it_can_move_back(synced: App) -> None:
    """What is newer than the snapshot is not there, and said to be removed."""
    first = freeze(synced)
    proposal = propose(synced, "2024-01-31")
    assert [(item.package, item.change.value) for item in proposal.report.items] == [
        ("alpha", "downgraded"),
        ("gone", "added"),
    ]
    assert proposal.report.leaving == (
        Leaving("alpha", "1.1", "removed", "replaced by 1.0"),
        Leaving("new", "1.0", "removed", "not on CRAN at that snapshot"),
    )
    commit(synced, proposal)
    assert (shown(synced), shown(synced, first)) == (JANUARY, FEBRUARY)


def test_cran_moves_on_and_the_source_does_not(synced: App, cran: FakeCran, clock: Clock) -> None:
    """New versions, packages that are taken off or replaced upstream: the source shows what it showed, to the byte."""
    first = freeze(synced)
    serve(synced, "ours", FROZEN)
    before = documents(synced, "ours")
    clock.wait(days=3)
    put(cran, "alpha", "2.0", at(3, 2))
    cran.remove("beta", at(3, 3))
    cran.replace("new", "1.0", make_source_package("new", "1.0", fields={"Title": "Other"}), at(3, 3))
    cran.publish()
    sync(synced)
    assert shown(synced, source="cran").current == {"alpha": "2.0", "new": "1.0"}
    assert documents(synced, "ours") == before
    proposal = propose(synced)
    assert [(i.package, i.version, i.previous, i.change.value) for i in proposal.report.items] == [
        ("alpha", "2.0", "1.1", "updated"),
        ("new", "1.0", "1.0", "updated"),
    ]
    assert [(left.package, left.version, left.change) for left in proposal.report.leaving] == [
        ("alpha", "1.1", "archived"),
        ("beta", "0.5", "archived"),
        ("new", "1.0", "removed"),
    ]
    commit(synced, proposal)
    assert shown(synced, first) == FEBRUARY
    assert documents(synced, "ours", first + 1) == before


def test_the_mirrors_own_views_are_untouched(synced: App) -> None:
    """What the mirror shows is the same before and after, and so are its transactions."""
    snapshots = ("latest", "3", "5", "7", "2024-01-31")
    before = {snapshot: documents(synced, "cran", snapshot) for snapshot in snapshots}
    listed = activity.list_transactions(synced, source="cran", page=Page())
    freeze(synced, "2024-01-31")
    commit(synced, propose(synced))
    assert {snapshot: documents(synced, "cran", snapshot) for snapshot in snapshots} == before
    assert activity.list_transactions(synced, source="cran", page=Page()) == listed


# --- refused -------------------------------------------------------------------------------------------------------


def test_no_single_package_is_named(synced: App) -> None:
    """Lists, names and removals are for sources of packages."""
    freeze(synced)
    for wish in (
        Wish("update", list_text="alpha"),
        Wish("update", packages=("alpha",)),
        Wish("add", packages=("alpha",)),
        Wish("add"),
    ):
        with pytest.raises(WrongType, match="source 'frozen' shows all of 'cran' at a snapshot"):
            proposals.propose(synced, FROZEN, wish, actor="ann")
    with pytest.raises(WrongType, match="shows a mirror whole; no single package can be taken out"):
        packages.remove_package(synced, FROZEN, "alpha", scope="all", actor="ann")
    assert shown(synced) == FEBRUARY


def test_a_commit_needs_the_snapshot(synced: App) -> None:
    """And a proposal of another one is refused."""
    freeze(synced, "2024-01-31")
    with pytest.raises(Invalid, match="a commit needs the snapshot that was reviewed"):
        proposals.propose_and_commit(synced, FROZEN, Wish("update"), actor="ann")
    proposal = propose(synced)
    with pytest.raises(WrongProposal, match=f"proposal {proposal.row.id} is of snapshot 2024-03-01, not of 2024-02-01"):
        commit(synced, proposal, snapshot="2024-02-01")
    assert shown(synced) == JANUARY
    wish = Wish("update", snapshot="2024-03-01")
    assert proposals.propose_and_commit(synced, FROZEN, wish, actor="ann")[0].row.id == proposal.row.id
    assert shown(synced) == FEBRUARY


def test_a_day_that_a_later_sync_changed_is_refused_with_the_difference(
    synced: App, cran: FakeCran, clock: Clock
) -> None:
    """What would be committed is not what was shown; both proposals are kept."""
    freeze(synced, "2024-01-31")
    first = propose(synced, "2024-03-01")
    clock.wait(hours=3)
    put(cran, "alpha", "1.2", at(3, 1, 13))
    cran.publish()
    sync(synced)
    wish = Wish("update", snapshot="2024-03-01")
    with pytest.raises(WrongProposal) as caught:
        proposals.propose_and_commit(synced, FROZEN, wish, actor="ann")
    second = first.row.id + 1
    assert caught.value.payload == {
        "shown": first.row.id,
        "proposal": second,
        "difference": ["- alpha 1.1", "+ alpha 1.2"],
    }
    assert shown(synced) == JANUARY
    commit(synced, first)
    assert shown(synced) == FEBRUARY
    with pytest.raises(WrongProposal, match=f"proposal {second} is stale"):
        proposals.commit(synced, FROZEN, second, actor="ann")


def test_committing_twice_or_what_is_there_is_no_second_transaction(synced: App) -> None:
    """A proposal is committed once; moving to where the source is does nothing."""
    freeze(synced, "2024-01-31")
    proposal = propose(synced)
    done = commit(synced, proposal)
    with pytest.raises(WrongProposal, match=f"was committed as transaction {done.transaction}"):
        commit(synced, proposal)
    assert commit(synced, propose(synced, "2024-03-01")) == Outcome(None, ())
    assert sources.source_info(synced, FROZEN).transaction == done.transaction


def test_of_two_commits_at_once_one_wins(synced: App) -> None:
    """The other is told that its proposal is stale."""
    freeze(synced, "2024-01-31")
    made = [propose(synced, day) for day in ("2024-03-01", "2024-02-10")]
    barrier, found = threading.Barrier(2), dict[int, Outcome | EntrepotError]()

    def run(proposal: Proposal) -> None:
        barrier.wait()
        try:
            found[proposal.row.id] = commit(synced, proposal)
        except EntrepotError as error:
            found[proposal.row.id] = error

    threads = [threading.Thread(target=run, args=[proposal]) for proposal in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (won,) = [proposal for proposal in made if isinstance(found[proposal.row.id], Outcome)]
    (lost,) = [proposal for proposal in made if proposal is not won]
    assert isinstance(found[lost.row.id], WrongProposal)
    assert sources.source_info(synced, FROZEN).snapshot == won.row.snapshot
    assert activity.list_transactions(synced, source=FROZEN, page=Page())[1] == 2


# --- told and served -----------------------------------------------------------------------------------------------


def test_counts_in_a_list_of_transactions_are_those_of_their_changes(synced: App, cran: FakeCran, clock: Clock) -> None:
    """Making, moving there and back, and over what upstream replaced."""
    freeze(synced, "2024-01-31")
    commit(synced, propose(synced))
    commit(synced, propose(synced, "2024-01-06"))
    clock.wait(days=3)
    cran.replace("new", "1.0", make_source_package("new", "1.0", fields={"Title": "Other"}), at(3, 3))
    cran.publish()
    sync(synced)
    commit(synced, propose(synced, "2024-03-01"))
    commit(synced, propose(synced))
    rows, total = activity.list_transactions(synced, source=FROZEN, page=Page())
    assert total == 5
    for row in rows:
        info = activity.transaction(synced, row.transaction.id)
        counted = Counter(change.kind for change in info.changes)
        assert row.counts == {kind: counted[kind] for kind in ChangeKind} == info.counts
    assert any(row.counts[ChangeKind.REMOVED] for row in rows)


def test_dates_of_a_repository_over_a_frozen_source(synced: App, clock: Clock) -> None:
    """A day shows the snapshot to which the source was pinned by its end."""
    freeze(synced, "2024-01-31")
    serve(synced, "ours", FROZEN)
    clock.wait(days=3)
    commit(synced, propose(synced))
    clock.wait(days=2)

    def current(snapshot: str) -> dict[str, str]:
        rows = browsing.open_repository(synced, "ours", snapshot).view.current()
        return {row.file.package: row.file.version for row in rows}

    found = {day: current(f"2024-03-0{day}") for day in range(1, 6)}
    assert found == {
        **dict.fromkeys((1, 2, 3), JANUARY.current),
        **dict.fromkeys((4, 5), FEBRUARY.current),
    }
    for outside in ("2024-02-29", "2024-03-06"):
        with pytest.raises(SnapshotNotFound, match="2024-03-01 to 2024-03-05"):
            current(outside)
    assert [day for day, _ in days.changed(synced, "ours")] == [date(2024, 3, 1), date(2024, 3, 4)]


def test_what_is_listed_can_be_had(live_mirrored: Live, stocked: FakeCran, clock: Clock) -> None:
    """Current and archived files of each state, fetched from upstream once for mirror and source together."""
    app = live_mirrored.app
    sync(app)
    first = freeze(app, "2024-01-31")
    serve(app, "ours", FROZEN)
    commit(app, propose(app))
    wanted = {
        f"{first + 1}/{CONTRIB}/alpha_1.0.tar.gz": ("alpha", "1.0"),
        f"{first + 1}/{CONTRIB}/gone_1.0.tar.gz": ("gone", "1.0"),
        f"latest/{CONTRIB}/alpha_1.1.tar.gz": ("alpha", "1.1"),
        f"latest/{CONTRIB}/Archive/alpha/alpha_1.0.tar.gz": ("alpha", "1.0"),
    }
    for path, version in wanted.items():
        answer = live_mirrored.get(f"/ours/{path}")
        assert (answer.status, answer.data) == (200, make_source_package(*version)), path
    assert live_mirrored.get(f"/cran/latest/{CONTRIB}/alpha_1.1.tar.gz").data == make_source_package("alpha", "1.1")
    assert stocked.count(f"{CONTRIB}/alpha_1.1.tar.gz") == 1
    assert stocked.count(f"{CONTRIB}/Archive/alpha/alpha_1.0.tar.gz") == 1
    assert live_mirrored.get(f"/ours/{first + 1}/{CONTRIB}/alpha_1.1.tar.gz").status == 404
    assert live_mirrored.get(f"/ours/{first + 1}/{CONTRIB}/new_1.0.tar.gz").status == 404
