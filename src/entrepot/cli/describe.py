"""The command that reads the dependencies of a mirror's archived versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrepot.cli.jobs import wait_or_tell
from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.client import Completeness, Job


def describe(
    session: Session,
    *,
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="Name of the mirror.")],
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day, YYYY-MM-DD; else the first there is.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day, YYYY-MM-DD; else the newest that is over.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how much there is to read.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only queue it.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the summary.")] = False,
) -> None:
    """Read the dependencies of archived versions that were current in a range of days.

    An upstream's archive doesn't tell them, so that past days are listed without them. They are read from the head of
    each file, the newest first. What was read stays: the command can be stopped, and goes on when it is given again.
    """
    with session.connect() as connection:
        if dry_run:
            found = connection.client.completeness(source, start=start, end=end)
            session.out.result(found, [_completeness(found)])
            return
        job = connection.client.describe(source, start=start, end=end)
        wait_or_tell(session, connection, [job], wait=wait, quiet=quiet, summary=_summary)


def _completeness(found: Completeness) -> str:
    versions = _counted(found["versions"], "version")
    return (
        f"{found['incomplete']:,} of {versions} that were current from {found['from']} to {found['to']} "
        "lack their dependencies"
    )


def _summary(job: Job) -> str:
    result: dict[str, Any] = job["result"] or {}
    described, faulty = result.get("described") or 0, result.get("faulty") or 0
    if not described and not faulty:
        return f"Described '{job['source']}': nothing was missing"
    faults = f", {_counted(faulty, 'fault')}" if faulty else ""
    return f"Described '{job['source']}': {_counted(described, 'version')}{faults}"


def _counted(number: int, one: str) -> str:
    """As `output.counted`, with commas: there may be a hundred thousand."""
    return f"{number:,} {one if number == 1 else one + 's'}"
