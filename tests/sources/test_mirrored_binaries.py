"""Binary packages of CRAN for Windows and macOS: mirrored with the sources, dated, fetched when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import UpstreamInvalid
from entrepot.core.model import RepositoryType, SourceType
from entrepot.documents import Documents
from entrepot.operations import repositories, sources
from entrepot.operations.curating import Curation
from tests.support.archives import make_source_package
from tests.support.binaries import BIG_SUR, WINDOWS, make_binary, publish_binaries
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, Live, running, sync

WIN, MAC = "bin/windows/contrib/4.4", "bin/macosx/big-sur-arm64/contrib/4.4"
DAY = {n: datetime(2024, 2, n, 9, tzinfo=UTC) for n in range(1, 30)}
pytestmark = pytest.mark.one_shape


def win(name: str, version: str, salt: bytes = b"") -> dict[str, bytes]:
    data = make_binary(name, version, r="4.4.0", suffix=".zip", platform=WINDOWS, files={"R/salt": salt})
    return {f"{name}_{version}.zip": data}


def mac(name: str, version: str) -> dict[str, bytes]:
    return {f"{name}_{version}.tgz": make_binary(name, version, r="4.4.0", suffix=".tgz", platform=BIG_SUR)}


@pytest.fixture
def stocked(cran: FakeCran) -> FakeCran:
    """alpha 1.0 and 1.1, beta 0.5; binaries of alpha 1.1 for both systems, and of beta for Windows."""
    cran.add("alpha", "1.0", make_source_package("alpha", "1.0"), DAY[2])
    cran.add("beta", "0.5", make_source_package("beta", "0.5"), DAY[3])
    cran.add("alpha", "1.1", make_source_package("alpha", "1.1"), DAY[5])
    cran.publish()
    publish_binaries(cran, WIN, win("alpha", "1.1") | win("beta", "0.5"))
    publish_binaries(cran, MAC, mac("alpha", "1.1"), tells_md5=False)
    return cran


@pytest.fixture
def app(mirrored: App) -> App:
    return set_binaries(mirrored, "windows/4.4", "macosx/big-sur-arm64/4.4")


def set_binaries(app: App, *folders: str) -> App:
    """The same installation with other settings."""
    settings = app.settings
    return replace(
        app, settings=settings.model_copy(update={"cran": settings.cran.model_copy(update={"binaries": list(folders)})})
    )


@pytest.fixture
def live(app: App, stocked: FakeCran) -> Iterator[Live]:
    """A site after the first sync."""
    sync(app)
    with running(app) as live:
        yield live


def index(live: Live, folder: str, snapshot: str = "latest", repo: str = "cran") -> dict[str, str] | int:
    """Package -> version of an index; else the status."""
    answer = live.get(f"/{repo}/{snapshot}/{folder}/PACKAGES")
    if answer.status != 200:
        return answer.status
    lines = [line.partition(": ") for line in answer.data.decode().splitlines()]
    names = [value for field, _, value in lines if field == "Package"]
    return dict(zip(names, [value for field, _, value in lines if field == "Version"], strict=True))


def test_indexes_and_files(live: Live, stocked: FakeCran) -> None:
    """The folders of the setting are there, with the files of upstream; each is fetched once."""
    assert index(live, WIN) == {"alpha": "1.1", "beta": "0.5"}
    assert index(live, MAC) == {"alpha": "1.1"}
    assert stocked.count(f"{WIN}/alpha_1.1.zip") == 0
    for path, data, media_type in (
        (f"{WIN}/alpha_1.1.zip", win("alpha", "1.1")["alpha_1.1.zip"], "application/zip"),
        (f"{MAC}/alpha_1.1.tgz", mac("alpha", "1.1")["alpha_1.1.tgz"], "application/gzip"),
    ):
        for _ in range(2):
            answer = live.get(f"/cran/latest/{path}")
            assert (answer.status, answer.data) == (200, data)
            assert answer.headers["Content-Type"] == media_type
            assert answer.headers["X-Package-Type"] == "binary"
        assert stocked.count(path) == 1
    assert live.get(f"/cran/latest/{WIN}/alpha_1.1.zip", "HEAD").headers["X-Package-Binary-Tag"] == "4.4-win"
    assert live.get(f"/cran/latest/{MAC}/alpha_1.1.tgz", "HEAD").headers["X-Package-Binary-Tag"] == "4.4-macos-arm64"


def test_what_is_not_there_is_named(live: Live) -> None:
    """Another version of R, and another version of a package: a 404 that tells what there is."""
    missing = live.get("/cran/latest/bin/windows/contrib/3.6/PACKAGES.gz")
    assert missing.status == 404
    assert WIN in missing.data.decode()
    assert MAC in missing.data.decode()
    missing = live.get(f"/cran/latest/{WIN}/alpha_1.0.zip")
    assert missing.status == 404
    assert "1.1" in missing.data.decode()


def test_a_second_sync_asks_conditionally(live: Live, app: App, stocked: FakeCran, clock: Clock) -> None:
    """An index that didn't change is one request, and no transaction."""
    clock.wait(hours=1)
    before = stocked.count(f"{WIN}/PACKAGES.gz")
    assert sync(app).transactions == ()
    assert stocked.count(f"{WIN}/PACKAGES.gz") == before + 1
    assert stocked.requests[-1].headers.get("If-None-Match")


