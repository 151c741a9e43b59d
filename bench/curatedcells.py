"""Curated sources and comparisons over all of CRAN."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load import quantile
from loadcell import milli
from rig import INDEX, Fault, Reply
from table import Row

if TYPE_CHECKING:
    from cells import Bench

ASKED = 500
ROUNDS = 5
_CLOSURES_IN_R = """
args <- commandArgs(TRUE)
db <- read.dcf(gzfile(args[1]))
rownames(db) <- db[, "Package"]
asked <- readLines(args[2])
took <- system.time(found <- tools::package_dependencies(asked, db, which = "most", recursive = "strong"))[["elapsed"]]
cat(took, length(unique(unlist(found))), "\\n")
"""


def closures(bench: Bench) -> Iterator[Row]:
    """Proposals for 500 packages and all that they suggest and need, and their commit."""
    index = gzip.decompress(bench.server.ask_well(INDEX).body).decode()
    names = [line.removeprefix("Package: ") for line in index.splitlines() if line.startswith("Package: ")]
    asked = random.Random(5).sample(names, ASKED)
    bench.cran.run("create", "source", "--name=curated", "--type=curated-cran", "--include=all")
    times, made = [], {}
    for _ in range(ROUNDS):
        reply = _post(bench, "/sources/curated/proposals", {"list": "\n".join(asked)}, 201)
        times.append(reply.seconds)
        made = json.loads(reply.body)
    median = statistics.median(times)
    in_r = _in_r(bench, asked)
    yield Row(
        f"proposal for {ASKED} packages with Suggests",
        f"{milli(median)} median",
        "",
        f"{median / in_r:.2f} of R" if in_r is not None else "",
        "at most 1 s",
        median <= 1,
        f"{len(made['items']):,} packages in all; max {milli(max(times))}"
        + (f"; R's package_dependencies {milli(in_r)} after reading the index" if in_r is not None else ""),
    )
    reply = _post(bench, f"/sources/curated/proposals/{made['id']}/commit", {}, 200)
    yield Row("its commit", milli(reply.seconds), besides=f"{made['counts']['added']:,} packages, with their archive")
    again = [_post(bench, "/sources/curated/proposals", {}, 201).seconds for _ in range(ROUNDS)]
    yield Row("the same list once more", f"{milli(statistics.median(again))} median", besides="nothing changes")


def differences(bench: Bench) -> Iterator[Row]:
    """What differs between two dates of all of CRAN, drawn at random."""
    days = bench.rig.fresh_dates(40)
    pairs = [sorted(days[at : at + 2]) for at in range(0, len(days), 2)]
    paths = [f"/__api__/repos/cran/diff?from={start}&to={end}" for start, end in pairs]
    replies = [bench.server.ask_well(path) for path in paths]
    times = [reply.seconds for reply in replies]
    changes = [len(json.loads(reply.body)["changes"]) for reply in replies]
    yield Row(
        "diff of two dates",
        f"{milli(statistics.median(times))} median",
        goal="at most 1 s",
        met=max(times) <= 1,
        besides=f"{len(pairs)} pairs of 2000 to 2024, 90% {milli(quantile(times, 0.9))}, max {milli(max(times))}; "
        f"{statistics.median(changes):,.0f} packages differ, at most {max(changes):,}",
    )


def _post(bench: Bench, path: str, body: Mapping[str, Any], status: int) -> Reply:
    reply = bench.server.ask(f"/__api__{path}", bench.cran.token(), method="POST", json=body)
    if reply.status != status:
        raise Fault(f"{path} was answered with {reply.status}: {reply.body[:300].decode(errors='replace')}")
    return reply


def _in_r(bench: Bench, asked: list[str]) -> float | None:
    """Seconds that R takes for the same closures of the same index; None without R."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "PACKAGES.gz").write_bytes(bench.server.ask_well(INDEX).body)
        (folder / "asked").write_text("\n".join(asked))
        (folder / "closures.R").write_text(_CLOSURES_IN_R)
        command = [rscript, "--vanilla", "closures.R", "PACKAGES.gz", "asked"]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if ran.returncode:
        raise Fault(f"R could not compute the closures: {ran.stderr[-300:]}")
    return float(ran.stdout.split()[0])


CURATED_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {"closure": closures, "diff": differences}
