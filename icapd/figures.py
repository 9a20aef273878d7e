"""What the ICAP door counts for /metrics."""

from __future__ import annotations

from collections.abc import Callable

from bridge.core import Metrics
from icapd.access import Reason


class Figures:
    """The door's counters: `answered(service, status)` and `refused(reason)`."""

    def __init__(self, metrics: Metrics, connections: Callable[[], float]) -> None:
        """`connections`: how many are served now."""
        metrics.gauge("icap_connections", "Connections of proxies.", connections)
        self._answered = metrics.counter(
            "icap_requests",
            "Answers to proxies by service (empty: none was found) and ICAP status.",
            ("service", "status"),
        )
        self._refused = metrics.counter(
            "icap_refused", "Connections that were refused, by reason.", ("reason",)
        )
        for reason in Reason:
            self._refused.labels(reason.value).inc(0)

    def answered(self, service: str, status: int) -> None:
        """An answer was given; `service`: the path of a configured one, or empty."""
        self._answered.labels(service, str(status)).inc()

    def refused(self, reason: Reason) -> None:
        """A connection was refused."""
        self._refused.labels(reason.value).inc()
