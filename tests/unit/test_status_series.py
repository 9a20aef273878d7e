"""What the charts of the status page are made of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from bridge.core import Case, Decision, Door, Entry, Metrics, Mode, Outcome, OutcomeKind, Source
from bridge.status.series import COUNTS, LEVELS, NAMES, SPANS, Sample, Series, quantile, sample_of

NOW = 1_800_000_000.0  # a whole number of steps of either span


def sample(requests: float, *, kata: float = 1, queue: float = 0, **buckets: float) -> Sample:
    """`buckets`: up_to_1=3 and so on."""
    counts = dict.fromkeys(COUNTS, 0.0) | {"requests": requests}
    levels = dict.fromkeys(LEVELS, 0.0) | {"kata": kata, "queue": queue}
    ends = {float(name.removeprefix("up_to_")): count for name, count in buckets.items()}
    return Sample(counts, levels, ends)


LATE = 3  # a step is shown so many seconds after its end


def points(series: Series, name: str, now: float, span: str = "hour") -> list[tuple[int, Any]]:
    """(seconds from NOW to the step's end, value) of what is known by then."""
    got = series.of(span, now + LATE)
    step, end, values = got["step"], got["end"], got["series"][name]
    ends = [end - step * (len(values) - 1 - n) for n in range(len(values))]
    return [
        (int(at - NOW), value) for at, value in zip(ends, values, strict=True) if value is not None
    ]


def test_counts_become_rates_of_whole_steps() -> None:
    series = Series()
    for second in range(31):
        series.add(sample(requests=second * 5), NOW + second)
    # the first step began when we did: nine seconds of it are known
    assert points(series, "requests", NOW + 30) == [(10, 4.5), (20, 5.0), (30, 5.0)]
    assert points(series, "requests", NOW + 39.9) == [(10, 4.5), (20, 5.0), (30, 5.0)]


def test_a_step_is_shown_when_the_sample_after_it_has_come() -> None:
    series = Series()
    for second in range(0, 22, 2):
        series.add(sample(requests=second), NOW + second + 1.9)
    assert series.of("hour", NOW + 22.9)["end"] == NOW + 10
    assert series.of("hour", NOW + 23.0)["series"]["requests"][-1] is not None


def test_a_gap_is_a_gap_and_what_came_in_it_is_nobodys() -> None:
    series = Series()
    for second in (0, 9, 40, 49, 50):
        series.add(sample(requests=second), NOW + second)
    assert points(series, "requests", NOW + 50) == [(10, 0.9), (50, 0.9)]


def test_a_daemon_that_was_started_again_counts_from_zero() -> None:
    series = Series()
    for second, count in ((0, 1000), (9, 1000), (10, 3), (19, 20), (20, 20)):
        series.add(sample(requests=count), NOW + second)
    assert points(series, "requests", NOW + 20) == [(10, 0.0), (20, 2.0)]


def test_the_worst_of_a_step_is_shown() -> None:
    series = Series()
    for second in range(11):
        bad = second == 5
        series.add(sample(0, kata=0 if bad else 1, queue=70 if bad else 0), NOW + second)
    assert points(series, "kata", NOW + 10) == [(10, 0)]
    assert points(series, "queue", NOW + 10) == [(10, 70)]


def test_old_steps_are_forgotten() -> None:
    series = Series()
    for second in range(0, 4001, 5):
        series.add(sample(second), NOW + second)
    assert len(points(series, "requests", NOW + 4000)) == 360
    assert len(series.dump()["hour"]) <= 361
    assert points(series, "requests", NOW + 90_000) == []


@pytest.mark.parametrize("span", SPANS)
def test_all_lists_are_of_one_length(span: str) -> None:
    got = Series().of(span, NOW + LATE)
    assert set(got["series"]) == set(NAMES)
    assert {len(values) for values in got["series"].values()} == {SPANS[span][1]}
    assert got["end"] == NOW


def test_what_is_kept_comes_back() -> None:
    series = Series()
    for second in range(31):
        series.add(sample(second, up_to_1=second, up_to_2=second), NOW + second)
    other = Series()
    other.load(json.loads(json.dumps(series.dump())))
    assert other.of("hour", NOW + 30) == series.of("hour", NOW + 30)
    assert points(other, "p50", NOW + 30)


@pytest.mark.parametrize(
    "kept", [None, [], {"hour": 5}, {"hour": [[1], ["x", {}], [3, {"requests": "x", "y": 1}]]}]
)
def test_what_is_kept_may_be_damaged(kept: object) -> None:
    series = Series()
    series.load(kept)
    series.add(sample(1), NOW)
    assert points(series, "requests", NOW + 5) == []


def test_quantiles_lie_within_buckets() -> None:
    buckets = {1.0: 0.0, 2.0: 50.0, 4.0: 100.0, float("inf"): 100.0}
    assert quantile(buckets, 0.5) == 2.0
    assert quantile(buckets, 0.75) == 3.0
    assert quantile({1.0: 0.0, float("inf"): 3.0}, 0.5) == 1.0  # longer than is told apart
    assert quantile({1.0: 0.0, float("inf"): 0.0}, 0.5) is None
    assert quantile({}, 0.5) is None


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.floats(0.01, 1))
def test_a_quantile_is_within_the_bounds(fresh: list[int], share: float) -> None:
    totals = [sum(fresh[: n + 1]) for n in range(3)]
    found = quantile(dict(zip((1.0, 2.0, float("inf")), totals, strict=True)), share)
    assert (found is None) == (totals[-1] == 0)
    assert found is None or 0 <= found <= 2


def test_what_is_charted_of_the_figures() -> None:
    metrics = Metrics()
    for kind in (OutcomeKind.DETECT, OutcomeKind.DETECT, OutcomeKind.TIMEOUT):
        case = Case(Door.ICAP, Mode.ADVANCED, "a", {})
        metrics.count_case(Entry(case, None, Outcome(kind, Source.KATA), Decision.BLOCK))
    metrics.gauge("in_flight", "F.", lambda: 7)
    metrics.gauge("kata_state", "K.", lambda: 1)
    got = sample_of(metrics.registry.collect())
    assert (got.counts["requests"], got.counts["detect"], got.counts["timeout"]) == (3, 2, 1)
    assert (got.levels["in_flight"], got.levels["kata"]) == (7, 1)
    assert 0 < got.levels["descriptors_used"] < 1
    assert got.buckets[float("inf")] == 3
    assert sample_of(CollectorRegistry().collect()).counts["requests"] == 0
    answered = metrics.tally("icap_requests", "R.", ("service", "status"))
    answered.raise_by(("av/respmod", "204"), 5)
    answered.raise_by(("av/respmod", "200"), 2)
    assert sample_of(metrics.registry.collect()).counts["requests"] == 7
