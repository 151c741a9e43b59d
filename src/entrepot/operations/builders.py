"""Git builders: made, changed, deleted, told to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core import giturls
from entrepot.core.access import INSIDE, Access
from entrepot.core.errors import BuildNotFound, Forbidden, Invalid, NameTaken, WrongType
from entrepot.core.gitbuilds import Builder, Trigger, Update, UpdateState
from entrepot.core.model import PackageName, Source, SourceType
from entrepot.db import builders as db_builders
from entrepot.db import credentials as db_credentials
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db.jobs import Job
from entrepot.ecosystems.python import names as python_names
from entrepot.ecosystems.r import versions as r_versions
from entrepot.operations import building, credentials
from entrepot.operations.access import sight
from entrepot.sources.kinds import KINDS

JOB = "build"
"""The kind of jobs that run builders."""
DEEPEST = 10
"""Levels of submodules that can be asked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A builder as an administrator wants it; each as in `Builder`, `credential` by its name."""

    url: str
    name: str | None = None
    trigger: Trigger = Trigger.COMMITS
    branch: str | None = None
    sub_dir: str = ""
    credential: str | None = None
    clone_depth: int = 1
    submodules: int = 0
    build_vignettes: bool = False


@dataclass(frozen=True, slots=True)
class BuilderInfo:
    """A builder with the names that people know: of its source and credential; `job` runs it or waits to."""

    builder: Builder
    source: str
    credential: str | None
    job: int | None


def create_builder(
    app: App, source: str, wanted: Wanted, *, actor: str, succeed_on_existing: bool = False, access: Access = INSIDE
) -> tuple[BuilderInfo, Job, bool]:
    """A new builder, the job that looks at its endpoint for the first time, and whether it was made now.

    Raises:
        Forbidden: it would use a stored login or a folder of this machine, and that is for administrators.
        WrongType: packages of the source are not built.
        Invalid: a URL, name, branch or folder that can't be, or settings that don't go together.
        NameTaken: the source has a builder for that package.
        CredentialNotFound
        SandboxUnavailable, Unavailable: builds can't be shut off from this machine, or there is no R or Python.
    """
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
    check_builds(found)
    wanted = _checked(app, found, wanted)
    _check_may(access, wanted, None)
    building.check_can_build(app.settings, found.type)
    with app.db.write(shows=False) as connection:
        found = db_sources.get(connection, source)
        values = _values(connection, wanted)
        there = db_builders.find(connection, found.id, wanted.name) if wanted.name else None
        if there is not None and there.name == wanted.name:
            if succeed_on_existing and all(getattr(there, key) == value for key, value in values.items()):
                return _info(connection, there, found), _request(app, connection, there, actor), False
            raise NameTaken(
                f"source {found.name!r} has a git builder for {wanted.name!r} already, which follows "
                f"{there.trigger.value} of {there.url}",
                hint="a package has one builder and one trigger in a source: edit that one, or make another source",
            )
        id_ = db_builders.add(connection, source_id=found.id, created=app.clock(), **values)
        made = db_builders.by_id(connection, id_)
        assert made is not None
        return _info(connection, made, found), _request(app, connection, made, actor), True


def edit_builder(
    app: App, source: str, name: str, /, *, actor: str, access: Access = INSIDE, **changes: Any
) -> tuple[BuilderInfo, Job]:
    """Change what a builder watches and how it builds, and let it look at once.

    Args:
        changes: fields of `Wanted`; those that are left out stay. An empty credential or branch is none.

    Raises:
        as `create_builder`; BuilderNotFound
    """
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        builder = db_builders.get(connection, found, named(found, name))
        before = _wanted(connection, builder)
    if changes.get("name", before.name) != before.name and before.name is not None:
        raise Invalid("the package of a git builder stays", hint="make a git builder for the other package")
    wanted = _checked(app, found, replace(before, **changes))
    _check_may(access, wanted, before)
    with app.db.write(shows=False) as connection:
        found = db_sources.get(connection, source)
        builder = db_builders.get(connection, found, named(found, name))
        values = _values(connection, wanted)
        db_builders.change(connection, builder.id, **values)
        if _watches(wanted) != _watches(before):
            _forget(connection, builder, is_elsewhere=wanted.url != before.url)
        made = db_builders.by_id(connection, builder.id)
        assert made is not None
        return _info(connection, made, found), _request(app, connection, made, actor)


def _check_may(access: Access, wanted: Wanted, before: Wanted | None) -> None:
    """See that nobody sends a stored login to an endpoint of their choice, or has this machine's own files built.

    Raises:
        Forbidden
    """
    was = (before.url, before.credential) if before is not None else None
    if access.is_admin or (wanted.url, wanted.credential) == was:
        return
    if wanted.credential or wanted.url.lower().startswith("file:"):
        what = "send a stored login to an endpoint" if wanted.credential else "build from a folder of the server"
        raise Forbidden(
            f"only administrators let a git builder {what}",
            hint="one with global:admin makes the builder or changes its URL; sources:write may run and describe it",
        )


def delete_builder(app: App, source: str, name: str) -> list[int]:
    """Stop watching an endpoint; what was built stays. The jobs that are to be cancelled.

    Raises:
        SourceNotFound, BuilderNotFound
    """
    with app.db.write(shows=False) as connection:
        found = db_sources.get(connection, source)
        builder = db_builders.get(connection, found, named(found, name))
        db_builders.change(connection, builder.id, deleted=app.clock(), credential_id=None)
        return [job.id for job in db_jobs.active(connection, kind=JOB, source_id=found.id) if job.subject == builder.id]


def delete_all(connection: Connection, source: Source, now: datetime) -> list[int]:
    """As `delete_builder`, for all of a source that is deleted."""
    for builder in db_builders.live(connection, source_id=source.id):
        db_builders.change(connection, builder.id, deleted=now, credential_id=None)
    return [job.id for job in db_jobs.active(connection, kind=JOB, source_id=source.id)]


def list_builders(app: App, source: str | None = None, *, access: Access = INSIDE) -> list[BuilderInfo]:
    """All builders that somebody sees, or those of a source, in the order in which they were made."""
    with app.db.read() as connection:
        seen = sight(connection, access)
        of = db_sources.get(connection, source).id if source is not None else None
        found = [each for each in db_builders.live(connection, source_id=of) if seen.sees_source(each.source_id)]
        names = db_sources.names(connection, {builder.source_id for builder in found})
        keys = {row.id: row.name for row in db_credentials.every(connection)}
        jobs = {job.subject: job.id for job in db_jobs.active(connection, kind=JOB)}
    return [
        BuilderInfo(b, names[b.source_id], keys.get(b.credential_id or 0), jobs.get(b.id))
        for b in sorted(found, key=lambda b: b.id)
    ]


def get_builder(app: App, source: str, name: str) -> BuilderInfo:
    """Raises SourceNotFound, BuilderNotFound."""
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        return _info(connection, db_builders.get(connection, found, named(found, name)), found)


def request_run(app: App, source: str, name: str, *, actor: str) -> Job:
    """The job that looks at a builder's endpoint now and builds what is new, and what waits to be tried again.

    Raises:
        SourceNotFound, BuilderNotFound
    """
    with app.db.write(shows=False) as connection:
        found = db_sources.get(connection, source)
        builder = db_builders.get(connection, found, named(found, name))
        for update in db_builders.updates(connection, [builder.id])[builder.id]:
            if update.state is UpdateState.WAITING and update.due is not None:
                db_builders.change_update(connection, update.id, due=None)
        return _request(app, connection, builder, actor)


def request_rerun(
    app: App, source: str, name: str, *, tag: str | None = None, commit: str | None = None, actor: str
) -> Job:
    """The job that builds a commit or tag once more: one that failed, or one that was built.

    Args:
        tag: which, where the builder follows tags.
        commit: which, where it follows commits, by at least seven digits of its SHA; None: the newest.

    Raises:
        SourceNotFound, BuilderNotFound
        BuildNotFound: nothing is known of it.
        Invalid: not as the builder's trigger wants it.
    """
    with app.db.write(shows=False) as connection:
        found = db_sources.get(connection, source)
        builder = db_builders.get(connection, found, named(found, name))
        updates = db_builders.updates(connection, [builder.id])[builder.id]
        update = _meant(builder, updates, tag, commit)
        db_builders.change_update(connection, update.id, state=UpdateState.WAITING, attempts=0, due=None)
        return _request(app, connection, builder, actor)


def request_runs_due(app: App, builder_ids: Sequence[int], *, actor: str) -> list[Job]:
    """A job for each of these builders that is still there."""
    with app.db.write(shows=False) as connection:
        found = [db_builders.by_id(connection, id_) for id_ in builder_ids]
        return [_request(app, connection, builder, actor) for builder in found if builder is not None]


# --- checks --------------------------------------------------------------------------------------------------------


def named(source: Source, name: str) -> str:
    """A builder's name as it is kept, which for Python is the normal form."""
    is_python = source.type is SourceType.GIT_PYTHON and python_names.is_name(name)
    return python_names.normalize(name) if is_python else name


