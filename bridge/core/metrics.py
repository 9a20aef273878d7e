"""Figures of one process, as Prometheus has them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.core.ledger import Entry
from bridge.core.model import Case, Door
from bridge.core.process import ProcessFigures
from bridge.core.tally import Durations, Tally

_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)


class Metrics:
    """Counts cases and calls; gauges are read when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(ProcessFigures())
        self._cases = self.tally(
            "cases", "Cases by how they ended.", ("door", "outcome", "source", "decision")
        )
        self._seconds = Durations(
            "katabridge_verdict_seconds",
            "Seconds from the beginning of a case to its outcome.",
            "source",
            _SECONDS,
        )
        self.registry.register(self._seconds)
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
        case, outcome = entry.case, entry.outcome
        self._cases.raise_by((case.door, outcome.kind, outcome.source, entry.decision))
        self._seconds.observe(outcome.source, case.waited_ms / 1000)

    def count_late_detection(self, case: Case) -> None:
        """A threat was found in what a user has already."""
        self._late.labels(case.door).inc()

    def count_request(self, call: str, status: int | None) -> None:
        """A call to KATA was answered, or (None) was not. From any thread."""
        self._requests.labels(call, "none" if status is None else str(status)).inc()

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A figure that is read when it is asked for. From any thread."""
        Gauge(f"katabridge_{name}", text, registry=self.registry).set_function(value)

    def count_reloads(self) -> Callable[[str], None]:
        """What is told `ok` or `refused` of each reload. Once."""
        results = self.tally("reloads", "Reloads by result.", ("result",))
        for result in ("ok", "refused"):
            results.raise_by((result,), 0)
        return lambda result: results.raise_by((result,))

    def tally(self, name: str, text: str, labels: tuple[str, ...]) -> Tally:
        """A counter for the loop's thread; its labels take few values, none of them a peer's."""
        tally = Tally(f"katabridge_{name}", text, labels)
        self.registry.register(tally)
        return tally
