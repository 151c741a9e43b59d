"""`/jobs`: background work, its logs, its end before the time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from entrepot.operations import working
from entrepot.operations.working import JobInfo
from entrepot.web.api import schemas
from entrepot.web.api.deps import LARGEST_ID, MOST_ROWS, Actor, AppDep, Ascending, ContextDep, Number, PageDep
from entrepot.web.api.repos import counted
from entrepot.web.context import Context

State = Annotated[Literal["queued", "running", "done", "failed", "cancelled"] | None, Query()]
Text = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")]
JobSort = Annotated[Literal["id"], Query()]

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    context: ContextDep,
    page: PageDep,
    ascending: Ascending,
    response: Response,
    state: State = None,
    kind: Text = None,
    source: Text = None,
    _sort: JobSort = "id",
) -> list[schemas.JobShape]:
    rows, total = working.list_jobs(
        context.app, state=state, kind=kind, source=source, ascending=bool(ascending), page=page
    )
    return counted([job_shape(context, row) for row in rows], total, response)


@router.get("/{id}")
def get_job(context: ContextDep, id: Number) -> schemas.JobShape:
    return job_shape(context, working.get_job(context.app, id))


@router.get("/{id}/logs")
def get_log(
    app: AppDep,
    id: Number,
    response: Response,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    _limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = MOST_ROWS,
) -> list[schemas.JobLine]:
    """The lines after the line `after`; a client follows by asking again after the last one that it has."""
    lines, total = working.read_log(app, id, after=after, limit=_limit)
    return counted([schemas.JobLine(id=line.id, time=line.time, text=line.text) for line in lines], total, response)


@router.post("/{id}/cancel")
def cancel_job(context: ContextDep, actor: Actor, id: Number) -> schemas.JobShape:
    return job_shape(context, context.runner.cancel(id, actor=actor))


def job_shape(context: Context, info: JobInfo) -> schemas.JobShape:
    """A job as the API shows it; of one that runs in this process, how far it is this very moment."""
    return schemas.JobShape.of(info, context.runner.progress(info.job.id))
