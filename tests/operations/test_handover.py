"""The preview of another order of sources, held against what the repository shows after that order was given."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import Invalid, NeverSynced, StalePreview, WrongType
from entrepot.core.handover import HandoverKind
from entrepot.core.model import FileStatus, PackageName, RepositoryType, SourceType
from entrepot.operations import activity, browsing, packages, proposals, records, repositories, sources
from entrepot.operations.browsing import Page
from entrepot.operations.curating import Curation
from entrepot.operations.drafting import Wish
from entrepot.operations.handover import Change, Preview, Standing, preview
from entrepot.operations.serving import patiently
from entrepot.settings import Settings
from entrepot.sources import projects
from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.fake_bioc import FakeBioc
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import Clock, installed, sync

EARLY, LATE = datetime(2024, 2, 10, 9, tzinfo=UTC), datetime(2024, 2, 28, 9, tzinfo=UTC)
ALL = Page(1000)
Hands = dict[str, tuple[str | None, str | None]]
"""Package -> its source and current version; the version is None where all are archived."""


def add(app: App, folder: Path, source: str, *files: tuple[str, bytes]) -> None:
    uploads = []
    for name, data in files:
        (folder / name).write_bytes(data)
        uploads.append(packages.Upload(name, folder / name))
    packages.add_files(app, source, uploads, actor="test")


def tarball(name: str, version: str) -> tuple[str, bytes]:
    return f"{name}_{version}.tar.gz", make_source_package(name, version)


def told(change: Change) -> tuple[str, str, tuple[str | None, str | None] | None, tuple[str | None, str | None] | None]:
    before, after = (None if each is None else (each.source, each.version) for each in (change.before, change.after))
    return change.kind.value, change.package, before, after


def hands(app: App, repo: str, names: Sequence[str], *, bioc_version: str | None = None) -> Hands:
    """Where clients of the repository get each of these packages from, as the files say that they are given."""
    opened = browsing.open_repository(app, repo, "latest", bioc_version=bioc_version)
    found: Hands = {}
    for name in names:
        rows = patiently(partial(opened.view.of_package, PackageName(name)))
        if rows:
            current = [row for row in rows if row.status is FileStatus.CURRENT]
            releases = opened.dialect.releases(current)
            version = releases.latest.version if releases is not None else None
            found[name] = opened.names[rows[0].file.source_id], version
    return found


def changed(before: Hands, after: Hands) -> dict[str, tuple[object, object]]:
    """The packages that come from elsewhere, or from nowhere."""
    both = {name: (before.get(name), after.get(name)) for name in before.keys() | after.keys()}
    return {name: (was, is_) for name, (was, is_) in both.items() if (was and was[0]) != (is_ and is_[0])}


def previewed(found: Preview) -> dict[str, tuple[object, object]]:
    return {each.package: told(each)[2:] for each in found.changes}


NAMES = [f"p{n:02}" for n in range(30)]


@pytest.fixture
def team(mirrored: App, cran: FakeCran, tmp_path: Path) -> App:
    """The repository `team` over `one`, which shares names with the mirror `cran`; besides there are `two`, with some
    packages in its archive alone, `frozen` and `chosen`, which show the mirror as it was, in whole and in part."""
    app = mirrored
    for name in NAMES[:20]:
        cran.add(name, "1.0", make_source_package(name, "1.0"), EARLY)
    for name in NAMES[5:15]:
        cran.add(name, "1.1", make_source_package(name, "1.1"), LATE)
    for name in NAMES[17:20]:
        cran.remove(name, on=LATE)
    cran.publish()
    sync(app)
    for source in ("one", "two"):
        sources.create_source(app, source, type_=SourceType.LOCAL)
    add(app, tmp_path, "one", *(tarball(name, "9.0") for name in (*NAMES[3:6], *NAMES[18:22])))
    add(app, tmp_path, "two", *(tarball(name, "8.0") for name in NAMES[4:30:4]))
    for name in NAMES[4:30:8]:
        packages.archive_package(app, "two", name, actor="test")
    sources.create_source(app, "frozen", type_=SourceType.CRAN_SNAPSHOT, curation=Curation("2024-02-15"))
    sources.create_source(app, "chosen", type_=SourceType.CURATED_CRAN)
    made = proposals.propose(app, "chosen", Wish("update", packages=("p06", "p18==1.0", "p02")), actor="test")
    proposals.commit(app, "chosen", made.row.id, actor="test")
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for source in ("one", "cran"):
        repositories.subscribe(app, "team", source, actor="test")
    return app


def test_a_reorder_takes_shared_names_from_elsewhere(team: App) -> None:
    """Those that both sources have move, those that one has in its archive alone as well; nothing is written."""
    before = hands(team, "team", NAMES)
    found = preview(team, "team", ["cran", "one"], page=ALL)
    assert [told(change) for change in found.changes] == [
        ("moved", "p03", ("one", "9.0"), ("cran", "1.0")),
        ("moved", "p04", ("one", "9.0"), ("cran", "1.0")),
        ("moved", "p05", ("one", "9.0"), ("cran", "1.1")),
        ("moved", "p18", ("one", "9.0"), ("cran", None)),
        ("moved", "p19", ("one", "9.0"), ("cran", None)),
    ]
    assert (found.counts, found.unread) == ({"moved": 5, "added": 0, "removed": 0}, ())
    assert hands(team, "team", NAMES) == before
    assert preview(team, "team", ["one", "cran"], page=ALL).changes == ()


def test_sources_that_come_and_go(team: App) -> None:
    """Names that none had before appear, those that none has then go."""
    found = preview(team, "team", ["one"], page=ALL)
    assert found.counts == {"moved": 0, "added": 0, "removed": 15}
    assert told(found.changes[0]) == ("removed", "p00", ("cran", "1.0"), None)
    found = preview(team, "team", ["one", "cran", "two"], page=ALL)
    assert [told(change) for change in found.changes] == [
        ("added", "p24", None, ("two", "8.0")),
        ("added", "p28", None, ("two", None)),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_what_was_previewed_is_what_happens(team: App, seed: int) -> None:
    """After the order is given each previewed package comes from where it was said, and no other changed hands."""
    order = random.Random(seed)
    every = ["one", "two", "cran", "frozen", "chosen"]
    seen = 0
    for _ in range(8):
        wanted = order.sample(every, order.randint(0, len(every)))
        before, found = hands(team, "team", NAMES), preview(team, "team", wanted, page=ALL)
        repositories.reorder(team, "team", wanted, actor="test", may_change=True, digest=found.digest)
        after = hands(team, "team", NAMES)
        assert previewed(found) == changed(before, after)
        assert sum(found.counts.values()) == len(found.changes)
        seen += len(found.changes)
    assert seen > 20


def test_a_page_of_it(team: App) -> None:
    """Pages come by name; the numbers are those of all."""
    whole = preview(team, "team", ["cran", "two"], page=ALL)
    pages = [preview(team, "team", ["cran", "two"], page=Page(4, number)) for number in (1, 2, 3)]
    assert [len(page.changes) for page in pages] == [4, 4, len(whole.changes) - 8]
    assert sum((page.changes for page in pages), ()) == whole.changes
    assert {page.digest for page in pages} == {whole.digest}
    assert all(page.counts == whole.counts for page in pages)


def test_one_transaction_for_all_that_changes(team: App) -> None:
    """Sources that come, go and move are one transaction, which says so."""
    repositories.reorder(team, "team", ["two", "cran"], actor="ann", may_change=True)
    (newest, *_), total = activity.list_transactions(team, repo="team", page=Page())
    assert newest.transaction.message == "subscribed to two; unsubscribed from one; reordered: two, cran"
    repositories.reorder(team, "team", ["two", "cran"], actor="ann", may_change=True)
    repositories.reorder(team, "team", ["two"], actor="ann", may_change=True)
    (newest, *_), more = activity.list_transactions(team, repo="team", page=Page())
    assert (newest.transaction.message, newest.transaction.actor, more) == ("unsubscribed from cran", "ann", total + 1)


def test_a_preview_that_is_out_of_date(team: App, tmp_path: Path) -> None:
    """Another order by now, something new in a source, or a digest of another wish: refused, and nothing changed."""
    wish = ["cran", "one"]
    seen = preview(team, "team", wish, page=ALL).digest
    with pytest.raises(StalePreview):
        repositories.reorder(team, "team", ["one", "cran", "two"], actor="test", may_change=True, digest=seen)
    repositories.subscribe(team, "team", "two", actor="test")
    with pytest.raises(StalePreview):
        repositories.reorder(team, "team", wish, actor="test", may_change=True, digest=seen)
    seen = preview(team, "team", wish, page=ALL).digest
    add(team, tmp_path, "one", tarball("p00", "9.0"))
    with pytest.raises(StalePreview, match="changed since this was previewed"):
        repositories.reorder(team, "team", wish, actor="test", may_change=True, digest=seen)
    assert [s.name for s in repositories.repository_info(team, "team").sources] == ["one", "cran", "two"]
    seen = preview(team, "team", wish, page=ALL).digest
    sources.create_source(team, "elsewhere", type_=SourceType.LOCAL)
    repositories.reorder(team, "team", wish, actor="test", may_change=True, digest=seen)


def test_what_can_not_be_wished(team: App) -> None:
    """A source twice, one of the other language, a version where none belongs; as when it is given."""
    sources.create_source(team, "py", type_=SourceType.LOCAL_PYTHON)
    with pytest.raises(Invalid, match="each source"):
        preview(team, "team", ["one", "one"], page=ALL)
    with pytest.raises(WrongType, match="compatible"):
        preview(team, "team", ["py"], page=ALL)
    with pytest.raises(Invalid, match="no versions of Bioconductor"):
        preview(team, "team", ["two"], versions={"two": "3.18"}, page=ALL)
    with pytest.raises(Invalid, match="each source"):
        preview(team, "team", ["two"], versions={"one": "3.18"}, page=ALL)
    for order in (["one"], ["one", "cran", "two"]):
        with pytest.raises(Invalid, match="each source"):
            repositories.reorder(team, "team", order, actor="test")


def test_a_mirror_that_was_never_synced(app: App, tmp_path: Path) -> None:
    """What it will bring isn't known, and the preview says of which."""
    sources.create_source(app, "one", type_=SourceType.LOCAL)
    add(app, tmp_path, "one", tarball("abc", "1.0"))
    found = preview(app, "cran", ["one", "cran"], page=ALL)
    assert ([told(change) for change in found.changes], found.unread) == (
        [("added", "abc", None, ("one", "1.0"))],
        ("cran",),
    )


