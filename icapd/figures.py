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
        self._answered = metrics.tally(
            "icap_requests",
            "Answers to proxies by service (empty: none was found) and ICAP status.",
            ("service", "status"),
        )
        self._refused = metrics.tally(
            "icap_refused", "Connections that were refused, by reason.", ("reason",)
        )
        for reason in Reason:
            self._refused.raise_by((reason.value,), 0)

    def answered(self, service: str, status: int) -> None:
        """An answer was given; `service`: the path of a configured one, or empty."""
        self._answered.raise_by((service, str(status)))

    def refused(self, reason: Reason) -> None:
        """A connection was refused."""
        self._refused.raise_by((reason.value,))
