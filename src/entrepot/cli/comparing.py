"""`diff`: what differs between two snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.listing import Repo, SourceName
from entrepot.cli.options import UsageFault
from entrepot.cli.output import columns, counted
from entrepot.cli.session import Session
from entrepot.cli.tables import CsvOut, check_output, write_csv

if TYPE_CHECKING:
    from entrepot.client import Difference, PackageDifference

_COLUMNS = (
    "change",
    "name",
    "version_before",
    "version_after",
    "crosses_major",
    "license_before",
    "license_after",
    "license_changed",
    "source_before",
    "source_after",
    "releases_added",
    "releases_removed",
)


def diff(
    session: Session,
    *,
    start: Annotated[
        str, typer.Option("--from", metavar="WHEN", help="latest, a date (YYYY-MM-DD) or a transaction's number.")
    ],
    repo: Repo = None,
    source: SourceName = None,
    end: Annotated[str, typer.Option("--to", metavar="WHEN", help="The other one, likewise.")] = "latest",
    csv_out: CsvOut = None,
) -> None:
    """Show what differs between two snapshots of a repository or of a source.

    Packages that came, went or have another version, with their licenses before and after. Nothing is changed, and no
    upstream is asked.
    """
    if (repo is None) == (source is None):
        raise UsageFault("name either a repository or a source", hint="give --repo=NAME or --source=NAME")
    check_output(session, csv_out)
    with session.connect() as (client, _):
        if repo is not None:
            found = client.repository_difference(repo, start=start, end=end)
        else:
            found = client.source_difference(source or "", start=start, end=end)
    if csv_out is not None:
        write_csv(csv_out, _COLUMNS, found["changes"])
    if csv_out != "-":
        session.out.result(found, _lines(found["changes"]) if csv_out is None else [])
    session.out.info(_summary(found))
    if found["is_partial"]:
        session.out.info("Projects of an index are compared as far as they were read; upstream was not asked")


def _lines(changes: Iterable[PackageDifference]) -> list[str]:
    return columns([[row["change"], row["name"], _versions(row), _notes(row)] for row in changes])


def _versions(row: PackageDifference) -> str:
    before, after = row["version_before"], row["version_after"]
    return f"{before} -> {after}" if before and after and before != after else str(after or before or "")


def _notes(row: PackageDifference) -> str:
    """What else there is to know."""
    notes = ["major version"] if row["crosses_major"] else []
    if row["license_changed"]:
        notes.append(f"license: {row['license_before']} -> {row['license_after']}")
    if row["source_before"] and row["source_after"] and row["source_before"] != row["source_after"]:
        notes.append(f"source: {row['source_before']} -> {row['source_after']}")
    if row["version_before"] and row["version_after"] and (row["releases_added"] or row["releases_removed"]):
        notes.append(f"releases: +{row['releases_added']} -{row['releases_removed']}")
    return ", ".join(notes)


def _summary(found: Difference) -> str:
    """`2 packages differ: 1 added, 1 updated (1 across a major version, 1 with another license)`."""
    changes = found["changes"]
    if not changes:
        return "No package differs"
    counts = ", ".join(f"{number} {word}" for word, number in found["counts"].items() if number)
    major = sum(row["crosses_major"] for row in changes)
    licenses = sum(row["license_changed"] for row in changes)
    notes = [f"{major} across a major version"] if major else []
    notes += [f"{licenses} with another license"] if licenses else []
    differ = "differs" if len(changes) == 1 else "differ"
    return f"{counted(len(changes), 'package')} {differ}: {counts}" + (f" ({', '.join(notes)})" if notes else "")
