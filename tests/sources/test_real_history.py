"""The past of CRAN as it was, by its own log of actions: a mirror made of that log against what the log says of a day.

The log is shared data beside the checkout; without it, or without R, these tests are skipped.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from entrepot.core.changes import Plan, plan
from entrepot.core.model import File, FileStatus, Listed, seconds
from entrepot.core.timelines import Found
from entrepot.ecosystems.r import news
from entrepot.ecosystems.r.upstream import Inventory, Texts, inventory

TOOLS = Path(__file__).parents[3] / "shared" / "tools"
BEFORE, SYNC_DAY = date(2025, 1, 13), date(2025, 1, 14)
SAMPLE = [date(year, month, 9) for year in range(2000, 2025) for month in (1, 4, 7, 10)] + [date(2025, 1, 12)]
LOST = 6
"""Packages whose archive was written anew before 2014, so that their dates of before are told nowhere: up to so many
are missing on days long ago, when a thousandth of CRAN was less than that."""
pytestmark = [
    pytest.mark.shared,
    pytest.mark.r,
    pytest.mark.skipif(not (TOOLS / "make-cran-mirror").exists(), reason="no shared data beside the checkout"),
]


@pytest.fixture(scope="module")
def log() -> ModuleType:
    """The tool that reads CRAN's log of actions."""
    loader = importlib.machinery.SourceFileLoader("cran_packages_at", str(TOOLS / "cran-packages-at"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module, written = importlib.util.module_from_spec(spec), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


def mirror(folder: Path, day: date) -> Texts:
    """A whole CRAN as it stood on that day."""
    subprocess.run([TOOLS / "make-cran-mirror", day.isoformat(), folder], check=True, stdout=subprocess.DEVNULL)
    contrib = folder / "src" / "contrib"
    names = ("PACKAGES", "Meta/archive.rds", "Meta/current.rds", "PACKAGES.in")
    return Texts(*((contrib / name).read_bytes() for name in names))


@pytest.fixture(scope="module")
def before(rscript: Path, tmp_path_factory: pytest.TempPathFactory) -> Texts:
    return mirror(tmp_path_factory.mktemp("before"), BEFORE)


@pytest.fixture(scope="module")
def read(before: Texts) -> Inventory:
    return inventory(before)


@pytest.fixture(scope="module")
def first(read: Inventory) -> Plan:
    """The plan of the first sync."""
    return plan([], read.found, first_open=None, sync_day=SYNC_DAY, events=read.events)


def current_on(first: Plan, days: Iterable[date]) -> dict[date, dict[str, str]]:
    """Package -> version as a snapshot of each of these days shows it."""
    now: dict[str, str] = {}
    found: dict[date, dict[str, str]] = {}
    wanted = sorted(days)
    for step in [*first.days, None]:
        while wanted and (step is None or step.day > wanted[0]):
            found[wanted.pop(0)] = dict(now)
        for handle in step.ends if step else ():
            file = first.new_files[-handle - 1]
            if now.get(file.package) == file.version:
                del now[file.package]
        for handle, status in step.begins if step else ():
            if status is FileStatus.CURRENT:
                now[first.new_files[-handle - 1].package] = first.new_files[-handle - 1].version
    return found


def test_any_day_of_the_past_is_as_it_was(first: Plan, log: ModuleType) -> None:
    """Within 0.2% of the names on every sampled day, and within 0.2% of names and versions since 2009."""
    actions = log.actions()
    for day, shown in current_on(first, SAMPLE).items():
        real = {package: version for package, (version, _) in log.state(actions, day.isoformat()).items()}
        wrong_names = len(shown.keys() ^ real.keys())
        assert wrong_names <= max(0.002 * len(real), LOST), day
        wrong = sum(shown.get(package) != real.get(package) for package in shown.keys() | real.keys())
        if day.year >= 2009:
            assert wrong <= max(0.002 * len(real), LOST), day


def rows(found: Iterable[Found]) -> list[Listed]:
    """The rows that a sync left which found this."""
    files = (
        File(n, 1, v.package, v.version, v.name, v.size, v.md5, None, None, seconds(v.published), v.fields)
        for n, v in enumerate(found, 1)
    )
    return [Listed(file, version.status) for file, version in zip(files, found, strict=True)]


def test_the_plan_of_a_real_day_is_the_whole_plan(before: Texts, read: Inventory, first: Plan, tmp_path: Path) -> None:
    """What comparing two days of CRAN brings is what reading and planning all of it does."""
    now = mirror(tmp_path, SYNC_DAY)
    assert read.outline is not None
    told = news.compare(before, read.outline, now, also=first.unsettled)
    assert told is not None
    assert 50 < len(told.packages) < 200
    packages, known, whole = set(told.packages), rows(read.found), inventory(now)
    assert whole.outline == told.inventory.outline
    short, long = (
        plan(some_known, read_now.found, first_open=BEFORE, sync_day=SYNC_DAY, events=read_now.events)
        for some_known, read_now in (
            ([row for row in known if row.file.package in packages], told.inventory),
            (known, whole),
        )
    )
    assert short == long
    assert sum(len(day.begins) for day in short.days) > 50
