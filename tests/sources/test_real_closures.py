"""Closures of real packages against R's own answer on the very index that we give.

CRAN's PACKAGES of November 2015 as it was, bounds and all, and the whole of CRAN of January 2023 by its log; both are
shared data beside the checkout. Without them, or without R, these tests are skipped.
"""

from __future__ import annotations

import lzma
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.closure import ALL, DEFAULT, close
from entrepot.core.model import PackageName
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.r import packages
from entrepot.ecosystems.r.base import BASE
from entrepot.operations import browsing
from entrepot.operations.cran_shelf import CranShelf
from tests.support import real_cran
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.r import run_r
from tests.support.server import sync

pytestmark = [
    pytest.mark.shared,
    pytest.mark.r,
    pytest.mark.skipif(bool(real_cran.MISSING), reason=real_cran.MISSING),
]
SEED, NUMBER = 2015, 200
KINDS = {"strong": (DEFAULT, "TRUE"), "most": (ALL, '"strong"')}
"""`which` of R -> the kinds that we include, and R's `recursive`."""


def of_2015() -> bytes:
    return lzma.decompress((real_cran.DATA / "cran-PACKAGES-2015-11.xz").read_bytes())


def of_2023() -> bytes:
    return real_cran.render(real_cran.versions(datetime(2023, 1, 1, 23, tzinfo=UTC))[0])


def ours(app: App, names: Sequence[str], include: Sequence[str]) -> dict[str, set[str]]:
    """Package -> all that it brings along, what the snapshot doesn't have too."""
    shelf = CranShelf(app, browsing.open_source(app, "cran", "latest").cuts[0])
    found = {}
    for name in names:
        closure = close([Requirement(PackageName(name))], shelf, include=include)
        assert (closure.unread, closure.unknown) == ((), ())
        found[name] = {*closure.chosen, *(lacking.name for lacking in closure.missing)} - {name}
    return found


def theirs(index: Path, names: Sequence[str], which: str, recursive: str) -> dict[str, set[str]]:
    """The same as R tells it, without what comes with R."""
    wanted = ", ".join(f'"{name}"' for name in names)
    done = run_r(
        f"""
        db <- read.dcf("{index}", fields = c("Package", "Depends", "Imports", "LinkingTo", "Suggests", "Enhances"))
        rownames(db) <- db[, "Package"]
        found <- tools::package_dependencies(c({wanted}), db, which = "{which}", recursive = {recursive})
        for (name in names(found)) cat("@", name, found[[name]], "\\n")
        """,
        timeout=200,
    )
    rows = (line.split()[1:] for line in done.stdout.splitlines() if line.startswith("@ "))
    return {name: {each for each in needed if each not in BASE and each != name} for name, *needed in rows}


@pytest.mark.parametrize("index", [of_2015, of_2023])
def test_closures_are_those_of_r(
    mirrored: App, cran: FakeCran, rscript: Path, tmp_path: Path, index: Callable[[], bytes]
) -> None:
    """Of 200 packages chosen at random: what they need, and what they need and suggest."""
    cran.put(f"{CONTRIB}/PACKAGES", index())
    sync(mirrored)
    view = browsing.open_source(mirrored, "cran", "latest").view
    rows = view.current()
    (tmp_path / "PACKAGES").write_bytes(packages.render(rows, view.tells_sha256))
    names = random.Random(SEED).sample(sorted(row.file.package for row in rows), NUMBER)
    for which, (include, recursive) in KINDS.items():
        found = ours(mirrored, names, include)
        assert found == theirs(tmp_path / "PACKAGES", names, which, recursive)
        assert sum(map(len, found.values())) > 5 * NUMBER
        assert set(found) == set(names)
