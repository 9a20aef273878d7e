"""A service manager's socket, by sd_notify(3): what a daemon says, and which process says it."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import NamedTuple, Self

_CREDENTIALS = struct.Struct("3i")  # of a process: its id, user and group


class Told(NamedTuple):
    """One message: its lines, and the process id of who sent it."""

    lines: list[str]
    pid: int


class FakeManager:
    """Listens at `name`: a path, or an abstract address that begins with `@`."""

    def __init__(self, name: str, watchdog: float | None = None) -> None:
        """`watchdog`: seconds within which signs of life are asked for."""
        self.environ = {"NOTIFY_SOCKET": name}
        if watchdog is not None:
            self.environ["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(f"\0{name[1:]}" if name[0] == "@" else name)
        self._socket.setblocking(False)
        self.told: list[Told] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()

    def hear(self) -> list[list[str]]:
        """The lines of each message that has come since the last look; `told` keeps all."""
        new = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, more, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
                pid = _CREDENTIALS.unpack(more[0][2])[0]
                new.append(Told(data.decode().split("\n"), pid))
        self.told += new
        return [told.lines for told in new]

    def has_heard(self, line: str) -> bool:
        """Whether such a line has come by now."""
        self.hear()
        return any(line in told.lines for told in self.told)
