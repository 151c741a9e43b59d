"""Curated PyPI sources: what lists of requirements admit at a snapshot, and that it stays as it was committed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.errors import (
    Conflict,
    Contradiction,
    FileNotListed,
    Invalid,
    InvalidBatch,
    NotFound,
    PackageNotFound,
    SnapshotNotFound,
    TooLarge,
    Unresolvable,
    UpstreamUnavailable,
    WrongProposal,
)
from entrepot.core.model import FileStatus, PackageName, RepositoryType, SourceType
from entrepot.core.proposals import Item, ItemChange, Leaving, Missing, changes_anything
from entrepot.operations import packages, proposals, repositories, sources
from entrepot.operations.browsing import Page
from entrepot.operations.proposals import Narrow, Proposal, Wish
from entrepot.operations.serving import inside, open_view
from tests.operations.test_browsing_python import add as add_files
from tests.operations.test_local import count_rows
from tests.support import pages
from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi, Form
from tests.support.server import NOON, Clock, Live, sync

MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
JULY = MAY + timedelta(days=61)
TODAY = NOON.date().isoformat()


def stock(pypi: FakePypi) -> None:
    """`demo` with four versions and its sdists, `lib` with two, `other` with one."""
    for number, version in enumerate(("1.0", "1.1", "2.0", "2.1rc1")):
        pypi.add(*wheel("Demo", version), uploaded=MAY + timedelta(days=30 * number))
    pypi.add(*sdist("Demo", "1.1"), uploaded=MAY + timedelta(days=30))
    pypi.add(*wheel("lib", "1.0"), uploaded=MAY)
    pypi.add(*wheel("lib", "1.5"), uploaded=JULY)
    pypi.add(*wheel("other", "0.1"), uploaded=MAY)


@pytest.fixture
def team(proxied: App, pypi: FakePypi) -> App:
    """The curated source `set` in the repository `team`; nothing was asked of it yet."""
    stock(pypi)
    return curated(proxied)


@pytest.fixture
def site(live_proxied: Live, pypi: FakePypi) -> Live:
    """The same with its site."""
    stock(pypi)
    curated(live_proxied.app)
    return live_proxied


def curated(app: App, *before: str) -> App:
    sources.create_source(app, "set", type_=SourceType.CURATED_PYPI, actor="test")
    repositories.create_repository(app, "team", type_=RepositoryType.PYTHON)
    for source in (*before, "set"):
        repositories.subscribe(app, "team", source, actor="test")
    return app


def propose(app: App, *lines: str, **wish: Any) -> Proposal:
    """What an update to a list of these lines would bring; without any, to the list as before."""
    text = "\n".join(lines) if lines else None
    return proposals.propose(app, "set", Wish("update", list_text=text, **wish), actor="test")


def commit(app: App, *lines: str, **wish: Any) -> int:
    """Propose that and commit it; the transaction."""
    return committed(app, propose(app, *lines, **wish))


def committed(app: App, proposal: Proposal) -> int:
    done, outcome = proposals.commit(app, "set", proposal.row.id, actor="test")
    assert outcome.transaction is not None
    assert (done.row.committed, done.state) == (outcome.transaction, "committed")
    return outcome.transaction


def add(app: App, *lines: str, **wish: Any) -> Proposal:
    return proposals.propose(app, "set", Wish("add", packages=lines, **wish), actor="test")


def remove(app: App, package: str, scope: str) -> list[tuple[str, str, str]]:
    """(change, name, version) of what that did."""
    outcome = packages.remove_package(app, "set", package, scope=scope, actor="test")
    return [(change.kind.value, change.package, change.version) for change in outcome.changes]


def shown(app: App, *names: str, snapshot: str = "latest") -> dict[str, list[str]]:
    """Of the projects that `team` has: their files in order."""
    view = open_view(app, "team", snapshot, who=inside).view
    found = {name: [row.file.name for row in view.of_package(PackageName(name))] for name in names}
    return {name: files for name, files in found.items() if files}


def told(proposal: Proposal) -> list[tuple[str, str, str | None, str]]:
    """(package, version, previous, change) of each."""
    return [(item.package, item.version, item.previous, item.change.value) for item in proposal.report.items]


def versions(app: App, name: str = "demo", snapshot: str = "latest") -> list[str]:
    """The versions that `team` has of a project, in the order of its files."""
    rows = open_view(app, "team", snapshot, who=inside).view.of_package(PackageName(name))
    assert all(row.status is FileStatus.CURRENT for row in rows)
    return list(dict.fromkeys(row.file.version for row in rows))


def whl(name: str, version: str, tag: str = "py3-none-any") -> str:
    return f"{name}-{version}-{tag}.whl"


# --- what a list admits --------------------------------------------------------------------------------------------


def test_a_bare_name_admits_every_version(team: App) -> None:
    """Every file known by now is in, a pre-release too; the proposal changes nothing until it is committed."""
    proposal = propose(team, "Demo", "# a remark", "", "lib")
    assert proposal.report.items == (
        Item("demo", "2.0", None, ItemChange.ADDED, None, "no", (), "demo", proposal.report.items[0].size, 4),
        Item("lib", "1.5", None, ItemChange.ADDED, None, "no", (), "lib", proposal.report.items[1].size, 2),
    )
    assert (proposal.row.snapshot, proposal.row.counts["added"]) == (TODAY, 2)
    assert shown(team, "demo", "lib", "other") == {}
    committed(team, proposal)
    assert shown(team, "demo", "lib", "other") == {
        "demo": [whl("demo", "1.0"), whl("demo", "1.1"), "demo-1.1.tar.gz", whl("demo", "2.0"), whl("demo", "2.1rc1")],
        "lib": [whl("lib", "1.0"), whl("lib", "1.5")],
    }


def test_a_day_of_the_past(team: App) -> None:
    """A bare name admits what was uploaded by the end of that day."""
    proposal = propose(team, "demo", "lib", snapshot="2023-06-01")
    assert told(proposal) == [("demo", "1.1", None, "added"), ("lib", "1.0", None, "added")]
    assert proposal.row.snapshot == "2023-06-01"
    committed(team, proposal)
    assert (versions(team), versions(team, "lib")) == (["1.0", "1.1"], ["1.0"])
    assert sources.source_info(team, "set").snapshot == "2023-06-01"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["demo>=1.1"], ["1.1", "2.0", "2.1rc1"]),
        (["demo>=1.1,<2"], ["1.1"]),
        (["demo==1.*"], ["1.0", "1.1"]),
        (["demo!=1.1"], ["1.0", "2.0", "2.1rc1"]),
        (["demo===2.0"], ["2.0"]),
        (["demo===2.0,>=1"], ["2.0"]),
        (["demo~=2.0"], ["2.0", "2.1rc1"]),
        (["demo==2.1rc1"], ["2.1rc1"]),
        # Several lines for the same environment hold together; those of other environments admit their own.
        (["demo>1.0", "demo<2.1.dev0"], ["1.1", "2.0"]),
        (["demo>1.0", "demo"], ["1.1", "2.0", "2.1rc1"]),
        (["demo==1.0; python_version < '3.9'", "demo==2.0; python_version >= '3.9'"], ["1.0", "2.0"]),
        (["demo>=1.1; os_name == 'nt'", "demo<2; os_name == 'nt'", "demo==2.0"], ["1.1", "2.0"]),
    ],
)
def test_bounds(team: App, lines: list[str], expected: list[str]) -> None:
    """Bounds filter the versions, as PEP 440 has them."""
    commit(team, *lines)
    assert versions(team) == expected


def test_hashes_pin_files(team: App, pypi: FakePypi) -> None:
    """Of a line with hashes those files alone are in; hashes of none of them are told."""
    sdist_, later = (pypi.upload(name).sha256 for name in ("demo-1.1.tar.gz", whl("demo", "2.0")))
    commit(team, f"demo==1.1 --hash=sha256:{sdist_} --hash=sha256:{'0' * 64}")
    assert shown(team, "demo") == {"demo": ["demo-1.1.tar.gz"]}
    with pytest.raises(PackageNotFound, match="demo: it has no file with one of the wanted hashes"):
        propose(team, f"demo==1.1 --hash=sha256:{later}")


def test_constraints(team: App) -> None:
    """A constraints file bounds what the list names, and adds nothing; with the next list it is given anew."""
    commit(team, "demo", constraints="demo<2\nother==0.1\n")
    assert shown(team, "demo", "other") == {"demo": [whl("demo", "1.0"), whl("demo", "1.1"), "demo-1.1.tar.gz"]}
    with pytest.raises(Invalid, match="constraints are of a list"):
        propose(team, constraints="demo<2")
    commit(team, "demo")
    assert len(versions(team)) == 4
    with pytest.raises(Invalid, match="constraints, line 1"):
        propose(team, "demo", constraints="demo ==")


def test_nothing_but_the_list_counts(team: App) -> None:
    """A list replaces the one before; without a list the one before is drawn from a newer snapshot."""
    commit(team, "demo", snapshot="2023-06-01")
    moved = propose(team)
    assert told(moved) == [("demo", "2.0", "1.1", "updated")]
    committed(team, moved)
    replaced = propose(team, "lib")
    assert told(replaced) == [("lib", "1.5", None, "added")]
    assert replaced.report.leaving == tuple(
        Leaving("demo", version, "removed", "neither asked for nor needed")
        for version in ("1.0", "1.1", "2.0", "2.1rc1")
    )
    committed(team, replaced)
    assert shown(team, "demo", "lib") == {"lib": [whl("lib", "1.0"), whl("lib", "1.5")]}


def test_what_becomes_of_each_package(team: App) -> None:
    """Each is added, updated, downgraded, changed beside its newest version, or stays."""
    commit(team, "demo<2", "lib==1.0", "other")
    proposal = propose(team, "demo==1.0", "lib==1.5", "other")
    assert told(proposal) == [
        ("demo", "1.0", "1.1", "downgraded"),
        ("lib", "1.5", "1.0", "updated"),
        ("other", "0.1", "0.1", "unchanged"),
    ]
    assert proposal.report.leaving == (
        Leaving("demo", "1.1", "removed", "not admitted any more"),
        Leaving("lib", "1.0", "removed", "not admitted any more"),
    )
    assert told(propose(team, "demo==1.1", "lib==1.0", "other"))[0] == ("demo", "1.1", "1.1", "changed")
    counts = {"added": 0, "updated": 1, "downgraded": 1, "changed": 0, "unchanged": 1, "archived": 0, "removed": 2}
    assert proposal.row.counts == {**counts, "missing": 0}


def test_yanked_files_keep_their_mark(site: Live, pypi: FakePypi) -> None:
    """What upstream has yanked is admitted as what it is: installers take it where it is asked for exactly."""
    pypi.change(whl("demo", "2.0"), yanked="broken")
    proposal = propose(site.app, "demo")
    assert told(proposal) == [("demo", "1.1", None, "added")]
    committed(site.app, proposal)
    found = pages.files(site, "demo", repo="team")
    assert {name: pages.yanked(file) for name, file in found.items() if pages.yanked(file)} == {
        whl("demo", "2.0"): "broken"
    }


# --- which files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(team: App, pypi: FakePypi) -> App:
    """`fast` with wheels for some platforms and Pythons, and an sdist."""
    for tag in (
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp312-cp312-manylinux_2_17_x86_64",
        "cp39-abi3-musllinux_1_2_aarch64",
        "cp312-cp312-win_amd64",
        "cp313-cp313t-macosx_11_0_arm64",
    ):
        pypi.add(*wheel("fast", "1.0", tag=tag), uploaded=MAY)
    pypi.add(*sdist("fast", "1.0", requires_python=">=3.11"), uploaded=MAY)
    return team


@pytest.mark.parametrize(
    ("narrow", "expected"),
    [
        (Narrow(only_binary=True), 5),
        (Narrow(platforms=("linux-x86_64",)), 3),
        (Narrow(platforms=("linux-x86_64",), only_binary=True), 2),
        (Narrow(platforms=("linux", "windows"), only_binary=True), 4),
        (Narrow(python_versions=("3.11",)), 3),
        (Narrow(python_versions=("3.10",)), 1),
        (Narrow(python_versions=("3.13t",), only_binary=True), 1),
        (Narrow(python_versions=("3.12", "3.13"), platforms=("windows-amd64",), only_binary=True), 1),
    ],
)
def test_narrowing(compiled: App, narrow: Narrow, expected: int) -> None:
    """Wheels alone, platforms and Pythons narrow the files that are exposed; the next update keeps that."""
    commit(compiled, "fast", narrow=narrow)
    files = shown(compiled, "fast")["fast"]
    assert len(files) == expected
    assert told(propose(compiled)) == [("fast", "1.0", "1.0", "unchanged")]
    commit(compiled, narrow=Narrow(only_binary=False, platforms=(), python_versions=()))
    assert len(shown(compiled, "fast")["fast"]) == 6


def test_narrowed_to_nothing(compiled: App) -> None:
    """A project without a wanted file is told, and left out if that is accepted."""
    narrow = Narrow(only_binary=True, python_versions=("3.8",))
    reason = "none of its files is for the wanted platforms and Pythons"
    with pytest.raises(PackageNotFound, match=f"fast: {reason}"):
        propose(compiled, "fast", "lib", narrow=narrow)
    proposal = propose(compiled, "fast", "lib", narrow=narrow, skip_missing=True)
    assert proposal.report.missing == (Missing("fast", (), reason),)
    committed(compiled, proposal)
    assert shown(compiled, "fast", "lib").keys() == {"lib"}


@pytest.mark.parametrize(
    "narrow",
    [Narrow(platforms=("beos",)), Narrow(python_versions=("3",)), Narrow(python_versions=("three",))],
)
def test_platforms_and_pythons_that_are_none(team: App, narrow: Narrow) -> None:
    """What isn't known is refused with what is."""
    with pytest.raises(Invalid, match="is not a") as caught:
        propose(team, "demo", narrow=narrow)
    assert "known are" in (caught.value.hint or "")


