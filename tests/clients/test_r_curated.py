"""Real R against curated sources, while CRAN moves on underneath."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import proposals, repositories, sources
from entrepot.operations.curating import Curation
from entrepot.operations.packages import Upload, add_files
from entrepot.operations.proposals import Wish
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.r import run_r
from tests.support.server import Clock, Live, sync

pytestmark = [pytest.mark.r, pytest.mark.one_shape]
OLD = {"bottom": "0.1", "middle": "1.0", "top": "1.0"}
NEW = {"bottom": "0.2", "extra": "1.0", "middle": "1.0", "top": "2.0"}


def put(cran: FakeCran, name: str, version: str, month: int, day: int, **fields: str) -> None:
    data = make_source_package(name, version, fields=fields)
    cran.add(name, version, data, datetime(2024, month, day, 9, tzinfo=UTC))


def update(site: Live, *, snapshot: str, packages: str | None = None) -> int:
    """Commit a list, or the same list at another snapshot; the transaction."""
    wish = Wish("update", list_text=packages, snapshot=snapshot)
    outcome = proposals.propose_and_commit(site.app, "team", wish, actor="ann")[1]
    assert outcome.transaction is not None
    return outcome.transaction


@pytest.fixture
def site(live_mirrored: Live, cran: FakeCran, rscript: Path) -> Live:
    """Repository `ours` over `team`, which has top with all that it needs, of 31 January; CRAN has newer ones."""
    put(cran, "bottom", "0.1", 1, 5)
    put(cran, "middle", "1.0", 1, 6, Imports="bottom")
    put(cran, "top", "1.0", 1, 7, Depends="R (>= 3.5.0), middle")
    put(cran, "bottom", "0.2", 2, 10)
    put(cran, "extra", "1.0", 2, 11)
    put(cran, "top", "2.0", 2, 12, Imports="middle, extra")
    cran.publish()
    app = live_mirrored.app
    sync(app)
    made = Curation(snapshot="2024-01-31")
    sources.create_source(app, "team", type_=SourceType.CURATED_CRAN, curation=made)
    repositories.create_repository(app, "ours", type_=RepositoryType.R)
    repositories.subscribe(app, "ours", "team", actor="ann")
    update(live_mirrored, snapshot="2024-01-31", packages="top")
    return live_mirrored


def publish_newer(site: Live, cran: FakeCran, clock: Clock) -> None:
    """CRAN publishes another top and takes bottom off, and the mirror is synced."""
    clock.wait(days=3)
    put(cran, "top", "3.0", 3, 2)
    cran.remove("bottom", datetime(2024, 3, 3, 9, tzinfo=UTC))
    cran.publish()
    sync(site.app)


def installed(site: Live, path: str, call: str, lib: Path) -> dict[str, str]:
    """Package -> version in `lib` after the R call, with the repository at that path; each answers for itself."""
    done = run_r(
        f"""
        options(repos = c(CRAN = "{site.address}/{path}"))
        {call}
        found <- installed.packages(lib.loc = Sys.getenv("R_LIBS"), noCache = TRUE)
        found <- found[, c("Package", "Version"), drop = FALSE]
        said <- vapply(found[, 1], function(p) getExportedValue(p, "installed_version")(), "")
        stopifnot(identical(unname(said), unname(found[, 2])))
        cat(sprintf("@ %s %s\\n", found[, 1], found[, 2]), sep = "")
        """,
        lib=lib,
    )
    rows = (line.split() for line in done.stdout.splitlines() if line.startswith("@ "))
    return {name: version for _, name, version in rows}


def has(package: str) -> bool:
    """Whether R has that package."""
    return "TRUE" in run_r(f'cat(requireNamespace("{package}", quietly = TRUE))').stdout


INSTALL = 'install.packages("top", quiet = TRUE)'


def test_install_while_cran_moves_on(site: Live, cran: FakeCran, clock: Clock, tmp_path: Path) -> None:
    """The set stays as it was committed until the next commit, and at its transaction after that too."""
    (_, rows) = site.api("GET", "/sources/team/transactions")
    first = rows[0]["id"]
    publish_newer(site, cran, clock)
    assert installed(site, "cran/latest", INSTALL, tmp_path / "cran") == {"top": "3.0"}
    assert installed(site, "ours/latest", INSTALL, tmp_path / "latest") == OLD
    update(site, snapshot="2024-03-01")
    assert installed(site, "ours/latest", INSTALL, tmp_path / "updated") == NEW
    assert installed(site, f"ours/{first}", INSTALL, tmp_path / "first") == OLD


def test_what_is_not_in_the_set_can_not_be_installed(site: Live, tmp_path: Path) -> None:
    """R says that the package is not available, though CRAN has it."""
    call = """
        said <- tryCatch(install.packages("extra", quiet = TRUE), warning = conditionMessage)
        stopifnot(grepl("is not available", said))
    """
    assert installed(site, "ours/latest", call, tmp_path / "lib") == {}


def test_remotes_installs_a_replaced_version(site: Live, cran: FakeCran, clock: Clock, tmp_path: Path) -> None:
    """remotes::install_version finds what an update replaced in the archive of the source."""
    if not has("remotes"):
        pytest.skip("the R package remotes is not installed (make test installs it)")
    publish_newer(site, cran, clock)
    update(site, snapshot="2024-03-01")
    call = 'remotes::install_version("top", "1.0", upgrade = "never", quiet = TRUE)'
    assert installed(site, "ours/latest", call, tmp_path / "lib") == {"bottom": "0.2", "middle": "1.0", "top": "1.0"}


def test_a_lockfile_of_before_restores(site: Live, cran: FakeCran, clock: Clock, tmp_path: Path) -> None:
    """Each locked version is where restoring looks for it: in the index if that lists it, else below Archive."""
    publish_newer(site, cran, clock)
    update(site, snapshot="2024-03-01")
    locked = ", ".join(f'{name} = "{version}"' for name, version in OLD.items())
    call = f"""
        locked <- c({locked})
        listed <- available.packages()[, "Version"]
        for (name in names(locked)) {{
          file <- paste0(name, "_", locked[[name]], ".tar.gz")
          path <- if (identical(listed[[name]], locked[[name]])) file else file.path("Archive", name, file)
          from <- file.path(contrib.url(getOption("repos")), path)
          install.packages(from, repos = NULL, type = "source", quiet = TRUE)
        }}
    """
    assert installed(site, "ours/latest", call, tmp_path / "lib") == OLD


@pytest.fixture
def stacked(site: Live, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Repository `all` over a local source with middle 0.9 and private, then `team`, then `cran`; installs from it."""
    app = site.app
    sources.create_source(app, "mine", type_=SourceType.LOCAL)
    files = []
    for name, version, fields in (("middle", "0.9", {}), ("private", "1.0", {"Imports": "middle, top, extra"})):
        path = tmp_path / name
        path.write_bytes(make_source_package(name, version, fields=fields))
        files.append(Upload(f"{name}_{version}.tar.gz", path))
    add_files(app, "mine", files, actor="ann")
    repositories.create_repository(app, "all", type_=RepositoryType.R)
    for source in ("mine", "team", "cran"):
        repositories.subscribe(app, "all", source, actor="ann")

    def install(name: str, call: str) -> dict[str, str]:
        return installed(site, "all/latest", call, tmp_path / "libraries" / name)

    return install


def test_local_curated_and_cran_in_that_order(
    stacked: Callable[..., dict[str, str]], site: Live, cran: FakeCran, clock: Clock
) -> None:
    """Our own middle before the curated one, the curated top before CRAN's, and extra from CRAN; so it stays."""
    wanted = {"extra": "1.0", "middle": "0.9", "private": "1.0", "top": "1.0"}
    publish_newer(site, cran, clock)
    assert stacked("before", 'install.packages("private", quiet = TRUE)') == wanted
    update(site, snapshot="2024-03-01")
    assert stacked("updated", 'install.packages("private", quiet = TRUE)') == wanted | {"top": "2.0"}
