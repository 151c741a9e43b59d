"""One path under load, on Entrepot and on nginx with the same bytes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from load import Burst, Load, burst, same
from rig import Fault, Reply, Rig, Site
from table import Row

if TYPE_CHECKING:
    from cells import Bench

_PACKED = {"zstd": ".zst", "gzip": ".gz"}


@dataclass(frozen=True, slots=True)
class LoadCell:
    """One path under load; `share` is the goal, as a part of nginx's figure; `of` names the installation."""

    title: str
    path: str
    share: float | None = None
    connections: int = 32
    is_conditional: bool = False
    in_bytes: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    of: str = "cran"

    def __call__(self, bench: Bench) -> Iterator[Row]:
        server: Site = getattr(bench, self.of).server
        sites = (server, bench.nginx)
        loads = {site.name: self._load(bench, site) for site in sites}
        found: dict[str, list[Burst]] = {site.name: [] for site in sites}
        for round_ in range(bench.rounds):
            for site in sites if round_ % 2 else reversed(sites):
                found[site.name].append(burst(site, loads[site.name], bench.seconds))
        ours, limit = (self._median(found[site.name]) for site in sites)
        yield Row(
            self.title,
            self._figure(ours),
            self._figure(limit),
            f"{ours / limit:.2f}",
            f"at least {self.share:.0%} of nginx" if self.share else "",
            ours >= self.share * limit if self.share else None,
            self._cpu(*(found[site.name] for site in sites)),
        )

    def _load(self, bench: Bench, site: Site) -> Load:
        """What to ask of a site, after both were seen to give the same."""
        server: Site = getattr(bench, self.of).server
        put(bench.rig, self.path, server.ask(self.path, self.headers), self.headers)
        replies = {it.name: it.ask(self.path, self.headers) for it in (server, bench.nginx)}
        same(replies[server.name], replies[bench.nginx.name], self.path)
        reply = replies[site.name]
        headers = dict(self.headers)
        if self.is_conditional:
            headers["If-None-Match"] = reply.headers["etag"]
            reply = site.ask(self.path, headers)
            if reply.status != 304 or reply.body:
                raise Fault(f"{site.name} answered {reply.status} with {len(reply.body)} bytes to its own ETag")
        return Load(self.path, headers, reply.status, len(reply.body), self.connections)

    def _median(self, bursts: Sequence[Burst]) -> float:
        return statistics.median(it.bytes if self.in_bytes else it.requests for it in bursts)

    def _figure(self, value: float) -> str:
        return f"{value / 1e6:,.0f} MB/s" if self.in_bytes else f"{value:,.0f}/s"

    def _cpu(self, ours: Sequence[Burst], limit: Sequence[Burst]) -> str:
        unit, scale = ("ms", 1e3) if self.in_bytes else ("µs", 1e6)
        a, b = (statistics.median(it.cpu for it in bursts) * scale for bursts in (ours, limit))
        return f"CPU {a:.0f} {unit}, nginx {b:.0f} {unit}"


def put(rig: Rig, path: str, reply: Reply, headers: Mapping[str, str]) -> None:
    """Keep what Entrepot answered where nginx serves it; once, since nginx keeps what it opened."""
    if reply.status not in (200, 404):
        raise Fault(f"{path}: {reply.status} {reply.body[:200].decode(errors='replace')}")
    place = rig.static / (_place(path.removeprefix("/"), headers) if reply.status == 200 else "404.txt")
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(reply.body)


def _place(path: str, headers: Mapping[str, str]) -> Path:
    """The file of a path; of a page, that of its form and encoding, as nginx is told to choose it."""
    if not path.endswith("/"):
        return Path(path)
    form = "json" if "json" in headers.get("Accept", "") else "html"
    accepted = headers.get("Accept-Encoding", "")
    return Path(path) / f"index.{form}{next((_PACKED[it] for it in _PACKED if it in accepted), '')}"


def milli(seconds: float) -> str:
    """Milliseconds with as many digits as matter."""
    return f"{seconds * 1000:.{0 if seconds >= 0.02 else 1}f} ms"