def test_needs_compilation_and_licence(team: App, pypi: FakePypi) -> None:
    """A release with a pure wheel needs no compiler, one with compiled wheels has compiled code, of an sdist nobody
    tells; the licence is that of the newest release, whether its metadata is offered or has to be read out of it."""
    mit, bsd = {"License-Expression": "MIT"}, {"License": "BSD-3-Clause"}
    pypi.add(*wheel("pure", "1.0", fields={"License": "GPL-2"}), uploaded=MAY)
    pypi.add(*wheel("pure", "1.1", fields=mit), uploaded=JULY)
    pypi.add(*wheel("built", "1", tag="cp39-abi3-win_amd64", fields=bsd), uploaded=MAY, has_metadata=False)
    pypi.add(*sdist("source", "1", fields=mit), uploaded=MAY)
    items = propose(team, "pure", "built", "source").report.items
    assert {item.package: (item.license, item.needs_compilation) for item in items} == {
        "built": ("BSD-3-Clause", "yes"),
        "pure": ("MIT", "no"),
        "source": (None, None),
    }


# --- what is taken out and added by hand ---------------------------------------------------------------------------


def test_what_is_taken_out_stays_out(team: App) -> None:
    """A version, a file, and a whole package; no later update brings them back, but a list that names the package."""
    commit(team, "demo", "lib", "other", snapshot="2023-12-01")
    assert remove(team, "Demo", "1.0") == [("removed", "demo", "1.0")]
    assert remove(team, "demo", "demo-1.1.tar.gz") == [("updated", "demo", "1.1")]
    assert remove(team, "demo", "2.0") == [("removed", "demo", "2.0")]
    assert remove(team, "lib", "all") == [("removed", "lib", "1.0"), ("removed", "lib", "1.5")]
    expected = {"demo": [whl("demo", "1.1"), whl("demo", "2.1rc1")], "other": [whl("other", "0.1")]}
    assert shown(team, "demo", "lib", "other") == expected
    assert sources.source_info(team, "set").snapshot == "2023-12-01"
    commit(team)
    assert shown(team, "demo", "lib", "other") == expected
    commit(team, "demo", "lib")
    assert shown(team, "demo", "lib", "other") == {
        "demo": expected["demo"],
        "lib": [whl("lib", "1.0"), whl("lib", "1.5")],
    }


