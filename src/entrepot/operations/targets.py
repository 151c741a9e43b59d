"""Build targets: made, deleted, told to run, and looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.errors import (
    BinaryBuildNotFound,
    Invalid,
    NameTaken,
    PackageNotFound,
    RepositoryNotFound,
    UnsupportedSystem,
    WrongType,
)
from entrepot.core.model import RepositoryType, check_name
from entrepot.core.platforms import ANY, Platform, System, architecture, r_minor
from entrepot.core.targets import BUILDABLE, BinaryBuild, Target, split_command
from entrepot.db import jobs as db_jobs
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import targets as db_targets
from entrepot.db.jobs import Job
from entrepot.ecosystems.r import distributions
from entrepot.operations import building
from entrepot.operations.access import Sight, admit_source, sight
from entrepot.operations.browsing import Page
from entrepot.operations.rbinaries import Here, place
from entrepot.operations.targetsight import builds_seen, sees_target

JOB = "binaries"
"""The kind of jobs that run targets."""
SCHEDULE = "schedule"
"""The actor of runs that nobody asked for."""
AGAIN_AFTER = timedelta(minutes=10)
"""Wait before a run that could not do all it should is made again."""
LONGEST = 4000
"""Characters of a command."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A target as an administrator wants it; empty texts and None are what is chosen for them."""

    distribution: str
    r: str = ""
    name: str = ""
    repository: str = ""
    command: str = ""
    sources: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """A target with the names that people know; `job` runs it or waits to, `sources` None are all that can be built.

    Whoever doesn't see everything is told of the sources that they see, and of no job and no fault, which may tell of
    others."""

    target: Target
    sources: tuple[str, ...] | None
    job: int | None


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """An attempt with the names that people know."""

    build: BinaryBuild
    target: str
    source: str


def create_target(app: App, wanted: Wanted, *, actor: str) -> tuple[TargetInfo, Job]:
    """A new target and the job of its first run, after a look at the R that is to build.

    Raises:
        Invalid: no such distribution; no R that works there; a command that can't be read; a name that can't be.
        NameTaken: there is a target of that name.
        RepositoryNotFound, SourceNotFound, WrongType
        SandboxUnavailable, Unavailable: builds can't be shut off from this machine, the other system can't be used.
    """
    distribution = _distribution(wanted.distribution)
    if len(wanted.command) > LONGEST:
        raise Invalid(f"the command has more than {LONGEST} characters", hint="write it as a script of that system")
    if wanted.command:
        split_command(wanted.command, distribution=distribution)
    repository = wanted.repository or app.settings.git.r_repository or app.settings.repos.cran
    with app.db.read() as connection:
        _check_repository(connection, repository)
        source_ids = _source_ids(connection, wanted.sources)
    with building.work_folder(app) as folder:
        sandbox = None if wanted.command else building.sandbox_of(app.settings)
        where = place(app.settings, distribution, wanted.r, wanted.command, sandbox)
        found = where.ask(folder, check=lambda: None)
    r = str(where.program.path.absolute()) if isinstance(where, Here) else wanted.r or "R"
    name = check_name(wanted.name or f"{distribution}-{found.minor}-{found.arch}", what="build target")
    with app.db.write(shows=False) as connection:
        if db_targets.find(connection, name) is not None:
            raise NameTaken(f"there is a build target named {name!r}", hint="give another --name, or delete that one")
        id_ = db_targets.add(
            connection,
            name=name,
            distribution=distribution,
            r=r,
            r_version=found.version,
            arch=found.arch,
            command=wanted.command,
            repository=repository,
            sources=None if source_ids is None else list(source_ids),
            created=app.clock(),
            seen=0,
        )
        target = db_targets.by_id(connection, id_)
        assert target is not None
        job = _request(app, connection, target, actor)
        return _info(connection, target), job


def delete_target(app: App, name: str) -> list[int]:
    """Build no more for a target; what was built stays. The jobs that are to be cancelled.

    Raises:
        TargetNotFound
    """
    with app.db.write(shows=False) as connection:
        target = db_targets.get(connection, name)
        db_targets.change(connection, target.id, deleted=app.clock())
        return [job.id for job in db_jobs.active(connection, kind=JOB) if job.subject == target.id]


def list_targets(app: App, *, access: Access = INSIDE) -> list[TargetInfo]:
    """All targets that somebody sees, in the order in which they were made."""
    with app.db.read() as connection:
        seen = sight(connection, access)
        found = filter(sees_target(connection, seen), db_targets.live(connection))
        return [_info(connection, target, seen) for target in found]


