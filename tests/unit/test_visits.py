"""What is remembered of clients and addresses: bounded, for a while, and of nobody else."""

from __future__ import annotations

from bridge.core import Outcome, OutcomeKind, Source, VisitSettings
from icapd.visits import Visits

BAD = Outcome(OutcomeKind.DETECT, Source.KATA, threat="Trojan")
AWAY = Outcome(OutcomeKind.UNAVAILABLE, Source.RULE, "KATA is away")
WHO = ("10.0.0.1", "http://h/a")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def visits(clock: Clock) -> Visits:
    return Visits(VisitSettings.model_validate({"keep": "10m", "entries": 100}), clock)


def test_the_elapsed_time_goes_on_over_reloads_and_ends_when_served() -> None:
    clock = Clock()
    memory = visits(clock)
    assert memory.elapsed(*WHO) is None
    memory.put_off(*WHO, "aa", 998.0)
    clock.now = 1010.0
    memory.put_off(*WHO, "aa", 1009.0)
    assert memory.elapsed(*WHO) == 12
    memory.told(*WHO)
    assert memory.elapsed(*WHO) is None


def test_an_address_is_restless_after_two_different_bodies() -> None:
    memory = visits(Clock())
    for sha256, restless in (("aa", False), ("aa", False), ("bb", True), ("cc", True)):
        memory.put_off(*WHO, sha256, 0)
        assert memory.is_restless(*WHO) is restless
    memory.served(*WHO)
    assert memory.is_restless(*WHO), "it will be so the next time, too"
    assert not memory.is_restless("10.0.0.2", WHO[1])
    assert not memory.is_restless(WHO[0], "http://h/b")


def test_a_cut_for_a_verdict_is_told_until_it_is_forgotten() -> None:
    memory = visits(Clock())
    memory.cut_off(*WHO, "aa", BAD)
    for _ in range(2):
        cut = memory.take_cut(*WHO)
        assert cut is not None
        assert cut == ("aa", BAD)
    assert memory.take_cut("10.0.0.2", WHO[1]) is None
    assert memory.take_cut(WHO[0], "http://h/b") is None
    memory.forget_cut(*WHO)
    assert memory.take_cut(*WHO) is None


def test_a_cut_for_a_failure_is_told_once() -> None:
    memory = visits(Clock())
    memory.cut_off(*WHO, None, AWAY)
    assert memory.take_cut(*WHO) is not None
    assert memory.take_cut(*WHO) is None


def test_everything_is_forgotten_after_a_while() -> None:
    clock = Clock()
    memory = visits(clock)
    memory.cut_off(*WHO, "aa", BAD)
    memory.put_off(*WHO, "aa", 0)
    memory.put_off(*WHO, "bb", 0)
    clock.now += 599
    assert memory.take_cut(*WHO) is not None
    clock.now += 1
    assert memory.take_cut(*WHO) is None
    assert memory.elapsed(*WHO) is None
    assert not memory.is_restless(*WHO)
    assert len(memory) == 0


def test_the_oldest_are_forgotten_first_beyond_the_bound() -> None:
    memory = visits(Clock())
    memory.cut_off(*WHO, "aa", BAD)
    for number in range(99):
        memory.put_off("10.0.0.1", f"http://h/{number}", "bb", 0)
    memory.put_off(*WHO, "aa", 0)  # used again: not the oldest any more
    memory.put_off("10.0.0.1", "http://h/more", "bb", 0)
    assert len(memory) == 100
    assert memory.take_cut(*WHO) is not None
    assert memory.find("10.0.0.1", "http://h/0") is None


def test_what_is_remembered_is_of_one_size() -> None:
    memory = visits(Clock())
    memory.let_by("10.0.0.1", "http://h/" + "a" * 60_000)
    assert all(len(key) == 16 for key in memory._visits)
    assert memory.find("10.0.0.1", "http://h/" + "a" * 60_000) is not None


def test_who_was_let_by_is_let_by_until_served() -> None:
    memory = visits(Clock())
    memory.let_by(*WHO)
    visit = memory.find(*WHO)
    assert visit is not None
    assert visit.let_by
    memory.served(*WHO)
    assert not visit.let_by