def test_what_was_taken_out_is_added_by_its_number(team: App) -> None:
    """An exact version that is added on purpose comes back."""
    commit(team, "demo", snapshot="2023-12-01")
    remove(team, "demo", "1.0")
    committed(team, add(team, "other"))
    assert "1.0" not in versions(team)
    committed(team, add(team, "demo==1.0"))
    assert versions(team) == ["1.0"]


def test_the_last_version_is_taken_out(team: App) -> None:
    """A package of which nothing is left is gone, and an update says why it doesn't come back."""
    commit(team, "lib==1.5", "other")
    assert remove(team, "lib", "1.5") == [("removed", "lib", "1.5")]
    assert shown(team, "lib", "other") == {"other": [whl("other", "0.1")]}
    proposal = propose(team, "lib==1.5", "other", skip_missing=True)
    assert told(proposal) == [("other", "0.1", "0.1", "unchanged")]
    assert proposal.report.missing == (Missing("lib", (), "all of it that is asked for was taken out by hand"),)
    assert told(propose(team, "lib", "other"))[0] == ("lib", "1.0", None, "added")


@pytest.mark.parametrize(
    ("package", "scope", "said"),
    [
        ("nothing", "all", "has no package 'nothing'"),
        ("lib", "all", "has no package 'lib'"),
        ("demo", "9", "has no version or file 9"),
        ("a/b", "all", "has no package"),
    ],
)
def test_what_is_not_there_can_not_be_taken_out(team: App, package: str, scope: str, said: str) -> None:
    """A package or version that the source doesn't have is not found, and nothing changes."""
    commit(team, "demo")
    before = count_rows(team)
    with pytest.raises(PackageNotFound, match=said):
        remove(team, package, scope)
    assert count_rows(team) == before


