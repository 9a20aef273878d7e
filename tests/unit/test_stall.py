"""What is given for a body that stopped arriving: as little as frees it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icapd.stall import MIN_PROGRESS, MIN_RECEIVED, Gift, StallGuard


def give(guard: StallGuard, received: int) -> Gift | None:
    gift = guard.due(received)
    if gift is not None:
        guard.gave(received)
    return gift


def test_the_head_first_then_a_byte_for_each_good_deal_of_progress() -> None:
    guard = StallGuard()
    assert give(guard, 70_000) is Gift.HEAD
    assert give(guard, 70_000) is None
    assert give(guard, 70_000 + MIN_PROGRESS - 1) is None
    assert give(guard, 70_000 + MIN_PROGRESS) is Gift.BYTE
    assert give(guard, 70_000 + MIN_PROGRESS) is None


def test_a_small_body_is_never_begun_before_its_verdict() -> None:
    guard = StallGuard()
    assert all(guard.due(received) is None for received in (0, 1, 68, MIN_RECEIVED - 1))
    assert guard.due(MIN_RECEIVED) is Gift.HEAD


@given(st.lists(st.integers(0, 100_000), max_size=300))
def test_never_more_than_a_byte_in_thirty_thousand(steps: list[int]) -> None:
    guard, received, given_bytes = StallGuard(), MIN_RECEIVED, 0
    for step in steps:
        received += step
        given_bytes += give(guard, received) is Gift.BYTE
        assert given_bytes <= received / MIN_PROGRESS
