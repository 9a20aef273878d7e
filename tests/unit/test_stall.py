"""What is given for a body that stopped arriving: as little as frees it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icapd.stall import MAX_GIVEN, MIN_RECEIVED, Gift, StallGuard

BIG = 1 << 30


def give(guard: StallGuard, received: int) -> Gift | None:
    gift = guard.due(received)
    if gift is not None:
        guard.gave(gift, received)
    return gift


def test_the_head_first_then_a_byte_for_each_progress() -> None:
    guard = StallGuard()
    assert give(guard, 70_000) is Gift.HEAD
    assert give(guard, 70_000) is None
    assert give(guard, 70_001) is Gift.BYTE
    assert give(guard, 70_001) is None
    assert give(guard, 140_000) is Gift.BYTE


def test_a_small_body_is_never_begun_before_its_verdict() -> None:
    guard = StallGuard()
    assert all(guard.due(received) is None for received in (0, 1, 68, MIN_RECEIVED - 1))
    assert guard.due(MIN_RECEIVED) is Gift.HEAD


@given(st.lists(st.integers(0, 3000), max_size=300))
def test_never_more_than_a_tenth_of_what_arrived(steps: list[int]) -> None:
    guard, received = StallGuard(), MIN_RECEIVED
    for step in steps:
        received += step
        give(guard, received)
        assert guard.given <= received / 10


def test_never_more_than_the_maximum() -> None:
    guard = StallGuard()
    for received in range(BIG, BIG + MAX_GIVEN + 10):
        give(guard, received)
    assert guard.given == MAX_GIVEN