# --- an index of Python packages -----------------------------------------------------------------------------------

LISTED = [f"n{n:03}" for n in range(50)]


@pytest.fixture
def python(proxied: App, pypi: FakePypi, tmp_path: Path) -> App:
    """`team` over `own` and an index with 53 names, of which `own` has two, and `gone`, which the index has no more."""
    app = proxied
    pypi.add_empty(*LISTED, "gone")
    pypi.add(*wheel("demo", "1.0"), uploaded=EARLY)
    pypi.add(*wheel("demo", "2.0rc1"), uploaded=LATE)
    pypi.add(*wheel("lib", "1.0"), uploaded=EARLY)
    sync(app, "pypi")
    for source in ("own", "other"):
        sources.create_source(app, source, type_=SourceType.LOCAL_PYTHON)
    add(app, tmp_path, "own", *(wheel(name, "9.0") for name in ("demo", "n001", "mine", "gone")))
    add(app, tmp_path, "other", wheel("lib", "7.0"), wheel("mine", "7.0"), wheel("aaa", "7.0"))
    repositories.create_repository(app, "team", type_=RepositoryType.PYTHON)
    for source in ("own", "pypi"):
        repositories.subscribe(app, "team", source, actor="test")
    return app


def read(app: App, name: str) -> None:
    """Have a project read of the index, as somebody does who asks for it."""
    records.package_releases(lambda: browsing.open_source(app, "pypi", "latest"), name)


