"""Figures of one process in Prometheus' text format; `serve` answers /metrics with them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import start_http_server

from bridge.core.ledger import Entry
from bridge.core.model import Case, Door
from bridge.core.opening import StartError
from bridge.core.units import Address

_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)


class Metrics:
    """Counts cases and calls; gauges are read when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._cases = Counter(
            "katabridge_cases",
            "Cases by how they ended.",
            ("door", "outcome", "source", "decision"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "katabridge_verdict_seconds",
            "Seconds from the beginning of a case to its outcome.",
            ("source",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._late = Counter(
            "katabridge_late_detections",
            "Threats found after their object was given to a user.",
            ("door",),
            registry=self.registry,
        )
        for door in Door:
            self._late.labels(door).inc(0)
        self._requests = Counter(
            "katabridge_kata_requests",
            "Requests to KATA by call and HTTP status (`none`: no answer).",
            ("call", "status"),
            registry=self.registry,
        )

    def count_case(self, entry: Entry) -> None:
        """A case has ended."""
        outcome = entry.outcome
        self._cases.labels(entry.case.door, outcome.kind, outcome.source, entry.decision).inc()
        self._seconds.labels(outcome.source).observe(entry.case.waited_ms / 1000)

    def count_late_detection(self, case: Case) -> None:
        """A threat was found in what a user has already."""
        self._late.labels(case.door).inc()

    def count_request(self, call: str, status: int | None) -> None:
        """A call to KATA was answered, or (None) was not. From any thread."""
        self._requests.labels(call, "none" if status is None else str(status)).inc()

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A figure that is read when it is asked for. From any thread."""
        Gauge(f"katabridge_{name}", text, registry=self.registry).set_function(value)

    def counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        """A counter of a door's own; its labels take few values, none of them a peer's word."""
        return Counter(f"katabridge_{name}", text, labels, registry=self.registry)

    def serve(self, address: Address) -> Callable[[], None]:
        """Answer /metrics in a thread until the returned function is called; StartError."""
        try:
            server, thread = start_http_server(address.port, address.host, self.registry)
        except OSError as error:
            reason = "is taken by another program" if error.errno == 98 else error.strerror
            raise StartError(f"cannot listen on {address} (status): it {reason}.") from None

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
