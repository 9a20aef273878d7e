"""When a Central Node is left alone, and when it is asked again."""

from __future__ import annotations

import logging
from itertools import count

import pytest

from bridge.core.breaker import (
    FAULTS_IN_A_ROW,
    FIRST_PAUSE,
    MAX_PAUSE,
    UNREACHABLE_IN_A_ROW,
    Breaker,
)
from bridge.core.health import (
    AGAIN_SECONDS,
    DOWN_SECONDS,
    IDLE_SECONDS,
    KataHealth,
    KataState,
)
from bridge.core.kata.wire import Answer, CallResult


@pytest.mark.parametrize("of_file", [False, True], ids=["a call", "a file"])
def test_it_opens_after_failures_in_a_row_and_an_answer_begins_anew(of_file: bool) -> None:
    breaker, contents = Breaker(), map(str, count())

    def fail(times: int) -> None:
        for _ in range(times):
            breaker.failed(0, unreachable=True, content=next(contents) if of_file else None)

    fail(UNREACHABLE_IN_A_ROW - 1)
    breaker.took_file(ours=False)
    fail(UNREACHABLE_IN_A_ROW - 1)
    assert not breaker.is_open
    fail(1)
    assert breaker.is_open
    assert breaker.wants_file is of_file


def test_faults_of_single_files_open_it_later() -> None:
    breaker = Breaker()
    for _ in range(FAULTS_IN_A_ROW - 1):
        breaker.failed(0, unreachable=False, content="a")
    assert not breaker.is_open
    breaker.failed(0, unreachable=False, content="a")
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
    breaker.answered()
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
            self.health.note(node, CallResult(answer, "away"))


def test_the_first_node_is_used_again_once_it_works() -> None:
    nodes = Health()
    nodes.fail("https://a")
    assert nodes.health.usable() == ["https://b"]
    assert nodes.health.state is KataState.UNKNOWN, "the other was not asked yet"
    nodes.now += 1
    assert nodes.health.to_knock() == ["https://a"]
    nodes.health.note("https://a", CallResult(Answer.OK, ""))
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
    nodes.health.note("https://b", CallResult(Answer.BUSY, ""))
    assert not nodes.health.is_down, "429 comes from a KATA that works"


def test_one_reset_is_not_cried_over(caplog: pytest.LogCaptureFixture) -> None:
    nodes = Health()
    nodes.health.note("https://a", CallResult(Answer.OK, ""))
    nodes.health.note("https://a", CallResult(Answer.UNREACHABLE, "reset"))
    nodes.health.note("https://a", CallResult(Answer.OK, ""))
    assert nodes.health.state is KataState.OK
    assert caplog.text.count("KATA takes") == 1


def test_access_that_is_lost_is_called_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    nodes = Health()
    nodes.health.note("https://a", CallResult(Answer.NOT_ACCEPTED, ""))
    nodes.health.note("https://b", CallResult(Answer.OK, ""))
    nodes.health.note("https://b", CallResult(Answer.NOT_ACCEPTED, ""))
    assert "https://a" not in nodes.health.usable(), "a file goes to a KATA that refuses us"
    assert caplog.text.count("has not accepted this system") == 1
    assert caplog.text.count("access is lost") == 1
    assert nodes.health.state is KataState.NOT_ACCEPTED
    nodes.now += 60
    nodes.health.note("https://b", CallResult(Answer.OK, ""))
    assert "KATA takes files again after 60 s: https://b" in caplog.text


def test_a_first_call_that_fails_is_tried_again_until_the_node_answers_or_is_given_up() -> None:
    nodes = Health()
    nodes.health.note("https://a", CallResult(Answer.UNREACHABLE, "refused"))
    assert nodes.health.to_knock() == []
    for _ in range(UNREACHABLE_IN_A_ROW - 1):
        nodes.now += AGAIN_SECONDS
        assert nodes.health.to_knock() == ["https://a"]
        nodes.health.note("https://a", CallResult(Answer.UNREACHABLE, "refused"))
    assert nodes.health.usable() == ["https://b"]
    nodes.now += 20
    assert nodes.health.to_knock() == ["https://a"]
    nodes.health.note("https://a", CallResult(Answer.OK, ""))
    assert nodes.health.state is KataState.OK


