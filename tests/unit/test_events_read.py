"""What is read back of the outages that were written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bridge.core import outages
from bridge.core.events import read as reading
from bridge.core.events.alive import Sign
from bridge.core.events.line import EVENTS, Event, Subject, format_event, parse_event
from bridge.core.events.read import left_open
from tests.support.events import NOON, Process, begins, ends, lines, put, read, read_all


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


def test_an_outage_names_those_for_whom_it_lasts_or_was_over_last(tmp_path: Path) -> None:
    put(tmp_path / EVENTS, begins(0), begins(1, who="other.icap.0"))
    (both,) = outages(tmp_path, NOON)
    assert both.instances == ("gw.icap.0", "other.icap.0")
    put(tmp_path / EVENTS, ends(0, 60))
    (lasts,) = outages(tmp_path, NOON)
    assert (lasts.end, lasts.instances) == (None, ("other.icap.0",))
    put(tmp_path / EVENTS, ends(1, 59, who="other.icap.0"))
    (over,) = outages(tmp_path, NOON)
    assert (over.end, over.instances) == (NOON + 60, ("gw.icap.0",))


def test_what_a_process_knows_to_last_names_it(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.see(0, kata_unreachable=True)
    (lasts,) = process.events.lasting()
    assert [lasts] == outages(tmp_path, NOON)
    assert lasts.instances == ("gw.icap.0",)
    process.kill()


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
