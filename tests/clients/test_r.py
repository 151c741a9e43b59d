"""Real R against a live server: base R, remotes, and R's own index as the oracle."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.r import run_r
from tests.support.server import Live, eventually, sync

pytestmark = pytest.mark.r
FEBRUARY = {n: datetime(2024, 2, n, 9, tzinfo=UTC) for n in range(1, 30)}


def stock(cran: FakeCran) -> None:
    """top 1.0 -> 2.0 needs middle, which needs base64enc-like bottom; each a package that R really installs."""
    cran.add("bottom", "0.1-2", make_source_package("bottom", "0.1-2"), FEBRUARY[1])
    cran.add("middle", "1.0", make_source_package("middle", "1.0", fields={"Imports": "bottom"}), FEBRUARY[2])
    cran.add("top", "1.0", make_source_package("top", "1.0", fields={"Depends": "R (>= 3.5.0), middle"}), FEBRUARY[3])
    cran.add("top", "2.0", make_source_package("top", "2.0", fields={"Imports": "middle (>= 1.0)"}), FEBRUARY[10])
    cran.publish()


@pytest.fixture
def site(live_mirrored: Live, cran: FakeCran, rscript: Path) -> Live:
    stock(cran)
    sync(live_mirrored.app)
    return live_mirrored


def installed(site: Live, snapshot: str, call: str, lib: Path) -> dict[str, str]:
    """Package -> version in `lib` after the R call, with the repository at that snapshot; each answers for itself."""
    done = run_r(
        f"""
        options(repos = c(CRAN = "{site.address}/cran/{snapshot}"))
        {call}
        found <- installed.packages(lib.loc = Sys.getenv("R_LIBS"))[, c("Package", "Version"), drop = FALSE]
        said <- vapply(found[, 1], function(p) getExportedValue(p, "installed_version")(), "")
        stopifnot(identical(unname(said), unname(found[, 2])))
        cat(sprintf("@ %s %s\\n", found[, 1], found[, 2]), sep = "")
        """,
        lib=lib,
    )
    rows = (line.split() for line in done.stdout.splitlines() if line.startswith("@ "))
    return {name: version for _, name, version in rows}


@pytest.mark.parametrize("index", ["PACKAGES.rds", "PACKAGES.gz", "PACKAGES"])
def test_available_packages_is_the_same_from_each_index(site: Live, index: str, tmp_path: Path) -> None:
    """R reads the same matrix from .rds, .gz and plain: what it can't get from the first it gets from the next."""
    folder = tmp_path / "contrib"
    folder.mkdir()
    body = site.get(f"/cran/latest/src/contrib/{index}").data
    code = """
        read <- function(file) switch(tools::file_ext(file), rds = readRDS(file), read.dcf(file))
        m <- read(commandArgs(TRUE))
        m <- m[order(m[, "Package"]), order(colnames(m)), drop = FALSE]; rownames(m) <- NULL
        m <- m[, colSums(!is.na(m)) > 0, drop = FALSE]
        cat(sprintf("%s|%s|%s\\n", rep(colnames(m), each = nrow(m)), rep(m[, "Package"], ncol(m)), m), sep = "")
    """
    (folder / index).write_bytes(body)
    (folder / "other.rds").write_bytes(site.get("/cran/latest/src/contrib/PACKAGES.rds").data)

    def matrix(name: str) -> str:
        return run_r(code.replace("commandArgs(TRUE)", json.dumps(str(folder / name)))).stdout

    assert matrix(index) == matrix("other.rds")
    assert "Version|top|2.0" in matrix(index)


@pytest.mark.parametrize("missing", [(), ("PACKAGES.rds",), ("PACKAGES.rds", "PACKAGES.gz")])
def test_available_packages_over_http(site: Live, missing: tuple[str, ...], rscript: Path) -> None:
    """available.packages() works through each of the three indexes."""
    blocked = ", ".join(f'"{name}"' for name in missing)
    done = run_r(
        f"""
        trace <- utils::download.file
        skip <- c({blocked})
        refuse <- function(url, ...) if (basename(url) %in% skip) stop("refused") else trace(url, ...)
        unlockBinding("download.file", asNamespace("utils"))
        assign("download.file", refuse, asNamespace("utils"))
        a <- utils::available.packages("{site.address}/cran/latest/src/contrib")
        cat(sort(paste0("@", a[, "Package"], "_", a[, "Version"])), sep = "\\n")
        stopifnot(is.na(a["bottom", "Imports"]), a["middle", "Imports"] == "bottom")
        """
    )
    assert [line for line in done.stdout.split() if line.startswith("@")] == [
        "@bottom_0.1-2",
        "@middle_1.0",
        "@top_2.0",
    ]


def test_install_with_dependencies_from_latest(site: Live, tmp_path: Path) -> None:
    """install.packages brings a package with all it depends on."""
    found = installed(site, "latest", 'install.packages("top", quiet = TRUE)', tmp_path / "lib")
    assert found == {"bottom": "0.1-2", "middle": "1.0", "top": "2.0"}