def test_names_of_an_index_that_nobody_asked_for(python: App, pypi: FakePypi) -> None:
    """A name on the index's list is the index's; of what was read its version is told; upstream isn't asked."""
    read(python, "demo")
    asked = len(pypi.requests)
    found = preview(python, "team", ["pypi", "own"], page=ALL)
    assert [told(change) for change in found.changes] == [
        ("moved", "demo", ("own", "9.0"), ("pypi", "1.0")),
        ("moved", "gone", ("own", "9.0"), ("pypi", None)),
        ("moved", "n001", ("own", "9.0"), ("pypi", None)),
    ]
    assert len(pypi.requests) == asked


def test_a_project_that_the_index_has_no_more(python: App, pypi: FakePypi) -> None:
    """What was read of a project counts more than the list: where upstream has its page no more, ours stays."""
    source = sources.source_info(python, "pypi").source
    asyncio.run(projects.read(python, source, PackageName("gone")).result())
    assert [each.package for each in preview(python, "team", ["pypi", "own"], page=ALL).changes][1] == "gone"
    pypi.remove_project("gone")
    asyncio.run(projects.read(python, source, PackageName("gone")).result())
    assert [each.package for each in preview(python, "team", ["pypi", "own"], page=ALL).changes] == ["demo", "n001"]


def test_an_index_that_goes(python: App) -> None:
    """Its names are counted, and given by the page with those of other sources in their places."""
    found = preview(python, "team", ["own", "other"], page=Page(5))
    assert found.counts == {"moved": 1, "added": 1, "removed": 49}
    assert [told(change) for change in found.changes] == [
        ("added", "aaa", None, ("other", "7.0")),
        ("moved", "lib", ("pypi", None), ("other", "7.0")),
        ("removed", "n000", ("pypi", None), None),
        ("removed", "n002", ("pypi", None), None),
        ("removed", "n003", ("pypi", None), None),
    ]
    every = [
        change.package
        for number in range(1, 12)
        for change in preview(python, "team", ["own", "other"], page=Page(5, number)).changes
    ]
    assert every == ["aaa", "lib", *(name for name in LISTED if name != "n001")]


