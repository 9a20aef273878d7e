"""Which workers hang, by a clock of the test's own."""

from __future__ import annotations

from icapd.workers.hearing import Hearing


def test_who_says_nothing_for_long_is_told_once() -> None:
    hearing = Hearing(30.0)
    hearing.heard(1)
    hearing.heard(2)
    for now in range(30):
        assert hearing.look(float(now)) == []
        hearing.heard(2)
    assert hearing.look(30.0) == [1]
    assert hearing.look(31.0) == []


def test_who_is_forgotten_is_not_missed() -> None:
    hearing = Hearing(1.0)
    hearing.heard(1)
    hearing.look(0.0)
    hearing.heard(2)
    hearing.forget(1)
    hearing.forget(1)
    assert hearing.look(1.5) == [2]


def test_silence_while_we_did_not_listen_is_none() -> None:
    hearing = Hearing(30.0)
    hearing.heard(1)
    hearing.look(0.0)
    assert hearing.look(3600.0) == []  # the machine stood still
    for now in range(3601, 3630):
        assert hearing.look(float(now)) == []
    assert hearing.look(3630.0) == [1]
