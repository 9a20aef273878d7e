"""The guard of this process: what it is told of ends when this process does, however that ends.

The kernel's own signal at a parent's end would not do: it comes at the end of the thread that
started the program, and who changes his user, as Squid does, never gets it.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")
_lock = threading.Lock()


class _Guard:
    """A running guard.py; `owner` is the process that it serves."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        theirs, self._names = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _GUARD, str(self.owner)],  # in some 20 ms
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(theirs)

    @property
    def serves(self) -> bool:
        """Whether it serves this process, which may be a fork of its owner."""
        return self.owner == os.getpid() and self._process.poll() is None

    def tell(self, pid: int) -> None:
        """Have it end this process, too."""
        os.write(self._names, b"%d\n" % pid)

    def close(self) -> None:
        """Have it end what still runs; called in a fork, this changes nothing."""
        if self.owner == os.getpid():
            os.close(self._names)
            self._process.wait()


_guards: list[_Guard] = []


def end_with_us(pid: int) -> None:
    """Have a child of this process ended (SIGTERM, SIGKILL after 10 s) when this process is gone.

    Any thread may call it, and any program will do that leads a process group.
    """
    with _lock:
        if not _guards or not _guards[-1].serves:
            guard = _Guard()
            _guards.append(guard)
            atexit.register(guard.close)
        _guards[-1].tell(pid)
