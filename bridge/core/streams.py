"""Standard output and error of a program, which end nothing where they take nothing.

A disk that is full, or a reader who is gone, is no reason to leave undone what a command is for.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import TypeAlias

EXIT_UNSAID = 1

_Buffer: TypeAlias = "bytes | bytearray | memoryview"


class _Stderr(io.FileIO):
    """What it does not take nobody can be told; the next line is tried anew."""

    def write(self, data: _Buffer, /) -> int:  # type: ignore[override]  # any buffer, as FileIO
        try:
            taken: int | None = super().write(data)
        except OSError:
            taken = None
        return len(data) if taken is None else taken  # None: it waits for nobody, and is full


class _Stdout(io.FileIO):
    """Takes no more once something of it was lost, so that no gap is in what was said."""

    def __init__(self, number: int, program: str, *, was_closed: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._program = program
        self._was_closed = was_closed  # what is open there now is a stand-in
        self._is_terminal = self.isatty()  # one that is lost is none any more
        self.is_lost = False
        self.is_unsaid = False  # and somebody is there whom it was for

    def write(self, data: _Buffer, /) -> int:  # type: ignore[override]  # any buffer, as FileIO
        if self._was_closed and not self.is_lost:
            self._lose(OSError(errno.EBADF, os.strerror(errno.EBADF)))
        while not self.is_lost:
            try:
                taken: int | None = super().write(data)
            except OSError as error:
                self._lose(error)
            else:
                if taken is not None:
                    return taken
                _await_room(self.fileno())
        return len(data)

    def _lose(self, error: OSError) -> None:
        self.is_lost = True
        if error.errno != errno.EPIPE and not self._is_terminal:
            self.is_unsaid = True
            why = error.strerror or str(error)
            sys.stderr.write(f"{self._program}: stdout takes no more: {why}.\n")


def _await_room(number: int) -> None:
    """Return when a descriptor that somebody made non-blocking takes more, or nothing any more."""
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    poll.poll()


def open_streams(program: str) -> None:
    """Give a process, and those that it starts, a standard input, output and error to rely on.

    Where it was started without one, the first file or socket that it opens would become one, and
    be written to, or closed as one. What no terminal can show is escaped. A standard output that
    was closed takes nothing, as a full disk does.
    """
    closed = set()
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
    if sys.stderr is sys.__stderr__:  # else it is somebody's who calls us, in a test
        sys.stderr = _text(_Stderr(2, "w", closefd=False), sys.stderr)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Stdout(1, program, was_closed=1 in closed), sys.stdout)


def _text(raw: io.FileIO, before: object) -> io.TextIOWrapper:
    at_once, encoding = True, None
    if isinstance(before, io.TextIOWrapper):
        at_once, encoding = before.line_buffering or before.write_through, before.encoding
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=at_once)


def remark(sentence: str) -> None:
    """A line on stderr, whosever that is by now: who has work to do is not kept from it."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
        sys.stderr.write(f"{sentence}\n")


def is_heard() -> bool:
    """Whether stdout has taken all that was said so far: nobody need be told more otherwise."""
    stdout = _stdout()
    return stdout is None or not stdout.is_lost


def run_program(run: Callable[[], int], unsaid: Callable[[], int] = lambda: EXIT_UNSAID) -> int:
    """Call `run`; its exit code, or `unsaid` where that is 0 and stdout could not take it all."""
    try:
        code = run()
    except SystemExit as end:  # argparse's: it has said something, too
        if end.code:
            raise
        code = 0
    return exit_code(code, unsaid())


def exit_code(code: int, unsaid: int) -> int:
    """The code of a program that ends now; `unsaid` for 0 where stdout could not take it all."""
    stdout = _stdout()
    return unsaid if code == 0 and stdout is not None and stdout.is_unsaid else code


def _stdout() -> _Stdout | None:
    """Ours, with all that was said to it; None where it is somebody's who calls us."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Stdout) else None
