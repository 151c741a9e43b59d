"""What clients ask that know the server: binary packages in the place of source packages, records of packages."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from load import Burst, Load, burst, quantile
from loadcell import milli
from rig import Fault, package, source_package
from table import Row

if TYPE_CHECKING:
    from cells import Bench

SIZE = 11_000
AGENT = {"User-Agent": "R (4.2.2 x86_64-pc-linux-gnu x86_64 linux-gnu)"}
NEEDED = ("Rcpp", "ggplot2", "dplyr", "testthat", "knitr", "MASS", "sp", "shiny", "R6", "jsonlite")
RECORD_GOAL = 0.1


def routing(bench: Bench) -> Iterator[Row]:
    """A binary package below `__linux__` beside the same request for its source package."""
    folder = bench.rig.work / "routed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    at = bench.rig.installation("routed", "/__api__/status")
    files = {"source": source_package("small", SIZE), "binary": _binary_package("small", SIZE)}
    for name, data in files.items():
        (folder / name).mkdir()
        (folder / name / "small_1.0.tar.gz").write_bytes(data)
    try:
        at.serve()
        at.run("create", "source", "--name=own")
        at.run("create", "repo", "--name=team")
        at.run("subscribe", "--repo=team", "--source=own")
        at.run("add", "--source=own", "--path=source/small_1.0.tar.gz")
        at.run("add", "binary", "--source=own", "--path=binary/small_1.0.tar.gz", "--distribution=bookworm")
        loads = {}
        for kind, where in (("source", ""), ("binary", "__linux__/bookworm/")):
            path = f"/team/{where}latest/src/contrib/small_1.0.tar.gz"
            reply = at.server.ask_well(path, AGENT)
            if reply.headers.get("x-package-type") != kind:
                raise Fault(f"{path} gave {reply.headers.get('x-package-type')}")
            loads[kind] = Load(path, AGENT, reply.status, len(reply.body), 32)
        found: dict[str, list[Burst]] = {kind: [] for kind in loads}
        for round_ in range(bench.rounds):
            for kind in loads if round_ % 2 else reversed(loads):
                found[kind].append(burst(at.server, loads[kind], bench.seconds))
    finally:
        at.stop()
    source, binary = (statistics.median(it.requests for it in found[kind]) for kind in ("source", "binary"))
    yield Row(
        "binary package below `__linux__`, and its source package",
        f"{binary:,.0f}/s",
        f"{source:,.0f}/s",
        f"{source / binary:.2f}",
        "at most 1.2 times the source's cost",
        source / binary <= 1.2,
    )


def records(bench: Bench) -> Iterator[Row]:
    """Records of packages that very many need, among all of CRAN."""
    dated = bench.rig.fresh_dates(len(NEEDED))
    cold = [_record(bench, name, str(day)) for name, day in zip(NEEDED, dated, strict=True)]
    for name in NEEDED:
        _record(bench, name, "latest")
    warm = [_record(bench, name, "latest") for _ in range(5) for name in NEEDED]
    median = statistics.median(warm)
    yield Row(
        "record with reverse dependencies, all of CRAN",
        f"{milli(median)} median",
        goal=f"at most {RECORD_GOAL * 1000:.0f} ms",
        met=median <= RECORD_GOAL,
        besides=f"90% {milli(quantile(warm, 0.9))}; a date never asked {milli(statistics.median(cold))}",
    )


def _record(bench: Bench, name: str, snapshot: str) -> float:
    """Seconds; a package that wasn't there on that day is asked for as any."""
    reply = bench.server.ask(f"/__api__/repos/cran/packages/{name}?snapshot={snapshot}")
    if reply.status not in (200, 404) or (snapshot == "latest" and b'"reverse_dependencies"' not in reply.body):
        raise Fault(f"the record of {name} at {snapshot} was answered with {reply.status}")
    return reply.seconds


def _binary_package(name: str, size: int) -> bytes:
    """A binary package in which nothing is compiled, of about `size` bytes, as R CMD INSTALL --build packs it."""
    built = "Built: R 4.2.2; ; 2024-01-31 12:00:00 UTC; unix"
    return package(name, size, built, {"Meta/package.rds": b"rds"}, "R/x.rdb")


CLIENT_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {"routing": routing}
"""Those that need no mirror of CRAN."""
CLIENT_R_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {"records": records}
