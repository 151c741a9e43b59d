"""What is measured of Python repositories, cell by cell."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from typing import TYPE_CHECKING

from load import quantile, timed
from loadcell import LoadCell, milli, put
from peers import peers
from rig import ROOT, Fault, Installation, Site, program
from table import Row
from wheels import NAMES, Tree, Wheel, long_page, make_wheel, many_names

if TYPE_CHECKING:
    from cells import Bench

JSON, HTML = "application/vnd.pypi.simple.v1+json", "text/html"
SHARE = 0.4
SIZES = {"small": 11_000, "middle": 500_000}
COLD = 20
INSTALLED, UPLOADED = 50, 200
CACHED = 2000
LENGTHS = (2, 5, 10, 20, 40, 80, 120, 200, 300, 500)
"""Files in the pages of those: as many as popular projects have."""
SIMPLE = "/pypi/latest/simple/"
_SETTLED = 6.0
"""Seconds after a start until the server has loaded its API and pages as well."""


def prepare(bench: Bench) -> Installation:
    """The upstream's tree and an installation over it that knows the list of names."""
    tree = Tree(bench.rig.upstream / "pypi")
    for name, size in SIZES.items():
        tree.add(make_wheel(name, size))
    tree.add_page("many", long_page("many", 500))
    for at in range(COLD):
        tree.add_page(f"cold{at}", long_page(f"cold{at}", 500))
    for wheel in _installed():
        tree.add(wheel)
    tree.list_names(
        sorted([*SIZES, "many", *(f"cold{at}" for at in range(COLD)), *(it.project for it in _installed())])
    )
    installation = bench.rig.installation("pypi", "/__ping__")
    installation.run("sync", "--type=pypi", "--quiet")
    installation.serve()
    time.sleep(_SETTLED)  # what the server loads after its start would slow its first answers
    return installation


def _installed() -> list[Wheel]:
    """Wheels of 5 to 300 KB, most of which need two others."""
    found = []
    for at in range(INSTALLED):
        requires = [f"needed{other}>=1.0" for other in (at + 7, at + 13) if other < INSTALLED]
        found.append(make_wheel(f"needed{at}", 5000 + at * 6000, requires=requires))
    return found


def _page(project: str, what: str, accept: str, encoding: str = "", *, is_conditional: bool = False) -> LoadCell:
    headers = {"Accept": accept, **({"Accept-Encoding": encoding} if encoding else {})}
    path = f"{SIMPLE}{project}/" if project else SIMPLE
    return LoadCell(what, path, SHARE, headers=headers, of="python", is_conditional=is_conditional)


def _file(project: str, what: str, suffix: str = "") -> LoadCell:
    path = f"/pypi/latest/packages/{project}/{project}-1.0-py3-none-any.whl{suffix}"
    return LoadCell(what, path, SHARE, of="python")


# One request at a time


def cold_pages(bench: Bench) -> Iterator[Row]:
    """Pages of 500 files that nobody asked for: what they take above the upstream's own answer."""
    server, upstream = bench.python.server, bench.rig.upstream_site
    above, took = [], []
    for at in range(COLD):
        theirs = statistics.median(upstream.ask_well(f"/pypi/simple/cold{at}/").seconds for _ in range(5))
        reply = server.ask_well(f"{SIMPLE}cold{at}/", {"Accept": JSON, "Accept-Encoding": "gzip"})
        took.append(reply.seconds)
        above.append(reply.seconds - theirs)
    yield Row(
        "first page of 500 files",
        f"{milli(statistics.median(took))} median",
        goal="at most 15 ms above upstream's own",
        met=statistics.median(above) <= 0.015,
        besides=f"{milli(statistics.median(above))} above; the very first {milli(above[0])}, "
        f"90% {milli(quantile(above, 0.9))}, max {milli(max(above))}",
    )