def test_added_from_the_snapshot(team: App, pypi: FakePypi) -> None:
    """What is added comes from the snapshot that the source is pinned to; the others stay as they are."""
    commit(team, "demo", snapshot="2023-06-01")
    proposal = add(team, "lib", "other")
    assert told(proposal) == [
        ("demo", "1.1", "1.1", "unchanged"),
        ("lib", "1.0", None, "added"),
        ("other", "0.1", None, "added"),
    ]
    assert proposal.row.snapshot == "2023-06-01"
    committed(team, proposal)
    assert versions(team, "lib") == ["1.0"]
    again = add(team, "lib", snapshot="2023-06-01")
    assert not changes_anything(again.row.counts)
    with pytest.raises(Invalid, match="pinned to snapshot 2023-06-01"):
        add(team, "lib", snapshot="2023-12-01")
    with pytest.raises(Invalid, match="no packages to add"):
        add(team)
    with pytest.raises(Invalid):
        add(team, "")


def test_adding_leaves_the_others_as_they_are(team: App, pypi: FakePypi, clock: Clock) -> None:
    """What was uploaded before the commit, and not read by then, doesn't slip in with what is added or taken out."""
    propose(team, "demo")
    clock.wait(minutes=5)
    pypi.add(*wheel("demo", "3.0"), uploaded=clock.now)
    clock.wait(minutes=1)
    commit(team, "demo", "other")
    clock.wait(hours=1)
    assert told(add(team, "lib")) == [
        ("demo", "2.0", "2.0", "unchanged"),
        ("lib", "1.5", None, "added"),
        ("other", "0.1", "0.1", "unchanged"),
    ]
    assert remove(team, "other", "all") == [("removed", "other", "0.1")]
    assert told(propose(team))[0] == ("demo", "3.0", "2.0", "updated")


def test_the_first_packages_may_be_added(team: App) -> None:
    """A source of which nothing was asked yet takes them from the newest snapshot, or from the named one."""
    assert told(add(team, "demo<2")) == [("demo", "1.1", None, "added")]
    assert told(add(team, "demo", snapshot="2023-05-02")) == [("demo", "1.0", None, "added")]


# --- time ----------------------------------------------------------------------------------------------------------


def everything(site: Live, *names: str, snapshot: str = "latest") -> dict[str, Any]:
    """The bytes of the list and of pages in both forms, and the file rows."""
    found: dict[str, Any] = {
        f"{name}.{form}": pages.ask(site, name, snapshot, repo="team", accept=accept).data
        for name in names
        for form, accept in (("json", pages.JSON), ("html", pages.HTML))
    }
    view = open_view(site.app, "team", snapshot, who=inside).view
    rows = {name: [row.file for row in view.of_package(PackageName(name))] for name in names}
    return found | rows | {"names": pages.names(site, snapshot, repo="team")}


def test_upstream_moves_on(site: Live, pypi: FakePypi, clock: Clock) -> None:
    """Uploads, yanks, deletions and a whole project that goes leave all as it was, byte for byte, until the next
    commit; old transactions keep what they showed."""
    first = commit(site.app, "demo", "lib", "other")
    pages.download(site, "demo", whl("demo", "1.0"), repo="team")
    before = everything(site, "demo", "lib", "other")
    pypi.add(*wheel("demo", "3.0"), uploaded=clock.now)
    pypi.change(whl("demo", "2.0"), yanked="broken")
    pypi.remove(whl("demo", "1.1"))
    pypi.remove_project("other")
    clock.wait(hours=2)
    for name in ("demo", "lib", "other"):
        pages.ask(site, name)
    sync(site.app, "pypi")
    pages.ask(site, "demo")
    assert {name: file.get("yanked", False) for name, file in pages.files(site, "demo").items()} == {
        whl("demo", "1.0"): False,
        "demo-1.1.tar.gz": False,
        whl("demo", "2.0"): "broken",
        whl("demo", "2.1rc1"): False,
        whl("demo", "3.0"): False,
    }
    assert everything(site, "demo", "lib", "other") == before
    assert everything(site, "demo", "lib", "other", snapshot=str(first)) == {
        key: value if not isinstance(value, bytes) else everything(site, *before["names"], snapshot=str(first))[key]
        for key, value in before.items()
    }
    second = commit(site.app, "demo", "lib")
    assert versions(site.app) == ["1.0", "1.1", "2.0", "2.1rc1", "3.0"]
    assert everything(site, "demo", "lib", "other") != before
    assert versions(site.app, snapshot=str(first)) == ["1.0", "1.1", "2.0", "2.1rc1"]
    assert shown(site.app, "other", snapshot=str(first)) == {"other": [whl("other", "0.1")]}
    assert shown(site.app, "other", snapshot=str(second)) == {}


def test_nothing_is_asked_upstream_to_serve(site: Live, pypi: FakePypi, clock: Clock) -> None:
    """Pages, the list of names and misses are answered from what was committed; a file is fetched once."""
    commit(site.app, "demo")
    clock.wait(days=3)
    pypi.requests.clear()
    everything(site, "demo", "lib", "nothing")
    assert pages.ask(site, "lib", repo="team").status == 404
    assert pypi.requests == []
    name = whl("demo", "1.0")
    for _ in range(2):
        assert pages.download(site, "demo", name, repo="team").data == pypi.upload(name).data
    assert pages.download(site, "demo", f"{name}.metadata", repo="team").data == pypi.upload(name).metadata
    assert pypi.count(pypi.upload(name).path) == 1
    assert pypi.count(pypi.page("demo")) == 0
    pypi.fail("*", "500")
    everything(site, "demo", "lib", "nothing")
    assert pages.download(site, "demo", name, repo="team").status == 200


