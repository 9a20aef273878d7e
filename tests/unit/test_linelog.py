"""That log lines survive rotation, other processes, administrators and full disks."""

from __future__ import annotations

import io
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from bridge.core import LineLog, appendfile, linelog
from bridge.core.rotation import foreign_files, rotated_files, rotation_lock, set_aside, tail_lines

WRITER = """
import sys
from pathlib import Path
from bridge.core import LineLog
log = LineLog(Path(sys.argv[1]), max_bytes=2000)
for number in range(int(sys.argv[3])):
    log.write(b"%s %d" % (sys.argv[2].encode(), number))
assert not log.waiting
log.close()
"""


def everything(path: Path) -> list[bytes]:
    """All lines, oldest first, as readers see them: an empty one is none."""
    files = [*rotated_files(path), *([path] if path.exists() else [])]
    return [line for each in files for line in each.read_bytes().splitlines() if line]


def yesterday(path: Path) -> None:
    """Say that the file was last written a day ago."""
    day_ago = time.time() - 86400
    os.utime(path, (day_ago, day_ago))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the path before each line, not once a second."""
    monkeypatch.setattr(appendfile, "_LOOK_SECONDS", 0.0)


# -- rotation ----------------------------------------------------------------------------------


def test_processes_that_rotate_lose_nothing_and_cut_nothing(tmp_path: Path) -> None:
    path, lines = tmp_path / "log-history.log", 5000
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, name, str(lines)]) for name in "abcd"
    ]
    assert [writer.wait(90) for writer in writers] == [0] * 4
    expected = Counter(b"%c %d" % (name, n) for name in b"abcd" for n in range(lines))
    assert Counter(everything(path)) == expected
    assert len(rotated_files(path)) > 20


def test_a_file_is_rotated_before_it_grows_too_large(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "log-history.log", max_bytes=100)
    for number in range(100):
        log.write(b"line %04d" % number)
    log.close()
    files = rotated_files(log.path)
    assert len(files) == 9
    assert all(each.stat().st_size == 100 for each in [*files, log.path])
    assert all(re.fullmatch(r"log-history-\d{8}-\d{6}(_\d{4})?\.log", f.name) for f in files)
    assert everything(log.path) == [b"line %04d" % number for number in range(100)]


def test_a_line_longer_than_a_file_may_be_is_written_all_the_same(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "x.log", max_bytes=10)
    for _ in range(2):
        log.write(b"x" * 50)
    log.close()
    assert everything(log.path) == [b"x" * 50] * 2
    assert len(rotated_files(log.path)) == 1


def test_yesterdays_file_is_rotated_with_the_first_line_of_the_day(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"old\n")
    yesterday(path)
    log = LineLog(path, daily=True)
    log.write(b"new")
    log.write(b"newer")
    log.close()
    assert path.read_bytes() == b"new\nnewer\n"
    assert [each.read_bytes() for each in rotated_files(path)] == [b"old\n"]


def test_two_processes_at_midnight_rotate_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = [LineLog(tmp_path / "x.log", daily=True) for _ in range(2)]
    for log in logs:
        log.write(b"today")
    monkeypatch.setattr(appendfile, "_today", lambda: date.today() + timedelta(1))
    for log in logs:
        log.catch_up()
    # the file is new and empty: there is nothing to rotate, whatever day it is
    assert logs[0].path.read_bytes() == b""
    assert [each.read_bytes() for each in rotated_files(logs[0].path)] == [b"today\ntoday\n"]
    for log in logs:
        log.close()


def test_without_a_limit_nothing_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"old\n")
    yesterday(path)
    log = LineLog(path)
    log.write(b"x" * 100_000)
    log.close()
    assert rotated_files(path) == []


def test_nobody_waits_for_a_process_that_rotates(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "x.log", max_bytes=10)
    log.write(b"first")
    with rotation_lock(log.path) as mine:
        assert mine
        log.write(b"second")
        assert log.path.read_bytes() == b"first\nsecond\n"
    log.write(b"third")
    log.close()
    assert log.path.read_bytes() == b"third\n"


def test_a_line_after_another_processs_rotation_goes_to_the_new_file(
    tmp_path: Path, eager: None
) -> None:
    log = LineLog(tmp_path / "x.log")
    log.write(b"1")
    set_aside(log.path)
    log.write(b"2")
    log.close()
    assert log.path.read_bytes() == b"2\n"
    assert everything(log.path) == [b"1", b"2"]


def test_names_sort_by_time_even_where_the_clock_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "x.log", iter([1000, 1000, 400, 5000])
    gmtime = time.gmtime
    monkeypatch.setattr(time, "gmtime", lambda: gmtime(next(clock)))
    for number in range(4):
        path.write_bytes(b"%d\n" % number)
        set_aside(path)
    monkeypatch.undo()
    assert [each.name for each in rotated_files(path)] == [
        "x-19700101-001640.log",
        "x-19700101-001640_0001.log",
        "x-19700101-001640_0002.log",
        "x-19700101-012320.log",
    ]
    assert everything(path) == [b"0", b"1", b"2", b"3"]


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, theirs = tmp_path / "x.log", tmp_path / "x-19700101-000000.log"
    monkeypatch.setattr("bridge.core.rotation._next_name", lambda path: theirs.name)
    theirs.write_bytes(b"theirs\n")
    path.write_bytes(b"ours\n")
    with pytest.raises(FileExistsError):
        set_aside(path)
    assert theirs.read_bytes() == b"theirs\n"
    assert path.read_bytes() == b"ours\n"


def test_a_rotation_that_fails_is_said_once_and_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], eager: None
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(appendfile, "set_aside", refuse)
    log = LineLog(tmp_path / "x.log", max_bytes=5)
    for number in range(5):
        log.write(b"line %d" % number)
    assert everything(log.path) == [b"line %d" % number for number in range(5)]
    assert capsys.readouterr().err.count("x.log cannot be rotated: Permission denied") == 1
    monkeypatch.setattr(appendfile, "set_aside", set_aside)
    log.write(b"last")
    log.close()
    assert log.path.read_bytes() == b"last\n"


def test_a_rename_that_fails_leaves_no_empty_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        set_aside(tmp_path / "missing.log")
    assert list(tmp_path.iterdir()) == []


# -- administrators ----------------------------------------------------------------------------


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path, eager: None) -> None:
    log = LineLog(tmp_path / "x.log")
    log.write(b"1")
    log.path.rename(tmp_path / "x.log.1")
    log.write(b"2")
    log.close()
    assert (tmp_path / "x.log.1").read_bytes() == b"1\n"
    assert log.path.read_bytes() == b"2\n"


def test_no_line_goes_to_a_file_that_was_deleted(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "a" / "x.log")
    log.write(b"1")
    log.path.unlink()
    log.path.parent.rmdir()
    log.write(b"2")
    log.close()
    assert log.path.read_bytes() == b"2\n"


def test_lines_wait_while_the_file_cannot_be_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LineLog(tmp_path / "a" / "x.log")
    log.path.unlink()
    log.path.parent.rmdir()
    log.path.parent.write_text("in the way")
    log.write(b"1")
    log.write(b"2")
    assert log.waiting == 2
    log.path.parent.unlink()
    log.catch_up()
    log.close()
    assert log.path.read_bytes() == b"1\n2\n"
    assert capsys.readouterr().err.count("lines wait in memory") == 1


# -- deletion ----------------------------------------------------------------------------------


def test_old_rotated_files_are_deleted_and_no_others(tmp_path: Path) -> None:
    ours = [tmp_path / "x-20200101-000000.log", tmp_path / "x-20200101-000000_0001.log"]
    young = tmp_path / "x-20200102-000000.log"
    foreign = [
        tmp_path / name
        for name in ("x.log.1", "y-20200101-000000.log", "x-20200101-000000.log.gz", "x-2020.log")
    ]
    for each in [*ours, young, *foreign]:
        each.write_bytes(b"z\n")
        yesterday(each)
    os.utime(young)
    link = tmp_path / "x-20200103-000000.log"
    link.symlink_to(foreign[0])
    os.utime(link, (0, 0), follow_symlinks=False)
    log = LineLog(tmp_path / "x.log", keep_seconds=3600)
    log.catch_up()
    log.close()
    assert not any(each.exists() for each in ours)
    assert all(each.exists() for each in [young, *foreign])
    assert rotated_files(log.path) == [young, link]


# -- full disks --------------------------------------------------------------------------------


def test_a_limit_of_the_kernel_in_mid_line_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RLIMIT_FSIZE cuts writes short as a full disk does: first a part, then an error."""
    log = LineLog(tmp_path / "x.log")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (25, hard))
    try:
        for number in range(5):
            log.write(b"line %04d" % number)
        assert log.waiting == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.catch_up()
    assert log.waiting == log.dropped == 0
    log.close()
    whole = [b"line %04d" % number for number in range(5)]
    assert log.path.read_bytes().splitlines() == [*whole[:2], b"line ", *whole[2:]]
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1
    assert "can be written again; nothing is missing" in said


