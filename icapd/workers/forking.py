"""Forks children from a process of one thread that waits for signals by a descriptor."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_EXIT_FAULT = 70  # a fault of katabridge itself, whose traceback stands on stderr


def _nothing(number: int, frame: FrameType | None) -> None:
    """The number has been written to the descriptor."""


class Signals:
    """SIGTERM, SIGINT, SIGHUP and SIGCHLD as something to read. Main thread only."""

    def __init__(self) -> None:
        self.readable, self._written = socket.socketpair()
        for sock in (self.readable, self._written):
            sock.setblocking(False)
        # before the handlers, or what comes between is lost; who does not read in time needs no
        # more than one of each
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in _NUMBERS}

    def read(self) -> set[int]:
        """Which have come since the last look."""
        try:
            return set(self.readable.recv(4096))
        except BlockingIOError:
            return set()

    def close(self) -> None:
        """Handle signals as before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.readable.close()
        self._written.close()


def fork(signals: Signals, forget: Callable[[], None], run: Callable[[], int]) -> int:
    """The process id of a child that calls `forget`, then `run`, and ends with its exit code.

    `forget` closes what is the parent's. OSError where there can be no more processes.
    """
    _flush()
    # until the child has handlers of its own, its signals would be written to our descriptor
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        pid = os.fork()
        if not pid:
            _be_child(signals, mask, forget, run)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _be_child(
    signals: Signals,
    mask: set[int | signal.Signals],
    forget: Callable[[], None],
    run: Callable[[], int],
) -> NoReturn:
    code = _EXIT_FAULT
    try:
        signals.close()
        forget()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = run()
    except BaseException:
        traceback.print_exc()
    finally:
        # what the parent's frames would do on the way out is not the child's to do
        _flush()
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
