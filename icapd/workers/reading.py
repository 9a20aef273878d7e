"""New settings read by a process of its own: a disk that does not answer stops no supervisor."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from bridge.core import ConfigError, Settings, StartError


class Wanted(NamedTuple):
    """New settings, and which keys of theirs wait for a restart."""

    settings: Settings
    waiting: list[str]


Read = Callable[[], Wanted]
Fork = Callable[[Callable[[], int], Callable[[], None]], int]
"""Forks what it is given; the second is what the child closes first. The process id."""

_RECEIVE = 1 << 18


class SettingsReader:
    """One process that reads. `socket` says that it has something to tell; `close` in the end."""

    def __init__(self, read: Read, fork: Fork) -> None:
        """Start it; OSError where there can be no process. `read`: ConfigError, StartError."""
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        self._data = bytearray()
        try:
            self._pid = fork(lambda: _tell(read, theirs), self.socket.close)
        except OSError:
            self.socket.close()
            raise
        finally:
            theirs.close()

    def result(self) -> Wanted | str | None:
        """What is wanted, or why there are none; None: not yet. Never waits."""
        while True:
            try:
                data = self.socket.recv(_RECEIVE)
            except BlockingIOError:
                return None
            if not data:
                break
            self._data += data
        try:
            found: Any = pickle.loads(bytes(self._data))  # noqa: S301 - our own child wrote it
        except (EOFError, pickle.UnpicklingError):  # nothing, or not all of it
            return "the process that was to read it ended"
        return found if isinstance(found, Wanted) else str(found)

    def close(self) -> None:
        """End it, whatever it waits for."""
        self.socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def is_gone(self) -> bool:
        """After `close`: whether nothing is left of it. A disk may hold it for a while."""
        ended, _ = os.waitpid(self._pid, os.WNOHANG)
        return bool(ended)


def _tell(read: Read, sock: socket.socket) -> int:
    found: Wanted | str
    try:
        found = read()
    except (ConfigError, StartError) as error:
        found = str(error)
    sock.sendall(pickle.dumps(found))
    return 0
