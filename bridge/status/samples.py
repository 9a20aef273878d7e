"""What is charted of a daemon's figures at one moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from prometheus_client.metrics_core import Metric

OUTCOMES = (
    *("not_detected", "detect", "error", "timeout", "oversize", "excluded"),
    *("unavailable", "pending"),
)
COUNTS = ("requests", *OUTCOMES)
LEVELS = ("in_flight", "queue", "descriptors_used", "spool_bytes", "kata")

_GAUGES = {
    "in_flight": "katabridge_in_flight",
    "queue": "katabridge_queue",
    "descriptors_used": "katabridge_descriptors_used_ratio",
    "spool_bytes": "katabridge_spool_bytes",
    "kata": "katabridge_kata_state",
}
_PROCESS = "process_start_time_seconds"  # of several processes the first
_SECONDS = "katabridge_verdict_seconds"

Buckets: TypeAlias = dict[float, float]  # upper end -> how many up to it


@dataclass(frozen=True)
class Sample:
    """The figures of a moment: counts since the start, levels now.

    `started`: when the oldest of what counts in the daemon was (epoch); `process`: when its own
    process was, which lives on where workers are replaced. 0 where it does not say so.
    """

    counts: Mapping[str, float]
    levels: Mapping[str, float]
    buckets: Buckets = field(default_factory=dict)
    started: float = 0.0
    process: float = 0.0


def sample_of(families: Iterable[Metric], started: float = 0.0) -> Sample:
    """What is charted of all figures. The time to a verdict is of those that KATA gave just now.

    Requests are those to the ICAP door; the folder door has files instead, each of them a case.
    """
    counts, levels, buckets = dict.fromkeys(COUNTS, 0.0), {}, {}
    cases, requests, process = 0.0, None, 0.0
    names = {metric: name for name, metric in _GAUGES.items()}
    for family in families:
        for name, labels, value, *_ in family.samples:
            if name == "katabridge_cases_total":
                cases += value
                if labels["outcome"] in counts:
                    counts[labels["outcome"]] += value
            elif name == "katabridge_icap_requests_total":
                requests = (requests or 0.0) + value
            elif name == f"{_SECONDS}_bucket" and labels["source"] == "kata":
                buckets[float(labels["le"])] = value
            elif name == _PROCESS:
                process = value
            elif name in names:
                levels[names[name]] = value
    counts["requests"] = cases if requests is None else requests
    return Sample(counts, levels, buckets, started, process)


def quantile(buckets: Buckets, share: float) -> float | None:
    """Seconds that `share` of all took at most, as far as buckets tell; None where there are none.

    Between the ends of a bucket all are taken to lie evenly, as Prometheus does.
    """
    ends = sorted(buckets)
    if not ends or not buckets[ends[-1]]:
        return None
    wanted = buckets[ends[-1]] * share
    low = below = 0.0
    for end in ends:
        count = buckets[end]
        if count >= wanted:
            if end == float("inf"):
                return low
            inside = count - below
            return low + (end - low) * ((wanted - below) / inside if inside else 1.0)
        low, below = end, count
    return low
