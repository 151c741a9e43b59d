"""Who needs a package at a snapshot: by kind, complete, as it was then, and not worked out twice."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.app import App
from entrepot.core.model import PackageName, RepositoryType, SourceType
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r import dependencies
from entrepot.ecosystems.r.relations import KINDS, names_needed
from entrepot.operations import packages, relations, repositories, sources
from entrepot.operations.relations import dependents, turn_round
from tests.support.archives import make_source_package
from tests.support.server import Live

NONE: dict[str, list[str]] = {kind: [] for kind in KINDS}


def add(app: App, source: str, tmp_path: Path, name: str, version: str = "1.0", **fields: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(make_source_package(name, version, fields=fields))
    packages.add_files(app, source, [packages.Upload(f"{name}_{version}.tar.gz", path)], actor="test")


@pytest.fixture
def team(app: App, tmp_path: Path) -> Callable[..., None]:
    """A repository `team` over the sources `first` and `second`; adds packages to them."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for source in ("first", "second"):
        sources.create_source(app, source, type_=SourceType.LOCAL)
        repositories.subscribe(app, "team", source, actor="test")
    return lambda *words, **fields: add(app, words[0], tmp_path, *words[1:], **fields)


def test_every_kind_by_name(app: App, team: Callable[..., None]) -> None:
    """Each kind has its list, ordered by name; bounds and repetitions don't count; R is needed like any."""
    team("first", "base")
    team("first", "zz", Imports="base (>= 1.0), base (< 2), other")
    team("first", "aa", Imports="base", Depends="R (>= 3.5), base", LinkingTo="base")
    team("second", "mm", Suggests="base\n    (>= 1.0),\n other", Enhances="base")
    assert dependents(app, "team", "latest", "base") == {
        "depends": ["aa"],
        "imports": ["aa", "zz"],
        "linkingto": ["aa"],
        "suggests": ["mm"],
        "enhances": ["mm"],
    }
    assert dependents(app, "team", "latest", "R") == {**NONE, "depends": ["aa"]}
    assert dependents(app, "team", "latest", "nobody") == NONE


def test_as_it_was_then(app: App, team: Callable[..., None]) -> None:
    """A snapshot has its own; of a name in two sources the first one's version counts, and current versions alone."""
    team("second", "user", Imports="old")
    before = _newest(app)
    team("second", "user", "2.0", Imports="new")
    assert dependents(app, "team", "latest", "old") == NONE
    assert dependents(app, "team", str(before), "old") == {**NONE, "imports": ["user"]}
    team("first", "user", "0.1", Imports="first")
    assert dependents(app, "team", "latest", "new") == NONE
    assert dependents(app, "team", "latest", "first") == {**NONE, "imports": ["user"]}


def test_kept_by_what_is_shown(app: App, team: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A write elsewhere leaves it alone; one to its sources doesn't."""
    team("first", "aa", Imports="base")
    made: list[int] = []
    real = turn_round

    def counted(rows: list[tuple[int, PackageName, str | None]]) -> relations.Dependents:
        made.append(len(rows))
        return real(rows)

    monkeypatch.setattr(relations, "turn_round", counted)
    for _ in range(3):
        dependents(app, "team", "latest", "base")
    repositories.create_repository(app, "other", type_=RepositoryType.R)
    sources.create_source(app, "elsewhere", type_=SourceType.LOCAL)
    dependents(app, "team", "latest", "base")
    assert made == [1]
    team("second", "bb", Imports="base")
    assert dependents(app, "team", "latest", "base")["imports"] == ["aa", "bb"]
    assert made == [1, 2]


def test_python_has_none(app: App) -> None:
    assert dependents(app, "pypi", "latest", "numpy") == {}


@pytest.mark.one_shape
def test_all_of_cran_in_a_moment() -> None:
    """25,000 packages with eight dependencies each: no second for the first who asks."""
    rows = [
        (
            n,
            PackageName(f"p{n:05}"),
            f"Depends: R (>= 3.5)\nImports: {', '.join(f'p{n % k:05}' for k in range(2, 9))}\n",
        )
        for n in range(25_000)
    ]
    gc.collect()
    began = time.process_time()
    found = turn_round(rows)
    spent = time.process_time() - began
    assert len(found.of("R")["depends"]) == 25_000
    assert len(found.of("p00000")["imports"]) > 10_000
    assert spent < 2


@given(st.lists(st.tuples(st.sampled_from(dependencies.FIELDS), st.text("ab.1R(>=) ,\n\t", max_size=60)), max_size=4))
def test_the_names_that_a_whole_reading_finds(fields: list[tuple[str, str]]) -> None:
    """Whatever stands in a field that was written as entries are."""
    told = {key: " ".join(value.split()) for key, value in fields}
    entry = "".join(f"{key}: {value}\n" for key, value in told.items() if value)
    quick = {KINDS[kind]: set(names) for kind, names in names_needed(entry)}
    whole = {kind: {each.name for each in needed} for kind, needed in dependencies.of_description(told).items()}
    assert {kind: quick.get(kind, set()) for kind in KINDS} == whole


def test_a_record_has_them(app: App, live: Live, team: Callable[..., None]) -> None:
    """The API tells them with the record, for the newest version as for an old one."""
    team("first", "base", License="MIT + file LICENSE | GPL-2")
    team("first", "base", "1.1", License="MIT + file LICENSE | GPL-2")
    team("second", "user", Imports="base")
    (code, record) = live.api("GET", "/repos/team/packages/base")
    assert code == 200
    assert record["reverse_dependencies"] == {**NONE, "imports": ["user"]}
    assert (record["licenses"], record["downloads"]) == (["MIT + file LICENSE", "GPL-2"], 0)
    old = live.api("GET", "/repos/team/packages/base?version=1.0")[1]
    assert (old["version"], old["reverse_dependencies"]) == ("1.0", record["reverse_dependencies"])


def _newest(app: App) -> int:
    with app.db.read() as connection:
        return db_transactions.newest(connection)
