"""Refusals are said, and can fill no disk."""

from __future__ import annotations

import pytest

from icapd.complaints import MOST_LINES, MOST_STRANGERS, MOST_WINDOWS, WINDOW_SECONDS, Complaints


@pytest.fixture
def complaints() -> Complaints:
    return Complaints(lambda: 0.0)


def test_a_few_lines_then_how_many_more(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        complaints.say("10.0.0.1", "no")
    complaints.look(WINDOW_SECONDS - 1)
    assert caplog.messages == ["proxy 10.0.0.1: no"] * MOST_LINES
    complaints.look(WINDOW_SECONDS)
    more = f"proxy 10.0.0.1: {1000 - MOST_LINES} more such lines (no…) within a minute, left out"
    assert caplog.messages[MOST_LINES:] == [more]
    complaints.say("10.0.0.1", "again")
    assert caplog.messages[-1] == "proxy 10.0.0.1: again"


def test_a_line_that_was_said_needs_no_second_one(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    complaints.say("10.0.0.1", "no")
    complaints.look(WINDOW_SECONDS)
    assert len(caplog.messages) == 1


def test_many_addresses_share_their_lines(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5000):
        complaints.say_of_stranger(f"2001:db8::{number:x}", "x" * 100_000)
    assert len(caplog.messages) == MOST_STRANGERS + MOST_LINES
    assert max(len(line) for line in caplog.messages) < 600
    complaints.close()
    left = 5000 - MOST_STRANGERS - MOST_LINES
    last = f"other addresses: {left} more such lines within a minute, left out"
    assert caplog.messages[-1] == last


def test_one_address_does_not_silence_another(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        complaints.say("10.0.0.1", "no")
    complaints.say("10.0.0.2", "no")
    assert caplog.messages[-1] == "proxy 10.0.0.2: no"


def test_strangers_hide_no_line_about_a_proxy(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        complaints.say_of_stranger(f"10.9.{number // 250}.{number % 250}", "refused")
    complaints.say("10.0.0.1", "A chunk size is malformed.")
    assert caplog.messages[-1] == "proxy 10.0.0.1: A chunk size is malformed."


def test_one_fault_does_not_hide_another_of_the_same_proxy(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        complaints.say("10.0.0.1", "A chunk size is malformed.")
    complaints.say("10.0.0.1", "Two different Preview headers.")
    assert caplog.messages[-1] == "proxy 10.0.0.1: Two different Preview headers."


def test_what_proxies_say_is_bounded_too(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10_000):
        complaints.say("10.0.0.1", f"{number} OPTIONS icap://x gets 404")
    assert len(caplog.messages) == MOST_WINDOWS + MOST_LINES
