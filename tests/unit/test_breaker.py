"""When a Central Node is left alone, and when it is asked again."""

from __future__ import annotations

import logging

import pytest

from bridge.core.breaker import FAULTS_IN_A_ROW, UNREACHABLE_IN_A_ROW, Breaker
from bridge.core.health import (
    AGAIN_SECONDS,
    DOWN_SECONDS,
    IDLE_SECONDS,
    KataHealth,
    KataState,
)
from bridge.core.kata.wire import Answer


def test_it_opens_after_failures_in_a_row_and_an_answer_begins_anew() -> None:
    breaker = Breaker()
    for _ in range(UNREACHABLE_IN_A_ROW - 1):
        breaker.failed(0, unreachable=True)
    breaker.worked()
    for _ in range(UNREACHABLE_IN_A_ROW - 1):
        breaker.failed(0, unreachable=True)
    assert not breaker.is_open
    breaker.failed(0, unreachable=True)
    assert breaker.is_open


def test_faults_of_single_files_open_it_later() -> None:
    breaker = Breaker()
    for _ in range(FAULTS_IN_A_ROW - 1):
        breaker.failed(0, unreachable=False)
    assert not breaker.is_open
    breaker.failed(0, unreachable=False)
    assert breaker.is_open


def test_knocks_grow_rarer_and_begin_anew_after_an_answer() -> None:
    breaker = Breaker()
    breaker.open(100)
    assert not breaker.knock_due(100.5)
    assert breaker.knock_due(101)
    for _ in range(10):
        breaker.open(200)
    assert not breaker.knock_due(210)
    assert breaker.knock_due(215)
    breaker.worked()
    assert not breaker.knock_due(1000)
    breaker.open(1000)
    assert breaker.knock_due(1001)


def test_a_busy_node_is_left_in_peace_as_long_as_it_asked() -> None:
    breaker = Breaker()
    breaker.busy(100, 30)
    breaker.busy(100, 10)
    assert breaker.busy_for(110) == 20
    assert breaker.busy_for(131) == 0


class Health:
    """Two nodes and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.health = KataHealth("id", ["https://a", "https://b"], lambda: self.now)

    def fail(self, node: str, answer: Answer = Answer.UNREACHABLE) -> None:
        for _ in range(UNREACHABLE_IN_A_ROW):
            self.health.note(node, answer, "away")


def test_the_first_node_is_used_again_once_it_works() -> None:
    nodes = Health()
    nodes.fail("https://a")
    assert nodes.health.usable() == ["https://b"]
    assert nodes.health.state is KataState.UNKNOWN, "the other was not asked yet"
    nodes.now += 1
    assert nodes.health.to_knock() == ["https://a"]
    nodes.health.note("https://a", Answer.OK, "")
    assert nodes.health.usable() == ["https://a", "https://b"]
    assert nodes.health.to_knock() == []


def test_it_is_down_when_no_node_has_worked_for_a_while() -> None:
    nodes = Health()
    nodes.fail("https://a")
    nodes.now += 100
    assert not nodes.health.is_down
    nodes.fail("https://b")
    assert not nodes.health.is_down, "a passing fault"
    nodes.now += DOWN_SECONDS + 0.1
    assert nodes.health.is_down
    nodes.health.note("https://b", Answer.BUSY, "")
    assert not nodes.health.is_down, "429 comes from a KATA that works"


def test_one_reset_is_not_cried_over(caplog: pytest.LogCaptureFixture) -> None:
    nodes = Health()
    nodes.health.note("https://a", Answer.OK, "")
    nodes.health.note("https://a", Answer.UNREACHABLE, "reset")
    nodes.health.note("https://a", Answer.OK, "")
    assert nodes.health.state is KataState.OK
    assert caplog.text.count("KATA takes") == 1


def test_access_that_is_lost_is_called_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    nodes = Health()
    nodes.health.note("https://a", Answer.NOT_ACCEPTED, "")
    nodes.health.note("https://b", Answer.OK, "")
    nodes.health.note("https://b", Answer.NOT_ACCEPTED, "")
    assert "https://a" not in nodes.health.usable(), "a file goes to a KATA that refuses us"
    assert caplog.text.count("has not accepted this system") == 1
    assert caplog.text.count("access is lost") == 1
    assert nodes.health.state is KataState.NOT_ACCEPTED
    nodes.now += 60
    nodes.health.note("https://b", Answer.OK, "")
    assert "KATA takes files again after 60 s: https://b" in caplog.text


def test_a_first_call_that_fails_is_tried_again_until_the_node_answers_or_is_given_up() -> None:
    nodes = Health()
    nodes.health.note("https://a", Answer.UNREACHABLE, "refused")
    assert nodes.health.to_knock() == []
    for _ in range(UNREACHABLE_IN_A_ROW - 1):
        nodes.now += AGAIN_SECONDS
        assert nodes.health.to_knock() == ["https://a"]
        nodes.health.note("https://a", Answer.UNREACHABLE, "refused")
    assert nodes.health.usable() == ["https://b"]
    nodes.now += 20
    assert nodes.health.to_knock() == ["https://a"]
    nodes.health.note("https://a", Answer.OK, "")
    assert nodes.health.state is KataState.OK


def test_a_node_that_nobody_asks_is_asked_now_and_then() -> None:
    nodes = Health()
    nodes.now += IDLE_SECONDS - 1
    nodes.health.note("https://a", Answer.OK, "")
    nodes.now += 1
    assert nodes.health.to_knock() == ["https://b"], "a was asked a second ago"
    nodes.health.note("https://b", Answer.OK, "")
    nodes.now += IDLE_SECONDS
    assert nodes.health.to_knock() == ["https://a", "https://b"]
    nodes.health.note("https://a", Answer.FAULT, "a 500 speaks of one file")
    nodes.now += AGAIN_SECONDS
    assert nodes.health.to_knock() == ["https://b"]


def test_all_nodes_are_asked_at_once_when_something_has_changed() -> None:
    now = 1000.0
    health = KataHealth("id", ["https://a", "https://b"], lambda: now)
    for _ in range(8):
        health.note("https://a", Answer.NOT_ACCEPTED, "401")
        health.note("https://b", Answer.OK, "200")
    now += 3
    assert health.to_knock() == []
    health.hurry()
    assert health.to_knock() == ["https://a", "https://b"]
    health.note("https://a", Answer.NOT_ACCEPTED, "401")
    health.note("https://b", Answer.OK, "200")
    assert health.to_knock() == []
    assert health.state is KataState.OK
