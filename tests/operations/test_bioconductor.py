"""Bioconductor in repositories: over HTTP, in an R repository, and as people are told of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from entrepot.app import App
from entrepot.core.errors import AlreadySubscribed, Invalid, SourceInUse
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import bioconductor, browsing, clientsetup, repositories, sources, syncing
from entrepot.settings import Settings
from tests.support.fake_bioc import FakeBioc, config_text
from tests.support.server import Clock, Live, installed, running


@pytest.fixture
def app(settings: Settings, clock: Clock) -> Iterator[App]:
    """3.18 with a package in bioc and one in data/annotation, and 3.17, synced."""
    with FakeBioc() as bioc:
        bioc.config()
        bioc.part("3.18", "bioc", {"Biobase": "2.62.0", "both": "1.0"})
        bioc.part("3.18", "data/annotation", {"org.Hs.eg.db": "3.18.0", "both": "2.0"})
        bioc.part("3.17", "bioc", {"Biobase": "2.60.0"})
        changed = settings.bioconductor.model_copy(update={"upstream": bioc.url})
        repos = settings.repos.model_copy(update={"bioconductor": "bioconductor"})
        with installed(settings.model_copy(update={"bioconductor": changed, "repos": repos}), clock) as opened:
            meta = sources.source_info(opened, "bioconductor").source
            syncing.sync(opened, meta.id, force=False, report=lambda *_: None)
            yield opened


@pytest.fixture
def live(app: App) -> Iterator[Live]:
    with running(app) as site:
        yield site


def listing(app: App, repo: str, snapshot: str = "latest") -> dict[str, str]:
    view = browsing.open_repository(app, repo, snapshot).view
    return {row.file.package: row.file.version for row in view.current()}


@pytest.mark.one_shape
def test_what_clients_ask_for(live: Live) -> None:
    """The configuration as upstream wrote it, and each part as a repository of its own; with or without a snapshot."""
    for place in ("/bioconductor", "/bioconductor/latest"):
        assert live.get(f"{place}/config.yaml").data.decode() == config_text()
        index = live.get(f"{place}/packages/3.18/bioc/src/contrib/PACKAGES").data.decode()
        assert [line for line in index.splitlines() if line.startswith("Package")] == [
            "Package: Biobase",
            "Package: both",
        ]
        assert live.get(f"{place}/packages/3.18/books/src/contrib/PACKAGES").data == b""
    release = live.get("/bioconductor/latest/packages/release/bioc/src/contrib/PACKAGES.gz")
    numbered = live.get("/bioconductor/latest/packages/3.18/bioc/src/contrib/PACKAGES.gz")
    assert release.headers["etag"] == numbered.headers["etag"]
    got = live.get("/bioconductor/latest/packages/3.17/bioc/src/contrib/Biobase_2.60.0.tar.gz")
    assert (got.status, got.headers["x-package-type"]) == (200, "source")
    missing = live.get("/bioconductor/latest/packages/3.18/bioc/src/contrib/Biobase_2.60.0.tar.gz")
    assert missing.status == 404


@pytest.mark.one_shape
@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("packages/3.42/bioc/src/contrib/PACKAGES", 404, "versions are 3.19, 3.18, 3.17; release is 3.18"),
        ("packages/3.19/bioc/src/contrib/PACKAGES", 503, "bioconductor/3.19/bioc was never synced"),
        ("packages/3.18/extra/src/contrib/PACKAGES", 404, "PART is one of bioc, data/annotation"),
        ("src/contrib/PACKAGES", 404, "a Bioconductor repository has nothing at"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(live: Live, path: str, status: int, told: str) -> None:
    """Versions that nobody knows name those that there are."""
    answer = live.get(f"/bioconductor/latest/{path}")
    assert (answer.status, told in answer.data.decode()) == (status, True)


def test_a_version_in_an_r_repository(app: App) -> None:
    """Its parts stand in the place of the source, in order; subscriptions keep their version when others change, and an
    old snapshot shows the one that it had."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    sources.create_source(app, "mine", type_=SourceType.LOCAL)
    first = repositories.subscribe(app, "team", "bioconductor", actor="me", version="3.18").transaction
    assert listing(app, "team") == {"Biobase": "2.62.0", "both": "1.0", "org.Hs.eg.db": "3.18.0"}
    repositories.subscribe(app, "team", "mine", actor="me")
    info = repositories.reorder(app, "team", ["mine", "bioconductor"], actor="me")
    assert [(source.name, source.version) for source in info.sources] == [("mine", None), ("bioconductor", "3.18")]
    assert listing(app, "team")["both"] == "1.0"
    repositories.unsubscribe(app, "team", "bioconductor", actor="me")
    made, _ = sources.create_source(app, "", type_=SourceType.BIOCONDUCTOR, version="3.17")
    assert (made.source.name, made.packages) == ("bioc-3.17", 1)
    repositories.subscribe(app, "team", "bioc-3.17", actor="me")
    assert listing(app, "team") == {"Biobase": "2.60.0"}
    assert listing(app, "team", str(first))["Biobase"] == "2.62.0"