def test_the_first_source_wins(proxied: App, pypi: FakePypi, tmp_path: Any) -> None:
    """A package of our own hides the curated one of that name, with all its versions."""
    stock(pypi)
    sources.create_source(proxied, "internal", type_=SourceType.LOCAL_PYTHON)
    curated(proxied, "internal")
    commit(proxied, "demo", "lib")
    add_files(proxied, tmp_path, wheel("demo", "0.1"))
    assert shown(proxied, "demo", "lib") == {
        "demo": [whl("demo", "0.1")],
        "lib": [whl("lib", "1.0"), whl("lib", "1.5")],
    }
    repositories.reorder(proxied, "team", ["set", "internal"], actor="test")
    assert versions(proxied) == ["1.0", "1.1", "2.0", "2.1rc1"]


def test_an_index_without_upload_times(live_proxied: Live, pypi: FakePypi, clock: Clock) -> None:
    """Its newest state can be drawn, kept, and changed by hand; a day of the past can't, and that is told."""
    pypi.form = Form.HTML
    stock(pypi)
    app = curated(live_proxied.app)
    commit(app, "demo", "lib")
    before = everything(live_proxied, "demo", "lib")
    clock.wait(days=2)
    assert everything(live_proxied, "demo", "lib") == before
    with pytest.raises(FileNotListed, match="dates are not available for 'demo'"):
        propose(app, "demo", snapshot="2023-06-01")
    assert remove(app, "demo", "1.0") == [("removed", "demo", "1.0")]
    assert remove(app, "lib", "all") == [("removed", "lib", "1.0"), ("removed", "lib", "1.5")]
    pypi.add(*wheel("demo", "3.0"))
    clock.wait(days=1)
    assert told(propose(app)) == [("demo", "3.0", "2.0", "updated")]


# --- proposals and commits -----------------------------------------------------------------------------------------


def test_the_same_question_again(team: App) -> None:
    """The same question about the same state gives the same proposal; they are listed with the newest first."""
    first = propose(team, "demo")
    assert propose(team, "demo") == first
    second = propose(team, "lib")
    assert second.row.id != first.row.id
    rows, total = proposals.list_proposals(team, "set", Page())
    assert ([proposal.row.id for proposal in rows], total) == ([second.row.id, first.row.id], 2)
    assert proposals.get_proposal(team, "set", first.row.id) == first
    with pytest.raises(NotFound, match="has no proposal 99"):
        proposals.get_proposal(team, "set", 99)


def test_a_proposal_is_committed_as_it_was_shown(team: App, pypi: FakePypi, clock: Clock) -> None:
    """By its id it is applied to the letter, whatever upstream has by then."""
    proposal = propose(team, "demo")
    pypi.add(*wheel("demo", "3.0"), uploaded=clock.now)
    clock.wait(days=1)
    committed(team, proposal)
    assert versions(team) == ["1.0", "1.1", "2.0", "2.1rc1"]


def test_a_commit_of_something_else(team: App, pypi: FakePypi, clock: Clock) -> None:
    """A commit by its snapshot is refused with the difference where the set would not be the one that was shown."""
    shown_ = propose(team, "demo")
    pypi.add(*wheel("demo", "3.0"), uploaded=clock.now)
    pypi.remove(whl("demo", "1.0"))
    clock.wait(hours=1)
    wish = Wish("update", list_text="demo", snapshot=TODAY)
    with pytest.raises(WrongProposal) as caught:
        proposals.propose_and_commit(team, "set", wish, actor="test")
    difference = ["- demo demo-1.0-py3-none-any.whl", "+ demo demo-3.0-py3-none-any.whl"]
    assert sorted(caught.value.payload["difference"]) == sorted(difference)  # type: ignore[call-overload]
    assert caught.value.payload["shown"] == shown_.row.id
    assert shown(team, "demo") == {}
    new = proposals.get_proposal(team, "set", int(str(caught.value.payload["proposal"])))
    committed(team, new)
    assert versions(team) == ["1.1", "2.0", "2.1rc1", "3.0"]


def test_a_commit_without_a_snapshot(team: App) -> None:
    """What nobody can have reviewed is refused; with the snapshot it is done at once."""
    with pytest.raises(Invalid, match="a commit needs the snapshot that was reviewed"):
        proposals.propose_and_commit(team, "set", Wish("update", list_text="demo"), actor="test")
    wish = Wish("update", list_text="demo", snapshot=TODAY)
    done, outcome = proposals.propose_and_commit(team, "set", wish, actor="test")
    assert done.row.committed == outcome.transaction
    again = proposals.propose_and_commit(team, "set", wish, actor="test")[1]
    assert (again.transaction, again.changes) == (None, ())


def test_stale_and_double_commits(team: App) -> None:
    """A proposal is committed once, and only over the state that it was made over; nothing is done otherwise."""
    first, second = propose(team, "demo"), propose(team, "lib")
    at = committed(team, first)
    third = propose(team, "lib", snapshot="2023-06-01")
    before = count_rows(team)
    with pytest.raises(WrongProposal, match=f"proposal {first.row.id} was committed as transaction {at}"):
        proposals.commit(team, "set", first.row.id, actor="test")
    with pytest.raises(WrongProposal, match=f"proposal {second.row.id} is stale"):
        proposals.commit(team, "set", second.row.id, actor="test")
    with pytest.raises(WrongProposal, match="is of snapshot 2023-06-01, not of 2023-07-01"):
        proposals.commit(team, "set", third.row.id, actor="test", snapshot="2023-07-01")
    with pytest.raises(NotFound):
        proposals.commit(team, "set", 99, actor="test")
    assert count_rows(team) == before
    assert shown(team, "demo", "lib").keys() == {"demo"}


# --- bad input -----------------------------------------------------------------------------------------------------


