"""A program on a terminal of its own, as a person sees and types it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Sequence

from tests.support.processes import wait_until

_ROWS, _COLUMNS = 40, 200


def _environment() -> dict[str, str]:
    """Ours, but for the size of another terminal."""
    size = ("COLUMNS", "LINES")
    return {name: value for name, value in os.environ.items() if name not in size} | {
        "TERM": "xterm"
    }


class Terminal:
    """`with Terminal(command) as terminal:`; the program has ended, or is ended, at the end."""

    def __init__(self, command: Sequence[object], *, columns: int = _COLUMNS) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", _ROWS, columns, 0, 0))
        self._shown = b""
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=_environment(),
            start_new_session=True,
        )
        os.close(theirs)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the program has ended
            while block := os.read(self._ours, 4096):
                self._shown += block

    @property
    def shown(self) -> str:
        """All that came so far, escape sequences too."""
        return self._shown.decode(errors="replace")

    def expect(self, text: str, seconds: float = 40.0) -> None:
        """Wait until the text was shown."""
        wait_until(lambda: text in self.shown, f"{text!r} in {self.shown!r}", seconds)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{text}\n".encode())

    def wait(self, seconds: float = 30.0) -> int:
        """The exit code, with all output read."""
        code = self.process.wait(seconds)
        self._reading.join(seconds)
        return code

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        os.close(self._ours)
