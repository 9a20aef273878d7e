"""Outages as metrics: of one process, and of several, where what more than one knows of is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.core.events.line import OutageKind, Subject


def outage_figures(lasting: Counter[str], begun: Counter[str]) -> Iterator[Metric]:
    """By kind, how many last and how many began."""
    now = GaugeMetricFamily("katabridge_outage", "Outages that last.", labels=["kind"])
    ever = CounterMetricFamily("katabridge_outages", "Outages begun.", labels=["kind"])
    for kind in OutageKind:
        now.add_metric([kind], lasting[kind])
        ever.add_metric([kind], begun[kind])
    yield now
    yield ever


class ServiceOutages(Collector):
    """Counts by what the processes of a service tell to last, each now and then."""

    def __init__(self, since: float) -> None:
        """`since` (epoch): what began before does not count as begun."""
        self._since = since
        self._known: dict[str, Collection[Subject]] = {}  # instance -> what it told last
        self._ended: set[str] = set()  # instances
        self._begun: Counter[str] = Counter()

    def tell(self, facts: Mapping[str, Any]) -> None:
        """What a process tells of itself (`bridge.core.reporter`)."""
        told = {Subject(each["kind"], each["subject"]): each for each in facts["outages"]}
        self._ended.discard(facts["instance"])  # what it knew before it was replaced goes on
        before = self._lasting()
        for subject, outage in told.items():
            if subject not in before and outage["begin"] >= self._since:
                self._begun[subject.kind] += 1
        self._known[facts["instance"]] = told.keys()

    def ends(self, instance: str) -> None:
        """A process has ended."""
        self._ended.add(instance)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        lasting = Counter(each.kind for each in self._lasting())
        yield from outage_figures(lasting, self._begun)

    def _lasting(self) -> set[Subject]:
        told = (subjects for who, subjects in self._known.items() if who not in self._ended)
        return {subject for subjects in told for subject in subjects}