def test_unknown_projects(team: App) -> None:
    """They are listed together with names that may have been meant, or left out if that is accepted."""
    sync(team, "pypi")
    with pytest.raises(PackageNotFound) as caught:
        propose(team, "demoo", "lib", "nothing-like-it", "othr>=1")
    reason = "the snapshot has no such project"
    assert caught.value.payload["packages"] == [
        {"name": "demoo", "reason": reason, "near": ["demo"]},
        {"name": "nothing-like-it", "reason": reason, "near": []},
        {"name": "othr", "reason": reason, "near": ["other"]},
    ]
    assert caught.value.message == (
        "3 packages can't be had at this snapshot: demoo: the snapshot has no such project (did you mean demo?); "
        "nothing-like-it: the snapshot has no such project; "
        "othr: the snapshot has no such project (did you mean other?)"
    )
    assert proposals.list_proposals(team, "set", Page()) == ([], 0)
    proposal = propose(team, "demoo", "lib", skip_missing=True)
    assert (told(proposal), proposal.report.missing) == (
        [("lib", "1.5", None, "added")],
        (Missing("demoo", (), reason, ("demo",)),),
    )
    committed(team, proposal)
    assert told(propose(team)) == [("lib", "1.5", "1.5", "unchanged")]


@pytest.mark.parametrize(
    ("lines", "said", "bounds"),
    [
        (["demo>=3"], "line 1 (demo>=3)", [">=3"]),
        (["demo>=2", "lib", "demo<2"], "line 1 (demo>=2) and line 3 (demo<2)", [">=2", "<2"]),
        (["demo>=1,<2,>=2"], "line 1 (demo<2,>=1,>=2)", None),
        (["demo!=2.0", "demo>=2,<2.1.dev0", "demo!=1.0"], "line 1 (demo!=2.0) and line 2", None),
    ],
)
def test_contradictions(team: App, lines: list[str], said: str, bounds: list[str] | None) -> None:
    """The fewest bounds that no version meets are named with their lines."""
    with pytest.raises(Contradiction) as caught:
        propose(team, *lines)
    assert caught.value.message.startswith(f"no version of demo at this snapshot satisfies {said}")
    if bounds is not None:
        assert caught.value.payload["bounds"] == bounds
    assert caught.value.hint == "the snapshot has 4 versions up to 2.1rc1"


def test_contradictions_of_several_projects(team: App) -> None:
    """All are told at once; one that holds only in some environments is one too."""
    with pytest.raises(Contradiction) as caught:
        propose(team, "demo>9", "lib>9; os_name == 'nt'", "other")
    assert caught.value.message == (
        "no version of demo at this snapshot satisfies line 1 (demo>9); "
        "no version of lib at this snapshot satisfies line 2 (lib>9)"
    )
    with pytest.raises(Contradiction, match=r"satisfies .*demo"):
        propose(team, "demo>=2", constraints="demo<2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no package in it|the list is empty|nothing"),
        ("# nothing\n\n", "there is no package in it|empty"),
        ("demo\n=> 1\n", "line 2"),
        ("demo\nfoo bar\n-e .\nlib\n", "line 2.*line 3"),
        ("Package: demo\nVersion: 1.0\n", "R packages"),
        (
            '{"R": {"Version": "4.3.1"}, "Packages": {"x": {"Package": "x", "Version": "1", "Source": "Repository"}}}',
            "R",
        ),
    ],
)
def test_lists_that_are_none(team: App, text: str, said: str) -> None:
    """An empty list, lines that can't be read (with their numbers), lists of R packages."""
    with pytest.raises((Invalid, InvalidBatch), match=said):
        proposals.propose(team, "set", Wish("update", list_text=text), actor="test")
    assert proposals.list_proposals(team, "set", Page()) == ([], 0)


def test_nothing_was_asked_yet(team: App) -> None:
    """An update of a source without a list needs one."""
    with pytest.raises(Invalid, match="nothing was asked of source 'set' yet"):
        propose(team)


def test_a_very_long_list(team: App, pypi: FakePypi) -> None:
    """A hundred thousand lines are read and refused, before upstream is asked for any."""
    with pytest.raises(TooLarge, match="the list has 100000 projects; at most 5000 are taken"):
        propose(team, *(f"p{number}" for number in range(100_000)))
    assert pypi.requests == []
    with pytest.raises(TooLarge, match="100000 lines are about demo; at most 1000 are taken"):
        propose(team, *(f"demo!=0.{number}" for number in range(100_000)))


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [("2024-03-02", "is newer than today"), ("9999", "does not exist"), ("1969-12-31", "has nothing at")],
)
def test_snapshots_that_are_none(team: App, snapshot: str, said: str) -> None:
    """A day to come, a transaction that isn't there, a time before all."""
    with pytest.raises(SnapshotNotFound, match=said):
        propose(team, "demo", snapshot=snapshot)


def test_upstream_is_down(team: App, pypi: FakePypi) -> None:
    """What isn't known can't be proposed: that is told as what it is, and nothing is kept."""
    pypi.fail("*", "500")
    with pytest.raises(UpstreamUnavailable):
        propose(team, "demo", "lib")
    assert proposals.list_proposals(team, "set", Page()) == ([], 0)
    pypi.heal()
    first = propose(team, "demo")
    pypi.fail("*", "500")
    assert propose(team, "demo", narrow=Narrow(with_dependencies=False)).report.items == first.report.items


# --- what the list needs -------------------------------------------------------------------------------------------

WITH = Narrow(with_dependencies=True, python_versions=("3.9", "3.12"))


def why(proposal: Proposal) -> dict[str, tuple[str, str]]:
    """Package -> its version and why it is in."""
    return {item.package: (item.version, item.reason) for item in proposal.report.items}