def test_install_from_a_date_and_a_transaction(site: Live, cran: FakeCran, tmp_path: Path) -> None:
    """A date and a transaction id give the version of then, after upstream moved on as well."""
    (_, rows) = site.api("GET", "/sources/cran/transactions?_order=asc")
    third = next(row["id"] for row in rows if row["day"] == "2024-02-03")
    site.get("/cran/latest/src/contrib/Archive/top/top_1.0.tar.gz")
    index = f"/cran/{third}/src/contrib/PACKAGES"
    eventually(lambda: site.get(index), lambda answer: "X-Entrepot-Incomplete" not in answer.headers)
    for number, snapshot in enumerate(("2024-02-05", str(third))):
        found = installed(site, snapshot, 'install.packages("top", quiet = TRUE)', tmp_path / f"lib{number}")
        assert found == {"bottom": "0.1-2", "middle": "1.0", "top": "1.0"}


def test_remotes_install_version(site: Live, tmp_path: Path) -> None:
    """remotes::install_version finds an older version through archive.rds."""
    pytest.importorskip("tests.support.r")
    have = run_r('cat(requireNamespace("remotes", quietly = TRUE))').stdout
    if "TRUE" not in have:
        pytest.skip("the R package remotes is not installed (make test installs it)")
    call = 'remotes::install_version("top", "1.0", upgrade = "never", quiet = TRUE)'
    assert installed(site, "latest", call, tmp_path / "lib")["top"] == "1.0"


def test_meta_files_read_by_r(site: Live, rscript: Path) -> None:
    """tools reads archive.rds and current.rds as CRAN's: data frames of file.info."""
    done = run_r(
        f"""
        Sys.setenv(R_CRAN_SRC = "{site.address}/cran/latest")
        get <- function(path) readRDS(gzcon(url(paste0("{site.address}/cran/latest/src/contrib/Meta/", path))))
        archive <- get("archive.rds"); current <- get("current.rds")
        stopifnot(identical(names(archive), "top"), identical(rownames(archive$top), "top/top_1.0.tar.gz"))
        stopifnot(inherits(archive$top$mtime, "POSIXct"), inherits(archive$top$mode, "octmode"))
        stopifnot(format(archive$top$mtime, "%Y-%m-%d", tz = "UTC") == "2024-02-03")
        stopifnot(identical(sort(rownames(current)), c("bottom_0.1-2.tar.gz", "middle_1.0.tar.gz", "top_2.0.tar.gz")))
        stopifnot(all(c("size", "isdir", "mode", "mtime", "ctime", "atime") %in% names(current)))
        """
    )
    assert done.returncode == 0


def test_an_empty_repository_is_no_failure_to_r(live: Live, rscript: Path) -> None:
    """R finds no package in an empty repository, without a warning."""
    live.api("POST", "/repos", {"name": "none"})
    done = run_r(
        f"""
        options(warn = 2)
        stopifnot(nrow(available.packages("{live.address}/none/latest/src/contrib")) == 0)
        """
    )
    assert done.returncode == 0


def test_our_index_equals_write_packages(live: Live, tmp_path: Path, rscript: Path) -> None:
    """The same tarballs through a local source and through tools::write_PACKAGES: equal field by field."""
    tarballs = {
        "plain": ("1.0", {}),
        "deps": ("1.2-3", {"Depends": "R (>= 3.5.0),\n  plain (>= 0.1)", "Imports": "stats", "Suggests": "nothing"}),
        "compiled": ("0.9.10", {"LinkingTo": "plain", "NeedsCompilation": None, "SystemRequirements": "C++17"}),
        "odd": (
            "2023.1.1",
            {"License": "MIT + file LICENSE", "OS_type": "unix", "Priority": "optional", "Enhances": "x"},
        ),
    }
    folder = tmp_path / "contrib"
    folder.mkdir()
    files = []
    for name, (version, fields) in tarballs.items():
        sources = {"src/x.c": b"int entrepot_x(void) { return 1; }\n"} if name == "compiled" else None
        data = make_source_package(name, version, fields=fields, files=sources)
        (folder / f"{name}_{version}.tar.gz").write_bytes(data)
        files.append((f"{name}_{version}.tar.gz", data))
    live.api("POST", "/sources", {"name": "internal"})
    live.api("POST", "/repos", {"name": "mine"})
    live.api("POST", "/repos/mine/sources", {"source": "internal"})
    assert live.upload("internal", *files)[0] == 200
    ours = live.get("/mine/latest/src/contrib/PACKAGES").data
    (tmp_path / "ours").write_bytes(ours)
    (tmp_path / "ours.rds").write_bytes(live.get("/mine/latest/src/contrib/PACKAGES.rds").data)
    run_r(
        f"""
        tools::write_PACKAGES("{folder}", type = "source")
        theirs <- read.dcf("{folder}/PACKAGES")
        clean <- function(m) {{ m[] <- gsub("[[:space:]]+", " ", m); m[order(m[, "Package"]), , drop = FALSE] }}
        theirs <- clean(theirs)
        for (ours in list(read.dcf("{tmp_path}/ours"), readRDS("{tmp_path}/ours.rds"))) {{
          ours <- clean(ours)
          stopifnot(all(colnames(theirs) %in% colnames(ours)))
          a <- unname(ours[, colnames(theirs)]); b <- unname(theirs)
          if (!identical(a, b)) {{ print(a); print(b); stop("differ") }}
        }}
        """
    )
