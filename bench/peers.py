"""Other package servers with the same files, measured by their own program (`../shared/bench/peers`)."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig import TOOLS, Fault, LeftOut
from table import Row

if TYPE_CHECKING:
    from cells import Bench

PEERS = TOOLS.parent / "bench" / "peers"
WORK = Path(os.environ.get("PEERS_WORK", "/tmp/peers"))
RIVALS = ("devpi", "pypiserver", "proxpi", "simple-repo-server")
"""The rows that count: each as it comes."""
OTHERS = ("devpi mirror", "simple-repo-server proxy", "pypiserver+gunicorn")
"""Other ways to run them, measured and told."""
TIMES = 10
SIMPLE = "/pypi/latest/simple/"
_SET_UP_SECONDS = 1800


def peers(bench: Bench) -> Iterator[Row]:
    """Each kind of request: Entrepot's rate, and how many times that of the best peer it is."""
    _set_up()
    (bench.rig.upstream / "peers").symlink_to(WORK / "data" / "static")
    at = bench.rig.installation("peers", "/__ping__")
    at.run("sync", "--type=pypi", "--quiet")
    try:
        results = _measure(bench, f"ours={at.server.url}{SIMPLE},{at.server.pid}")
    finally:
        at.stop()
    for cell, rates in results["results"].items():
        if cell != "uv":
            yield _row(cell, {name: _median(bursts) for name, bursts in rates.items()})
    uploads = results["facts"]["upload files/s"]
    if uploads:
        yield Row("peers: uploads", "", besides=", ".join(f"{name} {rate}/s" for name, rate in uploads.items()))


def _set_up() -> None:
    if not (PEERS / "bench.py").exists():
        raise LeftOut("no ../shared/bench/peers, which measures other servers")
    if (WORK / "data" / "files.json").exists():
        return
    try:
        done = subprocess.run(
            [PEERS / "setup.sh"], capture_output=True, text=True, check=False, timeout=_SET_UP_SECONDS,
            stdin=subprocess.DEVNULL, env={**os.environ, "PEERS_WORK": str(WORK)},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LeftOut("the other servers could not be installed in half an hour") from None
    if done.returncode:
        raise LeftOut(f"the other servers can't be installed here: {done.stderr.strip()[-200:]}")


def _measure(bench: Bench, row: str) -> dict[str, Any]:
    goal = bench.rig.work / "peers-results"
    command = [
        sys.executable, PEERS / "bench.py", "--row", row, "--no-uv", "--seconds", str(max(1, round(bench.seconds))),
        "--rounds", str(min(5, bench.rounds)), "--out", goal,
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [*map(str, command), "--only", ",".join(["nginx", "ours", *RIVALS, *OTHERS])],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**environment, "PEERS_WORK": str(WORK), "PATH": f"{environment['PATH']}:/usr/sbin:/usr/local/sbin"},
    )  # fmt: skip
    if done.returncode:
        raise Fault(f"the peers' program ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads((goal / "results.json").read_text())
    if "ours" not in found["rows"]:
        raise Fault(f"the peers' program left Entrepot out: {found['facts']['rows'].get('ours', {}).get('error')}")
    return found


def _median(bursts: list[Mapping[str, Any]]) -> float:
    if any(it["bad"] for it in bursts):
        return 0.0
    return float(statistics.median(it["rps"] for it in bursts))


def _row(cell: str, rates: Mapping[str, float]) -> Row:
    if not rates.get("ours"):
        raise Fault(f"peers, {cell}: Entrepot gave wrong answers")
    best = max((rates.get(name, 0.0) for name in RIVALS), default=0.0)
    ratio, limit = (rates.get(name, 0.0) / best if best else 0.0 for name in ("ours", "nginx"))
    peers = {name: rates[name] for name in (*RIVALS, *OTHERS) if rates.get(name)}
    told = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in sorted(peers.items(), key=lambda it: -it[1]))
    return Row(
        f"peers: {cell}",
        f"{rates['ours']:,.0f}/s",
        f"{rates.get('nginx', 0):,.0f}/s",
        f"{rates['ours'] / rates['nginx']:.2f}" if rates.get("nginx") else "",
        f"at least {TIMES} times the best peer" if best else "",
        ratio >= TIMES if best else None,
        f"{ratio:.0f} times the best, nginx {limit:.0f} times: {told}" if best else "no peer has it",
    )