def test_an_index_that_comes(python: App) -> None:
    """The same the other way round; after it was given clients get these names from where it was said."""
    names = ["aaa", "demo", "lib", "mine", "gone", "n001"]
    for name in ("demo", "lib"):
        read(python, name)
    repositories.reorder(python, "team", ["other", "own"], actor="test", may_change=True)
    wanted = ["pypi", "own", "other"]
    before, found = hands(python, "team", names), preview(python, "team", wanted, page=ALL)
    repositories.reorder(python, "team", wanted, actor="test", may_change=True, digest=found.digest)
    after = hands(python, "team", names)
    assert found.counts == {"moved": 5, "added": 49, "removed": 0}
    # Of a project without files there are no rows to look at.
    some = {name: both for name, both in previewed(found).items() if name in names and name not in ("gone", "n001")}
    assert some == {name: both for name, both in changed(before, after).items() if name not in ("gone", "n001")}
    assert sorted(some) == ["demo", "lib", "mine"]


def test_a_list_that_was_never_read(proxied: App, tmp_path: Path) -> None:
    """The index is named among those of which nothing is known; what was read of it counts."""
    sources.create_source(proxied, "own", type_=SourceType.LOCAL_PYTHON)
    add(proxied, tmp_path, "own", wheel("demo", "9.0"))
    found = preview(proxied, "pypi", ["own"], page=ALL)
    assert (found.counts, found.unread) == ({"moved": 0, "added": 1, "removed": 0}, ("pypi",))


# --- Bioconductor --------------------------------------------------------------------------------------------------


def test_versions_of_bioconductor(settings: Settings, clock: Clock) -> None:
    """In an R repository its parts come as one; in one of Bioconductor the version is looked at that comes or goes."""
    with FakeBioc() as bioc:
        bioc.config()
        bioc.part("3.18", "bioc", {"Biobase": "2.62.0", "both": "1.0"})
        bioc.part("3.18", "data/annotation", {"org.Hs.eg.db": "3.18.0", "both": "2.0"})
        bioc.part("3.17", "bioc", {"Biobase": "2.60.0"})
        changed_ = settings.bioconductor.model_copy(update={"upstream": bioc.url})
        repos = settings.repos.model_copy(update={"bioconductor": "bioconductor"})
        with installed(settings.model_copy(update={"bioconductor": changed_, "repos": repos}), clock) as app:
            _look_at_versions(app)


def _look_at_versions(app: App) -> None:
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    with pytest.raises(NeverSynced):
        preview(app, "bioconductor", [], page=ALL)
    sync(app, "bioconductor")
    with pytest.raises(Invalid, match="takes one version"):
        preview(app, "team", ["bioconductor"], page=ALL)
    wish = {"versions": {"bioconductor": "3.18"}, "page": ALL}
    found = preview(app, "team", ["cran", "bioconductor"], **wish)  # type: ignore[arg-type]
    assert [(each.package, each.after and each.after.version) for each in found.changes] == [
        ("Biobase", "2.62.0"),
        ("both", "1.0"),
        ("org.Hs.eg.db", "3.18.0"),
    ]
    assert found.unread == ("cran",)
    before = hands(app, "team", ["Biobase", "both", "org.Hs.eg.db"])
    repositories.reorder(
        app, "team", ["cran", "bioconductor"], actor="me", versions={"bioconductor": "3.18"}, may_change=True
    )
    after = hands(app, "team", ["Biobase", "both", "org.Hs.eg.db"])
    assert previewed(found) == changed(before, after)
    (newest, *_), _ = activity.list_transactions(app, repo="team", page=Page())
    assert newest.transaction.message == "subscribed to cran; subscribed to bioconductor 3.18"
    gone = preview(app, "bioconductor", [], page=ALL)
    assert (gone.version, gone.counts[HandoverKind.REMOVED]) == ("3.18", 3)
    assert preview(app, "bioconductor", [], bioc_version="3.17", page=ALL).changes == (
        Change(HandoverKind.REMOVED, PackageName("Biobase"), Standing("bioconductor/3.17/bioc", "2.60.0"), None),
    )
    sources.create_source(app, "", type_=SourceType.BIOCONDUCTOR, version="3.17")
    repositories.create_repository(app, "old", type_=RepositoryType.BIOCONDUCTOR)
    repositories.reorder(app, "old", ["bioc-3.17"], actor="me", may_change=True)
    assert preview(app, "old", [], page=ALL).version == "3.17"
