"""Many requests at once with wrk, single requests with a clock, and what is made of the numbers."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import math
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rig import Fault, Reply, Site, program

REPORT = Path(__file__).with_name("wrk.lua")
HEAD = 4096
"""More than the head of any answer here has."""
_ERRORS = ("connect", "read", "write", "timeout")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask many times: `status` and `length` are those of every answer."""

    path: str
    headers: Mapping[str, str]
    status: int
    length: int
    connections: int


@dataclass(frozen=True, slots=True)
class Burst:
    """Some seconds of load on one server: answers and bytes a second, CPU seconds an answer."""

    requests: float
    bytes: float
    cpu: float


def burst(site: Site, load: Load, seconds: float) -> Burst:
    """Ask with wrk for some seconds; raises Fault if a single answer was not as it has to be."""
    command = [
        program("wrk"), "-t2", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s",
        "-s", str(REPORT),
    ]  # fmt: skip
    for name, value in load.headers.items():
        command += ["-H", f"{name}: {value}"]
    began = site.cpu()
    done = subprocess.run([*command, site.url + load.path], capture_output=True, text=True, check=False)
    cpu = site.cpu() - began
    lines = [line for line in done.stdout.splitlines() if line.startswith("report ")]
    if done.returncode or not lines:
        raise Fault(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-200:]}")
    told: dict[str, int] = json.loads(lines[0].removeprefix("report "))
    _check(site, load, told)
    took = told["microseconds"] / 1e6
    return Burst(told["requests"] / took, told["bytes"] / took, cpu / told["requests"])


def _check(site: Site, load: Load, told: Mapping[str, int]) -> None:
    requests = told["requests"]
    failed = {name: told[name] for name in _ERRORS if told[name]}
    if failed or not requests:
        raise Fault(f"{site.name}: {requests} answers, errors of connections: {failed}")
    if told["status"] != (requests if load.status >= 400 else 0):
        raise Fault(f"{site.name}: {told['status']} of {requests} answers with a status of 400 and above")
    if not requests * load.length <= told["bytes"] <= (requests + load.connections) * (load.length + HEAD):
        raise Fault(f"{site.name}: {told['bytes']} bytes for {requests} answers of {load.length} bytes")


def same(ours: Reply, limit: Reply, path: str) -> None:
    """Raise Fault unless two servers gave the same answer: status and SHA-256 of the body."""
    if ours.status != limit.status:
        raise Fault(f"{path}: {ours.status} here, {limit.status} from nginx")
    digests = [hashlib.sha256(reply.body).hexdigest() for reply in (ours, limit)]
    if digests[0] != digests[1]:
        raise Fault(f"{path}: {len(ours.body)} bytes here, {len(limit.body)} other bytes from nginx")


def gzip_seconds(index: bytes) -> float:
    """How long Python's gzip (zlib, level 6) takes here for the content of a packed index; median of 5."""
    text = lzma.decompress(index) if index.startswith(b"\xfd7zXZ") else gzip.decompress(index)
    return statistics.median(timed(lambda: gzip.compress(text, 6, mtime=0))[0] for _ in range(5))


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Seconds and result of a call."""
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest of the values that at least `part` of them don't exceed."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]
