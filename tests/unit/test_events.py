"""When outages begin and end, and what is read back of them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.core import Decision, Door, Events, LineLog, Outage, OutageKind, outages
from bridge.core.events import read as reading
from bridge.core.events.alive import Sign
from bridge.core.events.kept import KeptOpen, kept_open
from bridge.core.events.levels import KINDS, State, levels, store_name
from bridge.core.events.line import EVENTS, Event, Subject, format_event, parse_event
from bridge.core.events.read import left_open
from bridge.core.events.settle import Change, Settling
from bridge.core.events.slots import CALM_SECONDS, LONGEST_HOLD, MOST, most_of
from bridge.core.health import KataState
from bridge.core.records import Receiver
from bridge.core.rotation import rotated_files, set_aside
from bridge.folder.outages import FolderOutages

KATA = Subject(OutageKind.KATA_UNREACHABLE, "https://cn.example")
PROXY = Subject(OutageKind.BODIES_WITHHELD, "10.0.0.1")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()


def over(change: Change) -> bool:
    return change.end is not None


# -- settling ----------------------------------------------------------------------------------


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
    settling.look(KINDS, {KATA: None}, 0.0)
    assert settling.take_changes(10.0) == []
    settling.restore(KATA, -100.0, "before", 10.0)
    settling.look(KINDS, {}, 11.0)
    settling.look(KINDS, {KATA: None}, 12.0)
    assert settling.take_changes(60.0) == []
    settling.look(KINDS, {}, 61.0)
    assert settling.take_changes(70.0) == [Change(KATA, -100.0, 61.0, "before", restored=True)]


def test_a_look_leaves_alone_what_others_tell_of() -> None:
    settling = Settling()
    settling.set(PROXY, True, "", "", 0.0)
    settling.look(KINDS, {}, 1.0)
    settling.look(KINDS, {KATA: "away"}, 2.0)
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


# -- lines -------------------------------------------------------------------------------------


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


# -- reading -----------------------------------------------------------------------------------


def begins(at: float, name: str = "x", who: str = "gw.icap.0", why: str = "why") -> Event:
    return Event(NOON + at, Subject("kata_unreachable", name), True, who, why, NOON + at)


def ends(since: float, at: float, name: str = "x", who: str = "gw.icap.0") -> Event:
    return Event(NOON + at, Subject("kata_unreachable", name), False, who, "why", NOON + since)


def put(path: Path, *events: Event) -> None:
    with path.open("ab") as file:
        file.writelines(format_event(each) + b"\n" for each in events)


def read(logs: Path, since: float = 0.0) -> list[tuple[str, float, float | None]]:
    return [
        (each.subject, each.begin - NOON, None if each.end is None else each.end - NOON)
        for each in outages(logs, NOON + since)
    ]


def test_outages_come_newest_first_and_those_of_several_processes_as_one(tmp_path: Path) -> None:
    put(
        tmp_path / EVENTS,
        *(begins(0), begins(1, who="gw.icap.1"), begins(2, "y")),
        *(ends(0, 60), ends(1, 62, who="gw.icap.1")),
        *(begins(70), begins(64.9, who="gw.folder.0"), ends(64.9, 66, who="gw.folder.0")),
    )
    # the second began within 3 s of the first one's end, the third did not
    assert read(tmp_path) == [("x", 70, None), ("y", 2, None), ("x", 0, 66)]


def test_one_that_lasts_in_one_process_lasts(tmp_path: Path) -> None:
    put(tmp_path / EVENTS, begins(0), begins(5, who="gw.icap.1"), ends(0, 60))
    assert read(tmp_path) == [("x", 0, None)]


def test_rotated_files_count_and_what_ended_before_does_not(tmp_path: Path) -> None:
    put(tmp_path / "log-events-20261127-000000.log", begins(-9000, "old"), begins(-8000))
    put(tmp_path / "log-events-20261128-000000.log", ends(-8000, -7000), begins(-6000))
    put(tmp_path / EVENTS, ends(-6000, 10))
    everything = [("x", -6000, 10), ("x", -8000, -7000), ("old", -9000, None)]
    assert read(tmp_path, -7000) == everything
    assert read(tmp_path, -6999) == [everything[0], everything[2]]
    assert read(tmp_path, 11) == [everything[2]]
    put(tmp_path / EVENTS, begins(50, "new"))  # a file that has grown is read anew
    assert read(tmp_path, 11) == [("new", 50, None), everything[2]]


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / EVENTS
    put(path, begins(0))
    with path.open("ab") as file:
        file.write(b'\n{"time":"2026\n\x00\xff\n{}\n' + format_event(begins(1, "y"))[:-1] + b"\n")
    put(path, ends(0, 30), ends(200, 300, "beginning lost"), begins(400), begins(500))
    assert read(tmp_path) == [
        ("x", 400, None),
        ("beginning lost", 200, 300),
        ("x", 0, 30),
    ]


def test_there_are_none_without_a_log(tmp_path: Path) -> None:
    assert outages(tmp_path, 0.0) == outages(tmp_path / "none", 0.0) == []


def test_a_log_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / EVENTS).mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        outages(tmp_path, 0.0)


def test_what_a_process_that_is_gone_left_open_ends_with_its_last_sign(tmp_path: Path) -> None:
    put(tmp_path / EVENTS, begins(0, who="gw.icap.3"), begins(1, "y", who="../x"))
    (tmp_path / ".log-events...").mkdir()
    (tmp_path / ".log-events..." / "x.alive").touch()  # a name is no way to other files
    sign = Sign(tmp_path, "gw.icap.3")
    sign.live()
    assert read(tmp_path) == [("y", 1, None), ("x", 0, None)]
    sign.close()
    (seen,) = (each for each in outages(tmp_path, 0.0) if each.subject == "x")
    assert seen.end == pytest.approx((tmp_path / ".log-events.gw.icap.3.alive").stat().st_mtime)
    os.utime(tmp_path / ".log-events.gw.icap.3.alive", (NOON - 5, NOON - 5))
    assert read(tmp_path) == [("y", 1, None), ("x", 0, 0)], "it was alive when it wrote"
    again = Sign(tmp_path, "gw.icap.3")
    again.live()
    assert read(tmp_path) == [("y", 1, None), ("x", 0, None)]
    again.close()


def kept(logs: Path, *events: Event, who: str = "gw.icap.0") -> None:
    put(logs / f".log-events.{who}.open", *events)


def test_what_lasts_is_found_whatever_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MOST_BYTES", 100_000)
    process = Process(tmp_path)
    process.see(0, kata_unreachable=True)
    for number in range(1000):
        event = Event(NOON + number, Subject("bodies_withheld", "y"), False, "gw.icap.1", "", NOON)
        process.log.write(format_event(event))
    assert ("kata_unreachable", 0, None) in read_all(tmp_path)
    process.kill()
    second = Process(tmp_path, now=NOON + 5000)
    second.see(5001, kata_unreachable=True)
    second.see(5002, kata_unreachable=False)
    second.see(5010)
    assert lines(tmp_path)[-1] == ("kata_unreachable", "ends", 5002)
    assert ("kata_unreachable", 0, 5002) in read_all(tmp_path)
    second.events.close()
    assert not list(tmp_path.glob("*.open"))


def test_what_is_kept_as_open_counts_until_the_log_has_its_end(tmp_path: Path) -> None:
    kept(tmp_path, begins(0), begins(1, "y"), begins(2, "z"))
    put(tmp_path / EVENTS, ends(0, 60), begins(-90, "y"), ends(-90, -80, "y"), begins(2, "z"))
    assert read(tmp_path, -90) == [("z", 2, None), ("y", 1, None), ("x", 0, 60), ("y", -90, -80)]


def test_an_answer_is_bounded_and_has_all_that_last(tmp_path: Path) -> None:
    long = [begins(-9000, f"y{number}") for number in range(30)]
    short = [each for at in range(0, 7000, 10) for each in (begins(at), ends(at, at + 1))]
    put(tmp_path / EVENTS, *long, begins(-8000, "old"), *short, ends(-8000, 7000, "old"))
    found = read(tmp_path)
    assert len(found) == 500 + len(long)
    assert {subject for subject, _, end in found if end is None} == {f"y{i}" for i in range(30)}
    assert ("old", -8000, 7000) in found
    assert min(begin for subject, begin, _ in found if subject == "x") == 7000 - 4990


def test_a_log_that_grows_is_remembered_once(tmp_path: Path) -> None:
    put(tmp_path / "log-events-20261127-000000.log", begins(-9000, "old"))
    for at in range(5):
        put(tmp_path / EVENTS, begins(at, str(at)))
        assert len(read(tmp_path)) == at + 2
    assert sum(map(len, reading._known[tmp_path / EVENTS].values())) == 6


def test_damage_to_what_is_kept_hides_nothing_of_the_log(tmp_path: Path) -> None:
    put(tmp_path / EVENTS, begins(0))
    kept(tmp_path, begins(1, "y"), ends(2, 3, "z"))
    with (tmp_path / ".log-events.gw.icap.0.open").open("ab") as file:
        file.write(b"\x00\xff\n{}\n" + format_event(begins(5, "cut"))[:-9])
    kept(tmp_path, begins(7, "other", "gw.folder.0"), who="gw.folder.0")
    found = {"x", "y", "other"}
    assert {subject for subject, _, _ in read(tmp_path)} == found
    assert {each.subject for each in left_open(tmp_path, "gw.icap.0")} == {"x", "y"}
    (tmp_path / EVENTS).unlink()
    assert {subject for subject, _, _ in read(tmp_path)} == found - {"x"}


def test_a_time_that_no_clock_shows_is_damage(tmp_path: Path) -> None:
    for time in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        line = json.loads(format_event(begins(0))) | {"time": time, "since": time}
        assert parse_event(json.dumps(line).encode()) is None


def test_a_log_that_cannot_be_read_leaves_what_is_kept_beside_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Process(tmp_path)
    first.see(0, share_gone=True)
    first.kill()
    (tmp_path / "log-events-20261101-000000.log").mkdir()
    second = Process(tmp_path, now=NOON + 50)
    assert "cannot be read: Is a directory" in caplog.text
    second.see(51, share_gone=False)
    second.see(60)
    assert lines(tmp_path)[1:] == [("share_gone", "ends", 51)]
    second.events.close()


# -- a process ---------------------------------------------------------------------------------


class Process:
    """Events of one instance in a folder, by a clock of the test's."""

    def __init__(self, logs: Path, instance: str = "gw.icap.0", now: float = NOON) -> None:
        self.now = now
        self.log = LineLog(logs / EVENTS)
        self.events = Events(instance, self.log, lambda: self.now)
        self.events.restore()

    def see(self, at: float, **active: bool) -> None:
        """Levels by kind, and what follows from them."""
        self.now = NOON + at
        for kind, is_active in active.items():
            self.events.set(kind, "x", is_active, "why\n")
        self.events.write()

    def kill(self) -> None:
        """As `kill -9` does it: nothing more is written."""
        sign = self.events._sign
        assert sign is not None
        sign.close()
        self.log.close()


