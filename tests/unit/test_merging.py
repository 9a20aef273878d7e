"""Figures of several processes as one set."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bridge.core.merging import Gathered, from_plain, lasting, merge, to_plain


def process(cases: int, *, connections: float = 0, state: float = 1, **more: float) -> list[Metric]:
    """What a worker has."""
    registry = CollectorRegistry()
    counter = Counter("katabridge_cases", "Cases.", ("door",), registry=registry)
    counter.labels("ICAP").inc(cases)
    seconds = Histogram("katabridge_verdict_seconds", "S.", ("source",), registry=registry)
    for _ in range(cases):
        seconds.labels("known").observe(0.3)
    gauges = {"katabridge_icap_connections": connections, "katabridge_kata_state": state, **more}
    for name, value in gauges.items():
        Gauge(name, "G.", registry=registry).set(value)
    return list(registry.collect())


def values(families: Iterable[Metric]) -> dict[str, float]:
    """By name, and `le` where there is one."""
    return {
        sample.name + sample.labels.get("le", ""): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_and_histograms_are_sums() -> None:
    got = values(merge([process(2), process(3)]))
    assert got["katabridge_cases_total"] == 5
    assert got["katabridge_verdict_seconds_count"] == 5
    assert got["katabridge_verdict_seconds_bucket0.25"] == 0
    assert got["katabridge_verdict_seconds_bucket0.5"] == 5
    assert got["katabridge_verdict_seconds_bucket+Inf"] == 5


def test_labels_are_kept_apart() -> None:
    registry = CollectorRegistry()
    Counter("katabridge_cases", "Cases.", ("door",), registry=registry).labels("FOLDER").inc()
    merged = merge([process(2), list(registry.collect()), process(1)])
    assert [
        (sample.labels["door"], sample.value)
        for sample in merged[0].samples
        if sample.name == "katabridge_cases_total"
    ] == [("ICAP", 3), ("FOLDER", 1)]


def test_gauges_by_what_they_mean() -> None:
    more = {
        "katabridge_bypass": 1.0,
        "process_start_time_seconds": 50.0,
        "process_open_fds": 9.0,
        "katabridge_descriptors_used_ratio": 0.25,
    }
    other = {
        "katabridge_bypass": 0.0,
        "process_start_time_seconds": 70.0,
        "process_open_fds": 8.0,
        "katabridge_descriptors_used_ratio": 0.9,
    }
    several = [process(0, connections=4, **more), process(0, connections=3, state=0, **other)]
    for order in (several, several[::-1]):
        got = values(merge(order))
        assert got["katabridge_icap_connections"] == 7
        assert got["katabridge_kata_state"] == 1
        assert got["katabridge_bypass"] == 1
        assert got["process_open_fds"] == 17
        assert got["katabridge_descriptors_used_ratio"] == 0.9
        assert got["process_start_time_seconds"] == 50


def test_since_when_something_is_counted_is_no_sum() -> None:
    one, other = process(1), process(1)
    created = "katabridge_cases_created"
    assert values(merge([one, other]))[created] == values(one)[created]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_merging_by_and_by_is_merging_at_once(counts: list[int]) -> None:
    several = [process(count, connections=count) for count in counts]
    by_and_by: list[Metric] = []
    for each in several:
        by_and_by = merge([by_and_by, each])
    assert values(by_and_by) == values(merge(several))


def test_nothing_is_changed_on_the_way() -> None:
    families = process(3, connections=2)
    assert from_plain(json.loads(json.dumps(to_plain(families)))) == families
    before = to_plain(families)
    merge([families, families])
    assert to_plain(families) == before


def test_of_a_process_that_is_gone_its_counts_stay() -> None:
    left = values(lasting(process(2, connections=7, katabridge_syslog_lines_lost=4)))
    assert left["katabridge_cases_total"] == 2
    assert left["katabridge_verdict_seconds_count"] == 2
    assert left["katabridge_syslog_lines_lost"] == 4
    assert "katabridge_icap_connections" not in left
    assert "katabridge_kata_state" not in left


def test_counters_never_go_back() -> None:
    """Told, told again, gone, replaced: each step may add only."""
    gathered = Gathered(CollectorRegistry())

    def now() -> float:
        return values(gathered.collect()).get("katabridge_cases_total", 0)

    gathered.tell(1, to_plain(process(4, connections=1)))
    gathered.tell(2, to_plain(process(5, connections=1)))
    assert now() == 9
    gathered.tell(1, to_plain(process(6, connections=1)))
    assert now() == 11
    gathered.retire(1)
    assert now() == 11
    assert values(gathered.collect())["katabridge_icap_connections"] == 1
    gathered.retire(1)  # nothing is known of it any longer
    assert now() == 11
    gathered.tell(3, to_plain(process(1)))
    gathered.retire(3)
    assert now() == 12


def test_the_order_of_a_sum_does_not_show() -> None:
    def cpu(seconds: float) -> list[Metric]:
        family = Metric("process_cpu_seconds", "C.", "counter")
        family.add_sample("process_cpu_seconds_total", {}, seconds)
        return [family]

    parts = [0.1, 0.2, 0.3]
    orders = [merge([cpu(each) for each in order]) for order in (parts, parts[::-1])]
    assert sum(parts) != sum(parts[::-1])
    assert values(orders[0]) == values(orders[1])


def test_own_figures_are_among_them() -> None:
    registry = CollectorRegistry()
    Counter("katabridge_worker_restarts", "R.", registry=registry).inc()
    gathered = Gathered(registry)
    gathered.tell(1, to_plain(process(4)))
    got = values(gathered.collect())
    assert (got["katabridge_worker_restarts_total"], got["katabridge_cases_total"]) == (1, 4)


def test_the_text_is_what_prometheus_reads() -> None:
    gathered = Gathered(CollectorRegistry())
    gathered.tell(1, to_plain(process(4)))
    gathered.tell(2, to_plain(process(1)))
    read = values(text_string_to_metric_families(generate_latest(gathered).decode()))
    assert read["katabridge_cases_total"] == 5