@pytest.fixture
def graph(proxied: App, pypi: FakePypi) -> App:
    """`app` needs `mid`, which needs `deep`; more on Windows, with old Pythons, and for an extra."""
    needs = ["mid[more]>=1", "colours; sys_platform == 'win32'", "old; python_version < '3.11'"]
    pypi.add(*wheel("app", "1.0", requires=needs), uploaded=MAY)
    pypi.add(*wheel("app", "2.0", requires=[*needs, "fresh"]), uploaded=JULY)
    for version in ("0.9", "1.0", "1.1"):
        requires = ["deep", "extra-lib; extra == 'more'"]
        pypi.add(*wheel("mid", version, requires=requires, extras=["more"]), uploaded=MAY)
    for name in ("colours", "old", "extra-lib", "fresh", "unrelated"):
        pypi.add(*wheel(name, "1.0"), uploaded=MAY)
    pypi.add(*wheel("deep", "0.1", requires=["app"]), uploaded=MAY)
    pypi.add(*sdist("deep", "0.1", requires=["app"]), uploaded=MAY)
    for version, python in (("1.9", ">=3.8"), ("2.4", ">=3.11")):
        pypi.add(*wheel("numbers", version, requires_python=python), uploaded=MAY)
    return curated(proxied)


def test_what_the_list_needs(graph: App) -> None:
    """The closure comes along, each project in the resolved version with the chain that needs it, on all platforms
    and all Pythons that are wanted; the list itself still filters."""
    proposal = propose(graph, "app", narrow=WITH)
    assert why(proposal) == {
        "app": ("2.0", "asked for"),
        "colours": ("1.0", "app"),
        "deep": ("0.1", "app > mid"),
        "extra-lib": ("1.0", "app > mid"),
        "fresh": ("1.0", "app"),
        "mid": ("1.1", "app"),
        "old": ("1.0", "app"),
    }
    assert [item.asked for item in proposal.report.items] == ["app", "", "", "", "", "", ""]
    committed(graph, proposal)
    assert shown(graph, "app", "mid", "deep", "unrelated") == {
        "app": [whl("app", "1.0"), whl("app", "2.0")],
        "mid": [whl("mid", "1.1")],
        "deep": [whl("deep", "0.1"), "deep-0.1.tar.gz"],
    }
    assert not changes_anything(propose(graph).row.counts)
    committed(graph, propose(graph, narrow=Narrow(with_dependencies=False)))
    assert shown(graph, "app", "mid", "deep").keys() == {"app"}


def test_what_is_needed_at_a_past_day(graph: App) -> None:
    """The closure is that of the snapshot, within the constraints; markers of these count too."""
    proposal = propose(
        graph,
        "app",
        snapshot="2023-06-01",
        constraints="mid<1.1\nunrelated==1.0\ndeep<0.1; python_version < '3.8'\n",
        narrow=WITH,
    )
    assert {name: version for name, (version, _) in why(proposal).items() if name in ("app", "mid", "fresh")} == {
        "app": "1.0",
        "mid": "1.0",
    }
    committed(graph, proposal)
    assert why(propose(graph, snapshot="2023-06-02"))["mid"] == ("1.0", "app")


def test_pythons_and_platforms_of_what_is_needed(graph: App) -> None:
    """Only what the wanted Pythons need comes along, in a version for each of them, and only files that they take."""
    assert "old" not in why(propose(graph, "app", narrow=Narrow(with_dependencies=True, python_versions=("3.12",))))
    assert "old" not in why(propose(graph, "app", narrow=Narrow(with_dependencies=True, python_versions=("3.13t",))))
    narrow = Narrow(with_dependencies=True, only_binary=True, python_versions=("3.9", "3.12"))
    commit(graph, "app", "numbers", narrow=narrow)
    assert shown(graph, "deep", "numbers") == {
        "deep": [whl("deep", "0.1")],
        "numbers": [whl("numbers", "1.9"), whl("numbers", "2.4")],
    }
    moved = propose(graph, "app", "numbers", narrow=Narrow(python_versions=("3.12",)))
    assert moved.report.leaving == (Leaving("old", "1.0", "removed", "neither asked for nor needed"),)


def test_a_version_for_each_python_of_what_is_needed(graph: App, pypi: FakePypi) -> None:
    """Where Pythons need different versions of what comes along, all of these are in."""
    pypi.add(*wheel("user", "1", requires=["numbers"]), uploaded=MAY)
    proposal = propose(graph, "user", narrow=WITH)
    assert [(item.package, item.version, item.releases) for item in proposal.report.items] == [
        ("numbers", "2.4", 2),
        ("user", "1", 1),
    ]


def test_needed_files_that_are_not_wanted(graph: App, pypi: FakePypi) -> None:
    """What is needed and has no file for the wanted platforms is named with the chain that needs it."""
    pypi.add(*wheel("tied", "1", tag="cp39-abi3-win_amd64"), uploaded=MAY)
    pypi.add(*wheel("user", "1", requires=["tied"]), uploaded=MAY)
    proposal = propose(graph, "user", narrow=Narrow(with_dependencies=True, platforms=("linux",)))
    assert proposal.report.missing == (
        Missing("tied", ("user",), "none of its files is for the wanted platforms and Pythons"),
    )
    assert why(proposal).keys() == {"user"}


def test_what_only_other_platforms_need(graph: App) -> None:
    """What no wanted platform needs doesn't come along; with one that needs it, it does."""
    linux = Narrow(with_dependencies=True, python_versions=("3.12",), platforms=("linux-x86_64",))
    both = Narrow(with_dependencies=True, python_versions=("3.12",), platforms=("linux-x86_64", "windows"))
    assert "colours" not in why(propose(graph, "app", narrow=linux))
    assert why(propose(graph, "app", narrow=both))["colours"] == ("1.0", "app")


