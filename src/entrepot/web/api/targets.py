"""`/build-targets` and `/binary-builds`: our own builds of binary packages, and the page of one build's log."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import BaseModel, Field

from entrepot.core.access import Access
from entrepot.core.platforms import Platform
from entrepot.core.targets import BinaryBuild
from entrepot.db.jobs import Job
from entrepot.operations import targets, working
from entrepot.operations.buildlogs import LONGEST, last_part
from entrepot.operations.targets import BuildInfo, TargetInfo, Wanted
from entrepot.web.api import schemas
from entrepot.web.api.builders import cancel_all
from entrepot.web.api.deps import Actor, AppDep, Caller, ContextDep, Number, PageDep
from entrepot.web.api.jobs import JobShape, job_shape
from entrepot.web.api.repos import counted
from entrepot.web.context import Context

Short = Annotated[str, Field(max_length=500, pattern=schemas.NO_NUL)]
Wish = Annotated[str | None, Query(max_length=500, pattern=schemas.NO_NUL)]
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}

router = APIRouter(tags=["binary packages"])


class NewTarget(schemas.In):
    """A build target; what is left out is chosen: the R of `[git] r`, all sources that can be built, and so on."""

    distribution: Short
    r: Annotated[str, Field(max_length=2000, pattern=schemas.NO_NUL)] = ""
    name: Short = ""
    repository: Short = ""
    command: Annotated[str, Field(max_length=4000, pattern=schemas.NO_NUL)] = ""
    sources: Annotated[list[Short], Field(max_length=1000)] | None = None


class Rerun(schemas.In):
    package: Short | None = None


class TargetShape(BaseModel):
    """A build target; `sources` None: all that can be built. `fault` is why its last run could not do all it should,
    `job` runs it or waits to. `r` and `command`, the program and how it is reached, are for administrators alone, and
    empty for others."""

    id: int
    name: str
    distribution: str
    platform: str
    r: str
    r_version: str
    arch: str
    command: str
    repository: str
    sources: list[str] | None
    created: datetime
    fault: str | None
    job: int | None

    @classmethod
    def of(cls, info: TargetInfo, access: Access) -> TargetShape:
        target, is_told = info.target, access.is_admin
        return cls(
            id=target.id,
            name=target.name,
            distribution=target.distribution,
            platform=target.label,
            r=target.r if is_told else "",
            r_version=target.r_version,
            arch=target.arch,
            command=target.command if is_told else "",
            repository=target.repository,
            sources=None if info.sources is None else list(info.sources),
            created=target.created,
            fault=target.fault,
            job=info.job,
        )


class StartedTarget(BaseModel):
    """A build target and the job that runs it now."""

    target: TargetShape
    job: JobShape


class BinaryBuildShape(BaseModel):
    """One attempt; `linking` are the versions of the packages whose headers it was compiled with, `transaction` shows
    the binary."""

    id: int
    target: str
    source: str
    package: str
    version: str
    platform: str
    status: str
    exit_code: int | None
    error: str | None
    linking: dict[str, str]
    started: datetime
    finished: datetime
    transaction: int | None

    @classmethod
    def of(cls, info: BuildInfo) -> BinaryBuildShape:
        build = info.build
        return cls(
            id=build.id,
            target=info.target,
            source=info.source,
            package=build.package,
            version=build.version,
            platform=_label(build),
            status=build.status,
            exit_code=build.exit_code,
            error=build.error,
            linking=dict(build.linking),
            started=build.started,
            finished=build.finished,
            transaction=build.transaction_id,
        )


class BinaryLogShape(BaseModel):
    id: int
    log: str
    is_whole: bool


@router.get("/build-targets")
def list_targets(app: AppDep, access: Caller) -> list[TargetShape]:
    return [TargetShape.of(info, access) for info in targets.list_targets(app, access=access)]


@router.post("/build-targets", status_code=status.HTTP_201_CREATED)
def create(context: ContextDep, access: Caller, body: NewTarget) -> StartedTarget:
    wanted = Wanted(
        body.distribution,
        body.r,
        body.name,
        body.repository,
        body.command,
        None if body.sources is None else tuple(body.sources),
    )
    info, job = targets.create_target(context.app, wanted, actor=access.actor)
    return StartedTarget(target=TargetShape.of(info, access), job=_woken(context, job))


@router.get("/build-targets/{name}")
def target(app: AppDep, access: Caller, name: str) -> TargetShape:
    return TargetShape.of(targets.get_target(app, name, access=access), access)


@router.delete("/build-targets/{name}", status_code=status.HTTP_204_NO_CONTENT)
def delete(context: ContextDep, actor: Actor, name: str) -> None:
    cancel_all(context, targets.delete_target(context.app, name), actor)


@router.post("/build-targets/{name}/run", status_code=status.HTTP_202_ACCEPTED)
def run(context: ContextDep, actor: Actor, name: str) -> JobShape:
    return _woken(context, targets.request_run(context.app, name, actor=actor))


@router.post("/build-targets/{name}/rerun", status_code=status.HTTP_202_ACCEPTED)
def rerun(context: ContextDep, actor: Actor, name: str, body: Rerun) -> JobShape:
    """Try what failed (of one package) once more."""
    return _woken(context, targets.request_rerun(context.app, name, package=body.package, actor=actor))


@router.get("/binary-builds")
def list_builds(
    app: AppDep,
    access: Caller,
    page: PageDep,
    response: Response,
    target: Wish = None,
    source: Wish = None,
    name: Wish = None,
    status: Annotated[Literal["built", "failed"] | None, Query()] = None,
) -> list[BinaryBuildShape]:
    """Attempts to build binary packages, the newest first."""
    rows, total = targets.list_builds(
        app, target=target, source=source, package=name, status=status, page=page, access=access
    )
    return counted([BinaryBuildShape.of(row) for row in rows], total, response)


@router.get("/binary-builds/{id}")
def get_build(app: AppDep, access: Caller, id: Number) -> BinaryBuildShape:
    return BinaryBuildShape.of(targets.get_build(app, id, access=access))


@router.get("/binary-builds/{id}/log")
def build_log(app: AppDep, access: Caller, id: Number, tail: schemas.Tail = None) -> BinaryLogShape:
    log, is_whole = last_part(targets.read_log(app, id, access=access), tail or LONGEST)
    return BinaryLogShape(id=id, log=log, is_whole=is_whole)


@router.get("/binary-builds/{id}/log.txt", response_class=PlainTextResponse)
def build_text(app: AppDep, access: Caller, id: Number) -> PlainTextResponse:
    """The same as text."""
    return PlainTextResponse(targets.read_log(app, id, access=access), headers=schemas.TEXT_HEADERS)


@router.get("/repos/{repo}/packages/{name}/binaries/logs", response_class=HTMLResponse)
def log_page(
    app: AppDep,
    access: Caller,
    repo: str,
    name: str,
    distribution: Annotated[str, Query(max_length=100)],
    r_version: Annotated[str, Query(max_length=100)],
    arch: Annotated[str, Query(max_length=100)] = "x86_64",
    version: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """The last build of a binary package for a platform, as a page for people; `version` None: of any version."""
    build, log, requirements = targets.last_build(
        app, repo, name, distribution=distribution, r_version=r_version, arch=arch, version=version, access=access
    )
    return HTMLResponse(_page(build, log, requirements), headers=_HEADERS)


def _page(build: BinaryBuild, log: str, requirements: Sequence[str]) -> str:
    rows = (
        ("Name", build.package),
        ("Version", build.version),
        ("Platform", _label(build)),
        ("Exit code", "none" if build.exit_code is None else str(build.exit_code)),
        ("Started", _time(build.started)),
        ("Ended", _time(build.finished)),
        ("Duration", f"{(build.finished - build.started).total_seconds():.0f} s"),
        ("System dependencies", "; ".join(requirements) or "none"),
    )
    title = html.escape(f"{build.package} {build.version}, {_label(build)}")
    told = "".join(f"<h2>{name}</h2>\n<p>{html.escape(value)}</p>\n" for name, value in rows)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        "<style>body { font-family: sans-serif; margin: 2em } h2 { font-size: 1em; margin-bottom: 0 } "
        "p { margin: 0.2em 0 } pre { background: #f4f4f4; padding: 1em; overflow-x: auto }</style>\n</head>\n<body>\n"
        f"<h1>Build of {title}</h1>\n{told}<h2>Output</h2>\n<pre>{html.escape(log)}</pre>\n</body>\n</html>\n"
    )


def _label(build: BinaryBuild) -> str:
    """Such as 4.2-bookworm-x86_64."""
    platform = Platform.of_path(build.platform)
    return f"{platform.r}-{platform.distribution}-{platform.arch}"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _woken(context: Context, job: Job) -> JobShape:
    context.runner.wake(job.id)
    return job_shape(context, working.get_job(context.app, job.id))
