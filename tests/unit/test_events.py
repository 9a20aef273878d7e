"""Outages as processes write them."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bridge.core import Events, OutageKind, outages
from bridge.core.events import read as reading
from bridge.core.events.kept import KeptOpen, kept_open
from bridge.core.events.line import EVENTS, Event
from bridge.core.rotation import rotated_files, set_aside
from tests.support.events import NOON, Process, begins, lines, put, read, read_all


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


def test_a_command_leaves_no_line_and_says_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events("gw.scan.1", None)
    events.restore()
    events.set(OutageKind.DISK_FULL, "x", True)
    events.write()
    events.set(OutageKind.DISK_FULL, "x", False)
    events.close()
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == []
