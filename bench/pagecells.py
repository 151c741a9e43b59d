"""Pages for people, with all of CRAN and its history: how long the server takes, and what a browser loads."""

from __future__ import annotations

import gzip
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from load import quantile
from loadcell import milli, put
from playwright.sync_api import sync_playwright
from rig import Fault, Reply, Site
from searchcells import wait_for_titles, with_titles
from table import Row

if TYPE_CHECKING:
    from cells import Bench

UI = "/__ui__"
REPO = f"{UI}/repos/cran"
PAGE_GOAL, MOST_NEEDED_GOAL, SEARCH_GOAL = 0.060, 0.150, 0.030
WEIGHT_GOAL = 120 * 1024
ROUNDS = 15
DAYS = ("2016-05-02", "2019-09-09", "2023-02-01")
WORDS = ("gg", "spatial", "time series", "bayesian", "xml", "Rcpp", "mixed models", "e", "plot", "sparse matrix")
NEEDED = "Rcpp"
SOME = ("ggplot2", "dplyr", "data.table", "sf", "abc", "zoo", "glmnet", "lubridate", "xtable", "A3")
_GZIP = {"Accept-Encoding": "gzip", "Accept": "text/html"}


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of one kind: `paths` are asked in turn."""

    what: str
    paths: tuple[str, ...]
    goal: float = PAGE_GOAL


def _pages() -> tuple[Pages, ...]:
    def each(path: str, *queries: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(f"{path}?{urlencode(query)}" for query in queries)

    at_days = [{"snapshot": day} for day in DAYS]
    some = [f"{REPO}/packages/{name}" for name in SOME]
    most = f"{REPO}/packages/{NEEDED}"
    return (
        Pages("home", ("/",)),
        Pages("search in all repositories", each("/", *({"search": word} for word in WORDS))),
        Pages("packages", (f"{REPO}/packages", *each(f"{REPO}/packages", {"page": "7"}, {"page": "400"}))),
        Pages("packages at a day", each(f"{REPO}/packages", *at_days)),
        Pages("packages, searched", each(f"{REPO}/packages", *({"search": word} for word in WORDS))),
        Pages("packages, filtered", each(f"{REPO}/packages", {"license": "MIT"}, {"updated_since": "2024-12-01"})),
        Pages("a package", tuple(some)),
        Pages("a package at a day", tuple(path for name in some for path in each(name, *at_days[-1:]))),
        Pages("the package that most others need", (most,), MOST_NEEDED_GOAL),
        Pages("its dependents", (f"{most}/dependents", f"{most}/dependents?page=9")),
        Pages("a package's versions", tuple(f"{path}/versions" for path in some)),
        Pages("a package's history", tuple(f"{path}/history" for path in some)),
        Pages("a package's dependencies", tuple(f"{path}/dependencies" for path in some)),
        Pages("set-up", (f"{REPO}/setup", *each(f"{REPO}/setup", *at_days))),
        Pages("calendar", (f"{REPO}/calendar", *each(f"{REPO}/calendar", {"month": "2016-05"}))),
        Pages(
            "a month compared",
            each(f"{REPO}/compare", {"from": "2024-12-13"}, {"from": "2019-05-01", "to": "2019-06-01"}),
        ),
        Pages("five years compared", each(f"{REPO}/compare", {"from": "2020-01-01"})),
        Pages("activity", (f"{REPO}/activity", *each(f"{REPO}/activity", {"package": "ggplot2"}, {"page": "40"}))),
        Pages("usage", (f"{REPO}/usage",)),
        Pages("sources", (f"{UI}/sources", f"{UI}/sources/cran", f"{UI}/sources/cran/activity")),
        Pages("builds, jobs, status", (f"{UI}/builds", f"{UI}/jobs", f"{UI}/status")),
    )


def pages(bench: Bench) -> Iterator[Row]:
    """Each kind of page, one request after the other on a running server, beside a finished file of nginx."""
    at = with_titles(bench)
    try:
        at.serve()
        wait_for_titles(at.server)
        for kind in _pages():
            yield _row(bench, at.server, kind)
        yield _weight(at.server)
    finally:
        at.stop()


def _row(bench: Bench, site: Site, kind: Pages) -> Row:
    first = [_page(site, path) for path in kind.paths]
    put(bench.rig, finished := f"/{kind.what.replace(' ', '-')}.html", first[0], _GZIP)
    before, asked = site.cpu(), [path for _ in range(max(2, ROUNDS // len(kind.paths))) for path in kind.paths]
    warm = [_page(site, path).seconds for path in asked]
    cpu = (site.cpu() - before) / len(asked)
    limit = statistics.median(bench.nginx.ask_well(finished).seconds for _ in range(20))
    median = statistics.median(warm)
    return Row(
        f"page: {kind.what}",
        f"{milli(median)} median",
        milli(limit),
        "",
        f"at most {kind.goal * 1000:.0f} ms",
        median <= kind.goal,
        f"90% {milli(quantile(warm, 0.9))}, first {milli(max(reply.seconds for reply in first))}; CPU {milli(cpu)}; "
        f"{len(first[0].body) / 1000:.0f} kB in gzip",
    )


def _weight(site: Site) -> Row:
    """What Chromium loads for the first page that somebody looks at, with all that it brings."""
    program = shutil.which("chromium")
    if program is None:
        return Row("first load of a page", "left out", besides="no chromium on PATH")
    sizes = {kind.what: _loaded(program, site.url + kind.paths[0]) for kind in _pages()}
    most = max(sizes, key=lambda what: sizes[what])
    return Row(
        "first load of a page in Chromium",
        f"{sizes[most] / 1024:.0f} KB",
        goal=f"under {WEIGHT_GOAL // 1024} KB",
        met=sizes[most] < WEIGHT_GOAL,
        besides=f"the largest of {len(sizes)}: {most}; home {sizes['home'] / 1024:.0f} KB",
    )


def _loaded(program: str, url: str) -> int:
    """Bytes over the wire, with headers, of a page and all that it brings."""
    sizes: list[int] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        session = page.context.new_cdp_session(page)
        session.on("Network.loadingFinished", lambda told: sizes.append(int(told["encodedDataLength"])))
        session.send("Network.enable")
        page.goto(url, wait_until="networkidle")
        browser.close()
    return sum(sizes)


def _page(site: Site, path: str) -> Reply:
    reply = site.ask_well(path, _GZIP)
    body = gzip.decompress(reply.body) if reply.headers.get("content-encoding") == "gzip" else reply.body
    if b"</html>" not in body:
        raise Fault(f"{path} is no whole page")
    return reply


PAGE_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {"pages": pages}
