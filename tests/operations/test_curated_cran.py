"""Curated CRAN sources: a list becomes a proposal, a proposal what the source shows, and nothing is ever half done."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from entrepot.app import App
from entrepot.core.answers import Ask, Document
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.closure import ALL
from entrepot.core.errors import (
    Conflict,
    Contradiction,
    EntrepotError,
    FileNotListed,
    Invalid,
    InvalidBatch,
    NeverSynced,
    NotFound,
    PackageNotFound,
    SnapshotNotFound,
    WrongProposal,
    WrongType,
)
from entrepot.core.model import FileStatus, PackageName, RepositoryType, SourceType
from entrepot.core.proposals import Item, ItemChange, Leaving, Missing, Report
from entrepot.db import schema
from entrepot.operations import activity, browsing, curating, days, proposals, repositories, serving, sources
from entrepot.operations.browsing import Page
from entrepot.operations.changing import Outcome
from entrepot.operations.curating import Curation
from entrepot.operations.packages import Upload, add_files, remove_package
from entrepot.operations.proposals import Proposal, Wish
from tests.support.archives import make_source_package
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.server import Clock, Live, eventually, sync

TEAM = "team"
TABLES: tuple[Table, ...] = (
    *(schema.transactions, schema.visibility, schema.pins, schema.files, schema.sources, schema.curations),
)


def at(month: int, day: int, hour: int = 9) -> datetime:
    return datetime(2024, month, day, hour, tzinfo=UTC)


def put(cran: FakeCran, name: str, version: str, when: datetime, **fields: str | None) -> bytes:
    data = make_source_package(name, version, fields=fields)
    cran.add(name, version, data, when)
    return data


@pytest.fixture
def stocked(cran: FakeCran) -> FakeCran:
    """top needs middle needs bottom, and suggests helper; two of them get new versions in February, top needs extra
    then; alone and other need nobody. All have a version in the archive but middle and helper."""
    put(cran, "bottom", "0.1", at(1, 5))
    put(cran, "middle", "1.0", at(1, 6), Imports="bottom (>= 0.1), stats", License="MIT + file LICENSE")
    put(cran, "helper", "1.0", at(1, 8), Suggests="top")
    put(cran, "top", "0.9", at(1, 2))
    put(cran, "top", "1.0", at(1, 7), Depends="R (>= 3.5.0)", Imports="middle", Suggests="helper, nowhere")
    put(cran, "alone", "1.0", at(1, 3))
    put(cran, "alone", "1.1", at(1, 9), NeedsCompilation="yes")
    put(cran, "other", "3.0", at(1, 10))
    put(cran, "bottom", "0.2", at(2, 10))
    put(cran, "extra", "1.0", at(2, 11))
    put(cran, "top", "2.0", at(2, 12), Depends="R (>= 3.5.0)", Imports="middle, extra")
    cran.publish()
    return cran


@pytest.fixture
def team(mirrored: App, stocked: FakeCran) -> App:
    """The mirror was synced on 1 March, and the empty source `team` is pinned to that day."""
    sync(mirrored)
    sources.create_source(mirrored, TEAM, type_=SourceType.CURATED_CRAN)
    return mirrored


@pytest.fixture
def january(mirrored: App, stocked: FakeCran) -> App:
    """As `team`, but pinned to 31 January."""
    sync(mirrored)
    sources.create_source(mirrored, TEAM, type_=SourceType.CURATED_CRAN, curation=Curation(snapshot="2024-01-31"))
    return mirrored


# --- what people do, in short --------------------------------------------------------------------------------------


def propose(app: App, wish: Wish) -> Proposal:
    return proposals.propose(app, TEAM, wish, actor="ann")


def update(app: App, text: str | None = None, snapshot: str | None = None, **more: Any) -> Proposal:
    return propose(app, Wish("update", list_text=text, snapshot=snapshot, **more))


def add(app: App, *packages: str, **more: Any) -> Proposal:
    return propose(app, Wish("add", packages=packages, **more))


def commit(app: App, proposal: Proposal, **more: Any) -> Outcome:
    return proposals.commit(app, TEAM, proposal.row.id, actor="ann", **more)[1]


def remove(app: App, package: str, scope: str = "all") -> Outcome:
    return remove_package(app, TEAM, package, scope=scope, actor="ann")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a source shows: package -> current version, and what is in its archive."""

    current: dict[str, str]
    archive: set[str]


def shown(app: App, snapshot: str | int = "latest", source: str = TEAM) -> Shown:
    view = browsing.open_source(app, source, str(snapshot)).view
    return Shown(
        {row.file.package: row.file.version for row in view.current()},
        {f"{row.package} {row.version}" for row in view.in_brief(FileStatus.ARCHIVED)},
    )


def versions(proposal: Proposal) -> dict[str, str]:
    return {item.package: item.version for item in proposal.report.items}


def state(app: App) -> dict[str, list[str]]:
    """Every row of what a proposal must not change."""
    with app.db.read() as connection:
        return {table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in TABLES}


def newest(app: App, source: str = TEAM) -> int | None:
    return sources.source_info(app, source).transaction


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


# --- made ----------------------------------------------------------------------------------------------------------


def test_a_new_source_is_empty_and_pinned_to_the_newest_snapshot(team: App) -> None:
    """It begins with one transaction, at the day of the last sync."""
    info = sources.source_info(team, TEAM)
    assert (info.packages, info.snapshot, info.include) == (0, "2024-03-01", ("imports", "depends", "linking-to"))
    assert info.transaction is not None
    made = activity.transaction(team, info.transaction)
    assert (made.source, made.changes, made.transaction.message) == (TEAM, (), "pinned to snapshot 2024-03-01: nothing")
    assert shown(team) == Shown({}, set())


@pytest.mark.parametrize(("snapshot", "name"), [("2024-01-31", "2024-01-31"), ("3", "3"), ("latest", "2024-03-01")])
def test_a_new_source_can_be_pinned_to_a_day_or_a_transaction(
    mirrored: App, stocked: FakeCran, snapshot: str, name: str
) -> None:
    """The snapshot is remembered as it was named; `latest` by the day that it stood for."""
    sync(mirrored)
    made = Curation(snapshot=snapshot, include=ALL, shows_archive=False)
    info, _ = sources.create_source(mirrored, TEAM, type_=SourceType.CURATED_CRAN, curation=made)
    assert (info.snapshot, info.include, info.source.shows_archive) == (name, ALL, False)


