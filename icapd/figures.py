"""What the ICAP door counts for /metrics."""

from __future__ import annotations

from collections.abc import Callable

from bridge.core import Metrics
from icapd.access import Reason


class Figures:
    """The door's counters: `answered(service, status)`, `refused(reason)`, `cut_off(count)`."""

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
        self._cut_off = metrics.tally("cut_off", "Requests that a stop left without a verdict.", ())
        self._cut_off.raise_by((), 0)

    def answered(self, service: str, status: int) -> None:
        """An answer was given; `service`: the path of a configured one, or empty."""
        self._answered.raise_by((service, str(status)))

    def refused(self, reason: Reason) -> None:
        """A connection was refused."""
        self._refused.raise_by((reason.value,))

    def cut_off(self, count: int) -> None:
        """So many requests got no verdict, since the door stops."""
        self._cut_off.raise_by((), count)
