"""What the supervisor itself has for /metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from icapd.workers.supervision import Supervision


class SupervisionFigures(Collector):
    """How many workers listen, and how many were replaced, or hung."""

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision

    def collect(self) -> Iterator[Metric]:
        """As a registry wants it."""
        serving, replaced = self._supervision.serving, self._supervision.replacements
        yield GaugeMetricFamily("katabridge_workers", "Workers that listen.", value=serving)
        yield CounterMetricFamily(
            "katabridge_worker_restarts", "Workers that were replaced.", value=replaced
        )
        yield CounterMetricFamily(
            "katabridge_worker_hangs",
            "Processes that were killed since they hung.",
            value=self._supervision.hangs,
        )