def test_a_source_made_before_the_first_sync_is_pinned_by_its_first_list(mirrored: App, stocked: FakeCran) -> None:
    """Without a snapshot there is nothing to name yet; naming one is refused, and so are lists until a sync."""
    with pytest.raises(NeverSynced):
        sources.create_source(mirrored, TEAM, type_=SourceType.CURATED_CRAN, curation=Curation(snapshot="2024-01-31"))
    assert [info.source.name for info in sources.list_sources(mirrored)] == ["cran", "pypi", "bioconductor"]
    info, _ = sources.create_source(mirrored, TEAM, type_=SourceType.CURATED_CRAN)
    assert (info.snapshot, info.transaction) == (None, None)
    with pytest.raises(NeverSynced, match="source 'cran' was never synced"):
        add(mirrored, "top")
    sync(mirrored)
    done = commit(mirrored, add(mirrored, "alone"))
    assert done.transaction is not None
    assert sources.source_info(mirrored, TEAM).snapshot == "2024-03-01"
    assert shown(mirrored).current == {"alone": "1.1"}


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("imports", ("imports",)),
        ("Suggests, LinkingTo,depends", ("depends", "linking-to", "suggests")),
        ("none", ()),
        ("all", ("imports", "depends", "linking-to", "suggests")),
    ],
)
def test_kinds_of_dependencies_are_named_in_words(words: str, kinds: tuple[str, ...]) -> None:
    """In any order and spelling; `none` and `all` by themselves."""
    assert curating.parse_include(words.split(",")) == kinds
    for wrong in ("none,imports", "", "all,suggests", "needs"):
        with pytest.raises(Invalid):
            curating.parse_include(wrong.split(","))


@pytest.mark.parametrize(
    ("type_", "curation"),
    [
        (SourceType.LOCAL, Curation(snapshot="2024-01-31")),
        (SourceType.LOCAL, Curation(include=())),
        (SourceType.LOCAL, Curation(shows_archive=False)),
        (SourceType.CRAN_SNAPSHOT, Curation(include=ALL)),
        (SourceType.CURATED_PYPI, Curation(snapshot="2024-01-31")),
    ],
)
def test_only_curated_sources_are_made_of_a_snapshot(team: App, type_: SourceType, curation: Curation) -> None:
    """Other types refuse what doesn't concern them, and nothing is made."""
    with pytest.raises(Invalid):
        sources.create_source(team, "new", type_=type_, curation=curation)
    assert [info.source.name for info in sources.list_sources(team)] == ["cran", "pypi", "bioconductor", TEAM]


# --- proposed ------------------------------------------------------------------------------------------------------


def test_a_proposal_tells_all_that_a_reviewer_needs(january: App) -> None:
    """Version, licence, compilation, why it is in, how it was asked for; what can't be had; R; and it has an id."""
    told = update(january, "top [suggests]\nalone >= 1.0\n", "2024-03-01")
    added = ItemChange.ADDED
    mit = "MIT + file LICENSE"
    assert told.report == Report(
        (
            Item("alone", "1.1", None, added, "GPL-3", "yes", (), "alone>=1.0", size_of("alone", "1.1", compiled=True)),
            Item("bottom", "0.2", None, added, "GPL-3", "no", ("top", "middle"), "", size_of("bottom", "0.2")),
            Item("extra", "1.0", None, added, "GPL-3", "no", ("top",), "", size_of("extra", "1.0")),
            Item("middle", "1.0", None, added, mit, "no", ("top",), "", told.report.items[3].size),
            Item("top", "2.0", None, added, "GPL-3", "no", (), "top[suggests]", told.report.items[4].size),
        ),
        (),
        (),
        ("needs R 3.5.0 or newer, because of top",),
    )
    row = told.row
    assert (row.action, row.snapshot, row.committed, row.actor, told.state) == (
        "update",
        "2024-03-01",
        None,
        "ann",
        "open",
    )
    assert row.counts == told.report.counts()
    assert proposals.get_proposal(january, TEAM, row.id) == told
    assert proposals.list_proposals(january, TEAM, Page())[0][0].row == row


def size_of(name: str, version: str, *, compiled: bool = False) -> int:
    return len(make_source_package(name, version, fields={"NeedsCompilation": "yes"} if compiled else {}))


def test_what_is_suggested_and_missing_is_told(january: App) -> None:
    """A dependency that the snapshot doesn't have keeps nobody from going on; it is told with what needs it."""
    told = add(january, "top", include_suggests=True)
    assert versions(told) == {"bottom": "0.1", "helper": "1.0", "middle": "1.0", "top": "1.0"}
    assert told.report.missing == (Missing("nowhere", ("top",), "the snapshot has no such package"),)
    assert told.report.counts()["missing"] == 1


def test_a_proposal_changes_nothing(january: App) -> None:
    """Not a row of what is shown, pinned or recorded."""
    before = state(january)
    update(january, "alone\nother", "2024-03-01")
    add(january, "other")
    assert state(january) == before


def test_the_same_question_gives_the_same_proposal(january: App, clock: Clock) -> None:
    """Asked again about the same state it is not kept twice; about another list or snapshot it is another one."""
    first = update(january, "top", "2024-01-31")
    clock.wait(hours=1)
    assert update(january, "# the same\n top\n", "2024-01-31").row == first.row
    assert update(january, "top\nalone", "2024-01-31").row.id != first.row.id
    assert update(january, "top", "2024-03-01").row.id != first.row.id
    rows, total = proposals.list_proposals(january, TEAM, Page(limit=2))
    assert ([row.row.id for row in rows], total) == ([first.row.id + 2, first.row.id + 1], 4)


def test_update_takes_the_newest_snapshot_and_add_the_pinned_one(january: App) -> None:
    """A list is drawn from the newest snapshot unless one is named; what is added is drawn from the pinned one."""
    moved, grown = update(january, "top"), add(january, "top")
    assert (moved.row.snapshot, versions(moved)["top"]) == ("2024-03-01", "2.0")
    assert (grown.row.snapshot, versions(grown)["top"]) == ("2024-01-31", "1.0")
    with pytest.raises(Invalid) as caught:
        add(january, "top", snapshot="2024-03-01")
    assert caught.value.message == "source 'team' is pinned to snapshot 2024-01-31, from which packages are added"
    assert caught.value.hint == "use --snapshot=2024-01-31; `entrepot update --source=team` moves all of it"
    assert add(january, "top", snapshot="2024-01-31").row == grown.row