def get_target(app: App, name: str, *, access: Access = INSIDE) -> TargetInfo:
    """Raises TargetNotFound: there is none, or they don't see it."""
    with app.db.read() as connection:
        seen = sight(connection, access)
        target = db_targets.find(connection, name)
        if target is None or not sees_target(connection, seen)(target):
            raise db_targets.not_found(name)
        return _info(connection, target, seen)


def request_run(app: App, name: str, *, actor: str) -> Job:
    """The job that builds what is missing or out of date. Raises TargetNotFound."""
    with app.db.write(shows=False) as connection:
        return _request(app, connection, db_targets.get(connection, name), actor)


def request_rerun(app: App, name: str, *, package: str | None = None, actor: str) -> Job:
    """As `request_run`, and what failed (of one package) is tried again.

    Raises:
        TargetNotFound
        BinaryBuildNotFound: no build of that package failed.
    """
    with app.db.write(shows=False) as connection:
        target = db_targets.get(connection, name)
        number = db_targets.forget_failures(connection, target.id, package=package)
        if package is not None and not number:
            raise BinaryBuildNotFound(
                f"no build of {package!r} failed for {target.name}", hint="`entrepot list binary-builds` shows them"
            )
        return _request(app, connection, target, actor)


def request_due(app: App) -> list[Job]:
    """A job for each target whose sources or repository changed since its last whole run."""
    with app.db.read() as connection:
        targets = db_targets.live(connection)
        due = [target.id for target in targets if _is_due(app, connection, target)]
    if not due:
        return []
    with app.db.write(shows=False) as connection:
        found = [db_targets.by_id(connection, id_) for id_ in due]
        return [_request(app, connection, target, SCHEDULE) for target in found if target is not None]


def _is_due(app: App, connection: Connection, target: Target) -> bool:
    repository = db_repositories.named(connection, target.repository)
    of_repository = db_repositories.all_subscriptions(connection, repository.id) if repository is not None else []
    own = [source.id for source in db_sources.live(connection, target.sources) if source.type in BUILDABLE]
    newest = db_targets.newest_concerning(
        connection,
        target.seen,
        source_ids={*own, *(each.source_id for each in of_repository)},
        repository_id=repository.id if repository is not None else None,
    )
    if newest is None:
        return False
    last = db_jobs.newest_of(connection, kind=JOB, subject=target.id)
    if last is None:
        return True
    if last.finished is None:  # one that runs may have looked before the change; its end brings the next
        return False
    if last.state == "cancelled":
        return newest[1] > last.finished
    return (last.state == "done" and target.fault is None) or app.clock() - last.finished >= AGAIN_AFTER


# --- builds --------------------------------------------------------------------------------------------------------


def list_builds(
    app: App,
    *,
    target: str | None = None,
    source: str | None = None,
    package: str | None = None,
    status: str | None = None,
    page: Page,
    access: Access = INSIDE,
) -> tuple[list[BuildInfo], int]:
    """Attempts to build binary packages that somebody sees, the newest first, and how many these are in all.

    Raises:
        TargetNotFound, SourceNotFound
        Unauthenticated, Forbidden: they don't see the source, if there is one.
    """
    with app.db.read() as connection:
        seen = sight(connection, access)
        if source is not None:
            admit_source(connection, seen, source)
        wanted = None if target is None else db_targets.find(connection, target)
        if target is not None and (wanted is None or not sees_target(connection, seen)(wanted)):
            raise db_targets.not_found(target)
        rows, total = db_targets.page(
            connection,
            target_id=None if wanted is None else wanted.id,
            source_id=None if source is None else db_sources.get(connection, source).id,
            among=None if seen.sees_all else builds_seen(connection, seen),
            package=package,
            status=status,
            limit=page.limit,
            offset=page.offset,
        )
        return _named(connection, rows), total


def get_build(app: App, id_: int, *, access: Access = INSIDE) -> BuildInfo:
    """An attempt. Raises BinaryBuildNotFound: there is none, or they don't see it."""
    with app.db.read() as connection:
        return _named(connection, [_build(connection, id_, access)[0]])[0]


def read_log(app: App, id_: int, *, access: Access = INSIDE) -> str:
    """The log of an attempt. Raises BinaryBuildNotFound: there is none, or they don't see it."""
    with app.db.read() as connection:
        return _build(connection, id_, access)[1]


def _build(connection: Connection, id_: int, access: Access) -> tuple[BinaryBuild, str]:
    seen = sight(connection, access)
    found = db_targets.build_of(connection, id_)
    if found is not None and not seen.sees_all:
        build = found[0]
        found = found if (build.target_id, build.source_id) in builds_seen(connection, seen) else None
    if found is None:
        raise BinaryBuildNotFound(
            f"there is no binary build {id_}", hint="`entrepot list binary-builds` shows their numbers"
        )
    return found


