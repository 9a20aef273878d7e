"""Counters and histograms look to Prometheus as prometheus-client's own do."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from bridge.core.tally import Durations, Tally

BOUNDS = (0.01, 0.5, 1, 20)


def lines(registry: CollectorRegistry) -> set[bytes]:
    text = generate_latest(registry).splitlines()
    return {line for line in text if b"_created" not in line}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0, 0.01, 0.02, 0.5, 7, 20, 99]))))
def test_they_are_as_the_library_has_them(seen: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally, durations = (
        Tally("x", "Text.", ("door", "kind")),
        Durations("s", "More.", "door", BOUNDS),
    )
    ours.register(tally)
    ours.register(durations)
    counter = Counter("x", "Text.", ("door", "kind"), registry=theirs)
    histogram = Histogram("s", "More.", ("door",), buckets=BOUNDS, registry=theirs)
    for door, seconds in seen:
        tally.raise_by((door, "k"))
        counter.labels(door, "k").inc()
        durations.observe(door, seconds)
        histogram.labels(door).observe(seconds)
    assert lines(ours) == lines(theirs)


def test_what_is_nought_can_be_shown() -> None:
    registry = CollectorRegistry()
    tally = Tally("katabridge_refused", "Text.", ("reason",))
    registry.register(tally)
    tally.raise_by(("address",), 0)
    assert registry.get_sample_value("katabridge_refused_total", {"reason": "address"}) == 0
    tally.raise_by(("address",), 3)
    assert registry.get_sample_value("katabridge_refused_total", {"reason": "address"}) == 3