def test_the_versions_that_a_set_up_can_be_of(app: App) -> None:
    """All that there are, or those that the subscriptions are of; which of them are mirrored, and what goes
    with each."""
    found = clientsetup.choices(app, "bioconductor")
    assert [(each.version, each.word, each.is_mirrored) for each in found.bioc_versions] == [
        ("3.19", "devel", False),
        ("3.18", "release", True),
        ("3.17", "", True),
    ]
    known = bioconductor.versions(app)
    assert [each.cran_snapshot for each in found.bioc_versions] == [each.cran_snapshot for each in known]
    assert found.cran == "cran"
    sources.create_source(app, "", type_=SourceType.BIOCONDUCTOR, version="3.17")
    repositories.create_repository(app, "one", type_=RepositoryType.BIOCONDUCTOR)
    repositories.unsubscribe(app, "one", "bioconductor", actor="me")
    repositories.subscribe(app, "one", "bioc-3.17", actor="me")
    assert [each.version for each in clientsetup.choices(app, "one").bioc_versions] == ["3.17"]
    assert clientsetup.choices(app, "cran").bioc_versions == ()


def test_what_does_not_go_is_refused(app: App) -> None:
    """No version where one is needed, one where none can be, another one of the same source."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    sources.create_source(app, "mine", type_=SourceType.LOCAL)
    with pytest.raises(Invalid, match="takes one version of 'bioconductor'"):
        repositories.subscribe(app, "team", "bioconductor", actor="me")
    with pytest.raises(Invalid, match="has no versions of Bioconductor"):
        repositories.subscribe(app, "team", "mine", actor="me", version="3.18")
    repositories.subscribe(app, "team", "bioconductor", actor="me", version="release")
    with pytest.raises(AlreadySubscribed, match=r"already, 3\.18 of it"):
        repositories.subscribe(app, "team", "bioconductor", actor="me", version="3.17")
    with pytest.raises(Invalid, match="exists from the start"):
        sources.create_source(app, "other", type_=SourceType.BIOCONDUCTOR)
    with pytest.raises(Invalid, match="can't be deleted"):
        sources.delete_source(app, "bioconductor")


def test_a_source_of_a_version_is_renamed_and_deleted(app: App) -> None:
    """Like any other; the packages stay where all versions are."""
    sources.create_source(app, "", type_=SourceType.BIOCONDUCTOR, version="3.18")
    repositories.create_repository(app, "one", type_=RepositoryType.BIOCONDUCTOR)
    repositories.unsubscribe(app, "one", "bioconductor", actor="me")
    repositories.subscribe(app, "one", "bioc-3.18", actor="me")
    sources.rename_source(app, "bioc-3.18", "stable")
    assert browsing.open_repository(app, "one", "latest").view.current()
    with pytest.raises(SourceInUse):
        sources.delete_source(app, "stable")
    repositories.unsubscribe(app, "one", "stable", actor="me")
    sources.delete_source(app, "stable")
    assert len(listing(app, "bioconductor")) == 3


@pytest.mark.one_shape
def test_the_schedule_counts_once_somebody_wants_it(settings: Settings, clock: Clock) -> None:
    """The predefined repository alone asks nothing of upstream; another one does."""
    scheduled = settings.bioconductor.model_copy(update={"sync_schedule": "0 4 * * *"})
    repos = settings.repos.model_copy(update={"bioconductor": "bioconductor"})
    with installed(settings.model_copy(update={"bioconductor": scheduled, "repos": repos}), clock) as app:
        assert syncing.due_syncs(app) == []
        repositories.create_repository(app, "more", type_=RepositoryType.BIOCONDUCTOR)
        assert [source.name for source in syncing.due_syncs(app)] == ["bioconductor"]


@pytest.mark.one_shape
def test_versions_by_the_api(live: Live) -> None:
    """What is known and mirrored of each; packages of the one that is asked for, else of the release."""
    _, rows = live.api("GET", "/bioconductor/versions")
    assert [row["bioc_version"] for row in rows] == ["3.19", "3.18", "3.17"]
    assert (rows[1]["is_release"], rows[1]["packages"]["bioc"], rows[1]["errors"]) == (True, 2, {})
    for query, version in (("?bioc_version=3.17", "2.60.0"), ("", "2.62.0")):
        for place in ("/repos/bioconductor", "/sources/bioconductor"):
            _, packages = live.api("GET", f"{place}/packages{query}")
            assert packages[0]["version"] == version
    assert live.api("POST", "/sources/bioconductor/sync", {"versions": ["x"]})[0] == 422