def test_days_are_kept(live: Live, app: App, stocked: FakeCran, clock: Clock) -> None:
    """A day tells what was there; days before the first sync have none; the bytes of an index stay."""
    assert index(live, WIN, "2024-02-29") == 404
    clock.wait(days=1)
    stocked.add("alpha", "1.2", make_source_package("alpha", "1.2"), DAY[29])
    stocked.publish()
    publish_binaries(stocked, WIN, win("alpha", "1.1"))  # beta was taken off, alpha is built later
    sync(app)
    assert index(live, WIN) == {"alpha": "1.1"}
    clock.wait(days=1)
    publish_binaries(stocked, WIN, win("alpha", "1.2"))
    sync(app)
    first = live.get(f"/cran/2024-03-02/{WIN}/PACKAGES").data
    assert index(live, WIN, "2024-03-02") == {"alpha": "1.2"}  # found on the 3rd, of the first day not closed
    assert index(live, WIN, "2024-03-01") == {"alpha": "1.1"}
    assert index(live, WIN, "2024-02-29") == 404
    assert live.get(f"/cran/2024-03-02/{WIN}/alpha_1.2.zip").status == 200
    assert live.get(f"/cran/2024-03-02/{WIN}/alpha_1.1.zip").status in (404, 200)
    clock.wait(days=2)
    sync(app)
    assert live.get(f"/cran/2024-03-02/{WIN}/PACKAGES").data == first


def test_curated_sources_show_the_binaries_of_their_versions(
    live: Live, app: App, stocked: FakeCran, clock: Clock
) -> None:
    """A pinned source shows a binary only of the version that it has, be it one that upstream replaced since."""
    clock.wait(days=1)
    sync(app)
    sources.create_source(
        app, "pinned", type_=SourceType.CRAN_SNAPSHOT, actor="test", curation=Curation("2024-03-01", None, True)
    )
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    repositories.subscribe(app, "team", "pinned", actor="test")
    clock.wait(days=1)
    stocked.add("alpha", "1.2", make_source_package("alpha", "1.2"), DAY[29])
    stocked.publish()
    publish_binaries(stocked, WIN, win("alpha", "1.2") | win("beta", "0.5"))
    sync(app)
    assert index(live, WIN) == {"alpha": "1.2", "beta": "0.5"}
    assert index(live, WIN, repo="team") == {"alpha": "1.1", "beta": "0.5"}
    assert live.get(f"/team/latest/{WIN}/alpha_1.1.zip").status == 200
    assert live.get(f"/team/latest/{WIN}/alpha_1.2.zip").status == 404


def test_the_first_source_wins(live: Live, app: App) -> None:
    """A package that an earlier source has as source alone has no binary of a later one."""
    sources.create_source(app, "internal", type_=SourceType.LOCAL)
    live.upload("internal", ("beta_9.0.tar.gz", make_source_package("beta", "9.0")))
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for source in ("internal", "cran"):
        repositories.subscribe(app, "team", source, actor="test")
    assert index(live, WIN, repo="team") == {"alpha": "1.1"}
    assert live.get(f"/team/latest/{WIN}/beta_0.5.zip").status == 404


