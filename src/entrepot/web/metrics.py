"""Counters for Prometheus, in its text format at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from entrepot.core.answers import SendFile
from entrepot.core.platforms import Fallback

Tally = Callable[[], None]
"""Counts one answer."""
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


class _Lost(Collector):
    """A counter that somebody else counts."""

    def __init__(self, lost: Callable[[], int]) -> None:
        self._lost = lost

    def collect(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(
            "entrepot_usage_lost",
            "Downloads missing in the usage statistics, because more came than fit until they are written down",
            value=self._lost(),
        )


class Metrics:
    """The counters of one process; `lost` tells how many downloads could not be counted."""

    def __init__(self, lost: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Lost(lost))
        self._binary = Counter(
            "entrepot_binary_routing_binary",
            "Binary packages given at the addresses of source packages",
            ["distribution", "r", "arch"],
            registry=self._registry,
        )
        self._fallback = Counter(
            "entrepot_binary_routing_fallback",
            "Source packages given where binary ones were asked for, by the reason",
            ["reason"],
            registry=self._registry,
        )
        for reason in Fallback:
            self._fallback.labels(reason.value)

    def of_file(self, answer: SendFile) -> Tally | None:
        """What counts an answer with a file; None for those that nobody counts."""
        if answer.fallback is not None:
            return self._fallback.labels(answer.fallback.value).inc
        if answer.platform is not None:
            platform = answer.platform
            return self._binary.labels(platform.distribution or platform.system.value, platform.r, platform.arch).inc
        return None

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
