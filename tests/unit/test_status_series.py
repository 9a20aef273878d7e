"""What the charts of the status page are made of."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from bridge.core import Case, Decision, Door, Entry, Metrics, Mode, Outcome, OutcomeKind, Source
from bridge.status.samples import COUNTS, LEVELS, Sample, quantile, sample_of
from bridge.status.series import NAMES, SPANS, Series

NOW = 1_800_000_000.0  # a whole number of steps of either span


def sample(
    requests: float,
    *,
    kata: float = 1,
    queue: float = 0,
    started: float = 0,
    process: float = 0,
    **buckets: float,
) -> Sample:
    """`started`, `process`: seconds from NOW; `buckets`: up_to_1=3 and so on."""
    counts = dict.fromkeys(COUNTS, 0.0) | {"requests": requests}
    levels = dict.fromkeys(LEVELS, 0.0) | {"kata": kata, "queue": queue}
    ends = {float(name.removeprefix("up_to_")): count for name, count in buckets.items()}
    return Sample(counts, levels, ends, NOW + started, NOW + process)


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
    # the first step began when we did: what is not known of it is not taken to be zero
    assert points(series, "requests", NOW + 30) == [(10, 5.0), (20, 5.0), (30, 5.0)]
    assert points(series, "requests", NOW + 39.9) == [(10, 5.0), (20, 5.0), (30, 5.0)]


def test_of_a_step_with_one_sample_no_rate_is_known() -> None:
    series = Series()
    for second in (9, 10, 20):
        series.add(sample(requests=second), NOW + second)
    assert points(series, "requests", NOW + 20) == [(20, 1.0)]
    assert points(series, "kata", NOW + 20) == [(10, 1), (20, 1)]


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
    assert points(series, "requests", NOW + 50) == [(10, 1.0), (50, 1.0)]


def test_a_daemon_that_was_started_again_counts_from_zero() -> None:
    series = Series()
    for second, count in ((0, 1000), (9, 1000), (10, 3), (19, 20), (20, 20)):
        series.add(sample(requests=count), NOW + second)
    assert points(series, "requests", NOW + 20) == [(10, 0.0), (20, 2.0)]


def test_what_a_new_daemon_counted_before_it_was_first_seen_counts_whole() -> None:
    series = Series()
    for second in (0, 8):
        series.add(sample(4, up_to_1=4, up_to_2=4), NOW + second)
    series = restarted(series)
    series.add(sample(10, started=9, process=8.5, up_to_1=0, up_to_2=10), NOW + 10)
    series.add(sample(10, started=9, process=8.5, up_to_1=0, up_to_2=10), NOW + 19)
    series.add(sample(10, started=9, process=8.5, up_to_1=0, up_to_2=10), NOW + 20)
    assert points(series, "requests", NOW + 20) == [(10, 0.0), (20, 1.0)]
    assert points(series, "p50", NOW + 20) == [(20, 1.5)]


def test_workers_that_were_all_replaced_go_on_with_what_was_counted() -> None:
    series = Series()
    series.add(sample(5_000_000), NOW)
    series.add(sample(5_000_000), NOW + 8)
    series.add(sample(5_000_010, started=9), NOW + 10)
    series.add(sample(5_000_010, started=9), NOW + 19)
    series.add(sample(5_000_010, started=9), NOW + 20)
    assert points(series, "requests", NOW + 20) == [(10, 0.0), (20, 1.0)]


def test_a_clock_that_was_set_back_costs_no_counts() -> None:
    series = Series()
    for second in range(0, 31, 2):
        series.add(sample(second * 3, started=3600, process=3599), NOW + second)
    assert points(series, "requests", NOW + 30) == [(10, 3.0), (20, 3.0), (30, 3.0)]


def test_a_clock_that_passes_the_start_again_counts_nothing_twice() -> None:
    series = Series()
    for second in range(0, 31, 2):
        series.add(sample(9000 + second * 3, started=15, process=14), NOW + second)
    got = points(series, "requests", NOW + 30)
    assert [second for second, _ in got] == [10, 20, 30]
    assert all(2.9 < value < 3.5 for _, value in got)


def test_the_worst_of_a_step_is_shown() -> None:
    series = Series()
    for second in range(11):
        bad = second == 5
        series.add(sample(0, kata=0 if bad else 1, queue=70 if bad else 0), NOW + second)
    assert points(series, "kata", NOW + 10) == [(10, 0)]
    assert points(series, "queue", NOW + 10) == [(10, 70)]


def kept(series: Series) -> Any:
    """What a later process reads."""
    return json.loads(json.dumps(series.dump(), allow_nan=False))


def restarted(series: Series) -> Series:
    other = Series()
    other.load(kept(series))
    return other


def test_what_was_seen_before_a_restart_counts() -> None:
    series = Series()
    for second in range(0, 101, 2):  # an outage, and half of the requests
        series.add(sample(second, kata=0, queue=70, up_to_1=0, up_to_2=second), NOW + second)
    series = restarted(series)
    for second in range(102, 301, 2):  # the same daemon goes on
        series.add(sample(second, up_to_1=0, up_to_2=second), NOW + second)
    assert points(series, "kata", NOW + 300, "day") == [(300, 0)]
    assert points(series, "queue", NOW + 300, "day") == [(300, 70)]
    assert points(series, "requests", NOW + 300, "day") == [(300, pytest.approx(1.0))]
    assert points(series, "p50", NOW + 300, "day") == [(300, 1.5)]


def test_while_no_daemon_ran_nothing_is_known() -> None:
    series = Series()
    for second in range(0, 101, 2):
        series.add(sample(requests=1000 + second * 3), NOW + second)
    series = restarted(series)
    for second in range(202, 301, 2):
        now = sample(requests=(second - 200) * 3, started=200)
        series.add(now, NOW + second)
    assert points(series, "requests", NOW + 300, "day") == [(300, pytest.approx(3.0))]


def test_a_step_that_ended_while_nobody_ran_is_shown() -> None:
    series = Series()
    for second in range(0, 101, 2):
        series.add(sample(requests=second, kata=0), NOW + second)
    series = restarted(series)
    for second in (700, 890, 900):
        series.add(sample(requests=second - 650, started=650), NOW + second)
    assert points(series, "kata", NOW + 900, "day") == [(300, 0), (900, 1)]
    assert points(series, "requests", NOW + 900, "day") == [(300, 1.0), (900, 1.0)]


def test_what_earlier_versions_kept_is_read() -> None:
    series = Series()
    series.load({"hour": [[180_000_000, {"requests": 2, "kata": 1}]], "day": []})
    assert points(series, "requests", NOW + 10) == [(10, 2)]
    series.add(sample(10), NOW + 11)
    series.add(sample(20), NOW + 19)
    series.add(sample(21), NOW + 20)
    assert points(series, "requests", NOW + 20) == [(10, 2), (20, 1.25)]


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
    "damaged", [None, [], {"hour": 5}, {"hour": [[1], ["x", {}], [3, {"requests": "x", "y": 1}]]}]
)
def test_what_is_kept_may_be_damaged(damaged: object) -> None:
    series = Series()
    series.load(damaged)
    series.add(sample(1), NOW)
    assert points(series, "requests", NOW + 5) == []


DAMAGE: dict[str, list[Any]] = {
    "number": [None, "x", float("inf"), []],
    "at": [None],
    "seconds": [None, float("nan"), float("inf"), -1, "x"],
    "last": [None, {}, [], {"counts": {}, "buckets": {}}],
    "counts": [None, {}, [], dict.fromkeys(COUNTS, "x")],
    "buckets": [None, {"x": 1}, {"1.0": None}, [1]],
    "levels": [None, {"kata": "x"}, [1]],
}


@pytest.mark.parametrize(
    ("key", "damage"), [(key, each) for key, several in DAMAGE.items() for each in several], ids=str
)
def test_a_step_under_way_that_is_damaged_is_left_out(key: str, damage: object) -> None:
    series = Series()
    for second in range(0, 101, 2):
        series.add(sample(second, kata=0, up_to_1=second), NOW + second)
    damaged = kept(series)
    damaged["under_way"]["day"][key] = damage
    other = Series()
    other.load(damaged)
    for second in (110, 299, 300):
        other.add(sample(second), NOW + second)
    assert points(other, "kata", NOW + 300, "day") == [(300, 1)]
    assert points(other, "requests", NOW + 300, "day") == [(300, 1.0)]
    assert points(other, "kata", NOW + 100)[-1] == (100, 0)


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
    assert 0 < got.process <= time.time()
    assert sample_of(CollectorRegistry().collect()).counts["requests"] == 0
    answered = metrics.tally("icap_requests", "R.", ("service", "status"))
    answered.raise_by(("av/respmod", "204"), 5)
    answered.raise_by(("av/respmod", "200"), 2)
    assert sample_of(metrics.registry.collect()).counts["requests"] == 7