def lines(logs: Path) -> list[tuple[str, str, float]]:
    """(event, state, seconds since noon)"""
    return [
        (line["event"], line["state"], datetime.fromisoformat(line["time"]).timestamp() - NOON)
        for line in map(json.loads, (logs / EVENTS).read_text().splitlines())
    ]


@pytest.mark.parametrize("how", ["kill", "close"])
def test_what_still_is_so_goes_on_over_a_restart_and_what_is_not_ends(
    tmp_path: Path, how: str
) -> None:
    first = Process(tmp_path)
    first.see(0, share_gone=True, store_failing=True)
    first.kill() if how == "kill" else first.events.close()
    other = Process(tmp_path, "gw.folder.0")
    other.see(50, share_gone=False, store_failing=False)
    other.see(60)
    second = Process(tmp_path, now=NOON + 100)
    second.see(101, share_gone=True, store_failing=False)
    second.see(105, share_gone=True, store_failing=False)
    assert lines(tmp_path)[2:] == [("store_failing", "ends", 101)]
    second.see(106, share_gone=False)
    second.see(109)
    assert lines(tmp_path)[3:] == [("share_gone", "ends", 106)]
    assert read_all(tmp_path) == {("share_gone", 0, 106), ("store_failing", 0, 101)}
    for each in (other, second):
        each.events.close()


