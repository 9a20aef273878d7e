"""What is given for a body that stopped arriving: as little as frees it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icapd.stall import (
    MIN_PROGRESS,
    MIN_RECEIVED,
    Gift,
    Stallers,
    StallGuard,
    is_large,
)


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


def test_a_proxy_that_goes_on_at_once_twice_is_one_that_stops() -> None:
    stallers = Stallers()
    stallers.freed("10.0.0.1", 0.002, 100.0)
    assert not stallers.knows("10.0.0.1", 100.0), "an origin that paused may look like that once"
    stallers.freed("10.0.0.1", 0.002, 101.0)
    assert stallers.knows("10.0.0.1", 101.0)
    assert not stallers.knows("10.0.0.2", 101.0)


def test_an_origin_that_goes_on_in_its_own_time_makes_no_proxy_one_that_stops() -> None:
    stallers = Stallers()
    for turn in range(20):
        stallers.freed("10.0.0.1", 0.05 + turn / 10, 100.0 + turn)
    assert not stallers.knows("10.0.0.1", 120.0)


def test_a_proxy_that_stopped_long_ago_is_waited_for_again() -> None:
    stallers = Stallers()
    for now in (0.0, 1.0):
        stallers.freed("10.0.0.1", 0.0, now)
    assert stallers.knows("10.0.0.1", 600.0)
    assert not stallers.knows("10.0.0.1", 602.0)
    stallers.freed("10.0.0.1", 0.0, 700.0)
    assert not stallers.knows("10.0.0.1", 700.0), "one look is no proof, as at the beginning"


def test_proxies_without_end_are_not_remembered_without_end() -> None:
    stallers = Stallers()
    for number in range(3000):
        for _ in range(2):
            stallers.freed(f"p{number}", 0.0, 1.0)
    assert stallers.knows("p2999", 1.0)
    assert not stallers.knows("p1", 1.0)


def test_which_bodies_squid_stops() -> None:
    assert not is_large(65_535)
    assert is_large(65_536)
    assert is_large(None)
