"""What is measured, cell by cell; each gives lines for the table, with its goal."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import cycle, product
from typing import Any
from urllib.parse import urlencode

import accesscells
import bioccells
import clientcells
import curatedcells
import gitcells
import pagecells
import pycells
import searchcells
import usagecells
from load import gzip_seconds, quantile
from loadcell import LoadCell, milli, put
from rig import INDEX, Ended, Fault, Installation, Reply, Rig, Site, few_packages, source_package
from table import Row

RDS = "/cran/latest/src/contrib/PACKAGES.rds"
MISSING = "/cran/latest/src/contrib/nothing_1.0.tar.gz"
SMALL = "/bench/latest/src/contrib/small_1.0.tar.gz"
LARGE = "/bench/latest/src/contrib/large_1.0.tar.gz"
SIZES = {"small": 11_000, "large": 50_000_000}
STATE = frozenset({"jobs", "job_lines", "sqlite_sequence"})
"""Tables that tell of the sync itself."""
MEMORY_DATES, MEMORY_SECONDS = 300, 180
YEAR = (date(2024, 1, 1), date(2024, 12, 31))


@dataclass
class Bench:
    """The servers and how long to measure. What cells of one kind need is made when the first of them asks for it."""

    rig: Rig
    seconds: float
    rounds: int
    nginx: Site = field(init=False)

    def __post_init__(self) -> None:
        self.nginx = self.rig.start_nginx()

    @property
    def cran(self) -> Installation:
        """All of CRAN of the first day, synced, and two packages of our own."""
        return self._synced[0]

    @property
    def first_sync(self) -> Ended:
        return self._synced[1]

    @property
    def size(self) -> float:
        """Of the database after the first sync, in MB."""
        return self._synced[2]

    @cached_property
    def _synced(self) -> tuple[Installation, Ended, float]:
        tell("CRAN's files of the first day")
        self.rig.publish(0)
        cran = self.rig.installation("cran")
        tell("the first sync")
        first_sync = cran.run("sync", "--quiet")
        on_disk = cran.database_size()
        tell("a source of our own")
        files = []
        for name, size in SIZES.items():
            files.append(self.rig.work / f"{name}_1.0.tar.gz")
            files[-1].write_bytes(source_package(name, size))
        cran.run("create", "source", "--name=bench")
        cran.run("create", "repo", "--name=bench")
        cran.run("subscribe", "--repo=bench", "--source=bench")
        cran.run("add", "--source=bench", f"--path={','.join(map(str, files))}")
        return cran, first_sync, on_disk

    @cached_property
    def python(self) -> Installation:
        """A mirror of a small index of made-up projects."""
        tell("a Python index")
        return pycells.prepare(self)

    @property
    def server(self) -> Site:
        return self.cran.server


def tell(words: str) -> None:
    """A line about what is going on."""
    print(f"bench: {words}", file=sys.stderr, flush=True)


# One request at a time


@dataclass(frozen=True, slots=True)
class Cold:
    """An index of dates that nobody asked before."""

    name: str
    latest: str
    goal: float

    def __call__(self, bench: Bench) -> Iterator[Row]:
        put(bench.rig, self.latest, bench.server.ask_well(self.latest), {})
        ready = statistics.median(bench.nginx.ask_well(self.latest).seconds for _ in range(20))
        for which, days in (
            ("25 dates of 2000 to 2024", bench.rig.fresh_dates(25)),
            ("10 dates of 2024", bench.rig.fresh_dates(10, *YEAR)),
        ):
            replies = {day: bench.server.ask_well(f"/cran/{day}/src/contrib/{self.name}") for day in days}
            times = [reply.seconds for reply in replies.values()]
            median, packed = statistics.median(times), gzip_seconds(replies[max(days)].body)
            yield Row(
                f"cold {self.name}, {which}",
                f"{milli(median)} median",
                milli(ready),
                "",
                f"at most {self.goal * 1000:.0f} ms",
                median <= self.goal,
                f"90% {milli(quantile(times, 0.9))}, max {milli(max(times))}; "
                f"gzip {milli(packed)}, newest {replies[max(days)].seconds / packed:.1f} of it",
            )


def api_pages(bench: Bench) -> Iterator[Row]:
    """Pages of the package list of all of CRAN."""
    sorts = product(("name", "version", "package_date", "package_size"), ("asc", "desc"), (1, 100, 200))
    listed = [{"_sort": sort, "_order": order, "_page": page} for sort, order, page in sorts]
    found = [{"name_like": part, "_sort": sort} for part, sort in product(("gg", "spatial", "e"), ("name", "version"))]
    asked: list[dict[str, Any]] = [*listed, *found]
    dated = [{**query, "snapshot": day} for query, day in zip(cycle(asked), bench.rig.fresh_dates(30), strict=False)]
    for which, queries in (("latest", asked), ("a date never asked", dated)):
        times = [bench.server.ask_well(f"/__api__/repos/cran/packages?{urlencode(it)}").seconds for it in queries]
        median = statistics.median(times)
        yield Row(
            f"page of the package API, {which}",
            f"{milli(median)} median",
            goal="at most 50 ms",
            met=median <= 0.05,
            besides=f"{len(times)} pages, 90% {milli(quantile(times, 0.9))}, max {milli(max(times))}",
        )


def resolving(bench: Bench) -> Iterator[Row]:
    """A date's page where a source has thousands of transactions, against one with a handful."""
    contrib = bench.rig.upstream / "few" / "src" / "contrib"
    contrib.mkdir(parents=True, exist_ok=True)
    (contrib / "PACKAGES").write_text(few_packages())
    few = bench.rig.installation("few")
    few.run("sync", "--quiet")
    few.serve()
    try:
        sites = (bench.server, few.server)
        times: dict[int, list[float]] = {site.port: [] for site in sites}
        days = bench.rig.fresh_dates(200)
        for at, site in product(range(0, len(days), 20), sites):  # by turns of 20: one that just slept is slower
            times[site.port] += [site.ask_well(f"/cran/{day}/").seconds for day in days[at : at + 20]]
        many_ms, few_ms = (statistics.median(times[site.port]) for site in sites)
        counts = [at.rows()["transactions"] for at in (bench.cran, few)]
    finally:
        few.stop()
    yield Row(
        "resolving a date",
        f"{milli(many_ms)} median",
        "",
        f"{many_ms / few_ms:.2f}",
        "as with few transactions",
        many_ms <= 1.5 * few_ms,
        f"{counts[0]:,} transactions; {milli(few_ms)} with {counts[1]}",
    )


