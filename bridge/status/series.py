"""What the charts show: figures by time, an hour in fine and a day in coarse steps. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from prometheus_client.metrics_core import Metric

OUTCOMES = (
    *("not_detected", "detect", "error", "timeout", "oversize", "excluded"),
    *("unavailable", "pending"),
)
COUNTS = ("requests", *OUTCOMES)
QUANTILES = {"p50": 0.5, "p95": 0.95}
LEVELS = ("in_flight", "queue", "descriptors_used", "spool_bytes", "kata")
NAMES = (*COUNTS, *QUANTILES, *LEVELS)
SPANS = {"hour": (10, 360), "day": (300, 288)}  # seconds of a step, steps

_LATE_SECONDS = 3.0  # after its end a step is known: the next sample has come

_GAUGES = {
    "in_flight": "katabridge_in_flight",
    "queue": "katabridge_queue",
    "descriptors_used": "katabridge_descriptors_used_ratio",
    "spool_bytes": "katabridge_spool_bytes",
    "kata": "katabridge_kata_state",
}
_SECONDS = "katabridge_verdict_seconds"

Point: TypeAlias = dict[str, float | None]
Buckets: TypeAlias = dict[float, float]  # upper end -> how many up to it


@dataclass(frozen=True)
class Sample:
    """The figures of a moment: counts since the start, levels now."""

    counts: Mapping[str, float]
    levels: Mapping[str, float]
    buckets: Buckets = field(default_factory=dict)


def sample_of(families: Iterable[Metric]) -> Sample:
    """What is charted of all figures. The time to a verdict is of those that KATA gave just now.

    Requests are those to the ICAP door; the folder door has files instead, each of them a case.
    """
    counts, levels, buckets = dict.fromkeys(COUNTS, 0.0), {}, {}
    cases, requests = 0.0, None
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
            elif name in names:
                levels[names[name]] = value
    counts["requests"] = cases if requests is None else requests
    return Sample(counts, levels, buckets)


class Series:
    """Takes a sample now and then, and has the last hour and day in steps."""

    def __init__(self) -> None:
        self._steps = {span: _Steps(*size) for span, size in SPANS.items()}

    def add(self, sample: Sample, now: float) -> None:
        """The figures at `now` (epoch)."""
        for steps in self._steps.values():
            steps.add(sample, now)

    def of(self, span: str, now: float) -> dict[str, Any]:
        """As the API gives it; KeyError where there is no such span."""
        return self._steps[span].as_lists(now)

    def dump(self) -> dict[str, Any]:
        """To keep over a restart; `load` takes it."""
        return {span: list(steps.points.items()) for span, steps in self._steps.items()}

    def load(self, kept: Any) -> None:
        """What an earlier process kept; what is damaged is left out."""
        for span, steps in self._steps.items():
            points = kept.get(span, ()) if isinstance(kept, dict) else ()
            for each in points if isinstance(points, list) else ():
                if point := _point(each):
                    steps.points[point[0]] = point[1]


class _Steps:
    def __init__(self, seconds: int, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self.points: dict[int, Point] = {}  # number of the step since the epoch -> values
        self._begin: Sample | None = None  # what the counts of the step under way go from
        self._last: Sample | None = None
        self._number: int | None = None
        self._levels: deque[Mapping[str, float]] = deque()

    def add(self, sample: Sample, now: float) -> None:
        number = int(now // self._seconds)
        if self._number != number:
            self._end_step()
            # after a gap nobody knows when what was counted came
            follows = self._number is not None and number == self._number + 1
            self._begin = self._last if follows else sample
            self._number = number
        self._last = sample
        self._levels.append(sample.levels)

    def _end_step(self) -> None:
        if self._number is not None and self._begin is not None and self._last is not None:
            self.points[self._number] = {
                **_rates(self._begin, self._last, self._seconds),
                **_quantiles(self._begin, self._last),
                **_extremes(self._levels),
            }
            self._levels.clear()
            oldest = self._number - self._most
            self.points = {n: point for n, point in self.points.items() if n > oldest}

    def as_lists(self, now: float) -> dict[str, Any]:
        last = int((now - _LATE_SECONDS) // self._seconds) - 1  # the step under way is not whole
        numbers = range(last - self._most + 1, last + 1)
        points = [self.points.get(number, {}) for number in numbers]
        series = {name: [point.get(name) for point in points] for name in NAMES}
        return {"step": self._seconds, "end": (last + 1) * self._seconds, "series": series}


def _rates(begin: Sample, end: Sample, seconds: float) -> Point:
    return {name: _more(begin.counts[name], end.counts[name]) / seconds for name in COUNTS}


def _more(before: float, now: float) -> float:
    """How much was counted; a daemon that was started again counts from 0."""
    return now - before if now >= before else now


def _quantiles(begin: Sample, end: Sample) -> Point:
    fresh = {le: _more(begin.buckets.get(le, 0.0), n) for le, n in end.buckets.items()}
    return {name: quantile(fresh, share) for name, share in QUANTILES.items()}


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


def _extremes(several: Sequence[Mapping[str, float]] | deque[Mapping[str, float]]) -> Point:
    """The worst of a step, so that no outage and no crowd is too short to be seen."""
    found: Point = {}
    for name in LEVELS:
        values = [levels[name] for levels in several if name in levels]
        if values:
            found[name] = min(values) if name == "kata" else max(values)
    return found


def _point(kept: Any) -> tuple[int, Point] | None:
    match kept:
        case [int(number), dict(values)]:
            return number, {
                name: float(value)
                for name, value in values.items()
                if name in NAMES and isinstance(value, int | float)
            }
    return None
