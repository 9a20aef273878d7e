"""Outcome and mode become a decision; a failure never becomes `pass` on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.model import Decision, Door, Mode, OutcomeKind
from bridge.core.policy import decide, door_policy

ICAP = door_policy(Door.ICAP, {}, {})
FOLDER = door_policy(Door.FOLDER, {}, {})
FAILURES = [OutcomeKind.ERROR, OutcomeKind.TIMEOUT, OutcomeKind.UNAVAILABLE]


@pytest.mark.parametrize(
    ("outcome", "icap", "folder"),
    [
        (OutcomeKind.NOT_DETECTED, Decision.PASS, Decision.PASS),
        (OutcomeKind.DETECT, Decision.BLOCK, Decision.BLOCK),
        (OutcomeKind.ERROR, Decision.BLOCK, Decision.BLOCK),
        (OutcomeKind.TIMEOUT, Decision.BLOCK, Decision.BLOCK),
        (OutcomeKind.UNAVAILABLE, Decision.BLOCK, Decision.HOLD),
        (OutcomeKind.OVERSIZE, Decision.PASS, Decision.SKIP),
        (OutcomeKind.EXCLUDED, Decision.PASS, Decision.SKIP),
        (OutcomeKind.PENDING, Decision.HOLD, Decision.HOLD),
    ],
)
def test_the_shipped_policy_of_both_doors(
    outcome: OutcomeKind, icap: Decision, folder: Decision
) -> None:
    assert decide(outcome, Mode.ADVANCED, ICAP) is icap
    assert decide(outcome, Mode.ADVANCED, FOLDER) is folder


def test_every_outcome_is_in_the_table() -> None:
    assert set(ICAP) == set(FOLDER) == set(OutcomeKind)


@pytest.mark.parametrize("failure", [*FAILURES, OutcomeKind.DETECT])
@pytest.mark.parametrize("mode", [Mode.STANDARD, Mode.ADVANCED])
@pytest.mark.parametrize("policy", [ICAP, FOLDER])
def test_no_failure_passes_unless_somebody_wrote_so(
    failure: OutcomeKind, mode: Mode, policy: dict[OutcomeKind, Decision]
) -> None:
    assert decide(failure, mode, policy) is not Decision.PASS


def test_standard_passes_what_is_pending_and_advanced_does_not() -> None:
    assert decide(OutcomeKind.PENDING, Mode.STANDARD, ICAP) is Decision.PASS
    assert decide(OutcomeKind.PENDING, Mode.ADVANCED, ICAP) is Decision.HOLD


@given(st.sampled_from(OutcomeKind))
def test_monitor_always_passes(outcome: OutcomeKind) -> None:
    assert decide(outcome, Mode.MONITOR, ICAP) is Decision.PASS


def test_what_somebody_wrote_for_all_doors_beats_what_is_shipped_for_one() -> None:
    policy = door_policy(Door.ICAP, {OutcomeKind.OVERSIZE: Decision.BLOCK}, {})
    assert decide(OutcomeKind.OVERSIZE, Mode.ADVANCED, policy) is Decision.BLOCK


def test_the_doors_own_word_beats_the_common_one() -> None:
    policy = door_policy(
        Door.FOLDER,
        {OutcomeKind.ERROR: Decision.HOLD},
        {OutcomeKind.ERROR: Decision.BLOCK},
    )
    assert decide(OutcomeKind.ERROR, Mode.ADVANCED, policy) is Decision.BLOCK


def test_an_outcome_that_the_policy_does_not_name_is_blocked() -> None:
    assert decide(OutcomeKind.NOT_DETECTED, Mode.ADVANCED, {}) is Decision.BLOCK