def uploads(bench: Bench) -> Iterator[Row]:
    """Wheels by the legacy upload API, one after the other, as twine sends them."""
    at = bench.python
    at.run("create", "source", "--name=own", "--type=local-python")
    at.run("create", "repo", "--name=own", "--type=python")
    at.run("subscribe", "--repo=own", "--source=own")
    wheels = [make_wheel(f"mine{number % 20}", 5000, version=f"1.{number}") for number in range(UPLOADED)]
    bodies = [_form(wheel) for wheel in wheels]
    login = {"Authorization": "Basic " + base64.b64encode(b"__token__:" + _token(at)).decode()}
    times, cpu = [], at.server.cpu()
    for kind, body in bodies:
        reply = at.server.ask("/upload/pypi/own", {**login, "Content-Type": kind}, method="POST", body=body)
        if reply.status != 200:
            raise Fault(f"an upload was answered with {reply.status}: {reply.body[:200].decode(errors='replace')}")
        times.append(reply.seconds)
    rate = len(times) / sum(times)
    yield Row(
        "uploads",
        f"{rate:.0f}/s",
        goal="at least 50/s",
        met=rate >= 50,
        besides=f"{len(times)} wheels of 5 KB to 20 projects; median {milli(statistics.median(times))}, the last "
        f"twenty {milli(statistics.median(times[-20:]))}; CPU {milli((at.server.cpu() - cpu) / len(times))}",
    )


def _token(at: Installation) -> bytes:
    return at.token()["Authorization"].removeprefix("Bearer ").encode()


def _form(wheel: Wheel) -> tuple[str, bytes]:
    """Content type and body of an upload."""
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": wheel.project,
        "version": wheel.name.split("-")[1],
        "filetype": "bdist_wheel",
        "pyversion": "py3",
        "requires_python": ">=3.8",
        "sha256_digest": hashlib.sha256(wheel.content).hexdigest(),
    }
    mark = "bench-5c1d7e"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="content"; filename="{wheel.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + wheel.content + f"\r\n--{mark}--\r\n".encode()
    return f"multipart/form-data; boundary={mark}", body


def installs(bench: Bench) -> Iterator[Row]:
    """uv resolves and installs 50 projects, with empty caches of its own, from Entrepot and from nginx."""
    uv = ROOT / ".tools" / "bin" / "uv"
    command = str(uv) if uv.exists() else program("uv")
    names = [f"needed{at}" for at in range(INSTALLED)]
    server = bench.python.server
    for name in names:
        for encoding in ("", "gzip", "zstd", "gzip, deflate, zstd"):
            path = f"{SIMPLE}{name}/"
            headers = {"Accept": JSON, "Accept-Encoding": encoding}
            put(bench.rig, path, server.ask_well(path, headers), headers)
        for suffix in ("", ".metadata"):
            path = f"/pypi/latest/packages/{name}/{name}-1.0-py3-none-any.whl{suffix}"
            put(bench.rig, path, server.ask_well(path), {})
    times: dict[str, list[float]] = {server.name: [], bench.nginx.name: []}
    for round_ in range(max(5, bench.rounds) + 1):
        for site in (server, bench.nginx) if round_ % 2 else (bench.nginx, server):
            took = timed(lambda site=site: _install(bench, command, site, names))[0]  # type: ignore[misc]
            if round_:  # the first is for uv's own sake
                times[site.name].append(took)
    ours, limit = (statistics.median(times[name]) for name in (server.name, bench.nginx.name))
    yield Row(
        f"`uv pip install` of {INSTALLED} projects",
        milli(ours),
        milli(limit),
        f"{ours / limit:.2f}",
        "within 10% of nginx",
        ours <= 1.1 * limit,
        f"medians of {len(times[server.name])}",
    )


