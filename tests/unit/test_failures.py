"""Whose a failure is, and for how many it is remembered."""

from __future__ import annotations

from bridge.core.failures import Failures
from bridge.core.model import Outcome, OutcomeKind, Source

ERROR = Outcome(OutcomeKind.ERROR, Source.KATA)


def test_a_failure_is_told_to_who_waited_for_that_scan_and_nobody_else() -> None:
    failures = Failures()
    failures.note("aa", ERROR, 100.0)
    assert failures.of("aa", 90.0) == ERROR
    assert failures.of("aa", 101.0) is None
    assert failures.of("aa", None) is None
    assert failures.of("bb", 90.0) is None


def test_a_later_end_takes_its_place_and_what_may_pass_is_kept_by_nobody() -> None:
    failures = Failures()
    failures.note("aa", ERROR, 100.0)
    failures.note("aa", Outcome(OutcomeKind.NOT_DETECTED, Source.KATA), 110.0)
    failures.note("bb", Outcome(OutcomeKind.UNAVAILABLE, Source.RULE), 110.0)
    assert failures.of("aa", 90.0) is None
    assert failures.of("bb", 90.0) is None


def test_the_oldest_are_forgotten() -> None:
    failures = Failures()
    for number in range(10_001):
        failures.note(str(number), ERROR, 100.0)
    assert failures.of("0", 0.0) is None
    assert failures.of("10000", 0.0) == ERROR
