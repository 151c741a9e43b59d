"""Results as a table for other programs (CSV, RFC 4180): to standard output, or to a file that is there whole."""

from __future__ import annotations

import csv
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from entrepot.cli.options import UsageFault
from entrepot.cli.session import Session

CsvOut = Annotated[
    str | None,
    typer.Option("--csv-out", metavar="FILE", help="Write the rows to this file as CSV; '-' for standard output."),
]


def check_output(session: Session, csv_out: str | None) -> None:
    """See that standard output gets one document.

    Raises:
        UsageFault: it is to get two.
    """
    if csv_out == "-" and session.out.as_json:
        raise UsageFault("standard output takes either JSON or CSV", hint="give --csv-out a file's name")
    if csv_out == "":
        raise UsageFault("--csv-out needs the name of a file", hint="'-' is standard output")


def write_csv(target: str, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows under a line with the names of their columns; what is None is empty, truth values are `true` and `false`.

    A file is written aside and renamed, so that nobody reads half of it and a failure leaves the one before.

    Raises:
        OSError: the file can't be written.
    """
    if target == "-":
        _write(sys.stdout, names, rows)
        sys.stdout.flush()
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as stream:  # a device or a pipe has no name to take
            _write(stream, names, rows)
        return
    path = path.resolve()
    aside = path.with_name(f".{secrets.token_hex(8)}.csv")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        # About the file that was named, not about the one beside it.
        raise OSError(error.errno, error.strerror, target) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            _write(stream, names, rows)
        if path.exists():
            aside.chmod(path.stat().st_mode & 0o777)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _write(stream: TextIO, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return " ".join(map(str, value))
    return str(value)
