"""Search as one types, in all of CRAN: names as they are, titles of 2017 as far as packages are that old."""

from __future__ import annotations

import csv
import json
import lzma
import random
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from load import quantile
from loadcell import milli, put
from rig import ROOT, Fault, Installation, LeftOut, Site
from table import Row

from entrepot.ecosystems.r import rds
from entrepot.ecosystems.r.rdsvalues import strings

if TYPE_CHECKING:
    from cells import Bench

DATABASE = ROOT.parent / "shared" / "data" / "cran-package-db-2017-05-25.csv.xz"
TYPED = (
    "dplyr", "ggplot2", "data.table", "Rcpp", "testthat", "lubridate", "lme4", "survival", "randomForest", "shiny",
    "jsonlite", "xgboost", "sf", "terra", "tidyverse", "knitr", "stringr", "purrr", "Seurat", "caret", "glmnet",
    "httr2", "arrow", "zoo", "plotly", "quantmod",
)  # fmt: skip
"""Names that somebody types letter by letter."""
PHRASES = (
    "time series", "mixed effects", "bayesian regression", "spatial", "plot", "read excel", "gene expression", "tree",
    "neural network", "survival analysis", "cluster", "text mining", "missing data imputation", "excel", "weather",
    "r markdown", "parallel", "database", "web scraping", "principal component", "phylogenetic", "Poisson", "copula",
    "forecast", "cran", "a", "e", "", "xyzzy", "multi criteria decision analysis of very many things", "c++", "json",
)  # fmt: skip
GOAL = 0.030
REPOSITORIES = 50
PATIENCE = 120


def search(bench: Bench) -> Iterator[Row]:
    """Answers to some 200 queries in one repository, with and without filters, and in fifty at once."""
    at = with_titles(bench)
    try:
        at.serve()
        wait_for_titles(at.server)
        queries = [{"q": text, "_limit": "20"} for text in [*_as_one_types(), *PHRASES]]
        path = "/__api__/repos/cran/search"
        plain = _asked(at.server, path, queries)
        finished = at.server.ask_well(f"{path}?{urlencode(queries[4])}")
        put(bench.rig, "/search.json", finished, {})
        ready = statistics.median(bench.nginx.ask_well("/search.json").seconds for _ in range(20))
        other = _asked(at.server, "/__api__/repos/cran", [{}] * len(queries))
        yield _row(f"search in all of CRAN, {len(queries)} queries", plain, ready, other)
        filters = {"license": "MIT", "updated_since": "2023-01-01", "source": "cran"}
        yield _row("the same, filtered", _asked(at.server, path, [query | filters for query in queries]), ready, other)
        facets = _asked(at.server, f"{path}/facets", [{"q": query["q"]} for query in queries])
        yield _row("licences and sources to choose from", facets, ready, other)
        _many_repositories(at)
        everywhere = _asked(at.server, "/__api__/search", [{"q": query["q"]} for query in queries])
        yield _row(f"search in {REPOSITORIES} repositories", everywhere, ready, other)
    finally:
        at.stop()


def with_titles(bench: Bench) -> Installation:
    """All of CRAN with titles, synced."""
    if not DATABASE.exists():
        raise LeftOut("no ../shared/data, which has the titles of packages")
    tree, source = bench.rig.upstream / "searched", bench.rig.mirror(0) / "src"
    for folder in (tree, bench.rig.work / "searched"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    shutil.copytree(source, tree / "src")
    _write_titles(tree)
    at = bench.rig.installation("searched", "/__api__/status")
    at.run("sync", "--quiet")
    return at


def _write_titles(tree: Path) -> None:
    """Titles of that time for the packages that there were, for others those of some package."""
    with lzma.open(DATABASE, "rt") as file:
        titles = {row["package"]: " ".join(row["title"].split()) for row in csv.DictReader(file)}
    some, pool = random.Random(20170525), list(titles.values())
    entries = re.findall(r"^Package: (\S+)\nVersion: (\S+)", (tree / "src/contrib/PACKAGES").read_text(), re.MULTILINE)
    columns: dict[str, list[str | None]] = {
        "Package": [name for name, _ in entries],
        "Version": [version for _, version in entries],
        "Title": [titles.get(name) or some.choice(pool) for name, _ in entries],
        "SystemRequirements": [None] * len(entries),
    }
    frame = rds.data_frame(
        {name: strings(values) for name, values in columns.items()}, [str(row) for row in range(len(entries))]
    )
    place = tree / "web" / "packages" / "packages.rds"
    place.parent.mkdir(parents=True)
    place.write_bytes(rds.write(frame))


def wait_for_titles(site: Site) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        jobs = json.loads(site.ask_well("/__api__/jobs").body)
        if any(job["kind"] == "facts" and job["state"] == "done" for job in jobs):
            return
        time.sleep(0.5)
    raise Fault("the titles were not read in time")


def _as_one_types() -> list[str]:
    return [name[:end] for name in TYPED for end in range(1, len(name) + 1)]


@dataclass(frozen=True, slots=True)
class Answers:
    """Seconds of all answers but the very first, which makes what is searched; CPU of the server for one of them."""

    first: float
    warm: list[float]
    cpu: float


def _asked(site: Site, path: str, queries: list[dict[str, str]]) -> Answers:
    first = site.ask_well(f"{path}?{urlencode(queries[0])}").seconds
    before = site.cpu()
    warm = [site.ask_well(f"{path}?{urlencode(query)}").seconds for query in queries]
    return Answers(first, warm, (site.cpu() - before) / len(warm))


def _many_repositories(at: Installation) -> None:
    """Further ones over the same mirror, each with a source of its own."""
    for number in range(REPOSITORIES - 1):
        for path, body in (
            ("sources", {"name": f"own{number}"}),
            ("repos", {"name": f"team{number}"}),
            (f"repos/team{number}/sources", {"source": f"own{number}"}),
            (f"repos/team{number}/sources", {"source": "cran"}),
        ):
            reply = at.server.ask(f"/__api__/{path}", at.token(), method="POST", json=body)
            if reply.status not in (200, 201):
                raise Fault(f"POST {path} was answered with {reply.status}")


def _row(cell: str, answers: Answers, ready: float, other: Answers) -> Row:
    median = statistics.median(answers.warm)
    return Row(
        cell,
        f"{milli(median)} median",
        milli(ready),
        "",
        f"at most {GOAL * 1000:.0f} ms",
        median <= GOAL,
        f"CPU {milli(answers.cpu)}; 90% {milli(quantile(answers.warm, 0.9))}, max {milli(max(answers.warm))}, the very "
        f"first {milli(answers.first)}; an ordinary answer of the API {milli(statistics.median(other.warm))}, CPU "
        f"{milli(other.cpu)}",
    )


SEARCH_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {"search": search}
