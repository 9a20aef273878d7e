"""The figures that are read when somebody asks for them."""

from __future__ import annotations

from bridge.core.gate import Gate
from bridge.core.health import KataHealth, KataState
from bridge.core.metrics import Metrics
from bridge.core.records import Records
from bridge.core.spool import Spool


def add_gauges(
    metrics: Metrics, gate: Gate, health: KataHealth, spool: Spool, records: Records
) -> None:
    """Give `metrics` what these parts of a core know of themselves."""
    metrics.gauge("in_flight", "Contents at KATA.", lambda: gate.inside)
    metrics.gauge("queue", "Contents that wait for a place at KATA.", lambda: gate.waiting)
    metrics.gauge("kata_state", "1: KATA takes files.", lambda: health.state is KataState.OK)
    metrics.gauge("spool_bytes", "Bytes of bodies on disk.", lambda: spool.disk_used)
    metrics.gauge("log_lines_waiting", "Records that wait for a disk.", lambda: records.waiting)
    metrics.gauge("log_lines_lost", "Records that no disk took.", lambda: records.dropped)
    metrics.gauge("syslog_lines_waiting", "Lines not delivered.", lambda: records.syslog_waiting)
    metrics.gauge("syslog_lines_lost", "Lines the queue lost.", lambda: records.syslog_dropped)
    metrics.gauge("notify_waiting", "Records not delivered.", lambda: records.notify_waiting)
    metrics.gauge("notify_lost", "Records dropped or refused.", lambda: records.notify_lost)