# The catalogue and the server


def first_sync(bench: Bench) -> Iterator[Row]:
    """The whole history from nothing."""
    it = bench.first_sync
    rows = bench.cran.rows()
    yield Row(
        "first sync, full history",
        f"{it.seconds:.1f} s",
        goal="at most 45 s",
        met=it.seconds <= 45,
        besides=f"CPU {it.cpu:.1f} s; {rows['files']:,} versions, {rows['transactions']:,} transactions",
    )
    yield Row("its memory", f"{it.peak:.0f} MB", goal="under 700 MB", met=it.peak < 700)


def catalogue(bench: Bench) -> Iterator[Row]:
    """The database on disk."""
    yield Row("catalogue on disk (SQLite)", f"{bench.size:.0f} MB", goal="at most 400 MB", met=bench.size <= 400)


def start(bench: Bench) -> Iterator[Row]:
    """From the start of the process to the first index."""
    times, used = [], []
    for _ in range(3):
        bench.cran.stop()
        bench.cran.forget_rendered()
        times.append(bench.cran.serve())
        used.append(bench.server.cpu())
    bench.cran.stop()
    kept, alive = bench.cran.serve(), bench.cran.serve("/__ping__")
    median = statistics.median(times)
    yield Row(
        "start to first answer",
        f"{median:.2f} s",
        goal="at most 3 s",
        met=median <= 3,
        besides=f"CPU {statistics.median(used):.1f} s; index still in the cache on disk {kept:.2f} s, "
        f"`/__ping__` {alive:.2f} s",
    )


def memory(bench: Bench) -> Iterator[Row]:
    """A server's memory after many different snapshots."""
    bench.cran.serve()
    days = bench.rig.fresh_dates(MEMORY_DATES)
    stop, asked = time.perf_counter() + MEMORY_SECONDS, 0
    for at, day in enumerate(days):
        if time.perf_counter() > stop:
            break
        for name in ("PACKAGES.gz", "PACKAGES.rds") if at % 10 == 0 else ("PACKAGES.gz",):
            bench.server.ask_well(f"/cran/{day}/src/contrib/{name}")
        asked += 1
    now, most = bench.server.memory()
    yield Row(
        f"memory after {asked} dates",
        f"{now:.0f} MB",
        goal=f"under 500 MB after {MEMORY_DATES}",
        met=now < 500 and asked == MEMORY_DATES,
        besides=f"at most {most:.0f} MB on the way",
    )