def test_a_node_that_nobody_asks_is_asked_now_and_then() -> None:
    nodes = Health()
    nodes.now += IDLE_SECONDS - 1
    nodes.health.note("https://a", CallResult(Answer.OK, ""))
    nodes.now += 1
    assert nodes.health.to_knock() == ["https://b"], "a was asked a second ago"
    nodes.health.note("https://b", CallResult(Answer.OK, ""))
    nodes.now += IDLE_SECONDS
    assert nodes.health.to_knock() == ["https://a", "https://b"]
    nodes.health.note("https://a", CallResult(Answer.FAULT, "a 500 speaks of one file"))
    nodes.now += AGAIN_SECONDS
    assert nodes.health.to_knock() == ["https://b"]


def test_all_nodes_are_asked_at_once_when_something_has_changed() -> None:
    now = 1000.0
    health = KataHealth("id", ["https://a", "https://b"], lambda: now)
    for _ in range(8):
        health.note("https://a", CallResult(Answer.NOT_ACCEPTED, "401"))
        health.note("https://b", CallResult(Answer.OK, "200"))
    now += 3
    assert health.to_knock() == []
    health.hurry()
    assert health.to_knock() == ["https://a", "https://b"]
    health.note("https://a", CallResult(Answer.NOT_ACCEPTED, "401"))
    health.note("https://b", CallResult(Answer.OK, "200"))
    assert health.to_knock() == []
    assert health.state is KataState.OK


class Swallows(Health):
    """The first node answered a knock after files had failed there; the second works."""

    def __init__(self) -> None:
        super().__init__()
        for node in ("https://a", "https://b"):
            self.health.note(node, CallResult(Answer.OK, ""))
        self.fail_files(UNREACHABLE_IN_A_ROW)

    def fail_file(
        self, content: str, answer: Answer = Answer.UNREACHABLE, *, ours: bool = False
    ) -> None:
        result = CallResult(answer, "the upload hangs")
        self.health.note_file("https://a", result, content, ours=ours)

    def fail_files(self, times: int, answer: Answer = Answer.UNREACHABLE) -> None:
        for number in range(times):
            self.fail_file(f"{number}", answer)

    def take_file(self, *, ours: bool = True) -> None:
        self.health.note_file("https://a", CallResult(Answer.OK, ""), "taken", ours=ours)

    def knock(self, answer: Answer = Answer.OK) -> bool:
        self.now += MAX_PAUSE
        assert "https://a" in self.health.to_knock()
        return self.health.note("https://a", CallResult(answer, "knocked"))

    def first(self) -> tuple[KataState, str]:
        return self.health.nodes()["https://a"]