def read_all(logs: Path) -> set[tuple[str, float, float | None]]:
    return {
        (each.kind, each.begin - NOON, None if each.end is None else each.end - NOON)
        for each in outages(logs, 0.0)
    }


def test_a_stop_ends_what_has_just_gone_and_nothing_else(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.see(0, share_gone=True, store_failing=True)
    process.see(10, share_gone=False)
    process.now = NOON + 11
    process.events.close()
    assert lines(tmp_path)[2:] == [("share_gone", "ends", 10)]


def test_lines_wait_for_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(tmp_path)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    process.see(0, share_gone=True)
    assert process.events.trouble == (tmp_path / EVENTS, "No space left on device")
    process.see(10, share_gone=False)
    process.see(20)
    assert lines(tmp_path) == []
    monkeypatch.setattr(os, "write", write)
    process.see(30)
    assert lines(tmp_path) == [("share_gone", "begins", 0), ("share_gone", "ends", 10)]
    assert process.events.trouble is None
    process.events.close()


def test_any_thread_may_tell(tmp_path: Path) -> None:
    process = Process(tmp_path)

    def tell() -> None:
        for number in range(500):
            process.events.set("share_gone", str(number % 10), number % 3 > 0)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process.events.write()
    assert sorted(event for event, _, _ in lines(tmp_path)) == ["share_gone"] * 10
    process.events.close()


def test_threads_write_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, inside = Process(tmp_path), [0]
    crowd: list[int] = []

    def keep(self: KeptOpen, events: Sequence[Event]) -> None:
        del self, events
        inside[0] += 1
        for _ in range(10):
            os.sched_yield()
        crowd.append(inside[0])
        inside[0] -= 1

    monkeypatch.setattr(KeptOpen, "keep", keep)

    def write() -> None:
        for _ in range(30):
            process.events.write()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crowd == [1] * 120
    process.events.close()


def test_a_log_that_is_rotated_while_it_is_read_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / EVENTS
    put(log, begins(0))
    gone = tmp_path / "log-events-20261127-000000.log"

    def rotated(path: Path) -> list[Path]:
        if path.exists():
            set_aside(path)
        return [gone, *rotated_files(path)]  # one is deleted as soon as it was seen

    monkeypatch.setattr(reading, "rotated_files", rotated)
    assert read(tmp_path) == [("x", 0, None)]
    assert not log.exists()
    assert read(tmp_path) == [("x", 0, None)]


def test_what_others_wrote_is_harmless_in_the_log(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.events.set("share_gone", "a\x1b[2J\udcff", True, "b\u202e\n" + "c" * 10_000)
    process.events.write()
    (outage,) = outages(tmp_path, 0.0)
    assert outage.subject == "a\\x1b[2J\\udcff"
    assert outage.detail.startswith("b\\u202e\\nccc")
    assert len(outage.detail) < 600
    process.events.close()


def test_figures_say_how_many_last_and_how_many_began(tmp_path: Path) -> None:
    process = Process(tmp_path)
    registry = CollectorRegistry()
    registry.register(process.events)

    def figures(kind: str) -> tuple[float | None, float | None]:
        names = ("katabridge_outage", "katabridge_outages_total")
        now, ever = (registry.get_sample_value(name, {"kind": kind}) for name in names)
        return now, ever

    assert all(figures(kind) == (0, 0) for kind in OutageKind)
    process.see(0, share_gone=True)
    process.events.set("share_gone", "another", True)
    assert figures("share_gone") == (2, 2)
    process.see(10, share_gone=False)
    process.see(20)
    assert figures("share_gone") == (1, 2)
    process.events.close()


def test_the_log_says_what_the_parts_do_not_say_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(tmp_path)
    process.see(0, disk_full=True, kata_unreachable=True, bodies_withheld=True)
    process.see(20, disk_full=False, kata_unreachable=False, bodies_withheld=False)
    process.see(30)
    assert caplog.messages == [
        "outage: disk_full of x begins: why\\n",
        "outage: disk_full of x is over after 20 s",
        "outage: bodies_withheld of x is over after 20 s",
    ]
    process.events.close()


def test_the_log_says_once_that_one_found_no_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(tmp_path)
    for number in range(60):
        process.events.set("bodies_withheld", f"10.0.0.{number}", True, "why")
    process.see(0)
    process.see(1)
    assert [message.partition(":")[2] for message in caplog.messages] == [
        " 50 of the kind bodies_withheld last, or did lately"
        ": others are not told of until one of these is over"
    ]
    assert len(lines(tmp_path)) == 50
    process.events.close()


def test_what_a_full_disk_did_not_keep_is_kept_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process, replace = Process(tmp_path), Path.replace

    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    process.see(0, share_gone=True)
    process.see(0.5, share_gone=True)
    assert kept_open(tmp_path) == []
    path = tmp_path / ".log-events.gw.icap.0.open"
    assert caplog.messages == [f"{path} cannot be written: No space left on device"]
    monkeypatch.setattr(Path, "replace", replace)
    process.see(1, share_gone=True)
    assert [each.subject.name for each in kept_open(tmp_path)] == ["x"]
    process.events.close()


def test_a_command_leaves_no_line(tmp_path: Path) -> None:
    events = Events("gw.scan.1", None)
    events.restore()
    events.set("share_gone", "x", True)
    events.write()
    events.close()
    assert list(tmp_path.iterdir()) == []


# -- levels ------------------------------------------------------------------------------------

FINE = State(
    kata={"https://a": (KataState.OK, "HTTP 200")},
    full={},
    collector=Receiver("tls://siem:6514", ""),
    webhook=None,
    store=Receiver("/verdicts.db", ""),
    bypass_until=None,
    door=Door.ICAP,
)


def test_nothing_is_out_where_all_is_well() -> None:
    assert levels(FINE) == {}


def test_every_part_is_an_outage_of_its_own() -> None:
    state = State(
        kata={
            "https://a": (KataState.UNREACHABLE, "refused"),
            "https://b": (KataState.NOT_ACCEPTED, "HTTP 401"),
            "https://c": (KataState.OK, "HTTP 200"),
        },
        full={Path("/log/h.log"): "No space", Path("/spool"): "full"},
        collector=Receiver("tls://siem:6514", "refused"),
        webhook=Receiver("https://hook", "HTTP 500"),
        store=Receiver("/verdicts.db", "locked"),
        bypass_until=NOON,
        door=Door.FOLDER,
    )
    found = levels(state)
    assert set(found) == {
        ("kata_unreachable", "https://a"),
        ("kata_not_accepted", "https://b"),
        ("disk_full", "/log/h.log"),
        ("disk_full", "/spool"),
        ("syslog_away", "tls://siem:6514"),
        ("webhook_away", "https://hook"),
        ("store_failing", "/verdicts.db"),
        ("bypass_on", "FOLDER"),
    }
    assert all(found.values())
    assert {subject.kind for subject in found} == set(KINDS)


def test_what_no_part_knows_yet_is_not_known() -> None:
    state = FINE._replace(
        kata={"https://a": (KataState.UNKNOWN, "")}, collector=Receiver("udp://s:514", None)
    )
    assert levels(state) == {
        ("kata_unreachable", "https://a"): None,
        ("kata_not_accepted", "https://a"): None,
        ("syslog_away", "udp://s:514"): None,
    }


def test_no_password_of_a_store_is_told() -> None:
    assert store_name("sqlite:///var/lib/v.db") == "/var/lib/v.db"
    assert store_name("rediss://u:secret@db.example/2") == "rediss://db.example:6379/2"


# -- a folder ----------------------------------------------------------------------------------


def test_a_folder_tells_of_its_input_and_its_targets(tmp_path: Path) -> None:
    process = Process(tmp_path)
    folder = FolderOutages(process.events, "x")
    folder.input_is("")
    folder.files_have({"/out": "it is full", "claiming": "no right"}, idle=False)
    folder.input_is("gone")
    process.see(0)
    folder.input_is("")
    folder.files_have({"claiming": "no right"}, idle=False)
    process.see(5)
    process.see(10)
    assert read_all(tmp_path) == {("share_gone", 0, None), ("target_failing", 0, 0)}
    folder.files_have({}, idle=False)
    process.see(15)
    assert lines(tmp_path)[-1] == ("share_gone", "ends", 10)
    process.events.close()


@pytest.mark.parametrize("by", ["idle", "delivered"])
def test_a_target_is_not_taken_for_well_before_it_was_tried(tmp_path: Path, by: str) -> None:
    first = Process(tmp_path)
    first.see(0, target_failing=True)
    first.kill()
    second = Process(tmp_path, now=NOON + 10)
    folder = FolderOutages(second.events, "x")
    folder.files_have({}, idle=False)
    folder.ended(Decision.SKIP)
    folder.files_have({}, idle=False)
    second.see(20)
    second.see(30)
    assert read_all(tmp_path) == {("target_failing", 0, None)}
    if by == "delivered":
        folder.ended(Decision.PASS)
    folder.files_have({}, idle=by == "idle")
    second.see(40)
    assert read_all(tmp_path) == {("target_failing", 0, 30)}
    second.events.close()


def test_an_outage_has_the_shape_of_the_contract() -> None:
    assert Outage._fields == ("kind", "subject", "begin", "end", "detail")
