"""The figures of several processes as one set: what /metrics says of all workers together.

prometheus_client's own way for several processes maps a file for each, takes neither gauges that
are read on demand nor collectors of one's own, and makes every count dearer. Here a process counts
as if it were alone, and tells from time to time what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# gauges that are no sum
_LEAST = {"process_start_time_seconds"}
_MOST = {
    "katabridge_bypass",
    "katabridge_descriptors_used_ratio",
    "katabridge_kata_state",
}
_LOST = "_lost"  # these gauges only rise: what a process lost stays lost when it is gone
_CREATED = "_created"  # ends the sample that says since when one counts

_DIGITS = 9  # behind the point, of seconds

Labels = tuple[tuple[str, str], ...]
Values = dict[tuple[str, Labels], float]


def merge(several: Iterable[Iterable[Metric]]) -> list[Metric]:
    """The families of several processes as one list, in the order in which they come first.

    Counters and histograms are sums, and so are gauges, but for those that say a state.
    """
    merged: dict[str, tuple[Metric, Values]] = {}
    for families in several:
        for family in families:
            fresh = Metric(family.name, family.documentation, family.type)
            _, values = merged.setdefault(family.name, (fresh, {}))
            for sample in family.samples:
                key = sample.name, tuple(sample.labels.items())
                value = values.get(key)
                values[key] = sample.value if value is None else _both(value, sample)
    return [_with_samples(family, values) for family, values in merged.values()]


def _both(value: float, sample: Sample) -> float:
    if sample.name in _LEAST or sample.name.endswith(_CREATED):
        return min(value, sample.value)
    return max(value, sample.value) if sample.name in _MOST else value + sample.value


def _with_samples(family: Metric, values: Values) -> Metric:
    for (name, labels), value in values.items():
        # the order of a sum must not show: a counter that goes back a hair was reset, to Prometheus
        family.add_sample(name, dict(labels), round(value, _DIGITS))
    return family


def lasting(families: Iterable[Metric]) -> list[Metric]:
    """What stays true of a process that is gone: what it counted."""
    return [each for each in families if each.type != "gauge" or each.name.endswith(_LOST)]


def to_plain(families: Iterable[Metric]) -> list[Any]:
    """Families as JSON can hold them; `from_plain` makes them again."""
    return [
        [
            family.name,
            family.documentation,
            family.type,
            [[sample.name, sample.labels, sample.value] for sample in family.samples],
        ]
        for family in families
    ]


def from_plain(plain: Iterable[Sequence[Any]]) -> list[Metric]:
    """Families of `to_plain`."""
    families = []
    for name, documentation, kind, samples in plain:
        family = Metric(name, documentation, kind)
        for sample in samples:
            family.add_sample(*sample)
        families.append(family)
    return families


class Gathered(Collector):
    """What several processes have told, merged; what a process has counted stays when it ends."""

    def __init__(self, own: CollectorRegistry) -> None:
        """`own`: the figures of this process, which are among them."""
        self._own = own
        self._last: dict[int, list[Metric]] = {}
        self._past: list[Metric] = []

    def tell(self, who: int, plain: Iterable[Sequence[Any]]) -> None:
        """What a process has now, as `to_plain` gives it; `who`: any number, its own."""
        self._last[who] = from_plain(plain)

    def retire(self, who: int) -> None:
        """A process has ended."""
        self._past = merge([self._past, lasting(self._last.pop(who, []))])

    def collect(self) -> Iterator[Metric]:
        """All of it, as a registry gives it."""
        yield from merge([self._own.collect(), self._past, *self._last.values()])