def test_include_says_which_dependencies_come(mirrored: App, stocked: FakeCran) -> None:
    """`none` brings the list alone, `all` what is suggested too."""
    sync(mirrored)
    found = {}
    for words in ("none", "imports", "suggests", "all"):
        include = curating.parse_include([words])
        sources.create_source(mirrored, words, type_=SourceType.CURATED_CRAN, curation=Curation("2024-01-31", include))
        told = proposals.propose(mirrored, words, Wish("add", packages=("top",)), actor="ann")
        found[words] = sorted(versions(told))
    assert found == {
        "none": ["top"],
        "imports": ["bottom", "middle", "top"],
        "suggests": ["helper", "top"],
        "all": ["bottom", "helper", "middle", "top"],
    }


# --- committed -----------------------------------------------------------------------------------------------------


def test_a_commit_is_one_transaction_that_shows_what_was_proposed(january: App) -> None:
    """The index is the proposal; the archive is what the mirror had archived of its packages then."""
    proposal = update(january, "top\nalone", "2024-01-31")
    before = newest(january)
    done = commit(january, proposal)
    assert (before, done.transaction) == (done.transaction - 1 if done.transaction else None, newest(january))
    assert shown(january) == Shown(versions(proposal), {"top 0.9", "alone 1.0"})
    assert shown(january, before or 0) == Shown({}, set())
    info = activity.transaction(january, done.transaction or 0)
    assert info.transaction.message == "updated to snapshot 2024-01-31: 4 added"
    assert info.changes == done.changes
    assert {(change.kind, change.package, change.version) for change in done.changes} == {
        (ChangeKind.ADDED, package, version)
        for package, version in [*versions(proposal).items(), ("top", "0.9"), ("alone", "1.0")]
    }
    kept = proposals.get_proposal(january, TEAM, proposal.row.id)
    assert (kept.row.committed, kept.state) == (done.transaction, "committed")


def test_an_update_archives_what_it_replaces(january: App) -> None:
    """Replaced versions stay to be had by their version; who changed, stays or comes is told with what was before."""
    first = commit(january, update(january, "top\nalone", "2024-01-31"))
    proposal = update(january)
    told = [(item.package, item.version, item.previous, item.change.value) for item in proposal.report.items]
    assert told == [
        ("alone", "1.1", "1.1", "unchanged"),
        ("bottom", "0.2", "0.1", "updated"),
        ("extra", "1.0", None, "added"),
        ("middle", "1.0", "1.0", "unchanged"),
        ("top", "2.0", "1.0", "updated"),
    ]
    assert proposal.report.leaving == (
        Leaving("bottom", "0.1", "archived", "replaced by 0.2"),
        Leaving("top", "1.0", "archived", "replaced by 2.0"),
    )
    done = commit(january, proposal)
    assert shown(january) == Shown(versions(proposal), {"alone 1.0", "bottom 0.1", "top 0.9", "top 1.0"})
    assert done.changes == (
        Change(ChangeKind.UPDATED, PackageName("bottom"), "0.2", "0.1"),
        Change(ChangeKind.ADDED, PackageName("extra"), "1.0"),
        Change(ChangeKind.UPDATED, PackageName("top"), "2.0", "1.0"),
    )
    assert shown(january, first.transaction or 0) == Shown(
        {"alone": "1.1", "bottom": "0.1", "middle": "1.0", "top": "1.0"}, {"alone 1.0", "top 0.9"}
    )


def test_a_list_is_the_whole_of_what_is_wanted(january: App) -> None:
    """What a new list doesn't name and nobody needs goes to the archive, at the same snapshot too."""
    commit(january, update(january, "top\nalone", "2024-01-31"))
    proposal = update(january, "alone", "2024-01-31")
    why = "neither asked for nor needed"
    assert proposal.report.leaving == tuple(
        Leaving(package, version, "archived", why)
        for package, version in (("bottom", "0.1"), ("middle", "1.0"), ("top", "1.0"))
    )
    done = commit(january, proposal)
    assert shown(january) == Shown({"alone": "1.1"}, {"alone 1.0", "bottom 0.1", "middle 1.0", "top 0.9", "top 1.0"})
    assert [change.kind for change in done.changes] == [ChangeKind.ARCHIVED] * 3
    back = commit(january, update(january, "top", "2024-01-31"))
    assert shown(january).current == {"bottom": "0.1", "middle": "1.0", "top": "1.0"}
    assert back.transaction == newest(january)


def test_a_source_can_move_back(january: App) -> None:
    """An older snapshot is proposed as downgrades, and what was newer stays in the archive."""
    commit(january, update(january, "top", "2024-03-01"))
    proposal = update(january, snapshot="2024-01-31")
    assert {item.package: item.change.value for item in proposal.report.items} == {
        "bottom": "downgraded",
        "middle": "unchanged",
        "top": "downgraded",
    }
    commit(january, proposal)
    assert shown(january) == Shown(
        {"bottom": "0.1", "middle": "1.0", "top": "1.0"}, {"bottom 0.2", "extra 1.0", "top 0.9", "top 2.0"}
    )


def test_adding_leaves_all_others_as_they_are_pinned(january: App, cran: FakeCran, clock: Clock) -> None:
    """CRAN moves on underneath; what is added is of the pinned snapshot, and so is the rest."""
    commit(january, update(january, "top", "2024-01-31"))
    clock.wait(days=2)
    put(cran, "other", "4.0", at(3, 2), Imports="top (>= 2.0)")
    put(cran, "middle", "2.0", at(3, 2))
    cran.publish()
    sync(january)
    proposal = add(january, "other", "alone==1.0")
    assert versions(proposal) == {"alone": "1.0", "bottom": "0.1", "middle": "1.0", "other": "3.0", "top": "1.0"}
    assert proposal.report.leaving == ()
    done = commit(january, proposal)
    assert [(c.kind, c.package, c.version) for c in done.changes] == [
        (ChangeKind.ADDED, "alone", "1.0"),
        (ChangeKind.ADDED, "other", "3.0"),
    ]
    assert sources.source_info(january, TEAM).snapshot == "2024-01-31"
    moved = update(january)
    assert versions(moved) == {
        "alone": "1.0",
        "extra": "1.0",
        "middle": "2.0",
        "other": "4.0",
        "top": "2.0",
    }


