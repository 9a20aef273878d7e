"""Counters that cost next to nothing to raise; they become metrics when somebody asks.

prometheus-client's own take a lock and look up their labels each time; these are raised by the
loop's thread alone, tens of thousands of times a second, and read by others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally(Collector):
    """A counter by labels. Only one thread raises it."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._counts: dict[tuple[str, ...], int] = {}

    def raise_by(self, labels: tuple[str, ...], amount: int = 1) -> None:
        """Count; 0 makes a figure visible before there is anything to count."""
        counts = self._counts
        counts[labels] = counts.get(labels, 0) + amount

    def forget(self, first: str) -> None:
        """Count no longer what has this as its first label."""
        self._counts = {k: count for k, count in self._counts.items() if k[0] != first}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See prometheus_client."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in list(self._counts.items()):
            family.add_metric(labels, count)
        yield family


class Durations(Collector):
    """A histogram of seconds by one label. Only one thread writes it."""

    def __init__(self, name: str, text: str, label: str, bounds: Sequence[float]) -> None:
        """`bounds`: the upper ends of the buckets, rising."""
        self._name = name
        self._text = text
        self._label = label
        self._bounds = bounds
        self._names = [*map(floatToGoString, bounds), "+Inf"]
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, label: str, seconds: float) -> None:
        """One duration more."""
        counts = self._counts.get(label)
        if counts is None:
            counts = self._counts[label] = [0] * len(self._names)
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[label] = self._sums.get(label, 0.0) + seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See prometheus_client."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        for label, counts in list(self._counts.items()):
            buckets, total = [], 0
            for name, count in zip(self._names, list(counts), strict=True):
                total += count
                buckets.append((name, total))
            family.add_metric([label], buckets, self._sums.get(label, 0.0))
        yield family
