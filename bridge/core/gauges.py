"""The figures of a core that are read when somebody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core.health import KataState
from bridge.core.metrics import Metrics

if TYPE_CHECKING:
    from bridge.core.engine import Core


def add_gauges(metrics: Metrics, core: Core) -> None:
    """Give `metrics` the gauges of `core`."""
    gate, spool, records = core.gate, core.spool, core.records
    metrics.gauge("in_flight", "Contents at KATA.", lambda: gate.inside)
    metrics.gauge("queue", "Contents that wait for a place at KATA.", lambda: gate.waiting)
    metrics.gauge("kata_state", "1: KATA takes files.", lambda: core.health.state is KataState.OK)
    metrics.gauge("spool_bytes", "Bytes of bodies on disk.", lambda: spool.disk_used)
    metrics.gauge("log_lines_waiting", "Records that wait for a disk.", lambda: records.waiting)
    metrics.gauge("log_lines_lost", "Records that no disk took.", lambda: records.dropped)
    metrics.gauge("syslog_lines_waiting", "Lines not delivered.", lambda: records.syslog_waiting)
    metrics.gauge("syslog_lines_lost", "Lines the queue lost.", lambda: records.syslog_dropped)
    metrics.gauge("bypass", "1: the door passes everything unjudged.", lambda: core.bypassed)