def test_add_takes_names_and_a_list_together(january: App) -> None:
    """What was there before stays as it was asked for; a name that is added with more is said once."""
    commit(january, add(january, "alone", list_text="other >= 2.0\n"))
    proposal = add(january, "alone [suggests]", "top==0.9")
    asked = {item.package: item.asked for item in proposal.report.items}
    assert asked == {"alone": "alone[suggests]", "other": "other>=2.0", "top": "top==0.9"}
    assert versions(proposal) == {"alone": "1.1", "other": "3.0", "top": "0.9"}
    with pytest.raises(Invalid) as caught:
        propose(january, Wish("add"))
    assert (caught.value.message, caught.value.hint) == (
        "no packages to add",
        "give --packages=NAME,... or --file-in=FILE",
    )


def test_adding_what_is_there_is_no_transaction(january: App) -> None:
    """Also as a commit: the source says so and nothing is recorded."""
    commit(january, add(january, "top"))
    before = state(january)
    assert commit(january, add(january, "top", "middle")) != Outcome(None, ())
    assert shown(january).current == {"bottom": "0.1", "middle": "1.0", "top": "1.0"}
    after = state(january)
    assert commit(january, add(january, "top")) == Outcome(None, ())
    assert state(january) == after != before


def test_a_commit_at_once_needs_the_snapshot(january: App) -> None:
    """Without it nobody can have reviewed what would be committed."""
    with pytest.raises(Invalid, match="a commit needs the snapshot that was reviewed"):
        proposals.propose_and_commit(january, TEAM, Wish("update", list_text="top"), actor="ann")
    assert proposals.list_proposals(january, TEAM, Page())[1] == 1
    wish = Wish("update", list_text="top", snapshot="2024-01-31")
    proposal, done = proposals.propose_and_commit(january, TEAM, wish, actor="ann", comment="ticket 7")
    assert (proposal.row.committed, proposal.row.id) == (done.transaction, update_id(january, done))
    assert activity.transaction(january, done.transaction or 0).transaction.message == "ticket 7"


def update_id(app: App, done: Outcome) -> int:
    (found,) = [p.row.id for p in proposals.list_proposals(app, TEAM, Page())[0] if p.row.committed == done.transaction]
    return found


def test_a_proposal_is_committed_as_it_was_shown(january: App, cran: FakeCran, clock: Clock) -> None:
    """By its id it is what was reviewed, weeks later and whatever CRAN did meanwhile."""
    proposal = update(january, "top\nalone")
    clock.wait(days=20)
    put(cran, "top", "3.0", at(3, 10))
    cran.remove("alone")
    cran.publish()
    sync(january)
    commit(january, proposal, snapshot="2024-03-01")
    assert shown(january).current == versions(proposal)
    assert shown(january).current["top"] == "2.0"


def test_a_commit_whose_set_would_differ_is_refused_with_the_difference(
    team: App, cran: FakeCran, clock: Clock
) -> None:
    """A day that a later sync of that day changed: the new proposal is kept and named, either can be committed."""
    wish = Wish("update", list_text="top\nalone", snapshot="2024-03-01")
    first = propose(team, wish)
    clock.wait(hours=3)
    put(cran, "top", "2.1", at(3, 1, 13), Imports="alone")
    cran.publish()
    sync(team)
    before = state(team)
    with pytest.raises(WrongProposal) as caught:
        proposals.propose_and_commit(team, TEAM, wish, actor="ann")
    lines = [
        "- bottom 0.1 archived",
        "- bottom 0.2",
        "- extra 1.0",
        "- middle 1.0",
        "- top 2.0",
        "+ top 2.0 archived",
        "+ top 2.1",
    ]
    second = first.row.id + 1
    assert caught.value.payload == {"shown": first.row.id, "proposal": second, "difference": lines}
    assert caught.value.message == f"this is not what proposal {first.row.id} showed: {'; '.join(lines)}"
    assert caught.value.hint == (
        f"review proposal {second} and commit that one, or {first.row.id} as it was shown, with --proposal"
    )
    assert state(team) == before
    assert versions(proposals.get_proposal(team, TEAM, second)) == {"alone": "1.1", "top": "2.1"}
    again, done = proposals.propose_and_commit(team, TEAM, wish, actor="ann")
    assert (again.row.id, done.transaction) == (second, newest(team))


def test_a_commit_after_somebody_elses_is_refused_with_the_difference(january: App) -> None:
    """What was shown is compared although the source changed since: what it would show now is something else."""
    wish = Wish("update", list_text="top", snapshot="2024-01-31")
    first = propose(january, wish)
    commit(january, add(january, "other"))
    with pytest.raises(WrongProposal) as caught:
        proposals.propose_and_commit(january, TEAM, wish, actor="ann")
    assert caught.value.payload == {
        "shown": first.row.id,
        "proposal": first.row.id + 2,
        "difference": ["+ other 3.0 archived"],
    }
    assert shown(january).current == {"other": "3.0"}
    proposals.propose_and_commit(january, TEAM, wish, actor="ann")
    assert shown(january).current == {"bottom": "0.1", "middle": "1.0", "top": "1.0"}


def test_a_stale_proposal_is_refused(january: App) -> None:
    """One that was made before another change of the source, whichever that was."""
    first, second = update(january, "top", "2024-01-31"), add(january, "alone")
    done = commit(january, second)
    before = state(january)
    with pytest.raises(WrongProposal) as caught:
        commit(january, first)
    assert caught.value.message == (
        f"proposal {first.row.id} is stale: source 'team' changed with transaction {done.transaction} since it was made"
    )
    assert caught.value.payload == {"transaction": done.transaction}
    assert state(january) == before


def test_a_proposal_is_committed_once(january: App) -> None:
    """The second time it says as which transaction it was."""
    proposal = update(january, "top", "2024-01-31")
    done = commit(january, proposal)
    before = state(january)
    with pytest.raises(WrongProposal) as caught:
        commit(january, proposal)
    assert caught.value.message == f"proposal {proposal.row.id} was committed as transaction {done.transaction}"
    assert state(january) == before


