"""An emulated KATA as tests use it: what it answers, and what it was sent."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Literal, cast

from bridge.core import Address
from bridge.emulator import EmulatedScan, Emulator, Fault, Memory, Script, State
from bridge.testing.certificates import put_certificate
from bridge.testing.ports import free_port
from bridge.testing.processes import HarnessError, wait_until

_PORTS_TRIED = 5


class KataEmulator:
    """A Central Node on a free port, which serves from the beginning.

    It finds the EICAR test file, and what a content asks for by a first line such as
    `#kata state=detect delay=3`; anything else is clean. It protects nothing.
    """

    def __init__(self, directory: Path) -> None:
        """Serve; certificate and state lie in `directory`."""
        put_certificate(directory / "server.pem", directory / "server.key", "kata")
        self.memory = Memory(directory)
        self._server = _on_free_port(self.memory)
        self._address = self._server.address
        self._server.start()
        self._is_up = True

    @property
    def url(self) -> str:
        """Its address, as `kata.urls` wants it."""
        return self._server.url

    @property
    def certificate(self) -> Path:
        """Its certificate, in PEM, as `kata.server_ca` wants it."""
        return self._server.certificate

    @property
    def delay(self) -> float:
        """Seconds until a verdict, where nothing says otherwise (0.2); may be set."""
        return self.memory.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self.memory.delay = seconds

    def judge(
        self,
        content: bytes | str,
        state: State | Literal["not_detected"] = "detect",
        *,
        delay: float | None = None,
    ) -> None:
        """Have a content judged so from now on, given itself or as its sha256 in hex.

        `state`: as KATA writes it, or with `_` for a space, as records have it; ValueError for
        others. `delay`: seconds to the verdict. What a door knows already it does not ask again.
        """
        script = Script(cast("State", state.replace("_", " ")), delay)
        with self.memory.lock:
            self.memory.scripts[_sha256(content)] = script

    def fail(
        self, fault: Fault | Literal[413, 429, 500] = "500", *, times: int | None = None
    ) -> None:
        """Answer submissions with this HTTP status from now on, or with none (`drop`).

        ValueError for other faults. `times`: only the first so many submissions of each content.
        """
        script = Script(fault=cast("Fault", str(fault)), times=times)
        with self.memory.lock:
            self.memory.attempts.clear()
            self.memory.failing = script

    def recover(self) -> None:
        """Take submissions again."""
        self.memory.failing = None

    def down(self) -> None:
        """Close the port, and cut what is open. What was submitted is not forgotten."""
        if self._is_up:
            self._server.stop()
            self._is_up = False

    def up(self) -> None:
        """Serve again, on the same port; HarnessError where another program took it meanwhile."""
        if not self._is_up:
            try:
                self._server = Emulator(self.memory, self._address)
            except OSError as error:
                raise HarnessError(
                    f"KATA cannot be up again on {self._address}: {error}."
                ) from None
            self._server.start()
            self._is_up = True

    def submitted(self, content: bytes | str | None = None) -> list[EmulatedScan]:
        """The scans that it accepted, oldest first; those of one content, if given."""
        with self.memory.lock:
            scans = list(self.memory.submitted)
        if content is None:
            return scans
        sha256 = _sha256(content)
        return [scan for scan in scans if scan.sha256 == sha256]

    def wait_submitted(
        self, count: int, content: bytes | str | None = None, seconds: float = 30.0
    ) -> list[EmulatedScan]:
        """The same, once there are so many."""
        wait_until(
            lambda: len(self.submitted(content)) >= count, f"{count} submissions to KATA", seconds
        )
        return self.submitted(content)


def _on_free_port(memory: Memory) -> Emulator:
    """Not on a port that connections get: `down` gives it up for a while."""
    for _ in range(_PORTS_TRIED - 1):
        with contextlib.suppress(OSError):  # another program was quicker
            return Emulator(memory, Address("127.0.0.1", free_port()))
    return Emulator(memory, Address("127.0.0.1", free_port()))


def _sha256(content: bytes | str) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    text = content.lower()
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError(f"{content!r} is no sha256; give the content itself as bytes.")
    return text