def test_a_node_that_answers_knocks_alone_is_out_until_it_takes_a_file(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nodes = Swallows()
    for _ in range(20):
        assert not nodes.knock(), "it is to get a file of ours"
        nodes.fail_file("ours", ours=True)
        assert nodes.health.usable() == ["https://b"]
        assert nodes.first() == (KataState.UNREACHABLE, "the upload hangs")
    assert caplog.text.count("KATA takes no files: https://a") == 1
    assert "again" not in caplog.text
    assert not nodes.knock()
    nodes.take_file()
    assert nodes.first()[0] is KataState.OK
    assert "KATA takes files again after 315 s: https://a" in caplog.text
    assert nodes.health.usable() == ["https://a", "https://b"]
    assert "https://a" not in nodes.health.to_knock()


def test_files_that_hang_one_by_one_are_seen_between_knocks_that_do_not() -> None:
    nodes = Swallows()
    nodes.take_file()
    for number in range(UNREACHABLE_IN_A_ROW - 1):
        nodes.fail_file(f"{number}")
        assert nodes.knock()
        assert nodes.first()[0] is KataState.OK
    nodes.fail_file("the last")
    assert nodes.first()[0] is KataState.UNREACHABLE
    assert not nodes.knock()


def test_a_knock_that_fails_asks_for_no_file() -> None:
    nodes = Swallows()
    assert nodes.knock(Answer.UNREACHABLE)
    assert nodes.first() == (KataState.UNREACHABLE, "knocked")
    assert not nodes.knock(), "it answers again"
    nodes.take_file()
    assert nodes.first()[0] is KataState.OK


def test_a_node_where_no_file_failed_is_believed_at_once() -> None:
    nodes = Health()
    nodes.fail("https://a")
    nodes.now += MAX_PAUSE
    assert nodes.health.note("https://a", CallResult(Answer.OK, ""))
    assert nodes.health.nodes()["https://a"][0] is KataState.OK


def test_files_that_fail_late_put_off_no_knock() -> None:
    nodes = Swallows()
    for number in range(10):
        nodes.now += FIRST_PAUSE / 10
        nodes.fail_file(f"under way {number}")
    assert "https://a" in nodes.health.to_knock()


@pytest.mark.parametrize("answer", [Answer.TOO_LARGE, Answer.BUSY])
def test_a_kata_that_is_busy_or_has_a_limit_works(answer: Answer) -> None:
    nodes = Swallows()
    assert not nodes.knock()
    nodes.health.note_file("https://a", CallResult(answer, ""), "a")
    assert nodes.first()[0] is KataState.OK


def test_files_that_are_refused_while_knocks_are_not_are_one_outage() -> None:
    nodes = Swallows()
    nodes.fail_files(1, Answer.NOT_ACCEPTED)
    assert not nodes.knock()
    assert nodes.first()[0] is KataState.NOT_ACCEPTED
    nodes.take_file()
    assert nodes.first()[0] is KataState.OK
    nodes.health.note("https://a", CallResult(Answer.NOT_ACCEPTED, "401"))
    assert nodes.knock(), "no file was refused: it is accepted again"
    assert nodes.first()[0] is KataState.OK


def test_one_content_that_fails_again_and_again_asks_for_no_file() -> None:
    nodes = Swallows()
    nodes.take_file()
    for _ in range(UNREACHABLE_IN_A_ROW):
        nodes.fail_file("the same")
    assert nodes.first()[0] is KataState.UNREACHABLE
    assert nodes.knock(), "KATA may fail at it alone"
    for _ in range(3 * FAULTS_IN_A_ROW):
        nodes.fail_file("another", Answer.FAULT)
        nodes.health.note("https://a", CallResult(Answer.OK, ""))
    assert nodes.first()[0] is KataState.OK


def test_a_state_call_that_is_refused_forgets_no_failed_file() -> None:
    nodes = Swallows()
    assert nodes.knock(Answer.NOT_ACCEPTED)
    assert not nodes.knock()


@pytest.mark.parametrize("answer", [Answer.TOO_LARGE, Answer.BUSY])
def test_a_node_that_is_busy_gets_no_file_of_ours(answer: Answer) -> None:
    nodes = Swallows()
    assert nodes.knock(answer)
    assert "https://a" not in nodes.health.to_knock()
    assert not nodes.knock()


def test_a_node_that_takes_ours_and_fails_at_others_is_asked_more_and_more_rarely() -> None:
    nodes = Swallows()
    for _ in range(10):
        assert not nodes.knock()
        nodes.take_file()
        nodes.health.note("https://a", CallResult(Answer.OK, "asked now and then"))
        nodes.fail_files(UNREACHABLE_IN_A_ROW)
    nodes.now += MAX_PAUSE / 2
    assert "https://a" not in nodes.health.to_knock()
    assert not nodes.knock()
    nodes.take_file(ours=False)
    nodes.fail_files(UNREACHABLE_IN_A_ROW)
    nodes.now += MAX_PAUSE / 2
    assert "https://a" in nodes.health.to_knock()


def test_a_command_gives_no_file_of_its_own() -> None:
    health = KataHealth("id", ["https://a"], tries_files=False)
    for number in range(UNREACHABLE_IN_A_ROW):
        health.note_file("https://a", CallResult(Answer.UNREACHABLE, ""), f"{number}")
    assert health.usable() == []
    assert health.note("https://a", CallResult(Answer.OK, ""))
    assert health.usable() == ["https://a"]