def test_a_commit_checks_source_and_snapshot(january: App) -> None:
    """An id of another source, of none, or with another snapshot than the one that was shown is refused."""
    proposal = update(january, "top", "2024-01-31")
    sources.create_source(january, "second", type_=SourceType.CURATED_CRAN)
    with pytest.raises(NotFound, match=f"source 'second' has no proposal {proposal.row.id}"):
        proposals.commit(january, "second", proposal.row.id, actor="ann")
    with pytest.raises(NotFound, match="source 'team' has no proposal 999"):
        proposals.commit(january, TEAM, 999, actor="ann")
    with pytest.raises(WrongProposal, match=f"proposal {proposal.row.id} is of snapshot 2024-01-31, not of 2024-03-01"):
        commit(january, proposal, snapshot="2024-03-01")
    with pytest.raises(WrongType, match="source 'cran' is of type cran, to which nothing is proposed"):
        proposals.propose(january, "cran", Wish("update", list_text="top"), actor="ann")
    assert shown(january) == Shown({}, set())


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gave or raised, all begun at once."""
    barrier = threading.Barrier(len(calls))
    found: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            found[number] = call()
        except EntrepotError as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_of_commits_at_once_one_wins_whole(january: App) -> None:
    """Of several proposals about one state exactly one is applied, in one transaction; the others are told."""
    made = [update(january, text, "2024-01-31") for text in ("top", "alone", "other", "helper")]
    found = together(*(lambda p=p: commit(january, p) for p in made))
    won = [number for number, each in enumerate(found) if isinstance(each, Outcome)]
    assert len(won) == 1
    assert all(isinstance(each, WrongProposal) for number, each in enumerate(found) if number not in won)
    assert shown(january).current == versions(made[won[0]])
    rows, total = activity.list_transactions(january, source=TEAM, page=Page())
    assert (total, rows[0].transaction.id) == (2, found[won[0]].transaction)


def test_the_same_commit_twice_at_once_is_done_once(january: App) -> None:
    """The same wish from two sides: one transaction, and the other hears that it was done or does nothing."""
    wish = Wish("update", list_text="top", snapshot="2024-01-31")
    propose(january, wish)

    def both() -> Outcome:
        return proposals.propose_and_commit(january, TEAM, wish, actor="ann")[1]

    found = together(both, both)
    done = [each for each in found if isinstance(each, Outcome) and each.transaction is not None]
    assert len(done) == 1
    (other,) = [each for each in found if each is not done[0]]
    assert isinstance(other, WrongProposal) or other == Outcome(None, ())
    assert activity.list_transactions(january, source=TEAM, page=Page())[1] == 2


# --- removed -------------------------------------------------------------------------------------------------------


def test_removing_a_package_takes_what_it_brought_out_of_the_index(january: App) -> None:
    """All of its versions are gone, what only it needed is archived; snapshots of before keep everything."""
    before = commit(january, add(january, "top", "alone")).transaction
    done = remove(january, "top")
    assert shown(january) == Shown({"alone": "1.1"}, {"alone 1.0", "bottom 0.1", "middle 1.0"})
    assert [(c.kind.value, c.package, c.version) for c in done.changes] == [
        ("archived", "bottom", "0.1"),
        ("archived", "middle", "1.0"),
        ("removed", "top", "0.9"),
        ("removed", "top", "1.0"),
    ]
    assert shown(january, before or 0).current["top"] == "1.0"
    with pytest.raises(PackageNotFound, match="source 'team' has no package 'top'"):
        remove(january, "top")
    assert versions(update(january)) == {"alone": "1.1"}
    commit(january, add(january, "top"))
    assert shown(january).current["top"] == "1.0"


def test_what_others_need_can_not_be_removed(january: App) -> None:
    """It is refused with the chain; with who needs it gone, it can be."""
    commit(january, add(january, "top", "middle"))
    before = state(january)
    with pytest.raises(Conflict) as caught:
        remove(january, "bottom")
    assert caught.value.message == "bottom is needed: middle > bottom"
    assert state(january) == before
    with pytest.raises(Conflict, match="middle is needed: top > middle"):
        remove(january, "middle")


@pytest.mark.parametrize("scope", ["1.0", "middle_1.0.tar.gz", "current"])
def test_the_only_version_of_what_others_need_can_not_be_removed(january: App, scope: str) -> None:
    """Neither by its version: there would be nothing left of what is needed."""
    commit(january, add(january, "top"))
    before = state(january)
    with pytest.raises(Conflict) as caught:
        remove(january, "middle", scope)
    assert caught.value.message == "middle is needed: top > middle"
    assert state(january) == before


def test_a_version_that_was_removed_does_not_come_back(january: App) -> None:
    """Neither with an update nor as a replaced version; the next older one takes its place."""
    commit(january, add(january, "top", "alone"))
    done = remove(january, "alone", "1.1")
    assert [(c.kind.value, c.version, c.previous) for c in done.changes] == [
        ("removed", "1.1", None),
        ("updated", "1.0", "1.1"),
    ]
    assert shown(january).current["alone"] == "1.0"
    for again in (update(january), update(january, "top\nalone", "2024-03-01"), add(january, "other")):
        assert versions(again)["alone"] == "1.0"
    commit(january, update(january))
    assert shown(january) == Shown(
        {"alone": "1.0", "bottom": "0.2", "extra": "1.0", "middle": "1.0", "top": "2.0"},
        {"bottom 0.1", "top 0.9", "top 1.0"},
    )


def test_an_archived_version_is_removed_by_itself(january: App) -> None:
    """The index stays as it is; no later update brings it back."""
    commit(january, add(january, "top"))
    done = remove(january, "top", "0.9")
    assert [(c.kind.value, c.package, c.version) for c in done.changes] == [("removed", "top", "0.9")]
    assert shown(january) == Shown({"bottom": "0.1", "middle": "1.0", "top": "1.0"}, set())
    commit(january, update(january))
    assert shown(january).archive == {"bottom 0.1", "top 1.0"}
    with pytest.raises(PackageNotFound, match=r"'top' has no version or file 0\.9 in source 'team'"):
        remove(january, "top", "0.9")
    commit(january, add(january, "top==0.9"))
    assert shown(january).current["top"] == "0.9"


def test_removing_the_current_version_leaves_the_one_before(january: App) -> None:
    """`current` is the version that the index lists."""
    commit(january, update(january, "top", "2024-03-01"))
    remove(january, "top", "current")
    assert shown(january).current["top"] == "1.0"
    remove(january, "top", "top_1.0.tar.gz")
    assert shown(january) == Shown({"top": "0.9"}, {"bottom 0.1", "bottom 0.2", "extra 1.0", "middle 1.0"})


@pytest.mark.parametrize("scope", ["current", "3.0", "other_3.0.tar.gz"])
def test_removing_the_only_version_removes_the_package(january: App, scope: str) -> None:
    """Nothing is left of it, so it is no longer asked for either; a newer version is no reason for it to come back."""
    commit(january, add(january, "other", "alone"))
    remove(january, "other", scope)
    assert shown(january) == Shown({"alone": "1.1"}, {"alone 1.0"})
    assert versions(update(january)) == {"alone": "1.1"}


def test_a_package_and_its_scope_have_to_be_there(january: App) -> None:
    """A name or a version that the source doesn't have is refused in words."""
    commit(january, add(january, "alone"))
    for package, scope in (("extra", "all"), ("alone", "9.9"), ("?", "all")):
        with pytest.raises(PackageNotFound):
            remove(january, package, scope)
    assert shown(january).current == {"alone": "1.1"}


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_unknown_packages_are_listed_together_with_names_that_may_have_been_meant(january: App) -> None:
    """All of them in one error: misspelt, of R itself, not there yet at that snapshot."""
    with pytest.raises(PackageNotFound) as caught:
        update(january, "Top\nmidle\nstats\nextra\nalone", "2024-01-31")
    none = "the snapshot has no such package"
    assert caught.value.payload == {
        "packages": [
            {"name": "Top", "reason": none, "near": ["top"]},
            {"name": "midle", "reason": none, "near": ["middle"]},
            {"name": "stats", "reason": "it comes with R itself", "near": []},
            {"name": "extra", "reason": none, "near": []},
        ]
    }
    assert caught.value.message == (
        "4 packages can't be had at this snapshot: Top: the snapshot has no such package (did you mean top?);"
        " midle: the snapshot has no such package (did you mean middle?); stats: it comes with R itself;"
        " extra: the snapshot has no such package"
    )
    assert caught.value.hint == "correct the list, or leave them out with --skip-missing"


