"""What a process tells of itself: its figures for /metrics, and facts for the status page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bridge.core.events import Events, PartsWatch
from bridge.core.gate import Gate
from bridge.core.health import KataState
from bridge.core.merging import to_plain
from bridge.core.metrics import Metrics


class Reporter:
    """Of one core. Its gauges are read when somebody asks."""

    def __init__(
        self, instance: str, metrics: Metrics, watch: PartsWatch, gate: Gate, events: Events
    ) -> None:
        self._instance = instance
        self._metrics = metrics
        self._watch = watch
        self._gate = gate
        self._events = events
        self._started = time.time()
        self._facts: dict[str, Callable[[], object]] = {}

    def add_gauges(self) -> None:
        """Have the metrics hold what the parts of this core know of themselves, too. Once."""
        gauge, gate = self._metrics.gauge, self._gate
        door, health, records, spool, _, bypass = self._watch.parts
        gauge("in_flight", "Contents at KATA.", lambda: gate.inside)
        gauge("queue", "Contents that wait for a place at KATA.", lambda: gate.waiting)
        gauge("kata_state", "1: KATA takes files.", lambda: health.state is KataState.OK)
        gauge("spool_bytes", "Bytes of bodies on disk.", lambda: spool.disk_used)
        gauge("log_lines_waiting", "Records that wait for a disk.", lambda: records.waiting)
        gauge("log_lines_lost", "Records that no disk took.", lambda: records.dropped)
        gauge("syslog_lines_waiting", "Lines not delivered.", lambda: records.syslog_waiting)
        gauge("syslog_lines_lost", "Lines the queue lost.", lambda: records.syslog_dropped)
        gauge("notify_waiting", "Records not delivered.", lambda: records.notify_waiting)
        gauge("notify_lost", "Records dropped or refused.", lambda: records.notify_lost)
        gauge("bypass", "1: the door passes everything unjudged.", lambda: bypass.active(door))

    def tell(self, name: str, fact: Callable[[], object]) -> None:
        """Have `facts` hold what the door knows, too; as JSON can hold it."""
        self._facts[name] = fact

    def figures(self) -> list[Any]:
        """All metrics of this process, as `from_plain` takes them."""
        return to_plain(self._metrics.registry.collect())

    def facts(self) -> dict[str, Any]:
        """What the status page says of this process beside its metrics; times are epoch seconds."""
        door, health, _, spool, verdicts, bypass = self._watch.parts
        return {
            "instance": self._instance,
            "started": self._started,
            "kata": health.report(),
            "ready": {
                "kata": health.state is KataState.OK,
                "store": verdicts.works,
                "spool": spool.has_room,
                "descriptors": self._watch.has_descriptors,
            },
            "bypass_until": bypass.until(door),
            "outages": [each._asdict() for each in self._events.lasting()],
            **{name: fact() for name, fact in self._facts.items()},
        }
