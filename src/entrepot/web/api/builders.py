"""`/git-builders` and those of a source: watches on Git endpoints, their runs, their builds and logs."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from entrepot.core.errors import Conflict, JobNotFound
from entrepot.core.gitbuilds import Trigger
from entrepot.db.jobs import Job
from entrepot.operations import builders, buildlists, working
from entrepot.operations.builders import BuilderInfo, Wanted
from entrepot.operations.buildlists import Build
from entrepot.operations.buildlogs import LONGEST, last_part
from entrepot.web.api import schemas
from entrepot.web.api.deps import Actor, AppDep, Caller, ContextDep, Number, PageDep
from entrepot.web.api.jobs import JobShape, job_shape
from entrepot.web.api.repos import counted
from entrepot.web.context import Context

Short = Annotated[str, Field(max_length=500, pattern=schemas.NO_NUL)]
Depth = Annotated[int, Field(ge=0, le=1_000_000_000)]

every = APIRouter(tags=["git builders"])
router = APIRouter(prefix="/sources/{source}/git-builders", tags=["git builders"])


class BuilderEdit(schemas.In):
    """What a builder is to be; what is left out stays as it is. An empty branch or credential is none."""

    name: Short | None = None
    url: Annotated[str, Field(max_length=2000)] | None = None
    build_trigger: Trigger | None = None
    branch: Short | None = None
    sub_dir: Short | None = None
    credential: Short | None = None
    clone_depth: Depth | None = None
    recurse_submodules: Depth | None = None
    build_vignettes: bool | None = None

    def fields(self) -> dict[str, Any]:
        """As fields of `Wanted`, those that were given."""
        names = {"build_trigger": "trigger", "recurse_submodules": "submodules"}
        given = {name: getattr(self, name) for name in self.model_fields_set - {"succeed_on_existing"}}
        return {names.get(name, name): value for name, value in given.items() if value is not None}


class NewBuilder(BuilderEdit):
    url: Annotated[str, Field(max_length=2000)]
    succeed_on_existing: bool = False


class Rerun(schemas.In):
    tag: Short | None = None
    commit_sha: Short | None = None


class BuilderShape(BaseModel):
    id: int
    name: str | None
    source: str
    url: str
    build_trigger: Trigger
    branch: str | None
    sub_dir: str
    credential: str | None
    clone_depth: int
    recurse_submodules: int
    build_vignettes: bool
    created: datetime
    fault: str | None
    job: int | None

    @classmethod
    def of(cls, info: BuilderInfo) -> BuilderShape:
        builder = info.builder
        return cls(
            id=builder.id,
            name=builder.name,
            source=info.source,
            url=builder.url,  # there is never a password in it
            build_trigger=builder.trigger,
            branch=builder.branch,
            sub_dir=builder.sub_dir,
            credential=info.credential,
            clone_depth=builder.clone_depth,
            recurse_submodules=builder.submodules,
            build_vignettes=builder.build_vignettes,
            created=builder.created,
            fault=builder.fault,
            job=info.job,
        )


class StartedShape(BaseModel):
    """A builder and the job that looks at its endpoint now."""

    builder: BuilderShape
    job: JobShape


class BuildShape(BaseModel):
    """One build; without a transaction one that waits or is being done. `status` is waiting, building, succeeded or
    failed, and `time` when it ended, or when it was found or is to be tried again."""

    package: str
    transaction: int | None
    sha: str | None
    tag: str | None
    status: str
    time: datetime
    error: str | None
    attempts: int

    @classmethod
    def of(cls, build: Build) -> BuildShape:
        return cls(
            package=build.package,
            transaction=build.transaction,
            sha=build.sha,
            tag=build.tag,
            status=build.status,
            time=build.time,
            error=build.error,
            attempts=build.attempts,
        )


class BuildLogShape(BaseModel):
    transaction: int
    log: str
    is_whole: bool


@every.get("/git-builders")
def list_all(app: AppDep, access: Caller) -> list[BuilderShape]:
    return [BuilderShape.of(info) for info in builders.list_builders(app, access=access)]


@every.get("/transactions/{id}/log")
def build_log(app: AppDep, access: Caller, id: Number, tail: schemas.Tail = None) -> BuildLogShape:
    """The log of the attempt at a build that a transaction records."""
    log, is_whole = last_part(buildlists.read_log(app, id, access=access), tail or LONGEST)
    return BuildLogShape(transaction=id, log=log, is_whole=is_whole)


@every.get("/transactions/{id}/log.txt", response_class=PlainTextResponse)
def build_text(app: AppDep, access: Caller, id: Number) -> PlainTextResponse:
    """The same as text."""
    return PlainTextResponse(buildlists.read_log(app, id, access=access), headers=schemas.TEXT_HEADERS)


@every.get("/sources/{source}/git-builds")
def list_builds(
    app: AppDep,
    source: str,
    page: PageDep,
    response: Response,
    name: Annotated[str | None, Query(max_length=500)] = None,
    newest: bool = False,
) -> list[BuildShape]:
    """Builds of a source, the newest first; `newest`: of each builder the last alone."""
    rows, total = buildlists.list_builds(app, source, name, page, newest_only=newest)
    return counted([BuildShape.of(row) for row in rows], total, response)


@router.get("")
def list_of_source(app: AppDep, source: str) -> list[BuilderShape]:
    return [BuilderShape.of(info) for info in builders.list_builders(app, source)]


@router.post("", status_code=status.HTTP_201_CREATED)
def create(context: ContextDep, access: Caller, source: str, body: NewBuilder, response: Response) -> StartedShape:
    info, job, is_new = builders.create_builder(
        context.app,
        source,
        Wanted(**body.fields()),
        actor=access.actor,
        succeed_on_existing=body.succeed_on_existing,
        access=access,
    )
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return _started(context, info, job)


@router.get("/{name}")
def builder(app: AppDep, source: str, name: str) -> BuilderShape:
    return BuilderShape.of(builders.get_builder(app, source, name))


@router.patch("/{name}")
def edit(context: ContextDep, access: Caller, source: str, name: str, body: BuilderEdit) -> StartedShape:
    info, job = builders.edit_builder(context.app, source, name, actor=access.actor, access=access, **body.fields())
    return _started(context, info, job)


@router.delete("/{name}", status_code=status.HTTP_204_NO_CONTENT)
def delete(context: ContextDep, actor: Actor, source: str, name: str) -> None:
    cancel_all(context, builders.delete_builder(context.app, source, name), actor)


@router.post("/{name}/run", status_code=status.HTTP_202_ACCEPTED)
def run(context: ContextDep, actor: Actor, source: str, name: str) -> JobShape:
    return _woken(context, builders.request_run(context.app, source, name, actor=actor))


@router.post("/{name}/rerun", status_code=status.HTTP_202_ACCEPTED)
def rerun(context: ContextDep, actor: Actor, source: str, name: str, body: Rerun) -> JobShape:
    job = builders.request_rerun(context.app, source, name, tag=body.tag, commit=body.commit_sha, actor=actor)
    return _woken(context, job)


def cancel_all(context: Context, jobs: list[int], actor: str) -> None:
    """End the jobs of what was deleted."""
    for job in jobs:
        with suppress(JobNotFound, Conflict):  # it ended by itself
            context.runner.cancel(job, actor=actor)


def _started(context: Context, info: BuilderInfo, job: Job) -> StartedShape:
    return StartedShape(builder=BuilderShape.of(info), job=_woken(context, job))


def _woken(context: Context, job: Job) -> JobShape:
    context.runner.wake(job.id)
    return job_shape(context, working.get_job(context.app, job.id))
