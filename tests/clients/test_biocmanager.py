"""BiocManager, the client of Bioconductor, installs real packages from a repository of type bioconductor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from entrepot.operations import sources, syncing
from entrepot.settings import Settings
from tests.support.fake_bioc import FakeBioc, config_text
from tests.support.fake_cran import FakeCran
from tests.support.r import run_r
from tests.support.server import Clock, installed, running

pytestmark = [pytest.mark.r, pytest.mark.one_shape, pytest.mark.shared, pytest.mark.usefixtures("rscript")]


def tree(variable: str, *globs: str) -> Path:
    """The tree of real packages that the environment names, if it has these."""
    folder = Path(os.environ.get(variable, "/nowhere"))
    if not all(list(folder.glob(glob)) for glob in globs):
        pytest.skip(f"{variable} names no tree with {', '.join(globs)}")
    return folder


def test_biocmanager_installs_from_a_repository_of_all_versions(
    settings: Settings, clock: Clock, tmp_path: Path
) -> None:
    """It finds the version for this R in our configuration, and that version's packages in our repositories."""
    contrib = "packages/3.16/bioc/src/contrib"
    bioc_tree = tree("TEST_BIOC_TREE", f"{contrib}/BiocVersion_*.tar.gz", f"{contrib}/BiocGenerics_*.tar.gz")
    cran_tree = tree("TEST_CRAN_TREE", "src/contrib/BiocManager_*.tar.gz")
    with FakeBioc(bioc_tree) as bioc, FakeCran(cran_tree) as cran:
        r_versions = {"3.14": "4.1", "3.15": "4.2", "3.16": "4.2", "3.17": "4.3"}
        released = {"3.14": "10/27/2021", "3.15": "04/27/2022", "3.16": "11/02/2022"}
        bioc.config(config_text(release="3.16", devel="3.17", r_versions=r_versions, released=released))
        changed = {
            "bioconductor": settings.bioconductor.model_copy(update={"upstream": bioc.url}),
            "cran": settings.cran.model_copy(update={"upstream": cran.url}),
            "repos": settings.repos.model_copy(update={"bioconductor": "bioconductor"}),
        }
        with installed(settings.model_copy(update=changed), clock) as app, running(app) as live:
            for name in ("cran", "bioconductor"):
                id_ = sources.source_info(app, name).source.id
                syncing.sync(app, id_, force=False, report=lambda *_: None)
            done = run_r(
                f"""
                options(repos = c(CRAN = "{live.address}/cran/latest"),
                        BioC_mirror = "{live.address}/bioconductor/latest",
                        BIOCONDUCTOR_CONFIG_FILE = "{live.address}/bioconductor/latest/config.yaml")
                install.packages("BiocManager", quiet = TRUE)
                BiocManager::install("BiocGenerics", ask = FALSE, update = FALSE, quiet = TRUE)
                cat("@", as.character(BiocManager::version()), as.character(packageVersion("BiocVersion")),
                    isNamespaceLoaded("BiocGenerics") || requireNamespace("BiocGenerics"), "\\n")
                """,
                lib=tmp_path / "lib",
            )
    assert "@ 3.16 3.16.0 TRUE" in done.stdout