def check_builds(source: Source) -> None:
    if not KINDS[source.type].builds:
        raise WrongType(
            f"source {source.name!r} is of type {source.type.value}, which has no git builders",
            hint="create a source of type git (R) or git-python",
        )


def _checked(app: App, source: Source, wanted: Wanted) -> Wanted:
    """The builder with everything in its normal form."""
    url = giturls.parse_git_url(wanted.url, allow_file=app.settings.git.allow_file)
    if wanted.branch and wanted.trigger is Trigger.TAGS:
        raise Invalid("a builder that follows tags takes no branch", hint="leave out --branch")
    if wanted.branch:
        giturls.check_branch(wanted.branch)
    if wanted.clone_depth < 0 or not 0 <= wanted.submodules <= DEEPEST:
        raise Invalid(f"the clone depth is 0 or more, and submodules go from 0 to {DEEPEST} levels")
    is_python = source.type is SourceType.GIT_PYTHON
    if is_python and wanted.build_vignettes:
        raise Invalid("vignettes are of R packages", hint="leave out --build-vignettes")
    if is_python and not wanted.name:
        raise Invalid("a Python package has to be named", hint="give --name")
    if wanted.credential and url.scheme not in ("ssh", "http", "https"):
        raise Invalid(f"{url.scheme}:// takes no credential", hint="leave out --credential")
    return replace(
        wanted,
        url=url.text,
        name=_name(wanted.name, is_python=is_python),
        branch=wanted.branch or None,
        sub_dir=giturls.check_sub_dir(wanted.sub_dir),
        credential=wanted.credential or None,
    )


