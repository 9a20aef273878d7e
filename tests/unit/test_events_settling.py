"""When an outage begins and ends, and the line that says so."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from bridge.core import OutageKind
from bridge.core.events.levels import KINDS
from bridge.core.events.line import Event, Subject, format_event, parse_event
from bridge.core.events.settle import Change, Settling
from bridge.core.events.slots import CALM_SECONDS, LONGEST_HOLD, MOST, most_of
from tests.support.events import KATA, NOON

PROXY = Subject(OutageKind.BODIES_WITHHELD, "10.0.0.1")


def over(change: Change) -> bool:
    return change.end is not None


def settled(*steps: tuple[float, bool]) -> list[tuple[float, float | None]]:
    """(begin, end) of each change, where the level is looked at then."""
    settling, changes = Settling(), []
    for at, active in steps:
        settling.set(KATA, active, "it is away", "", at)
        changes += settling.take_changes(at)
    return [(change.begin, change.end) for change in changes]


def test_an_outage_begins_once_and_ends_when_it_went() -> None:
    steps = [(1.0, False), (2.0, True), (3.0, True), (9.0, False), (10.0, False), (12.0, False)]
    assert settled(*steps) == [(2.0, None), (2.0, 9.0)]


def test_what_flaps_is_one_outage() -> None:
    steps = [(float(at), at % 3 == 0) for at in range(30)]
    assert settled(*steps) == [(0.0, None)]
    assert settled(*steps, (30.0, False), (31.0, False)) == [(0.0, None), (0.0, 28.0)]


def test_an_end_counts_no_sooner_than_after_three_seconds() -> None:
    assert settled((0.0, True), (5.0, False), (7.9, False)) == [(0.0, None)]
    assert settled((0.0, True), (5.0, False), (8.0, False)) == [(0.0, None), (0.0, 5.0)]


def test_a_clock_that_is_set_back_holds_no_end_for_ever_and_turns_no_outage_round() -> None:
    assert settled((100.0, True), (50.0, False), (40.0, False)) == [(100.0, None), (100.0, 100.0)]


def test_it_is_out_as_long_as_one_of_its_parts_is() -> None:
    settling = Settling()
    for part in ("request", "response"):
        settling.set(PROXY, True, "", part, 0.0)
    settling.set(PROXY, False, "", "request", 10.0)
    settling.set(PROXY, False, "", "something else", 11.0)
    assert [over(change) for change in settling.take_changes(50.0)] == [False]
    settling.set(PROXY, False, "", "response", 60.0)
    assert [change.end for change in settling.take_changes(70.0)] == [60.0]


def test_what_is_not_known_neither_begins_nor_ends() -> None:
    settling = Settling()
    settling.look(KINDS, {KATA: None}, 0.0, {})
    assert settling.take_changes(10.0) == []
    settling.restore(KATA, -100.0, "before", 10.0)
    settling.look(KINDS, {}, 11.0, {})
    settling.look(KINDS, {KATA: None}, 12.0, {})
    assert settling.take_changes(60.0) == []
    settling.look(KINDS, {}, 61.0, {})
    assert settling.take_changes(70.0) == [Change(KATA, -100.0, 61.0, "before", restored=True)]


def test_what_went_before_anybody_looked_ended_then() -> None:
    settling = Settling()
    settling.restore(KATA, 10.0, "before", 60.0)
    settling.look(KINDS, {}, 60.0, {KATA: 20.0})
    assert settling.take_changes(60.0) == [Change(KATA, 10.0, 20.0, "before", restored=True)]
    for told, end in ((5.0, 70.0), (200.0, 80.0)):  # by a clock that was set
        settling.look(KINDS, {KATA: "away"}, 70.0, {})
        settling.look(KINDS, {}, 80.0, {KATA: told})
        assert [each.end for each in settling.take_changes(500.0) if over(each)] == [end]
        settling.take_changes(5000.0)


def test_a_look_leaves_alone_what_others_tell_of() -> None:
    settling = Settling()
    settling.set(PROXY, True, "", "", 0.0)
    settling.look(KINDS, {}, 1.0, {})
    settling.look(KINDS, {KATA: "away"}, 2.0, {})
    assert [over(change) for change in settling.take_changes(60.0)] == [False, False]
    settling.keep_only(OutageKind.BODIES_WITHHELD, ["10.0.0.1"], 61.0)
    assert settling.take_changes(70.0) == []
    settling.keep_only(OutageKind.BODIES_WITHHELD, [], 71.0)
    assert [change.subject for change in settling.take_changes(80.0)] == [PROXY]


def test_a_proxy_that_has_gone_silent_withholds_no_longer() -> None:
    settling = Settling()
    settling.set(PROXY, True, "", "", 0.0)
    settling.set(KATA, True, "", "", 0.0)
    settling.set(PROXY, True, "", "", 3000.0)
    assert [over(change) for change in settling.take_changes(6000.0)] == [False, False]
    assert [(each.subject, each.end) for each in settling.take_changes(6601.0)] == [(PROXY, 3000.0)]


def test_what_comes_again_and_again_is_told_more_and_more_rarely() -> None:
    settling, changes = Settling(), []
    for tenths in range(864_000):  # a day: out for half a second, well for 4.5 s
        at = tenths / 10
        if tenths % 50 in (0, 5):
            settling.set(PROXY, tenths % 50 == 0, "why", "", at)
        if not tenths % 10:
            changes += settling.take_changes(at)
    changes += settling.take_changes(100_000.0)
    assert len(changes) == 4
    assert changes[-1].detail == "why; it went and came back 17278 times"
    assert (changes[2].begin, changes[3].begin, changes[3].end) == (5.0, 5.0, 86395.5)


def test_whoever_waits_out_the_longest_hold_is_told_twice_in_that_time() -> None:
    settling, changes, at = Settling(), 0, 0.0
    while at < 86_400:
        settling.set(PROXY, True, "", "", at)
        changes += len(settling.take_changes(at))
        settling.set(PROXY, False, "", "", at)
        at += LONGEST_HOLD
        changes += len(settling.take_changes(at))
    assert 500 < changes <= 2 * (86_400 / LONGEST_HOLD + 1)


def test_what_has_been_well_for_long_is_told_at_once_again() -> None:
    settling, at = Settling(), 0.0
    for _ in range(3):
        settling.set(KATA, True, "away", "", at)
        settling.set(KATA, False, "", "", at + 1)
        assert [over(change) for change in settling.take_changes(at + 4)] == [False, True]
        at += 4 + CALM_SECONDS
        assert settling.take_changes(at) == []


@pytest.mark.parametrize("kind", OutageKind)
def test_a_flood_of_subjects_is_bounded_and_leaves_the_other_kinds_alone(kind: OutageKind) -> None:
    settling, most = Settling(), most_of(kind)
    assert most_of(OutageKind.BODIES_WITHHELD) < 100 < MOST
    for number in range(most + 10):
        settling.set(Subject(kind, str(number)), True, "", "", 0.0)
    assert len(settling.take_changes(0.0)) == most
    assert settling.full == {kind}
    for other in set(OutageKind) - {kind}:
        settling.set(Subject(other, "x"), True, "", "", 1.0)
    assert len(settling.take_changes(1.0)) == len(OutageKind) - 1


def test_subjects_that_take_turns_are_bounded_in_time() -> None:
    settling, lines, most = Settling(), 0, most_of(PROXY.kind)
    for number in range(3000):  # of an IPv6 network: each withholds once a second, for 3000 s
        settling.set(Subject(PROXY.kind, f"2001:db8::{number:x}"), True, "", "", float(number))
        settling.set(Subject(PROXY.kind, f"2001:db8::{number:x}"), False, "", "", float(number))
        lines += len(settling.take_changes(float(number)))
    assert lines <= 2 * most * (3000 / CALM_SECONDS + 1)
    assert settling.take_changes(9000.0) == []
    settling.set(PROXY, True, "", "", 9000.0)
    assert len(settling.take_changes(9000.0)) == 1
    assert not settling.full


def test_a_line_says_what_the_contract_says() -> None:
    begin = Event(NOON + 0.25, KATA, True, "gw1.icap.0", "no \u202eanswer\n", NOON + 0.25)
    line = json.loads(format_event(begin))
    assert list(line) == [
        *("time", "event", "state", "subject", "instance", "detail", "since", "lasted_s")
    ]
    assert datetime.fromisoformat(line["time"]).timestamp() == NOON + 0.25
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert (line["event"], line["state"], line["lasted_s"]) == ("kata_unreachable", "begins", None)
    end = begin._replace(time=NOON + 60.5, begins=False)
    line = json.loads(format_event(end))
    assert (line["state"], line["lasted_s"]) == ("ends", 60.25)
    assert line["since"] == json.loads(format_event(begin))["time"]
    assert format_event(end).isascii()
    assert [parse_event(format_event(each)) for each in (begin, end)] == [begin, end]


@pytest.mark.parametrize(
    "change",
    [
        {"time": "yesterday"},
        {"time": "2026-11-29T12:00:00"},
        {"time": 5},
        {"since": None},
        {"state": "goes on"},
        {"state": []},
        {"event": 7},
        {"subject": None},
    ],
)
def test_a_damaged_line_is_none(change: dict[str, Any]) -> None:
    good = json.loads(format_event(Event(NOON, KATA, True, "gw1.icap.0", "", NOON)))
    assert parse_event(json.dumps(good).encode()) is not None
    assert parse_event(json.dumps(good | change).encode()) is None
    assert parse_event(json.dumps({k: good[k] for k in good if k not in change}).encode()) is None


@pytest.mark.parametrize("line", [b"", b"[]", b"7", b'{"time":"20', b"\xff", b"[" * 100_000])
def test_what_is_no_line_of_ours_is_none(line: bytes) -> None:
    assert parse_event(line) is None