def test_skip_missing_leaves_them_out_and_says_so(january: App) -> None:
    """They are told as missing, and are not asked for from then on."""
    told = update(january, "midle\nalone\nstats", "2024-01-31", skip_missing=True)
    assert (versions(told), told.report.missing) == (
        {"alone": "1.1"},
        (
            Missing("midle", (), "the snapshot has no such package", ("middle",)),
            Missing("stats", (), "it comes with R itself"),
        ),
    )
    commit(january, told)
    assert versions(update(january)) == {"alone": "1.1"}


def test_a_list_of_unknown_names_alone_leaves_nothing_asked_for(january: App) -> None:
    """With --skip-missing a reviewer sees what would go."""
    commit(january, add(january, "alone"))
    told = update(january, "nobody\nnothing", skip_missing=True)
    assert (versions(told), len(told.report.missing)) == ({}, 2)
    assert told.report.leaving == (Leaving("alone", "1.1", "archived", "neither asked for nor needed"),)


def test_a_contradiction_is_refused_with_its_smallest_part(january: App) -> None:
    """Of two lines, and of a line and what another package needs."""
    with pytest.raises(Contradiction) as caught:
        update(january, "alone>=1.1\nother\nalone<1.1\nalone>0.1", "2024-01-31")
    assert caught.value.message == (
        "no version of alone at this snapshot satisfies line 1 (alone>=1.1) and line 3 (alone<1.1)"
    )
    with pytest.raises(Contradiction) as caught:
        update(january, "top\nbottom<0.1", "2024-03-01")
    assert caught.value.message == "no version of bottom at this snapshot satisfies line 2 (bottom<0.1)"
    assert caught.value.hint == "the snapshot has 2 versions up to 0.2, 0.2 is current"


@pytest.mark.parametrize(
    ("snapshot", "error", "says"),
    [
        ("2024-03-02", SnapshotNotFound, "2024-03-02 is newer than the last sync of 'cran' (2024-03-01)"),
        ("2024-01-01", SnapshotNotFound, "source 'cran' has nothing at 2024-01-01"),
        ("999", SnapshotNotFound, "transaction 999 does not exist; this installation has 1 to 14"),
        ("0", SnapshotNotFound, "transaction 0 does not exist; this installation has 1 to 14"),
        ("yesterday", SnapshotNotFound, "'yesterday' is not a snapshot"),
    ],
)
def test_a_snapshot_that_there_is_not_is_refused(
    january: App, snapshot: str, error: type[EntrepotError], says: str
) -> None:
    """Above all one that is newer than the last sync: it would be another thing tomorrow."""
    with pytest.raises(error) as caught:
        update(january, "alone", snapshot)
    assert caught.value.message == says
    with pytest.raises(error):
        sources.create_source(january, "new", type_=SourceType.CURATED_CRAN, curation=Curation(snapshot=snapshot))


BAD_LISTS = {
    "empty": ("", "there is no package in it"),
    "comments alone": ("# nothing\n\n", "there is no package in it"),
    "of Python": ("numpy==1.26.0 ; python_version < '3.12'\n", "this is a list of Python packages"),
    "pyproject": ('[project]\nname = "demo"\ndependencies = ["numpy"]\n', "this is a list of Python packages"),
    "uv.lock": ('version = 1\n\n[[package]]\nname = "numpy"\nversion = "1.0"\n', "this is a list of Python packages"),
    "an option of pip": ("-r other.txt\n", "this is a list of Python packages"),
    "a line that is none": ("alone\ntop = 1.0\n", "line 2: '=' is not an operator"),
}


@pytest.mark.parametrize("which", BAD_LISTS)
def test_a_list_that_is_none_is_refused(january: App, which: str) -> None:
    """Empty, of another ecosystem, or with faulty lines: nothing is proposed."""
    text, says = BAD_LISTS[which]
    for wish in (Wish("update", list_text=text), Wish("add", list_text=text)):
        with pytest.raises(Invalid) as caught:
            propose(january, wish)
        assert caught.value.message.startswith(says)
    assert proposals.list_proposals(january, TEAM, Page())[1] == 1


def test_an_update_of_a_source_of_which_nothing_was_asked_is_refused(january: App) -> None:
    """Without a list there has to be one from before."""
    with pytest.raises(Invalid) as caught:
        update(january)
    assert caught.value.message == "nothing was asked of source 'team' yet"


def test_faulty_lines_are_told_together(january: App) -> None:
    """With their numbers."""
    with pytest.raises(InvalidBatch) as caught:
        update(january, "alone\n1.0\nother ~= 2\n")
    faults = caught.value.payload["faults"]
    assert isinstance(faults, list)
    assert [fault["subject"] for fault in faults] == ["line 2", "line 3"]