def _name(name: str | None, *, is_python: bool) -> PackageName | None:
    if not name:
        return None
    if is_python:
        if not python_names.is_name(name):
            raise Invalid(f"{name!r} can't be the name of a Python package")
        return python_names.normalize(name)
    return r_versions.check_name(name)


def _values(connection: Connection, wanted: Wanted) -> dict[str, Any]:
    """The row of a builder."""
    credential_id = None
    if wanted.credential:
        kind = "ssh" if giturls.parse_git_url(wanted.url, allow_file=True).scheme == "ssh" else "https"
        credential_id = credentials.find(connection, wanted.credential, kind=kind).id
    return {
        "name": wanted.name,
        "url": wanted.url,
        "trigger": wanted.trigger.value,
        "branch": wanted.branch,
        "sub_dir": wanted.sub_dir,
        "credential_id": credential_id,
        "clone_depth": wanted.clone_depth,
        "submodules": wanted.submodules,
        "build_vignettes": wanted.build_vignettes,
    }


def _wanted(connection: Connection, builder: Builder) -> Wanted:
    keys = {row.id: row.name for row in db_credentials.every(connection)}
    return Wanted(
        builder.url,
        builder.name,
        builder.trigger,
        builder.branch,
        builder.sub_dir,
        keys.get(builder.credential_id or 0),
        builder.clone_depth,
        builder.submodules,
        builder.build_vignettes,
    )


def _forget(connection: Connection, builder: Builder, *, is_elsewhere: bool) -> None:
    """What was found before says nothing of what is watched from now on; what was built stays, also if the new endpoint
    doesn't have its tag."""
    for update in db_builders.updates(connection, [builder.id])[builder.id]:
        if update.state in (UpdateState.WAITING, UpdateState.IGNORED):
            db_builders.change_update(connection, update.id, state=UpdateState.SUPERSEDED, due=None)
        elif update.state is UpdateState.BUILT and is_elsewhere and update.tag is not None:
            db_builders.change_update(connection, update.id, state=UpdateState.KEPT)


def _watches(wanted: Wanted) -> tuple[object, ...]:
    return wanted.url, wanted.trigger, wanted.branch


def _meant(builder: Builder, updates: Sequence[Update], tag: str | None, commit: str | None) -> Update:
    """The update that somebody means."""
    if builder.trigger is Trigger.TAGS and (commit or not tag):
        raise Invalid(f"the git builder {builder.label} follows tags", hint="say which with --tag")
    if builder.trigger is Trigger.COMMITS and tag:
        raise Invalid(f"the git builder {builder.label} follows commits", hint="say which with --commit-sha")
    if commit and len(commit) < 7:
        raise Invalid(f"{commit!r} is too short for a commit", hint="give at least seven digits of its SHA")
    found = [update for update in updates if (update.tag is None) == (builder.trigger is Trigger.COMMITS)]
    found = [update for update in found if update.state is not UpdateState.GONE]
    if tag:
        found = [update for update in found if update.tag == tag]
    elif commit:
        found = [update for update in found if update.sha.startswith(commit.lower())]
    if not found:
        what = f"tag {tag!r}" if tag else f"commit {commit!r}" if commit else "commit"
        raise BuildNotFound(
            f"nothing is known of a {what} at {builder.url}", hint="`entrepot run git-builder` looks for what is new"
        )
    return found[-1]


# --- shapes --------------------------------------------------------------------------------------------------------


def _request(app: App, connection: Connection, builder: Builder, actor: str) -> Job:
    job, _ = db_jobs.request(
        connection,
        kind=JOB,
        source_id=builder.source_id,
        subject=builder.id,
        payload={"builder": builder.id},
        actor=actor,
        now=app.clock(),
        joins_running=False,
    )
    return job


def _info(connection: Connection, builder: Builder, source: Source) -> BuilderInfo:
    keys = {row.id: row.name for row in db_credentials.every(connection)}
    jobs = {job.subject: job.id for job in db_jobs.active(connection, kind=JOB, source_id=source.id)}
    return BuilderInfo(builder, source.name, keys.get(builder.credential_id or 0), jobs.get(builder.id))