def test_what_stderr_does_not_take_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: None
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise BlockingIOError(11, "write could not complete without blocking")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sys, "stderr", Full())
    log = LineLog(tmp_path / "a" / "x.log", max_bytes=5)
    log.path.unlink()
    log.path.parent.rmdir()
    log.path.parent.write_text("in the way")
    for number in range(3):
        log.write(b"line %d" % number)
    assert log.waiting == 3
    log.path.parent.unlink()
    log.catch_up()
    assert log.waiting == 0
    monkeypatch.setattr(appendfile, "set_aside", refuse)
    log.write(b"line 3")
    assert log.waiting == 0
    log.close()
    assert everything(log.path) == [b"line %d" % number for number in range(4)]


@pytest.mark.parametrize("room", [0, 5, 10, 19, 20, 25, 49])
def test_several_lines_in_one_write_cost_nothing_either(
    room: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LineLog(tmp_path / "x.log")
    whole = [b"line %04d" % number for number in range(5)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        log.write_all(whole)
        assert log.waiting == 5 - room // 10
        log.write(b"line 0005")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.write_all([b"line 0006", b"line 0007"])
    assert log.waiting == log.dropped == 0
    log.close()
    lines = log.path.read_bytes().splitlines()
    if room % 10:  # the one that was cut stands there again, as a whole
        assert whole[room // 10].startswith(lines.pop(room // 10))
    assert lines == [b"line %04d" % n for n in range(8)]
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_a_line_that_another_writer_left_cut_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log, other = LineLog(path), LineLog(path)
    log.write(b"one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 3, hard))
    try:
        other.write(b"another")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.write(b"two")
    other.write(b"three")
    log.close()
    other.close()
    assert path.read_bytes().splitlines() == [b"one", b"ano", b"two", b"another", b"three"]


def test_a_line_that_the_last_run_left_cut_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"whole\nhal")
    log = LineLog(path)
    log.write(b"next")
    log.close()
    assert path.read_bytes() == b"whole\nhal\nnext\n"


@pytest.mark.parametrize(("lines", "size"), [(3, 1000), (1000, 30)])
def test_what_waits_is_bounded_and_what_is_dropped_is_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: int,
    size: int,
) -> None:
    monkeypatch.setattr(linelog, "_BACKLOG", lines)
    monkeypatch.setattr(linelog, "_BACKLOG_BYTES", size)
    log = LineLog(tmp_path / "a" / "x.log")
    log.path.unlink()
    log.path.parent.rmdir()
    log.path.parent.write_text("in the way")
    for number in range(10):
        log.write(b"line %05d" % number)
    assert (log.waiting, log.dropped) == (3, 7)
    log.path.parent.unlink()
    log.catch_up()
    log.close()
    assert log.path.read_bytes().splitlines() == [b"line %05d" % n for n in (7, 8, 9)]
    assert log.dropped == 7
    said = capsys.readouterr().err
    assert said.count("too many lines wait; the oldest are dropped") == 1
    assert "7 lines are missing" in said


def test_threads_may_write_while_the_file_is_rotated(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "x.log", max_bytes=500)

    def write(name: int) -> None:
        for number in range(500):
            log.write(b"%d %d" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    expected = Counter(b"%d %d" % (name, number) for name in range(4) for number in range(500))
    assert Counter(everything(log.path)) == expected


def test_a_line_that_another_process_is_writing_is_not_taken_for_a_cut_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LineLog(tmp_path / "x.log")
    with log.path.open("ab", buffering=0) as other:
        other.write(b"the first page")

        def the_rest(_: float) -> None:
            other.write(b" and the second\n")

        monkeypatch.setattr(time, "sleep", the_rest)
        log.write(b"ours")
    log.close()
    assert log.path.read_bytes() == b"the first page and the second\nours\n"


# -- reading the end ---------------------------------------------------------------------------


def test_the_end_of_a_log_goes_back_into_rotated_files(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "x.log", max_bytes=30)
    for number in range(10):
        log.write(b"line %04d" % number)
    log.close()
    assert list(tail_lines(log.path, 10)) == [b"line 0009"]
    assert list(tail_lines(log.path, 40)) == [b"line %04d" % n for n in (6, 7, 8, 9)]
    assert list(tail_lines(log.path, 75)) == [b"line %04d" % n for n in (3, 4, 5, 6, 7, 8, 9)]
    assert list(tail_lines(log.path, 10_000)) == [b"line %04d" % n for n in range(10)]


def test_the_end_of_a_log_that_was_just_rotated(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"1\n2\n")
    set_aside(path)
    assert list(tail_lines(path, 1000)) == [b"1", b"2"]
    assert list(tail_lines(tmp_path / "none" / "x.log", 1000)) == []


def test_only_whole_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"first\nsecond\n\nhal")
    assert list(tail_lines(path, 1000)) == [b"first", b"second"]
    assert list(tail_lines(path, 11)) == [b"second"]  # begins with `second`
    assert list(tail_lines(path, 10)) == []


def test_what_others_make_of_a_log_is_told_from_ours(tmp_path: Path) -> None:
    log = tmp_path / "log-history.log"
    foreign = [
        *("log-history-20261124.log", "log-history-20261124-101500.log.gz", "log-history.1.log.gz"),
        *("log-history.log-20261124", "log-history.log.1", "log-history.log.2.gz"),
        *("log-history.log.gz", "log-history.log.zst"),
    ]
    ours = ["log-history.log", "log-history-20261124-101500.log", "log-history.log.lock"]
    others = ["log-history.log.new", "log-history-old.log", "log-events.log.1.gz", "log-history.gz"]
    for name in (*foreign, *ours, *others):
        (tmp_path / name).touch()
    assert [each.name for each in foreign_files(log)] == sorted(foreign)
    assert [each.name for each in rotated_files(log)] == ours[1:2]