def _install(bench: Bench, uv: str, site: Site, names: list[str]) -> None:
    goal = bench.rig.work / "installed"
    shutil.rmtree(goal, ignore_errors=True)
    command = [
        uv, "pip", "install", "--no-cache", "--no-config", "--target", str(goal), "--only-binary", ":all:",
        "--default-index", site.url + SIMPLE, "--python", sys.executable, *names,
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {"UV_PYTHON_DOWNLOADS": "never", "NO_PROXY": "*"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    count = len(list(goal.glob("*.dist-info"))) if goal.exists() else 0
    shutil.rmtree(goal, ignore_errors=True)
    if done.returncode or count != len(names):
        raise Fault(f"uv installed {count} from {site.name} and ended with {done.returncode}: {done.stderr[-300:]}")


# The whole list of names


def names_and_memory(bench: Bench) -> Iterator[Row]:
    """All names of an index as large as the public one, and the memory with 2,000 projects beside them."""
    tree = Tree(bench.rig.upstream / "names")
    tree.list_names(many_names())
    for number, length in zip(range(CACHED), cycle(LENGTHS), strict=False):
        tree.add_page(f"project{number}", long_page(f"project{number}", length))
    at = bench.rig.installation("names", "/__ping__")
    try:
        idle, cpu = at.server.memory()[0], at.server.cpu()
        synced = at.run("sync", "--type=pypi", "--quiet")
        now, most = at.server.memory()
        yield Row(
            f"sync of {NAMES:,} names",
            f"{synced.seconds:.1f} s",
            besides=f"CPU of the server {at.server.cpu() - cpu:.1f} s, its memory {idle:.0f} MB before, {now:.0f} MB "
            f"after, at most {most:.0f} MB; {at.database_size():.0f} MB on disk",
        )
        yield from _list_of(at)
        yield from _cached(at)
    finally:
        at.stop()


def _list_of(at: Installation) -> Iterator[Row]:
    """The list, asked for the first time and again."""
    for form, accept in (("JSON", JSON), ("HTML", HTML)):
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        first = at.server.ask_well(SIMPLE, headers)
        again = statistics.median(at.server.ask_well(SIMPLE, headers).seconds for _ in range(5))
        plain = at.server.ask_well(SIMPLE, {"Accept": accept})
        yield Row(
            f"list of {NAMES:,} names, {form}",
            milli(again),
            besides=f"{len(plain.body) / 1e6:.0f} MB, {len(first.body) / 1e6:.1f} MB in gzip; "
            f"made at the first request in {first.seconds:.1f} s",
        )


def _cached(at: Installation) -> Iterator[Row]:
    begin = at.server.memory()[0]
    times = []
    for number in range(CACHED):
        for accept in (JSON, HTML) if number % 10 == 0 else (JSON,):
            headers = {"Accept": accept, "Accept-Encoding": "gzip"}
            times.append(at.server.ask_well(f"{SIMPLE}project{number}/", headers).seconds)
    now, most = at.server.memory()
    yield Row(
        f"memory with {CACHED:,} projects",
        f"{now:.0f} MB",
        goal="under 300 MB",
        met=now < 300,
        besides=f"and the list of {NAMES:,} names; {begin:.0f} MB before, at most {most:.0f} MB; "
        f"a first page took {milli(statistics.median(times))}",
    )


PYTHON_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {
    "py-cold": cold_pages,
    "py-one-html": _page("small", "page with 1 file, HTML", HTML),
    "py-one-json": _page("small", "page with 1 file, JSON", JSON),
    "py-one-gzip": _page("small", "page with 1 file, JSON in gzip", JSON, "gzip"),
    "py-one-304": _page("small", "page with 1 file, conditional", JSON, "gzip", is_conditional=True),
    "py-many-html": _page("many", "page with 500 files, HTML", HTML),
    "py-many-json": _page("many", "page with 500 files, JSON", JSON),
    "py-many-gzip": _page("many", "page with 500 files, JSON in gzip", JSON, "gzip"),
    "py-many-zstd": _page("many", "page with 500 files, JSON in zstd", JSON, "gzip, deflate, zstd"),
    "py-many-304": _page("many", "page with 500 files, conditional", JSON, "gzip", is_conditional=True),
    "py-list": _page("", "list of projects, JSON in gzip", JSON, "gzip"),
    "py-list-html": _page("", "list of projects, HTML", HTML),
    "py-metadata": _file("small", "`.metadata` of a wheel", ".metadata"),
    "py-wheel": _file("small", "wheel of 11 KB"),
    "py-wheel-500": _file("middle", "wheel of 500 KB"),
    "py-uv": installs,
    "py-uploads": uploads,
    "py-names": names_and_memory,
    "py-peers": peers,
}
"""Every cell by its name, in the order of measuring."""