def test_places_without_a_file_are_told(graph: App, pypi: FakePypi) -> None:
    """A note names each project that has files for some of the wanted Pythons and platforms but not for all, also one
    that only came along; not where it isn't wanted."""
    pypi.add(*wheel("tied", "1", tag="cp312-cp312-manylinux_2_17_x86_64"), uploaded=MAY)
    pypi.add(*wheel("winny", "1", tag="cp39-abi3-win_amd64"), uploaded=MAY)
    pypi.add(*wheel("user", "1", requires=["tied", "winny; sys_platform == 'win32'"]), uploaded=MAY)
    narrow = Narrow(
        with_dependencies=True,
        only_binary=True,
        python_versions=("3.9", "3.12"),
        platforms=("linux-x86_64", "windows-amd64"),
    )
    proposal = propose(graph, "user", narrow=narrow)
    assert why(proposal).keys() == {"tied", "user", "winny"}
    assert proposal.report.notes == (
        "tied has no wanted file for Python 3.9 on linux-x86_64, Python 3.9 on windows-amd64, "
        "Python 3.12 on windows-amd64",
    )
    alone = propose(graph, "tied", narrow=Narrow(with_dependencies=False, python_versions=("3.9", "3.12")))
    assert alone.report.notes == ("tied has no wanted file for Python 3.9",)


def test_needs_that_contradict_each_other(graph: App, pypi: FakePypi) -> None:
    """What can't be had together with its dependencies is refused with what clashes."""
    pypi.add(*wheel("user", "1", requires=["mid<1"]), uploaded=MAY)
    with pytest.raises(Unresolvable) as caught:
        propose(graph, "user", "app", narrow=WITH)
    assert "mid<1" in caught.value.message
    assert "mid" in str(caught.value.payload["explanation"])
    pypi.add(*wheel("lost", "1", requires=["no-where"]), uploaded=MAY)
    with pytest.raises(Unresolvable, match="no-where is not on the index"):
        propose(graph, "lost", narrow=WITH)
    assert proposals.list_proposals(graph, "set", Page()) == ([], 0)


def test_taking_out_what_is_needed(graph: App) -> None:
    """A project that others need can't be taken out whole; of one version another one takes the place."""
    commit(graph, "app", narrow=WITH)
    before = count_rows(graph)
    with pytest.raises(Conflict, match="deep is needed: app > mid > deep"):
        remove(graph, "deep", "all")
    with pytest.raises(Unresolvable):
        remove(graph, "deep", "0.1")
    assert count_rows(graph) == before
    assert remove(graph, "mid", "1.1") == [("added", "mid", "1.0"), ("removed", "mid", "1.1")]
    assert versions(graph, "mid") == ["1.0"]
    assert why(propose(graph))["mid"] == ("1.0", "app")
    assert remove(graph, "app", "all")
    assert shown(graph, "app", "mid", "deep", "colours") == {}


def test_adding_with_what_it_needs(graph: App, clock: Clock, pypi: FakePypi) -> None:
    """What is added to such a source brings its own needs, from the snapshot of the source."""
    commit(graph, "app<2", snapshot="2023-06-01", narrow=WITH)
    pypi.add(*wheel("user", "1", requires=["unrelated", "mid"]), uploaded=MAY)
    proposal = add(graph, "user")
    assert why(proposal)["unrelated"] == ("1.0", "user")
    assert {item.package for item in proposal.report.items if item.change is ItemChange.ADDED} == {"user", "unrelated"}


# --- the files that people have ------------------------------------------------------------------------------------

PYPROJECT = """
[project]
name = "mine"
version = "1"
dependencies = ["Demo>=1.1,<2", "lib; python_version > '3'"]

[project.optional-dependencies]
more = ["other"]
"""
FREEZE = "# frozen\nDemo==1.1\nlib==1.5 \\\n    --hash=sha256:{lib}\n"
UV_LOCK = """
version = 1
revision = 2
requires-python = ">=3.11"

[[package]]
name = "mine"
version = "0"
source = {{ virtual = "." }}

[[package]]
name = "demo"
version = "1.1"
source = {{ registry = "https://index.example.org/simple" }}
sdist = {{ url = "https://x.invalid/demo-1.1.tar.gz", hash = "sha256:{sdist}", size = 1 }}

[[package]]
name = "lib"
version = "1.5"
source = {{ registry = "https://index.example.org/simple" }}
wheels = [{{ url = "https://x.invalid/lib-1.5-py3-none-any.whl", hash = "sha256:{lib}", size = 1 }}]
"""
PYLOCK = """
lock-version = "1.0"
created-by = "test"

[[packages]]
name = "demo"
version = "1.1"
sdist = {{ url = "https://x.invalid/demo-1.1.tar.gz", hashes = {{ sha256 = "{sdist}" }} }}

[[packages]]
name = "lib"
version = "1.5"
marker = "os_name == 'posix'"
wheels = [{{ url = "https://x.invalid/lib-1.5-py3-none-any.whl", hashes = {{ sha256 = "{lib}" }} }}]
"""


@pytest.mark.parametrize(
    ("text", "demo", "lib"),
    [
        (PYPROJECT, [whl("demo", "1.1"), "demo-1.1.tar.gz"], [whl("lib", "1.0"), whl("lib", "1.5")]),
        (FREEZE, [whl("demo", "1.1"), "demo-1.1.tar.gz"], [whl("lib", "1.5")]),
        (UV_LOCK, ["demo-1.1.tar.gz"], [whl("lib", "1.5")]),
        (PYLOCK, ["demo-1.1.tar.gz"], [whl("lib", "1.5")]),
    ],
    ids=["pyproject.toml", "pip freeze", "uv.lock", "pylock.toml"],
)
def test_files_that_people_have(team: App, pypi: FakePypi, text: str, demo: list[str], lib: list[str]) -> None:
    """A project's file and lock files are known by what is in them; hashes in them pin files."""
    hashes = {"sdist": pypi.upload("demo-1.1.tar.gz").sha256, "lib": pypi.upload(whl("lib", "1.5")).sha256}
    if text is not PYPROJECT:
        text = text.format(**hashes)
    commit(team, *text.splitlines())
    assert shown(team, "demo", "lib", "other") == {"demo": demo, "lib": lib}