def test_a_hundred_thousand_lines(january: App) -> None:
    """Unknown names are refused in seconds with a message that can be read; known ones a hundred thousand times do."""
    began = time.monotonic()
    with pytest.raises(PackageNotFound) as caught:
        update(january, "".join(f"nobody{number}\n" for number in range(100_000)))
    packages = caught.value.payload["packages"]
    assert isinstance(packages, list)
    assert (len(packages), packages[-1]["name"]) == (100_000, "nobody99999")
    assert caught.value.message.startswith("100000 packages can't be had at this snapshot: nobody0: ")
    assert len(caught.value.message) < 10_000
    told = update(january, "top\nalone>=1.0\n" * 50_000)
    assert versions(told)["alone"] == "1.1"
    with pytest.raises(Contradiction) as contradiction:
        update(january, "alone>=1.1\n" * 50_000 + "alone<1.1\n" * 50_000)
    assert contradiction.value.payload["bounds"] == [">=1.1", "<1.1"]
    assert len(caught.value.message) < 10_000
    assert time.monotonic() - began < 60


# --- the past, and the mirror underneath ---------------------------------------------------------------------------


def test_old_versions_are_read_from_upstream_by_ranges(january: App, cran: FakeCran) -> None:
    """What is archived upstream now has no entry in an index: its needs come from the head of its file, once."""
    cran.requests.clear()
    told = add(january, "top")
    assert versions(told) == {"bottom": "0.1", "middle": "1.0", "top": "1.0"}
    assert {item.license for item in told.report.items} == {"GPL-3", "MIT + file LICENSE"}
    asked = Counter(request.path for request in cran.requests)
    assert asked == {f"{CONTRIB}/Archive/bottom/bottom_0.1.tar.gz": 1, f"{CONTRIB}/Archive/top/top_1.0.tar.gz": 1}
    assert all("Range" in request.headers for request in cran.requests)
    assert add(january, "top").row == told.row
    assert len(cran.requests) == 2


def test_old_versions_that_upstream_has_lost_are_told(january: App, cran: FakeCran) -> None:
    """Their needs are not known; a reviewer is told, and the rest is whole."""
    for path in (f"{CONTRIB}/Archive/top/top_1.0.tar.gz", f"{CONTRIB}/top_1.0.tar.gz"):
        cran.fail(path, "404")
    told = add(january, "top", "middle")
    assert versions(told) == {"bottom": "0.1", "middle": "1.0", "top": "1.0"}
    assert told.report.notes == ("upstream's top_1.0.tar.gz can't be read, so what it needs is not known",)


def test_without_the_mirrors_archive_its_old_versions_are_not_shown(mirrored: App, stocked: FakeCran) -> None:
    """--no-archived: only what the source itself replaced is in its archive."""
    sync(mirrored)
    made = Curation("2024-01-31", shows_archive=False)
    sources.create_source(mirrored, TEAM, type_=SourceType.CURATED_CRAN, curation=made)
    commit(mirrored, add(mirrored, "top", "alone"))
    assert shown(mirrored) == Shown({"alone": "1.1", "bottom": "0.1", "middle": "1.0", "top": "1.0"}, set())
    commit(mirrored, update(mirrored))
    assert shown(mirrored).archive == {"bottom 0.1", "top 1.0"}


def test_bounds_hold_for_the_archive_too(january: App) -> None:
    """Of versions that are not wanted none is offered by the archive."""
    commit(january, add(january, "top>=1.0", "alone"))
    assert shown(january).archive == {"alone 1.0"}


def test_packages_that_left_cran_go_to_the_archive(team: App, cran: FakeCran, clock: Clock) -> None:
    """A newer snapshot without a package refuses the list; --skip-missing archives it, and it still can be had."""
    commit(team, update(team, "other\nalone"))
    clock.wait(days=3)
    cran.remove("other")
    cran.publish()
    sync(team)
    with pytest.raises(PackageNotFound) as caught:
        update(team)
    assert caught.value.payload == {
        "packages": [
            {
                "name": "other",
                "reason": "it is archived at this snapshot; ask for a version, such as other==3.0",
                "near": [],
            }
        ]
    }
    commit(team, update(team, skip_missing=True))
    assert shown(team) == Shown({"alone": "1.1"}, {"alone 1.0", "other 3.0"})


def test_a_file_that_upstream_replaced_is_shown_once(team: App, cran: FakeCran, clock: Clock) -> None:
    """Other bytes under the same version: an update takes the new ones, and no second file has that name."""
    commit(team, update(team, "other\nalone"))
    before = newest(team)
    clock.wait(days=3)
    cran.replace("other", "3.0", make_source_package("other", "3.0", fields={"Title": "Other"}), at(3, 2))
    cran.publish()
    sync(team)
    proposal = update(team)
    assert [(i.package, i.version, i.previous, i.change.value) for i in proposal.report.items] == [
        ("alone", "1.1", "1.1", "unchanged"),
        ("other", "3.0", "3.0", "updated"),
    ]
    commit(team, proposal)
    assert shown(team) == Shown({"alone": "1.1", "other": "3.0"}, {"alone 1.0"})
    rows = [browsing.open_source(team, TEAM, s).view.of_package(PackageName("other")) for s in ("latest", str(before))]
    assert [len(each) for each in rows] == [1, 1]
    assert rows[0][0].file.md5 != rows[1][0].file.md5


def test_the_mirrors_own_views_are_untouched(team: App, cran: FakeCran, clock: Clock) -> None:
    """Byte for byte: what the mirror shows, now and at each of its snapshots, is not changed by curated rows."""
    snapshots = ["latest", *(str(n) for n in range(1, (newest(team, "cran") or 0) + 1)), "2024-01-31"]
    counts = sources.source_info(team, "cran")
    browsed = activity.list_transactions(team, source="cran", page=Page())
    before = {snapshot: documents(team, "cran", snapshot) for snapshot in snapshots}
    commit(team, update(team, "top\nalone"))
    commit(team, update(team, "other"))
    remove(team, "alone")
    assert {snapshot: documents(team, "cran", snapshot) for snapshot in snapshots} == before
    assert sources.source_info(team, "cran") == counts
    assert activity.list_transactions(team, source="cran", page=Page()) == browsed
    clock.wait(days=3)
    put(cran, "late", "1.0", at(3, 3))
    cran.publish()
    assert sync(team).added == 1
    del before["latest"]
    assert {snapshot: documents(team, "cran", snapshot) for snapshot in before} == before
    assert shown(team, source="cran").current.keys() == {
        *("alone", "bottom", "extra", "helper", "late", "middle", "other", "top")
    }


