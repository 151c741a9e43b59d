"""The figures as a table, on the terminal and as docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rig import ROOT, program

PAGE = ROOT / "docs" / "benchmarks.md"
HEADS = ("cell", "Entrepot", "nginx", "ratio", "goal", "met", "besides")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `met` is None where there is no goal."""

    cell: str
    ours: str
    limit: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    besides: str = ""

    def words(self) -> tuple[str, ...]:
        met = "" if self.met is None else "yes" if self.met else "**no**"
        return self.cell, self.ours, self.limit, self.ratio, self.goal, met, self.besides


@dataclass(frozen=True, slots=True)
class Machine:
    """What has to be told about where it was measured."""

    day: str
    words: str
    load: float

    @classmethod
    def here(cls) -> Machine:
        """This machine, with its load before anything was started."""
        told = [
            f"{os.cpu_count()} cores",
            f"{platform.system()} on {platform.machine()}",
            f"Python {platform.python_version()}",
            f"uvicorn {version('uvicorn')}",
            f"nginx {_told('nginx', '-v')}",
            f"wrk {_told('wrk', '-v')}",
        ]
        return cls(datetime.now(UTC).date().isoformat(), ", ".join(told), os.getloadavg()[0])


def _told(name: str, flag: str) -> str:
    done = subprocess.run([program(name), flag], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return found.group() if found else "of unknown version"


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table of Markdown, its columns in line."""
    lines = [HEADS, *(row.words() for row in rows)]
    used = [at for at in range(len(HEADS)) if any(line[at] for line in lines[1:])]
    widths = {at: max(len(line[at]) for line in lines) for at in used}
    table = ["| " + " | ".join(line[at].ljust(widths[at]) for at in used) + " |" for line in lines]
    return "\n".join([table[0], "| " + " | ".join("-" * widths[at] for at in used) + " |", *table[1:]]) + "\n"


def verdict(rows: Sequence[Row]) -> str:
    """How many goals were met, in one line."""
    judged = [row for row in rows if row.met is not None]
    return f"{sum(row.met is True for row in judged)} of {len(judged)} goals met"


def page(rows: Sequence[Row], machine: Machine, seconds: str, rounds: int) -> str:
    """The whole of docs/benchmarks.md."""
    busy = ""
    if machine.load > 0.5 * (os.cpu_count() or 1):
        busy = "\n**The machine was busy with something else: these figures show the form, not the speed.**\n"
    return PAGE_TEXT.format(
        seconds=seconds, rounds=rounds, day=machine.day, machine=machine.words, load=f"{machine.load:.1f}", busy=busy,
        table=markdown(rows), verdict=verdict(rows),
    )  # fmt: skip


def write(text: str) -> Path:
    """Put the page into its place and tell where that is."""
    PAGE.write_text(text, encoding="utf-8")
    return PAGE


PAGE_TEXT = """\
# Benchmarks

This page is written by `make bench`, which measures Entrepot and nginx side by side on one machine. nginx has the very
bytes that Entrepot answered as finished files under the same paths: it is the limit. Both are asked over loopback and
share the cores with the program that asks, so requests a second are to be compared within a run only; ratios carry
further. `bench/run --help` has the options, `ARGS=` hands them on: `make bench ARGS="--only index small"`.

Measured on {day}: {machine}; load of the machine before: {load}.
{busy}
{table}
{verdict}.

## What the cells mean

CRAN is all of CRAN as it stood on two days of January 2025: 22,000 packages and their history of 176,000 versions, with
CRAN's own names, versions and dates, served by nginx on loopback as upstream.

- **Warm, conditional, `.rds`, 404, files**: wrk with 2 threads and 32 connections (8 for the 50 MB file), {seconds} s a
  server and round. nginx and Entrepot take turns, each round the other one first; shown are medians of {rounds} rounds.
  Before, both must have given the same status and the same bytes (for the conditional request: each 304 to its own
  ETag); a round with one error of a connection, a wrong status or a wrong number of bytes fails the cell. "CPU" is that
  of all processes of the server, for one answer.
- **Cold**: dates never asked before, one request at a time on a running server, from the request to the last byte.
  nginx's column is one request for its finished file of the newest day. "gzip" is what Python's gzip at level 6 takes
  in the same run for the uncompressed content of the newest date: a figure to carry to other machines.
- **API pages**: 100 packages a page, over all sorts and orders, pages at the beginning, middle and end, and parts of
  names; at `latest`, and at dates never asked before.
- **First sync**: `entrepot sync` on an empty data folder, from the start of the command to its end, with all history.
  Memory is the largest of that process.
- **Catalogue**: the SQLite database after it, with its log.
- **Start**: from the start of `entrepot serve` over that catalogue to the last byte of the `PACKAGES.gz` of `latest`,
  with no rendered index kept; median of three starts.
- **Resolving a date**: the page of `/cran/DATE/`, dates never asked before, on this server and on one whose mirror has
  five packages and as many transactions; the two take turns. The goal is that the ratio is near 1; 1.5 counts as that.
- **Memory**: of a server started anew, after the `PACKAGES.gz` of 300 dates never asked before, and the `PACKAGES.rds`
  of each tenth.
- **A day's sync**: the second day's files are put into the upstream, the sync is asked for by the API; from the job's
  `started` to its `finished`. What changed has to be what CRAN's log of actions tells of that day.
- **Without changes**: the same once more, median of three; every request to the upstream must have been answered 304,
  and no table but that of jobs may have more or fewer rows than before.

The Python index is made up: wheels that can't be compressed further, pages as long as real ones, and as many names as
the Python Package Index has, served by nginx on loopback as upstream of the source `pypi`.

- **First page**: pages of 500 files that nobody asked for, in JSON, one after the other on a running server; what each
  takes more than the upstream's finished page of the same project. It is fetched, read, recorded, rendered, compressed
  twice and sent in that time.
- **Pages, list, files**: as above; nginx has a finished file for each form and encoding and chooses by Accept and
  Accept-Encoding as Entrepot does. Where a client takes zstd, both send that.
- **`uv pip install`**: 50 wheels of 5 to 300 KB that need each other, with no cache at uv; the two servers take turns.
- **Uploads**: wheels of 5 KB by the legacy upload API over one connection, one after the other; each is read strictly,
  stored and recorded on disk before it is answered.
- **All names**: a sync of the list in the running server; the list in both forms, each asked for the first time (which
  makes it and its twins) and again; then 2,000 pages of 2 to 500 files, a tenth of them in HTML as well. Memory is that
  of the server's process.
- **Packages built from Git**: one look at each of 100 builders' endpoints over `git://`, as a poll does it, where
  nothing is new; `entrepot run git-builder --wait` right after a push, from its start to its end, beside `R CMD build`
  of the same tree; and requests for an index, one after the other, while two builds keep a hundred processes busy each
  and fill what they may write, beside the same requests before. They are of a run of their own,
  `make bench ARGS="--only git-polls git-build git-hogs"`.
- **Peers**: the goal is ten times the best of them at each kind of request. They are measured by the programs in
  `../shared/bench/peers` with files of their own, which Entrepot mirrors; without these, or where they can't be
  installed, that part is left out.
"""
