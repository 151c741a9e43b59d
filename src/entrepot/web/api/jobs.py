"""`/jobs`: background work, its logs, its end before the time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel

from entrepot.operations import working
from entrepot.operations.working import JobInfo
from entrepot.web.api import schemas
from entrepot.web.api.deps import LARGEST_ID, MOST_ROWS, AppDep, Ascending, Caller, ContextDep, Number, PageDep
from entrepot.web.api.repos import counted
from entrepot.web.context import Context

State = Annotated[Literal["queued", "running", "done", "failed", "cancelled"] | None, Query()]
Text = Annotated[str | None, Query(max_length=100, pattern=schemas.NO_NUL)]
JobSort = Annotated[Literal["id"], Query()]

router = APIRouter(prefix="/jobs", tags=["jobs"])


class Progress(BaseModel):
    step: str
    done: int
    total: int


class JobShape(BaseModel):
    """A job; `is_cancelled` says that somebody asked for its end, `due` when it is tried again after a failure."""

    id: int
    kind: str
    source: str | None
    state: str
    progress: Progress
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    actor: str
    payload: dict[str, Any]
    attempts: int
    is_cancelled: bool
    worker: str | None
    created: datetime
    due: datetime | None
    started: datetime | None
    finished: datetime | None

    @classmethod
    def of(cls, info: JobInfo, now: tuple[str, int, int] | None) -> JobShape:
        """Args: now: step, done and total, where they are known better than the row tells."""
        job = info.job
        is_live = now is not None and job.state == "running"
        step, done, total = now if now is not None and is_live else (job.step, job.done, job.total)
        return cls(
            id=job.id,
            kind=job.kind,
            source=info.source,
            state=job.state,
            progress=Progress(step=step, done=done, total=total),
            error=job.error,
            result=job.result,
            actor=job.actor,
            payload=job.payload,
            attempts=job.attempts,
            is_cancelled=job.is_cancelled,
            worker=job.worker,
            created=job.created,
            due=job.due,
            started=job.started,
            finished=job.finished,
        )


class JobLine(BaseModel):
    """A line of a job's log; ids grow with time."""

    id: int
    time: datetime
    text: str


@router.get("")
def list_jobs(
    context: ContextDep,
    access: Caller,
    page: PageDep,
    ascending: Ascending,
    response: Response,
    state: State = None,
    kind: Text = None,
    source: Text = None,
    _sort: JobSort = "id",
) -> list[JobShape]:
    rows, total = working.list_jobs(
        context.app, state=state, kind=kind, source=source, ascending=bool(ascending), page=page, access=access
    )
    return counted([job_shape(context, row) for row in rows], total, response)


@router.get("/{id}")
def get_job(context: ContextDep, access: Caller, id: Number) -> JobShape:
    return job_shape(context, working.get_job(context.app, id, access=access))


@router.get("/{id}/logs")
def get_log(
    app: AppDep,
    access: Caller,
    id: Number,
    response: Response,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    _limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = MOST_ROWS,
    tail: Annotated[bool, Query(description="the last lines instead of the first ones; without `after`")] = False,
) -> list[JobLine]:
    """The lines after the line `after`; a client follows by asking again after the last one that it has."""
    if tail:
        lines, total = working.read_end_of_log(app, id, limit=_limit, access=access)
    else:
        lines, total = working.read_log(app, id, after=after, limit=_limit, access=access)
    return counted([JobLine(id=line.id, time=line.time, text=line.text) for line in lines], total, response)


@router.get("/{id}/log.txt", response_class=PlainTextResponse)
def get_text(app: AppDep, access: Caller, id: Number) -> StreamingResponse:
    """The whole log as text."""
    return StreamingResponse(
        working.whole_log(app, id, access=access), media_type="text/plain; charset=utf-8", headers=schemas.TEXT_HEADERS
    )


@router.post("/{id}/cancel")
def cancel_job(context: ContextDep, access: Caller, id: Number) -> JobShape:
    working.check_may_cancel(context.app, id, access)
    return job_shape(context, context.runner.cancel(id, actor=access.actor))


def job_shape(context: Context, info: JobInfo) -> JobShape:
    """A job as the API shows it; of one that runs in this process, how far it is this very moment."""
    return JobShape.of(info, context.runner.progress(info.job.id))