def last_build(
    app: App,
    repo: str,
    package: str,
    *,
    distribution: str,
    r_version: str,
    arch: str,
    version: str | None,
    access: Access = INSIDE,
) -> tuple[BinaryBuild, str, list[str]]:
    """The last attempt at a package of a repository for a platform, its log, and the system dependencies that the
    package names.

    Raises:
        UnsupportedSystem: that is no minor version of R.
        RepositoryNotFound, PackageNotFound: there is no such package, or nobody tried to build it there.
    """
    if r_minor(r_version) != r_version:
        raise UnsupportedSystem(f"{r_version[:60]!r} is not a minor version of R", hint="such as 4.4")
    found = distributions.find(distribution)
    known = architecture(arch)
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        of_repository = db_repositories.all_subscriptions(connection, repository.id)
        ids = {each.source_id for each in of_repository}
        ids |= {each.files_of for each in db_sources.by_ids(connection, ids).values()}
        platforms = (
            []
            if found is None or known is None
            else [Platform(System.LINUX, found.url, r_version, each).path for each in (known, ANY)]
        )
        seen = sight(connection, access)
        among = None if seen.sees_all else builds_seen(connection, seen)
        build = db_targets.last_of(
            connection, source_ids=ids, package=package, version=version, platforms=platforms, among=among
        )
        whole = db_targets.build_of(connection, build.id) if build is not None else None
        if whole is not None:
            return *whole, db_targets.requirements_of(connection, whole[0], ids)
    what = f"{package[:100]} {version[:100]}" if version else package[:100]
    raise PackageNotFound(
        f"no binary of {what!r} was built for {distribution[:60]}, R {r_version}, {arch[:60]}",
        hint="`entrepot list binary-builds` shows what was",
    )


# --- checks and shapes ---------------------------------------------------------------------------------------------


def _distribution(name: str) -> str:
    """The name in URLs of a distribution. Raises Invalid."""
    found = distributions.find(name)
    if found is None:
        raise Invalid(f"there is no distribution {name[:60]!r}", hint=f"there are {', '.join(distributions.urls())}")
    return found.url


def _check_repository(connection: Connection, name: str) -> None:
    if not name:
        raise Invalid("libraries have to come from an R repository", hint="name it with --repo or [git] r_repository")
    repository = db_repositories.named(connection, name)
    if repository is None:
        raise RepositoryNotFound(
            f"there is no repository named {name[:100]!r}, which libraries would come from",
            hint="name another one with --repo; `entrepot list repos` shows them",
        )
    if repository.type is not RepositoryType.R:
        raise WrongType(
            f"repository {name!r} is of type {repository.type.value}", hint="libraries come from a repository of type r"
        )


def _source_ids(connection: Connection, names: Sequence[str] | None) -> tuple[int, ...] | None:
    if not names:
        return None
    found = [db_sources.get(connection, name) for name in names]
    for source in found:
        if source.type not in BUILDABLE:
            raise WrongType(
                f"source {source.name!r} is of type {source.type.value}, whose packages are not built by themselves",
                hint=f"build targets take sources of type {', '.join(sorted(BUILDABLE))}",
            )
    return tuple(dict.fromkeys(source.id for source in found))


def _request(app: App, connection: Connection, target: Target, actor: str) -> Job:
    job, _ = db_jobs.request(
        connection,
        kind=JOB,
        source_id=None,
        subject=target.id,
        payload={"target": target.id},
        actor=actor,
        now=app.clock(),
        joins_running=False,
    )
    return job


def _info(connection: Connection, target: Target, seen: Sight | None = None) -> TargetInfo:
    """Args: seen: what the one who asks sees; None: everything."""
    named, sees_all = None, seen is None or seen.sees_all
    if target.sources is not None:
        found = db_sources.names(connection, target.sources)
        of = [id_ for id_ in target.sources if seen is None or seen.sees_source(id_)]
        named = tuple(found[id_] for id_ in of if id_ in found)
    if not sees_all:
        return TargetInfo(replace(target, fault=None), named, None)
    jobs = {job.subject: job.id for job in db_jobs.active(connection, kind=JOB)}
    return TargetInfo(target, named, jobs.get(target.id))


def _named(connection: Connection, builds: Sequence[BinaryBuild]) -> list[BuildInfo]:
    targets = db_targets.names(connection, {build.target_id for build in builds})
    sources = db_sources.names(connection, {build.source_id for build in builds})
    return [BuildInfo(build, targets[build.target_id], sources[build.source_id]) for build in builds]
