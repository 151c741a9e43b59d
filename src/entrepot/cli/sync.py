"""The command that brings mirrors up to date."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrepot.cli.jobs import wait_or_tell
from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import counted
from entrepot.cli.session import Connection, Session
from entrepot.cli.sysreqs import rules_summary
from entrepot.core.errors import SourceNotFound

if TYPE_CHECKING:
    from entrepot.client import Job, Source


def sync(
    session: Session,
    *,
    type: Annotated[str, typer.Option("--type", metavar="TYPE", help="cran, pypi, bioconductor or sysreqs.")] = "cran",
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="One mirror by its name, instead of a type.")
    ] = None,
    version: Annotated[
        list[str] | None,
        typer.Option(
            "--version",
            metavar="VERSION,...",
            help="Only these versions of Bioconductor, such as 3.18 or release (default: all that are mirrored).",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only queue it.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Accept an index that lost more than half of its packages.")
    ] = False,
    history: Annotated[
        str | None,
        typer.Option(
            "--history",
            metavar="full|none",
            help="Past that a first sync records: all that the upstream tells (full), or its present alone (none).",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the summary.")] = False,
) -> None:
    """Bring mirrors up to date with their upstream.

    Of an index of Python packages that is the list of all projects, and what is known of those that somebody asked for;
    of Bioconductor its configuration and the five repositories of each version, each by itself.
    With --type=sysreqs the rules of system requirements are read.
    """
    if history not in (None, "full", "none"):
        raise UsageFault(f"'--history' is either full or none, not '{history}'")
    with session.connect() as connection:
        if source is None and type.lower() == "sysreqs":
            rules = [connection.client.sync_requirement_rules()]
            wait_or_tell(session, connection, rules, wait=wait, quiet=quiet, summary=rules_summary)
            return
        mirrors = _of_type(connection, type.lower()) if source is None else [connection.client.source(source)]
        versions = split_list(version or [])
        jobs = [
            connection.client.sync(mirror["name"], force=force, history=history, versions=versions)
            for mirror in mirrors
        ]
        types = {mirror["name"]: mirror["type"] for mirror in mirrors}
        wait_or_tell(session, connection, jobs, wait=wait, quiet=quiet, summary=partial(_summary, types))


def _of_type(connection: Connection, type: str) -> list[Source]:
    mirrors = [source for source in connection.client.list_sources(type=type) if source["mirror"]]
    if not mirrors:
        raise SourceNotFound(
            f"there is no mirror of type '{type}'",
            hint="'entrepot info' shows the mirrors",
            type=type,
        )
    return mirrors


def _summary(types: Mapping[str, str], job: Job) -> str:
    result: dict[str, Any] = job["result"] or {}
    numbers = {word: result.get(word) or 0 for word in ("added", "updated", "archived", "removed")}
    if types.get(job["source"] or "") == "pypi":
        changes = ", ".join(f"{counted(number, 'project')} {word}" for word, number in numbers.items() if number)
    else:
        changes = ", ".join(f"{number} {word}" for word, number in numbers.items() if number)
    done = (
        f"{changes} in {counted(result.get('transactions') or 0, 'transaction')}" if changes else "already up to date"
    )
    faults = result.get("faults") or []
    return f"Synced '{job['source']}': {done}" + (f"; {counted(len(faults), 'fault')}" if faults else "")
