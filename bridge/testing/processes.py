"""Programs started for a test: ended by process id, and with the test run."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bridge.testing.guarding import end_with_us

_START_SECONDS = 40.0
_STOP_SECONDS = 15.0
_LISTEN = "0A"  # a state in /proc/net/tcp


class HarnessError(AssertionError):
    """What a test stands on does not work; the text begins with a sentence that says what."""


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for a condition; fail with `what` where it does not come true."""
    __tracebackhide__ = True
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise HarnessError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A started program. Its output goes to `log`, which failures quote.

    It ends with this process, however that ends.
    """

    def __init__(self, command: Sequence[object], log: Path, cwd: Path | None = None) -> None:
        """Start it; the output is appended to `log`."""
        self.log = log
        with log.open("ab") as output:
            self._start = output.tell()
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=cwd,
            )
        end_with_us(self.process.pid)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it is ready; fail with its output where it ends or takes too long.

        What fails is ended.
        """
        end = time.monotonic() + _START_SECONDS
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                self._kill()
                raise HarnessError(f"{what} did not start:\n{self.said()}")
            time.sleep(0.02)

    def output(self) -> str:
        """What it, and earlier ones with the same log, printed so far."""
        return self.log.read_text(errors="replace")

    def said(self) -> str:
        """What it printed itself so far."""
        return self.log.read_bytes()[self._start :].decode(errors="replace")

    def descriptors(self) -> int:
        """How many descriptors it holds."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def resident_kib(self) -> int:
        """The memory it holds, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def connections(self, port: int) -> int:
        """How many accepted connections it holds on a port where it listens (IPv4)."""
        return len(self.accepted(port))

    def accepted(self, port: int) -> set[str]:
        """Those connections, each by the inode of its socket."""
        own = set(self._descriptor_targets())
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = [row for row in rows if f"socket:[{row[9]}]" in own]
        accepted = [row for row in ours if row[3] != _LISTEN]
        return {row[9] for row in accepted if int(row[1].partition(":")[2], 16) == port}

    def open_below(self, folder: Path) -> list[str]:
        """The files below a folder that it holds open, deleted ones too."""
        return [name for name in self._descriptor_targets() if name.startswith(f"{folder}/")]

    def _descriptor_targets(self) -> Iterator[str]:
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield str(link.readlink())

    def stop(self) -> int:
        """End it as a service manager would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._kill()
                raise HarnessError(f"did not stop:\n{self.output()}") from None
        return self.process.returncode

    def _kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def module(name: str) -> list[str]:
    """The command line that runs a module of ours with this Python."""
    return [sys.executable, "-m", name]
