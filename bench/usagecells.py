"""Usage statistics: what counting downloads costs the requests that are counted."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from load import Burst, Load, burst
from rig import Fault, Installation, source_package
from table import Row

if TYPE_CHECKING:
    from cells import Bench

FILE = "/own/latest/src/contrib/small_1.0.tar.gz"
AGENT = {"User-Agent": "R (4.4.1 x86_64-pc-linux-gnu x86_64 linux-gnu)"}
COUNTED = "/__api__/metrics/packages?repo=own"
TURNS = 31
TURN = 1.0
"""Seconds of load on each of the two servers in one round."""


@contextmanager
def _installation(bench: Bench, name: str, *, is_on: bool) -> Iterator[Installation]:
    """A server with one small package of its own that counts downloads, or doesn't."""
    folder = bench.rig.work / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    at = bench.rig.installation(name, "/__api__/status")
    with (folder / "entrepot.toml").open("a") as file:
        file.write(f"\n[usage]\nenabled = {str(is_on).lower()}\n")
    package = folder / "small_1.0.tar.gz"
    package.write_bytes(source_package("small", 11_000))
    try:
        at.serve()
        at.run("create", "source", "--name=own")
        at.run("add", "--source=own", f"--path={package}")
        at.run("create", "repo", "--name=own")
        at.run("subscribe", "--repo=own", "--source=own")
        yield at
    finally:
        at.stop()


def counting(bench: Bench) -> Iterator[Row]:
    """A small tarball, warm, from a server that counts and from one that doesn't, by turns."""
    with ExitStack() as stack:
        on, off = (
            stack.enter_context(_installation(bench, name, is_on=is_on))
            for name, is_on in (("counting", True), ("not-counting", False))
        )
        reply = on.server.ask_well(FILE, AGENT)
        load = Load(FILE, AGENT, reply.status, len(reply.body), 32)
        off.server.ask_well(FILE, AGENT)
        found: dict[str, list[Burst]] = {"on": [], "off": []}
        for round_ in range(TURNS):
            for name, at in (("on", on), ("off", off)) if round_ % 2 else (("off", off), ("on", on)):
                found[name].append(burst(at.server, load, TURN))
        _check(on, off)
    rate = {name: statistics.median(it.requests for it in each) for name, each in found.items()}
    cpu = {name: statistics.median(it.cpu for it in each) * 1e6 for name, each in found.items()}
    # Of neighbours, as what else the machine does makes both of a round faster or slower.
    ratio = statistics.median(b.requests / a.requests for a, b in zip(found["on"], found["off"], strict=True))
    yield Row(
        "tarball of 11 KB, downloads counted",
        f"{rate['on']:,.0f}/s",
        ratio=f"{ratio:.2f} of not counted",
        goal="costs at most 10% more than not counting",
        met=ratio <= 1.1,
        besides=f"not counted {rate['off']:,.0f}/s; CPU {cpu['on']:.1f} µs, not counted {cpu['off']:.1f} µs",
    )


def _check(on: Installation, off: Installation) -> None:
    """Raise Fault unless the one counted and the other didn't."""
    if off.server.ask(COUNTED).status != 404:
        raise Fault("the server that shall not count does")
    if b'"downloads":' not in on.server.ask_well(COUNTED).body:
        raise Fault("the server that shall count doesn't")


USAGE_CELLS = {"usage": counting}