@pytest.mark.parametrize("data", [b"<html>not found</html>", make_binary("other", "1.1", suffix=".tgz")])
def test_what_is_no_binary_is_never_kept(live: Live, stocked: FakeCran, data: bytes) -> None:
    """Where upstream tells no hash, a page or another package under the name is refused, and asked for again."""
    stocked.put(f"{MAC}/alpha_1.1.tgz", data)
    assert live.get(f"/cran/latest/{MAC}/alpha_1.1.tgz").status == 502
    publish_binaries(stocked, MAC, mac("alpha", "1.1"), tells_md5=False)
    assert live.get(f"/cran/latest/{MAC}/alpha_1.1.tgz").data == mac("alpha", "1.1")["alpha_1.1.tgz"]


def test_a_download_changes_no_index(live: Live, app: App, tmp_path: Path) -> None:
    """What is learnt of a file is told from the next transaction on; also where the index is rendered anew."""
    before = {name: live.get(f"/cran/latest/{WIN}/{name}").data for name in ("PACKAGES", "PACKAGES.rds")}
    assert live.get(f"/cran/latest/{WIN}/alpha_1.1.zip").status == 200
    with running(replace(app, documents=Documents(tmp_path / "others", version="0"))) as anew:
        assert {name: anew.get(f"/cran/latest/{WIN}/{name}").data for name in before} == before


def test_a_folder_that_fails_stops_nothing_else(live: Live, app: App, stocked: FakeCran, clock: Clock) -> None:
    """The sources and the other folders are synced, and the error tells which one is not."""
    clock.wait(days=1)
    stocked.fail(f"{WIN}/PACKAGES.gz", "html")
    stocked.add("alpha", "1.2", make_source_package("alpha", "1.2"), DAY[29])
    stocked.publish()
    publish_binaries(stocked, MAC, mac("alpha", "1.2"), tells_md5=False)
    wider = set_binaries(app, "windows/4.4", "windows/9.9", "macosx/big-sur-arm64/4.4")
    with pytest.raises(UpstreamInvalid, match=r"not the binary packages windows/4\.4 \(and 1 more\)"):
        sync(wider)
    assert b"Version: 1.2" in live.get("/cran/latest/src/contrib/PACKAGES").data
    assert index(live, MAC) == {"alpha": "1.2"}
    assert index(live, WIN) == {"alpha": "1.1", "beta": "0.5"}


def test_an_index_that_lost_half_is_refused(app: App, stocked: FakeCran, clock: Clock) -> None:
    """As for source packages: nothing is changed, and --force accepts it."""
    publish_binaries(stocked, WIN, {name: b"" for n in range(30) for name in win(f"p{n:02}", "1.0")})
    sync(app)
    clock.wait(days=1)
    publish_binaries(stocked, WIN, win("p00", "1.0"))
    with pytest.raises(UpstreamInvalid, match="has 1 packages instead of 30"):
        sync(app)
    assert sync(app, force=True).transactions


def test_a_folder_that_is_not_mirrored_any_more_stays(live: Live, app: App, stocked: FakeCran, clock: Clock) -> None:
    """It is no longer asked for, and goes on being served."""
    clock.wait(days=1)
    before = stocked.count(f"{WIN}/PACKAGES.gz")
    sync(set_binaries(app))
    assert stocked.count(f"{WIN}/PACKAGES.gz") == before
    assert index(live, WIN) == {"alpha": "1.1", "beta": "0.5"}


def test_without_the_setting_there_is_nothing(mirrored: App, stocked: FakeCran) -> None:
    """Nothing is asked for, and clients are told so."""
    sync(mirrored)
    assert stocked.count(f"{WIN}/PACKAGES.gz") == 0
    with running(mirrored) as live:
        answer = live.get(f"/cran/latest/{WIN}/PACKAGES.gz")
    assert answer.status == 404
    assert "no binary packages yet" in answer.data.decode()
