"""What a daemon tells the service manager, by sd_notify(3): ready, reloading, stopping, alive.

One datagram a message, in ten lines of the standard library: no package is worth a dependency here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import MutableMapping

from bridge.core.printable import printable

_SOCKET, _EVERY, _WHO = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_MICRO = 1_000_000


class ServiceManager:
    """Says how this process is; without a service manager that asks for it, nothing is said.

    Nothing here waits, and nothing fails: a manager that does not listen must stop nobody. A reload
    is told of only between the first `ready` and `stopping`, wherever it begins and ends.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.watchdog: float | None = None  # seconds without a sign of life that are too many
        self._beat_at = 0.0
        self._owed: tuple[str, ...] = ()
        self._status = ""  # empty: it has not served yet
        self._stops = False

    def join(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Speak to the manager that the environment names from now on.

        The names are taken out of it: no child process is to speak for this one.
        """
        address, micro, who = (environ.pop(name, "") for name in (_SOCKET, _EVERY, _WHO))
        if not address.startswith(("/", "@")):
            return
        self.leave()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        sock.setblocking(False)
        try:
            sock.connect("\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            sock.close()
            return
        self._socket = sock
        if micro.isascii() and micro.isdigit() and who in ("", str(os.getpid())):
            self.watchdog = int(micro) / _MICRO or None

    def leave(self) -> None:
        """Say nothing any more: for the children that a process forks."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self.watchdog = None

    def ready(self, status: str = "") -> None:
        """It serves, for the first time or after `reloading`; `status`: one sentence for people,
        the last one if it is empty."""
        self._status = status or self._status
        if self._status and not self._stops:
            self._owe("READY=1", f"STATUS={printable(self._status)}")

    def reloading(self) -> None:
        """It reads its configuration anew; `ready` says when that is over, however it ended."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        words = "RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reads its configuration anew"
        if self._status and not self._stops:
            self._owe(*words)

    def stopping(self) -> None:
        """It ends what is under way, and says nothing else of how it is any more."""
        self._stops = True
        self._owe("STOPPING=1", "STATUS=ends what is under way")

    @property
    def pause(self) -> float | None:
        """Seconds between two signs of life, a third of what the manager waits: one may be lost.
        None: it waits not."""
        return self.watchdog / 3 if self.watchdog is not None else None

    def beat(self) -> None:
        """Give a sign of life, if one is due: only a loop that turns may call this."""
        if self._owed and self._say(*self._owed):
            self._owed = ()
        if self.pause is not None and time.monotonic() >= self._beat_at and self._say("WATCHDOG=1"):
            self._beat_at = time.monotonic() + self.pause

    async def keep_alive(self) -> None:
        """Give signs of life as long as the event loop turns."""
        while self.pause is not None:
            self.beat()
            await asyncio.sleep(self.pause)

    def _owe(self, *lines: str) -> None:
        """Say how it is; what a manager that is busy does not take is said with the next beat."""
        self._owed = () if self._say(*lines) else lines

    def _say(self, *lines: str) -> bool:
        """Whether it was taken; also where nobody listens any more."""
        if self._socket is not None:
            try:
                self._socket.send("\n".join(lines).encode("utf-8", "replace"))
            except BlockingIOError:
                return False
            except OSError:
                return True
        return True


service_manager = ServiceManager()
