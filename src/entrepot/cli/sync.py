"""The command that brings mirrors up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrepot.cli.output import counted
from entrepot.cli.session import Connection, Session
from entrepot.core.errors import SourceNotFound

if TYPE_CHECKING:
    from entrepot.client import Job, Source


def sync(
    session: Session,
    *,
    type: Annotated[str, typer.Option("--type", metavar="TYPE", help="cran, pypi or bioconductor.")] = "cran",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only queue it.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Accept an index that lost more than half of its packages.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the summary.")] = False,
) -> None:
    """Bring mirrors up to date with their upstream."""
    with session.connect() as connection:
        jobs = [connection.client.sync(mirror["name"], force=force) for mirror in _mirrors(connection, type.lower())]
        if wait:
            _finish(session, connection, jobs, quiet=quiet)
        else:
            _tell_queued(session, connection, jobs)


def _mirrors(connection: Connection, type: str) -> list[Source]:
    mirrors = [source for source in connection.client.list_sources(type=type) if source["mirror"]]
    if not mirrors:
        raise SourceNotFound(
            f"there is no mirror of type '{type}'",
            hint="'entrepot info' shows the mirrors",
            type=type,
        )
    return mirrors


def _tell_queued(session: Session, connection: Connection, jobs: list[Job]) -> None:
    """The ids alone go to standard output, so that a script can take them."""
    session.out.result(jobs, [str(job["id"]) for job in jobs])
    later = "; it runs when the server starts" if connection.in_process else ""
    for job in jobs:
        session.out.info(f"Sync of '{job['source']}' is queued as job {job['id']}{later}")


def _finish(session: Session, connection: Connection, jobs: list[Job], *, quiet: bool) -> None:
    """Wait for all jobs and sum up.

    Raises:
        ApiError: the error of the first job that failed, after the summary of the others.
    """
    from entrepot.cli.progress import job_progress
    from entrepot.client import ApiError

    try:
        with job_progress(session.out, quiet=quiet) as on_progress:
            finished = [connection.client.wait_for_job(job["id"], on_progress) for job in jobs]
    except KeyboardInterrupt:
        if not connection.in_process:
            numbers = ", ".join(str(job["id"]) for job in jobs)
            session.out.info(f"No longer waiting; the server goes on with job {numbers}")
        raise
    done = [job for job in finished if job["state"] == "done"]
    failed = [job for job in finished if job["state"] == "failed"]
    session.out.result(finished, [_summary(job) for job in done])
    for job in done:
        _tell_faults(session, job)
    for job in failed[1:]:
        session.out.error(ApiError.of_job(job))
    if failed:
        raise ApiError.of_job(failed[0])


def _summary(job: Job) -> str:
    result: dict[str, Any] = job["result"] or {}
    numbers = {word: result.get(word) or 0 for word in ("added", "updated", "archived", "removed")}
    changes = ", ".join(f"{number} {word}" for word, number in numbers.items() if number)
    done = (
        f"{changes} in {counted(result.get('transactions') or 0, 'transaction')}" if changes else "already up to date"
    )
    faults = result.get("faults") or []
    return f"Synced '{job['source']}': {done}" + (f"; {counted(len(faults), 'fault')}" if faults else "")


def _tell_faults(session: Session, job: Job) -> None:
    faults = (job["result"] or {}).get("faults")
    if faults:
        session.out.info(f"Faults in '{job['source']}':", *(f"  {fault}" for fault in faults))
