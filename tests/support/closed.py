"""An installation with an open and a closed side: repositories, sources, packages, builders, builds, jobs, proposals.

All names on the closed side have `MARK` in them, so that it is easily seen where they show up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.access import INSIDE, Scope
from entrepot.core.jobs import no_log, no_report
from entrepot.core.model import PackageName, RepositoryType, SourceType
from entrepot.core.targets import BUILT
from entrepot.core.usage import Client, download
from entrepot.db import jobs as db_jobs
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import targets as db_targets
from entrepot.operations import builders, building, proposals, repositories, sources, tokens
from entrepot.operations.builders import Wanted
from entrepot.operations.curating import Curation
from entrepot.operations.packages import add_files
from entrepot.operations.proposals import Wish
from entrepot.operations.uploads import Upload
from entrepot.settings import Settings
from tests.support.archives import make_description, make_source_package
from tests.support.distributions import wheel
from tests.support.fake_cran import FakeCran
from tests.support.git import Repo
from tests.support.packer import packing
from tests.support.server import Clock, Live, installed, running, sync

MARK = "zqsecret"
VAULT, VAULT_PY, GONE = f"{MARK}-vault", f"{MARK}-py", f"{MARK}-gone"
"""Closed repositories; the last one was deleted."""
OTHER = "other"
"""A closed repository that the tests' tokens may read."""
SOURCES = {
    f"{MARK}-src": SourceType.LOCAL,
    f"{MARK}-git": SourceType.GIT,
    f"{MARK}-list": SourceType.CURATED_CRAN,
}
PY_SOURCE, GONE_SOURCE = f"{MARK}-pysrc", f"{MARK}-gonesrc"
PACKAGE, PY_PACKAGE = f"{MARK}pkg", f"{MARK}py"


def token(
    app: App,
    *scopes: Scope,
    repos: Iterable[str] | None = (),
    sources: Iterable[str] | None = (),
    user: str = "ann",
    lifetime: float | None = None,
) -> str:
    """The text of a token; without scopes those that go with the names that are given, None: all."""
    wanted = [*scopes]
    if repos is None or list(repos):
        wanted.append(Scope.REPOS_READ)
    if sources is None or list(sources):
        wanted.append(Scope.SOURCES_WRITE)
    return tokens.create_token(
        app,
        scopes=wanted,
        repos=None if repos is None else frozenset(repos),
        sources=None if sources is None else frozenset(sources),
        description="of a test",
        by=INSIDE,
        user=user,
        lifetime=lifetime,
    ).text


def add(app: App, source: str, folder: Path, name: str, data: bytes) -> None:
    """Put a package into a source of our own."""
    path = folder / f"upload-{name}"
    path.write_bytes(data)
    add_files(app, source, [Upload(name, path)], actor="admin")


def repository(app: App, name: str, *source_names: str, is_closed: bool, is_python: bool = False) -> None:
    type_ = RepositoryType.PYTHON if is_python else RepositoryType.R
    repositories.create_repository(app, name, type_=type_, description=f"about {name}", is_closed=is_closed)
    for source in source_names:
        repositories.subscribe(app, name, source, actor="admin")


@contextmanager
def two_sides(
    settings: Settings, cran: FakeCran, clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Live]:
    """A running installation with both sides, whose `cran` mirrors the fake one."""
    more = {
        "cran": settings.cran.model_copy(update={"upstream": cran.url}),
        "git": settings.git.model_copy(update={"allow_file": True}),
    }
    packing(monkeypatch)
    with installed(settings.model_copy(update=more), clock) as app:
        _stock(app, cran, folder)
        with running(app) as live:
            yield live


