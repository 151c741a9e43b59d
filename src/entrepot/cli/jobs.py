"""Background work from the command line: waiting for it, listing it, its logs, its end before the time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from entrepot.cli.listing import tell_of_pages, window
from entrepot.cli.options import UsageFault
from entrepot.cli.output import columns, counted, printable, when
from entrepot.cli.session import Connection, Session

if TYPE_CHECKING:
    from entrepot.client import Client, Job, Line, Page

FOLLOW_EVERY = 1.0
"""Seconds between looks at a log that is followed."""
_STATES = ("queued", "running", "done", "failed", "cancelled")

Transaction = Annotated[
    int | None,
    typer.Option("--transaction-id", metavar="ID", min=1, help="The build from Git that this transaction tells of."),
]
BinaryBuild = Annotated[
    int | None, typer.Option("--binary-build", metavar="ID", min=1, help="The build of a binary package.")
]
Number = Annotated[int, typer.Option("--job", metavar="ID", min=1, help="Number of the job.")]


def wait_or_tell(
    session: Session,
    connection: Connection,
    jobs: list[Job],
    *,
    wait: bool,
    quiet: bool,
    summary: Callable[[Job], str],
) -> None:
    """Wait for all jobs and sum up each that is done with lines of `summary` and its faults; or only tell their ids.

    Raises:
        ApiError: the error of the first job that failed or was cancelled, after the summary of the others.
    """
    if wait:
        _finish(session, connection, jobs, quiet=quiet, summary=summary)
    else:
        _tell_queued(session, connection, jobs)


def list_jobs(
    session: Session,
    *,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help=f"{', '.join(_STATES)}.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Kind of job, such as sync.")] = None,
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Name of a source.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Jobs per page.")] = 20,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, help="Page, from 1.")] = 1,
) -> None:
    """List background jobs, the newest first."""
    if state is not None and state.lower() not in _STATES:
        raise UsageFault(f"'{state}' is not a state of a job", hint=f"states are {', '.join(_STATES)}")
    filters = {"state": state.lower() if state else None, "kind": kind, "source": source}
    with session.connect() as (client, _):

        def rows(limit: int, number: int) -> Page:
            return client.list_jobs(limit=limit, page=number, **filters)

        found, total = window(rows, (page - 1) * count, count)
    jobs = cast("list[Job]", found)
    session.out.result(jobs, columns([_row(job) for job in jobs]))
    tell_of_pages(session, "job", shown=len(jobs), total=total, count=count, page=page)


def logs(
    session: Session,
    *,
    job: Annotated[int | None, typer.Option("--job", metavar="ID", min=1, help="Number of the job.")] = None,
    transaction_id: Transaction = None,
    binary_build: BinaryBuild = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until the job is over.")] = False,
    file_out: Annotated[str | None, typer.Option("--file-out", metavar="FILE", help="Write it to a file.")] = None,
) -> None:
    """Show the log of a job, of a build from Git or of a binary package."""
    if sum(number is not None for number in (job, transaction_id, binary_build)) != 1:
        raise UsageFault(
            "logs are of one job or one build", hint="give either --job, --transaction-id or --binary-build"
        )
    if job is None:
        _show_build(session, transaction_id, binary_build, file_out)
        return
    with session.connect() as (client, _):
        # Lines are kept seconds after they were said, those of somebody who cancels at once.
        lines = _follow(client, job) if follow else iter(sorted(client.job_lines(job), key=lambda line: line["time"]))
        if file_out is not None:
            _write(session, lines, Path(file_out))
        elif session.out.as_json:
            session.out.result(list(lines), [])
        else:
            session.out.result(None, map(_log_line, lines))


def _show_build(session: Session, transaction: int | None, build: int | None, file_out: str | None) -> None:
    """The log of an attempt as it was kept, without times."""
    with session.connect() as (client, _):
        log = client.binary_build_log(build or 0) if transaction is None else client.build_log(transaction)
    lines = log.splitlines()
    if file_out is not None:
        Path(file_out).write_text("".join(printable(line) + "\n" for line in lines), encoding="utf-8")
        said = f"{counted(len(lines), 'line')} written to '{file_out}'"
        session.out.result({"file": file_out, "lines": len(lines)}, [said])
    else:
        number = {"binary_build": build} if transaction is None else {"transaction": transaction}
        session.out.result({**number, "log": log}, lines)


def cancel(session: Session, *, job: Number) -> None:
    """End a job that waits or runs.

    What it wrote so far stays if the job can go on from there; a sync changes nothing until it is done.
    """
    with session.connect() as (client, _):
        found = client.cancel_job(job)
    is_over = found["state"] == "cancelled"
    said = "is cancelled" if is_over else "is asked to end; it does so at its next step"
    session.out.result(found, [f"Job {job} ({_title(found)}) {said}"])


def _tell_queued(session: Session, connection: Connection, jobs: list[Job]) -> None:
    """The ids alone go to standard output, so that a script can take them."""
    session.out.result(jobs, [str(job["id"]) for job in jobs])
    later = "; it runs when the server starts" if connection.in_process else ""
    for job in jobs:
        session.out.info(f"{_title(job, is_first=True)} is queued as job {job['id']}{later}")


def _finish(
    session: Session, connection: Connection, jobs: list[Job], *, quiet: bool, summary: Callable[[Job], str]
) -> None:
    from entrepot.cli.progress import job_progress
    from entrepot.client import ApiError

    try:
        with job_progress(session.out, quiet=quiet) as on_progress:
            finished = [connection.client.wait_for_job(job["id"], on_progress) for job in jobs]
    except KeyboardInterrupt:
        _tell_interrupted(session, connection, [str(job["id"]) for job in jobs])
        raise
    done = [job for job in finished if job["state"] == "done"]
    others = [job for job in finished if job["state"] != "done"]
    session.out.result(finished, [line for job in done for line in summary(job).splitlines()])
    for job in done:
        _tell_faults(session, job)
    for job in others[1:]:
        session.out.error(ApiError.of_job(job))
    if others:
        raise ApiError.of_job(others[0])


def _tell_interrupted(session: Session, connection: Connection, numbers: list[str]) -> None:
    how = f"'entrepot cancel --job={numbers[0]}' ends it"
    if connection.in_process:
        session.out.info(f"Stopped; job {', '.join(numbers)} begins anew when the server starts, unless {how}")
    else:
        session.out.info(f"No longer waiting; the server goes on with job {', '.join(numbers)}; {how}")


def _tell_faults(session: Session, job: Job) -> None:
    faults = (job["result"] or {}).get("faults")
    if faults:
        where = job["source"] or (job["result"] or {}).get("target") or job["kind"]
        session.out.info(f"Faults in '{where}':", *(f"  {fault}" for fault in faults))


def _follow(client: Client, number: int) -> Iterator[Line]:
    """The lines of a log as they come, until the job is over."""
    from entrepot.client import OVER

    last = 0
    while True:
        # First the state: what was logged before the end is there when the end is seen.
        is_over = client.job(number)["state"] in OVER
        for line in client.job_lines(number, after=last):
            last = line["id"]
            yield line
        if is_over:
            return
        sys.stdout.flush()
        time.sleep(FOLLOW_EVERY)


def _write(session: Session, lines: Iterator[Line], path: Path) -> None:
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(printable(_log_line(line)) + "\n")
            written += 1
    session.out.result({"file": str(path), "lines": written}, [f"{counted(written, 'line')} written to '{path}'"])


def _log_line(line: Line) -> str:
    return f"{line['time'][:19].replace('T', ' ')}  {line['text']}"


def _row(job: Job) -> list[str]:
    state = "cancelling" if job["is_cancelled"] and job["state"] == "running" else job["state"]
    return [str(job["id"]), state, job["kind"], job["source"] or "-", when(job["created"]), printable(_detail(job))]


def _detail(job: Job) -> str:
    """What there is to say about a job in its state."""
    progress, error = job["progress"], job["error"]
    if job["state"] == "running":
        counts = f" {progress['done']} of {progress['total']}" if progress["total"] else ""
        return progress["step"] + counts
    if job["state"] == "queued" and job["due"]:
        return f"tried again from {when(job['due'])}: {error['error'] if error else ''}"
    return error["error"] if error else ""


def _title(job: Job, *, is_first: bool = False) -> str:
    kind = job["kind"].capitalize() if is_first else job["kind"]
    return f"{kind} of '{job['source']}'" if job["source"] else kind
