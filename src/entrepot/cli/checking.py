"""`check`: whether a repository can serve what a list asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.lists import read_list
from entrepot.cli.output import columns, counted
from entrepot.cli.session import Session
from entrepot.cli.tables import CsvOut, check_output, write_csv

if TYPE_CHECKING:
    from entrepot.client import CheckedEntry, Checking

MISSING, UNKNOWN = 4, 6
"""Exit codes where some entries can't be served, and where it can't be told of some."""

_COLUMNS = (
    "name",
    "requirement",
    "line",
    "marker",
    "verdict",
    "lacks",
    "version",
    "source",
    "archived",
    "yanked",
    "files_wanted",
    "files_listed",
    "lower",
    "higher",
    "near",
    "reason",
)
_ORDER = ("with-r", "served", "partial", "unknown", "missing")
"""What is to be looked at comes last, where it is seen."""


def check(
    session: Session,
    *,
    repo: Annotated[str, typer.Option("--repo", metavar="NAME", help="Name of the repository.")],
    file_in: Annotated[
        str,
        typer.Option(
            "--file-in",
            metavar="FILE",
            help="The list: renv.lock, DESCRIPTION, requirements, pyproject.toml, uv.lock or pylock.toml, whatever its "
            "name; '-' for standard input.",
        ),
    ],
    constraints: Annotated[
        str | None, typer.Option("--constraints", metavar="FILE", help="Constraints file of a list of Python packages.")
    ] = None,
    snapshot: Annotated[
        str, typer.Option("--snapshot", metavar="WHEN", help="latest, a date (YYYY-MM-DD) or a transaction's number.")
    ] = "latest",
    csv_out: CsvOut = None,
) -> None:
    """Check whether a repository can serve all that a list asks for.

    Ends with 0 if it can, with 4 if something is missing, and with 6 if an upstream that has to be asked does not
    answer. Where the list has hashes, files with these bytes have to be there; archived versions count.
    """
    check_output(session, csv_out)
    text = read_list(file_in) or ""
    bounds = read_list(constraints)
    with session.connect() as (client, _):
        found = client.check_list(repo, text, constraints=bounds, snapshot=snapshot)
    if csv_out is not None:
        write_csv(csv_out, _COLUMNS, found["entries"])
    if csv_out != "-":
        session.out.result(found, _lines(found["entries"]) if csv_out is None else [])
    session.out.info(_summary(found))
    if not found["servable"]:
        raise typer.Exit(MISSING if found["counts"]["missing"] else UNKNOWN)


def _lines(entries: Iterable[CheckedEntry]) -> list[str]:
    ordered = sorted(entries, key=lambda entry: _ORDER.index(entry["verdict"]))
    return columns([[entry["verdict"], entry["requirement"], _note(entry)] for entry in ordered])


def _note(entry: CheckedEntry) -> str:
    """What is served, or what is missing and what there is instead."""
    match entry["verdict"], entry["lacks"]:
        case "missing", "package":
            near = f"; did you mean {' or '.join(entry['near'])}?" if entry["near"] else ""
            return f"there is no such package{near}"
        case "missing", "version":
            nearest = [version for version in (entry["lower"], entry["higher"]) if version]
            return f"there is no such version; nearest {' and '.join(nearest) or 'none'}"
        case "missing", _:
            return f"none of {counted(entry['files_wanted'], 'file')} is there; {entry['version']} has others"
        case "unknown", _:
            return entry["reason"] or ""
    notes = [entry["version"] or ""]
    notes += [f"{entry['files_listed']} of {counted(entry['files_wanted'], 'file')}"] if entry["files_wanted"] else []
    notes += [word for word in ("archived", "yanked") if entry[word]]
    return ", ".join(notes)


def _summary(found: Checking) -> str:
    """`2 of 3 entries can be served: 1 with-r, 1 served, 1 missing`."""
    counts = found["counts"]
    able = counts["served"] + counts["partial"] + counts["with-r"]
    told = ", ".join(f"{counts[word]} {word}" for word in _ORDER if counts[word])
    return f"{able} of {counted(len(found['entries']), 'entry', 'entries')} can be served: {told}"