def a_days_sync(bench: Bench) -> Iterator[Row]:
    """What changed on CRAN in one real day."""
    expected = bench.rig.changes()
    tell("CRAN's files of the second day")
    bench.rig.publish(1)
    before = bench.server.cpu()
    job, seen = _sync(bench)
    result, took = job["result"], _took(job)
    cpu, most = bench.server.cpu() - before, bench.server.memory()[1]
    told = {word: result[word] for word in ("added", "updated", "archived") if result[word]}
    changes = ", ".join(f"{count} {word}" for word, count in told.items())
    if told != expected:
        raise Fault(f"the sync told of {changes}; by CRAN's log it is {expected}")
    yield Row(
        "a day's sync",
        f"{took:.2f} s",
        goal="at most 2 s",
        met=took <= 2,
        besides=f"{changes} in {result['transactions']} transaction(s); seen from outside {seen:.2f} s, "
        f"CPU {cpu:.1f} s, memory of the server at most {most:.0f} MB",
    )


def without_changes(bench: Bench) -> Iterator[Row]:
    """A sync that finds all as it was."""
    rows, logged, jobs = bench.cran.rows(), len(bench.rig.upstream_log()), []
    for _ in range(3):
        jobs.append(_sync(bench)[0])
    time.sleep(0.3)
    asked = Counter(line.split()[0] for line in bench.rig.upstream_log()[logged:])
    grown = _grown(rows, bench.cran.rows())
    took = statistics.median(map(_took, jobs))
    yield Row(
        "a sync without changes",
        f"{took:.2f} s",
        goal="304 only, no row written",
        met=set(asked) == {"304"} and not grown,
        besides=f"upstream's answers in three syncs: {_counts(asked)}; rows written: {_counts(grown) or 'none'}",
    )


def _sync(bench: Bench) -> tuple[dict[str, Any], float]:
    """A finished job of a sync, and the seconds from asking for it to seeing it done."""
    began = time.perf_counter()
    reply = bench.server.ask("/__api__/sources/cran/sync", bench.cran.token(), method="POST", json={})
    if reply.status != 202:
        raise Fault(f"a sync was answered with {reply.status}: {reply.body[:300].decode(errors='replace')}")
    job = _json(reply)
    while job["state"] in ("queued", "running"):
        if time.perf_counter() - began > 180:
            raise Fault("a sync was not done after 180 s")
        time.sleep(0.05)
        job = _json(bench.server.ask_well(f"/__api__/jobs/{job['id']}"))
    if job["state"] != "done":
        raise Fault(f"a sync {job['state']}: {job['error']}")
    return job, time.perf_counter() - began


def _json(reply: Reply) -> dict[str, Any]:
    return dict(json.loads(reply.body))


def _took(job: Mapping[str, Any]) -> float:
    begin, finish = (datetime.fromisoformat(job[name]) for name in ("started", "finished"))
    return (finish - begin).total_seconds()


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """How many rows tables have more or fewer, those of the jobs left out."""
    names = sorted((before.keys() | after.keys()) - STATE)
    changed = {name: after.get(name, 0) - before.get(name, 0) for name in names}
    return {name: count for name, count in changed.items() if count}


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {word}" for word, count in numbers.items())


R_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {
    "first-sync": first_sync,
    "catalogue": catalogue,
    "start": start,
    "index": LoadCell("`PACKAGES.gz`, warm", INDEX, 0.5),
    "conditional": LoadCell("`PACKAGES.gz`, conditional", INDEX, 0.5, is_conditional=True),
    "rds": LoadCell("`PACKAGES.rds`, warm", RDS),
    "missing": LoadCell("404", MISSING),
    "small": LoadCell("tarball of 11 KB", SMALL, 0.5),
    "large": LoadCell("tarball of 50 MB", LARGE, 0.7, connections=8, in_bytes=True),
    "cold": Cold("PACKAGES.gz", INDEX, 0.25),
    "cold-rds": Cold("PACKAGES.rds", RDS, 0.5),
    "api": api_pages,
    **clientcells.CLIENT_R_CELLS,
    **pagecells.PAGE_CELLS,
    "resolve": resolving,
    "memory": memory,
    **curatedcells.CURATED_CELLS,
    "day": a_days_sync,
    "unchanged": without_changes,
}
"""Every cell by its name, in the order of measuring: what writes comes last."""

CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {
    **R_CELLS,
    **pycells.PYTHON_CELLS,
    **gitcells.GIT_CELLS,
    **clientcells.CLIENT_CELLS,
    **bioccells.BIOC_CELLS,
    **accesscells.ACCESS_CELLS,
    **searchcells.SEARCH_CELLS,
    **usagecells.USAGE_CELLS,
}