def test_what_the_mirror_hides_the_source_goes_on_showing(team: App, cran: FakeCran, clock: Clock) -> None:
    """A sync that replaces a file and takes off a package changes nothing that the curated source shows."""
    serve(team, "ours", TEAM)
    commit(team, update(team, "top\nother\nalone"))
    fixed = newest(team)
    before = documents(team, "ours"), documents(team, "ours", fixed or 0)
    clock.wait(days=3)
    cran.replace("other", "3.0", make_source_package("other", "3.0", fields={"Title": "Other"}), at(3, 2))
    cran.remove("alone")
    put(cran, "top", "3.0", at(3, 2))
    cran.publish()
    sync(team)
    assert shown(team, source="cran").current["top"] == "3.0"
    assert "alone" not in shown(team, source="cran").current
    assert (documents(team, "ours"), documents(team, "ours", fixed or 0)) == before
    commit(team, add(team, "helper"))
    assert shown(team).current["alone"] == "1.1"
    assert documents(team, "ours", fixed or 0) == before[1]


def test_dates_of_a_repository_over_a_curated_source(january: App, clock: Clock) -> None:
    """A day shows what was committed by its end, from the day on which the source was made."""
    serve(january, "ours", TEAM)
    clock.wait(days=1)
    commit(january, add(january, "top"))
    clock.wait(days=3)
    commit(january, update(january))
    clock.wait(days=2)

    def current(snapshot: str) -> dict[str, str]:
        rows = browsing.open_repository(january, "ours", snapshot).view.current()
        return {row.file.package: row.file.version for row in rows}

    first = {"bottom": "0.1", "middle": "1.0", "top": "1.0"}
    second = {"bottom": "0.2", "extra": "1.0", "middle": "1.0", "top": "2.0"}
    assert {day: current(f"2024-03-0{day}") for day in range(1, 7)} == {
        1: {},
        2: first,
        3: first,
        4: first,
        5: second,
        6: second,
    }
    for outside in ("2024-02-29", "2024-03-07"):
        with pytest.raises(SnapshotNotFound, match="2024-03-01 to 2024-03-06"):
            current(outside)
    changed = days.changed(january, "ours")
    assert [day for day, _ in changed] == [date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 5)]


def test_counts_in_a_list_of_transactions_are_those_of_their_changes(team: App) -> None:
    """Of adding, moving, dropping and removing alike."""
    commit(team, update(team, "top\nalone", "2024-01-31"))
    commit(team, update(team))
    commit(team, update(team, "alone==1.0\nother"))
    remove(team, "alone", "1.1")
    remove(team, "other")
    commit(team, update(team, "top", "2024-02-01"))
    rows, total = activity.list_transactions(team, source=TEAM, page=Page())
    assert total == 7
    for row in rows:
        info = activity.transaction(team, row.transaction.id)
        told = Counter(change.kind for change in info.changes)
        assert row.counts == {kind: told[kind] for kind in ChangeKind} == info.counts, row.transaction


def test_a_source_can_be_renamed_and_deleted(january: App) -> None:
    """Its proposals and what old snapshots of a repository show go with it."""
    serve(january, "ours", TEAM)
    done = commit(january, add(january, "alone"))
    before = documents(january, "ours", done.transaction or 0)
    sources.rename_source(january, TEAM, "crew")
    assert proposals.list_proposals(january, "crew", Page())[1] == 2
    repositories.unsubscribe(january, "ours", "crew", actor="ann")
    sources.delete_source(january, "crew")
    assert documents(january, "ours", done.transaction or 0) == before
    with pytest.raises(NotFound):
        proposals.list_proposals(january, "crew", Page())


def test_what_is_listed_can_be_had(live_mirrored: Live, stocked: FakeCran, clock: Clock) -> None:
    """Current and replaced versions come from upstream once, for the mirror and the curated source together."""
    app = live_mirrored.app
    sync(app)
    sources.create_source(app, TEAM, type_=SourceType.CURATED_CRAN, curation=Curation("2024-01-31"))
    serve(app, "ours", TEAM)
    commit(app, add(app, "top"))
    first = newest(app)
    commit(app, update(app))
    for path in ("top_1.0.tar.gz", "Archive/top/top_1.0.tar.gz", "bottom_0.1.tar.gz", "middle_1.0.tar.gz"):
        assert live_mirrored.get(f"/ours/{first}/{CONTRIB}/{path}").status == 200
    data = stocked._packages["top", "2.0"].data
    assert live_mirrored.get(f"/ours/latest/{CONTRIB}/top_2.0.tar.gz").data == data
    assert live_mirrored.get(f"/ours/latest/{CONTRIB}/Archive/top/top_1.0.tar.gz").status == 200
    asked = stocked.count(f"{CONTRIB}/top_2.0.tar.gz")
    assert live_mirrored.get(f"/cran/latest/{CONTRIB}/top_2.0.tar.gz").data == data
    assert stocked.count(f"{CONTRIB}/top_2.0.tar.gz") == asked == 1
    for absent in ("other_3.0.tar.gz", "alone_1.1.tar.gz", "top_3.0.tar.gz"):
        assert live_mirrored.get(f"/ours/latest/{CONTRIB}/{absent}").status == 404
    fixed = eventually(
        lambda: live_mirrored.get(f"/ours/{first}/{CONTRIB}/PACKAGES"),
        lambda answer: "X-Entrepot-Incomplete" not in answer.headers,
    )
    assert live_mirrored.get(f"/ours/{first}/{CONTRIB}/PACKAGES").data == fixed.data


def test_local_curated_and_cran_in_one_repository(january: App, tmp_path: Path) -> None:
    """The first source that has a name gives all of its versions; the rest comes from the next."""
    sources.create_source(january, "mine", type_=SourceType.LOCAL)
    (tmp_path / "alone").write_bytes(make_source_package("alone", "0.1"))
    add_files(january, "mine", [Upload("alone_0.1.tar.gz", tmp_path / "alone")], actor="ann")
    commit(january, add(january, "top", "alone"))
    serve(january, "all", "mine", TEAM, "cran")
    view = browsing.open_repository(january, "all", "latest").view
    assert {row.file.package: row.file.version for row in view.current()} == {
        "alone": "0.1",
        "bottom": "0.1",
        "extra": "1.0",
        "helper": "1.0",
        "middle": "1.0",
        "other": "3.0",
        "top": "1.0",
    }
    assert {f"{row.package} {row.version}" for row in view.in_brief(FileStatus.ARCHIVED)} == {"top 0.9"}
    with pytest.raises(FileNotListed):
        serving.answer(
            serving.open_view(january, "all", "latest", who=serving.inside), Ask(f"{CONTRIB}/top_2.0.tar.gz")
        )
