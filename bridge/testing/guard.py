"""`python guard.py PID`: ends the programs of a test run when process PID is gone.

The run writes their process ids to its standard input, one a line. So a run that is killed leaves
nothing behind, whatever the programs are, whom they run as, and which thread started them. It runs
without katabridge and its packages.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys

_PATIENCE_SECONDS = 10.0  # that a program has for its end


def main() -> None:
    """Serve one test run: until it has ended, or has closed the standard input."""
    ends = [sys.stdin.fileno()]
    with contextlib.suppress(ProcessLookupError):  # it is gone already, and what it wrote is not
        ends.append(os.pidfd_open(int(sys.argv[1])))
    _end(_watch(*ends))


def _watch(names: int, *run: int) -> dict[int, int]:
    """The programs that run when the test run is gone: process ids by descriptor."""
    running: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        for descriptor in (names, *run):
            selector.register(descriptor, selectors.EVENT_READ)
        text = b""
        while True:
            ready = {key.fd for key, _ in selector.select()}
            for program in ready & running.keys():
                selector.unregister(program)
                os.close(program)
                del running[program]
            # what was written before the end counts, so it is read first
            read = os.read(names, 1 << 16) if names in ready else b""
            *lines, text = (text + read).split(b"\n")
            for program, pid in _opened(lines):
                running[program] = pid
                selector.register(program, selectors.EVENT_READ)
            if not read and ready & {names, *run}:
                return running


def _opened(lines: list[bytes]) -> list[tuple[int, int]]:
    found = []
    for pid in map(int, lines):
        with contextlib.suppress(ProcessLookupError):  # a short one
            found.append((os.pidfd_open(pid), pid))
    return found


def _end(running: dict[int, int]) -> None:
    """End them as a service manager would, and by force where that is not enough."""
    for program in running:
        _signal(program, signal.SIGTERM)
    with selectors.DefaultSelector() as selector:
        for program in running:
            selector.register(program, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(_PATIENCE_SECONDS)
            for key, _ in ready:
                selector.unregister(key.fd)
            if not ready:
                break
        for left in list(selector.get_map().values()):
            _signal(left.fd, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running[left.fd], signal.SIGKILL)  # each leads a group


def _signal(program: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(program, number)


if __name__ == "__main__":
    main()