def _stock(app: App, cran: FakeCran, folder: Path) -> None:
    cran.add("mirrored", "1.0", make_source_package("mirrored", "1.0"), datetime(2024, 1, 5, 9, tzinfo=UTC))
    cran.publish()
    sync(app)
    for name, type_ in {"public-src": SourceType.LOCAL, "other-src": SourceType.LOCAL}.items():
        sources.create_source(app, name, type_=type_)
        package = name.replace("-src", "pkg")
        add(app, name, folder, f"{package}_1.0.tar.gz", make_source_package(package, "1.0"))
    for name, type_ in SOURCES.items():
        curation = Curation("2024-02-01") if type_ is SourceType.CURATED_CRAN else None
        sources.create_source(app, name, type_=type_, curation=curation)
    sources.create_source(app, PY_SOURCE, type_=SourceType.LOCAL_PYTHON)
    sources.create_source(app, GONE_SOURCE, type_=SourceType.LOCAL)
    for source in (f"{MARK}-src", GONE_SOURCE):
        told = {"Enhances": f"{PACKAGE}, {MARK}lib"}
        data = make_source_package(PACKAGE, "1.0", fields=told, files={"README.md": f"# {MARK}".encode()})
        add(app, source, folder, f"{PACKAGE}_1.0.tar.gz", data)
    add(app, PY_SOURCE, folder, *wheel(PY_PACKAGE, "1.0"))
    repository(app, "public", "public-src", is_closed=False)
    repository(app, OTHER, "other-src", is_closed=True)
    repository(app, VAULT, "public-src", *SOURCES, is_closed=True)
    repository(app, VAULT_PY, PY_SOURCE, is_closed=True, is_python=True)
    repository(app, GONE, GONE_SOURCE, is_closed=True)
    _downloads(app)
    repositories.delete_repository(app, GONE)
    proposals.propose(app, f"{MARK}-list", Wish("add", packages=("mirrored",)), actor=f"{MARK}-person")
    _git(app, folder)
    _targets(app)
    _jobs(app)


def _downloads(app: App) -> None:
    """Some of each repository's own package, most of the closed ones."""
    for repo, source, package, times in (
        ("public", "public-src", "publicpkg", 1),
        (VAULT, f"{MARK}-src", PACKAGE, 3),
        (VAULT_PY, PY_SOURCE, PY_PACKAGE, 2),
        (GONE, GONE_SOURCE, PACKAGE, 5),
    ):
        with app.db.read() as connection:
            ids = db_repositories.get(connection, repo).id, db_sources.get(connection, source).id
        for _ in range(times):
            app.usage.note(download(*ids, PackageName(package), "1.0", "source"), Client("R", "4.4"))
    assert app.usage.flush()


def _git(app: App, folder: Path) -> None:
    repo = Repo(folder / "served" / f"{MARK}demo.git")
    repo.commit({"DESCRIPTION": make_description(f"{MARK}demo", "1.0")})
    wanted = Wanted(repo.file_url, name=f"{MARK}demo")
    info, _, _ = builders.create_builder(app, f"{MARK}-git", wanted, actor=f"{MARK}-person")
    building.run(app, info.builder.id, actor="admin", report=no_report, log=no_log)


def _targets(app: App) -> None:
    """One with libraries of the closed repository, and an open one that builds everything: its builds of the closed
    side, its fault and its program are not for all."""
    with app.db.write(shows=False) as connection:
        hidden = db_sources.get(connection, f"{MARK}-src")
        public = db_sources.get(connection, "public-src")
        ids = [
            db_targets.add(
                connection, name=name, distribution="bookworm", r=f"/opt/{MARK}/bin/R", r_version="4.2.2",
                arch="x86_64", command=f"ssh {MARK}-host", repository=repository, sources=None,
                created=app.clock(), seen=0, fault=f"{MARK}pkg can't be built",
            )
            for name, repository in (("everything", "public"), (f"{MARK}-target", VAULT))
        ]  # fmt: skip
        for target, source, package in (
            (ids[0], public, "publicpkg"),
            (ids[0], hidden, PACKAGE),
            (ids[1], public, "publicpkg"),
            (ids[1], hidden, PACKAGE),
        ):
            is_open = source is public and target == ids[0]
            db_targets.add_build(
                connection, "all is well" if is_open else f"{MARK} was loaded", target_id=target, source_id=source.id,
                package=package, version="1.0", platform="linux/bookworm/4.2/x86_64", inputs="x", status=BUILT,
                exit_code=0, error=None, linking={} if is_open else {f"{MARK}lib": "1"}, started=app.clock(),
                finished=app.clock(), transaction_id=None,
            )  # fmt: skip


def _jobs(app: App) -> None:
    """Of the closed side one about a source and one about none; one about the open source."""
    with app.db.write(shows=False) as connection:
        for source, said in ((f"{MARK}-src", MARK), ("public-src", "fine"), (None, MARK)):
            id_ = db_sources.get(connection, source).id if source is not None else None
            job = db_jobs.add(connection, kind="sync", payload={"of": said}, source_id=id_, now=app.clock(), actor=said)
            db_jobs.add_lines(connection, job.id, [(app.clock(), f"{said} is looked at")])
