"""`/sources`: sources, what is in them, syncs, and what is read of archived versions."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Response, UploadFile, status

from entrepot.core.errors import Invalid
from entrepot.core.model import SourceType
from entrepot.core.room import needs_room
from entrepot.operations import browsing, describing, packages, records, sources, syncing, working
from entrepot.operations.curating import Curation, parse_include
from entrepot.operations.packages import Upload
from entrepot.web.api import packageshapes, schemas
from entrepot.web.api.builders import cancel_all
from entrepot.web.api.deps import (
    Actor,
    AppDep,
    Ascending,
    BiocVersion,
    Caller,
    ContextDep,
    NameSort,
    ShortPageDep,
    Snapshot,
)
from entrepot.web.api.jobs import JobShape, job_shape
from entrepot.web.api.repos import PackagesDep, paged, source_shape
from entrepot.web.context import UPLOADS

"""What names of folders of uploads begin with, in `tmp` of the data folder."""

router = APIRouter(prefix="/sources", tags=["sources"])


@router.get("")
def list_sources(
    app: AppDep,
    access: Caller,
    page: ShortPageDep,
    ascending: Ascending,
    response: Response,
    type: str | None = None,
    _sort: NameSort = "id",
) -> list[schemas.Source]:
    wanted = None
    if type is not None:
        wanted = _type(type)
    rows = [source_shape(app, info) for info in sources.list_sources(app, type_=wanted, access=access)]
    return paged(rows, page, response, sort=_sort, ascending=ascending)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_source(app: AppDep, actor: Actor, body: schemas.NewSource, response: Response) -> schemas.Source:
    include = parse_include(body.include) if body.include is not None else None
    info, is_new = sources.create_source(
        app,
        body.name,
        type_=_type(body.type),
        actor=actor,
        curation=Curation(body.snapshot, include, body.archived),
        version=body.version,
        succeed_on_existing=body.succeed_on_existing,
    )
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return source_shape(app, info)


@router.get("/{source}")
def get_source(app: AppDep, source: str) -> schemas.Source:
    return source_shape(app, sources.source_info(app, source))


@router.patch("/{source}")
def edit_source(app: AppDep, _: Actor, source: str, body: schemas.SourceEdit) -> schemas.Source:
    return source_shape(app, sources.rename_source(app, source, body.name))


@router.delete("/{source}", status_code=status.HTTP_204_NO_CONTENT)
def delete_source(context: ContextDep, actor: Actor, source: str) -> None:
    cancel_all(context, sources.delete_source(context.app, source), actor)


@router.get("/{source}/packages")
def source_packages(
    app: AppDep,
    source: str,
    wanted: PackagesDep,
    response: Response,
    snapshot: Snapshot = "latest",
    bioc_version: BiocVersion = None,
) -> list[packageshapes.Package]:
    return wanted.page_of(app, browsing.open_source(app, source, snapshot, bioc_version=bioc_version), response)


@router.get("/{source}/packages/{name}")
def source_package(
    app: AppDep, source: str, name: str, snapshot: Snapshot = "latest", version: str | None = None
) -> packageshapes.PackageDetail:
    record = records.package_record(app, lambda: browsing.open_source(app, source, snapshot), name, version=version)
    return packageshapes.PackageDetail.of(record)


@router.get("/{source}/packages/{name}/releases")
def source_releases(
    app: AppDep, source: str, name: str, page: ShortPageDep, response: Response, snapshot: Snapshot = "latest"
) -> list[packageshapes.ReleaseShape]:
    found = records.package_releases(lambda: browsing.open_source(app, source, snapshot), name)
    return paged([packageshapes.ReleaseShape.of(release) for release in found], page, response)


@router.post("/{source}/packages")
def add_packages(
    app: AppDep,
    actor: Actor,
    source: str,
    files: Annotated[list[UploadFile], File()],
    replace: Annotated[bool, Form()] = False,
    comment: Annotated[schemas.Text, Form()] = "",
) -> schemas.OutcomeShape:
    with (
        needs_room("the files could not be received"),
        tempfile.TemporaryDirectory(dir=app.settings.server.data_dir / "tmp", prefix=UPLOADS) as folder,
    ):
        uploads = _receive(files, Path(folder))
        outcome = packages.add_files(app, source, uploads, actor=actor, replace=replace, comment=comment)
    return schemas.OutcomeShape.of(outcome)


@router.post("/{source}/packages/{name}/archive")
def archive_package(app: AppDep, actor: Actor, source: str, name: str, body: schemas.Comment) -> schemas.OutcomeShape:
    outcome = packages.archive_package(app, source, name, actor=actor, comment=body.comment)
    return schemas.OutcomeShape.of(outcome)


@router.post("/{source}/packages/{name}/remove")
def remove_package(app: AppDep, actor: Actor, source: str, name: str, body: schemas.Removal) -> schemas.OutcomeShape:
    outcome = packages.remove_package(app, source, name, scope=body.scope, actor=actor, comment=body.comment)
    return schemas.OutcomeShape.of(outcome)


@router.post("/{source}/packages/{name}/yank")
def yank_package(app: AppDep, actor: Actor, source: str, name: str, body: schemas.Yank) -> schemas.OutcomeShape:
    outcome = packages.yank_package(
        app, source, name, scope=body.scope, reason=body.reason, actor=actor, comment=body.comment
    )
    return schemas.OutcomeShape.of(outcome)


@router.post("/{source}/packages/{name}/unyank")
def unyank_package(app: AppDep, actor: Actor, source: str, name: str, body: schemas.Removal) -> schemas.OutcomeShape:
    outcome = packages.unyank_package(app, source, name, scope=body.scope, actor=actor, comment=body.comment)
    return schemas.OutcomeShape.of(outcome)


@router.post("/{source}/sync", status_code=status.HTTP_202_ACCEPTED)
def sync_source(context: ContextDep, actor: Actor, source: str, body: schemas.SyncRequest) -> JobShape:
    job = syncing.request_sync(
        context.app, source, force=body.force, history=body.history, versions=body.versions, actor=actor
    )
    context.runner.wake(job.id)
    return job_shape(context, working.get_job(context.app, job.id))


@router.get("/{source}/describe")
def completeness(
    app: AppDep,
    source: str,
    start: Annotated[schemas.Day | None, Query(alias="from")] = None,
    end: Annotated[schemas.Day | None, Query(alias="to")] = None,
) -> schemas.CompletenessShape:
    return schemas.CompletenessShape.of(describing.completeness(app, source, start=start, end=end))


@router.post("/{source}/describe", status_code=status.HTTP_202_ACCEPTED)
def describe_source(context: ContextDep, actor: Actor, source: str, body: schemas.DescribeRequest) -> JobShape:
    job = describing.request_describe(context.app, source, start=body.start, end=body.end, actor=actor)
    context.runner.wake(job.id)
    return job_shape(context, working.get_job(context.app, job.id))


def _receive(files: Sequence[UploadFile], folder: Path) -> list[Upload]:
    """Put what was received under names of our own; what the client calls a file is only looked at."""
    uploads = []
    for number, file in enumerate(files):
        path = folder / str(number)
        with path.open("wb") as target:
            shutil.copyfileobj(file.file, target, 1024 * 1024)
        uploads.append(Upload(file.filename or "", path))
    return uploads


def _type(text: str) -> SourceType:
    found = schemas.source_type(text)
    if found is None:
        known = ", ".join(type_.value for type_ in SourceType)
        raise Invalid(f"{text!r} is not a type of source", hint=f"types are {known}")
    return found
