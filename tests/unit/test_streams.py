"""Standard output and error that end nothing."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.core.streams import exit_code, is_heard, open_streams, run_program

_PIPE = 4096


@contextmanager
def standard(number: int, target: int) -> Iterator[None]:
    """The program's descriptor `number` is `target` meanwhile, and its stream is ours."""
    kept, streams = os.dup(number), (sys.stdout, sys.stderr)
    os.dup2(target, number)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    try:
        open_streams("kata-bridge")
        yield
    finally:
        sys.stdout, sys.stderr = streams
        os.dup2(kept, number)
        os.close(kept)
        os.close(target)


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def full_pipe() -> tuple[int, int]:
    """One whose writers are told to come again; it has 4 KiB of `x`."""
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE)
    os.set_blocking(theirs, False)
    assert os.write(theirs, b"x" * _PIPE) == _PIPE
    return ours, theirs


def test_what_was_begun_is_done_though_stdout_takes_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with standard(1, full()):
        for _ in range(2):
            sys.stdout.write("a\n")
            assert not is_heard()
        assert [exit_code(0, 2), exit_code(1, 2)] == [2, 1]
        assert run_program(lambda: 0) == 1
    assert capfd.readouterr().err == "kata-bridge: stdout takes no more: No space left on device.\n"


def test_a_terminal_that_is_lost_costs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    ours, theirs = pty.openpty()
    with standard(1, theirs):
        assert sys.stdout.isatty()
        os.close(ours)
        sys.stdout.write("a\n")
        assert not is_heard()
        assert exit_code(0, 2) == 0
    assert capfd.readouterr().err == ""


def test_stderr_is_tried_anew(capfd: pytest.CaptureFixture[str]) -> None:
    """The disk below it may have room again."""
    with standard(2, full()):
        sys.stderr.write("lost\n")
        sys.stderr.flush()
        ours, theirs = os.pipe()
        os.dup2(theirs, 2)
        sys.stderr.write("told \udcff\n")
        sys.stderr.flush()
        assert os.read(ours, 100) == b"told \\udcff\n"
        os.close(ours)
        os.close(theirs)
    assert capfd.readouterr().err == ""


def test_a_full_stderr_that_waits_for_nobody_ends_nothing() -> None:
    ours, theirs = full_pipe()
    with standard(2, theirs):
        for _ in range(2):
            sys.stderr.write("lost\n" * 5000)
            sys.stderr.flush()
        assert os.read(ours, _PIPE) == b"x" * _PIPE
        sys.stderr.write("told\n")
        sys.stderr.flush()
        assert os.read(ours, _PIPE) == b"told\n"
    os.close(ours)


def test_a_stdout_that_waits_for_nobody_is_waited_for() -> None:
    ours, theirs = full_pipe()
    text = "".join(f"{number}\n" for number in range(50_000))
    with os.fdopen(ours, "rb") as file, ThreadPoolExecutor() as threads:
        with standard(1, theirs):
            read = threads.submit(file.read)
            sys.stdout.write(text)
            assert is_heard()
        assert read.result() == b"x" * _PIPE + text.encode()


def test_a_reader_who_goes_meanwhile_is_not_waited_for() -> None:
    ours, theirs = full_pipe()
    with standard(1, theirs), ThreadPoolExecutor() as threads:
        threads.submit(os.close, ours)
        sys.stdout.write("a\n" * 5000)
        assert not is_heard()
        assert exit_code(0, 2) == 0


STARTS = """
import subprocess, sys
from bridge.core.streams import open_streams
open_streams("icapd")
sys.exit(subprocess.call([sys.executable, "-c", sys.argv[1], sys.argv[2]]))
"""
TELLS = """
import os, sys
from pathlib import Path
names = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
Path(sys.argv[1]).write_text(" ".join(names))
"""


def test_who_is_started_by_one_that_has_none_has_some_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS, TELLS, str(tmp_path / "told")]
    closed = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
    assert subprocess.call([*closed, *command], timeout=60) == 0
    assert (tmp_path / "told").read_text() == "/dev/null /dev/null /dev/null"


def test_a_stream_of_who_calls_us_stays_his() -> None:
    before = sys.stdout, sys.stderr
    open_streams("kata-bridge")
    assert (sys.stdout, sys.stderr) == before
    assert is_heard()
