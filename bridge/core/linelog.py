"""Log files that several processes append to: one line, one write, none lost to a full disk."""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path

_BACKLOG = 100_000


class LineLog:
    """Appends lines to a file. While the file cannot be written, lines wait in memory."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; OSError where that fails. Blocks: disk."""
        self.path = path
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._backlog: deque[bytes] = deque()
        self._broken = False
        self._dropped = 0

    def write(self, line: bytes) -> None:
        """Append one line, given without its line end; whatever waits goes first."""
        if self._backlog:
            self._backlog.append(line)
            if len(self._backlog) > _BACKLOG:
                self._backlog.popleft()
                self._dropped += 1
            self._catch_up()
        elif not self._append(line):
            self._backlog.append(line)

    def _catch_up(self) -> None:
        while self._backlog and self._append(self._backlog[0]):
            self._backlog.popleft()
        if not self._backlog:
            missing = f"{self._dropped} lines are" if self._dropped else "nothing is"
            sys.stderr.write(f"{self.path} can be written again; {missing} missing\n")
            self._dropped = 0

    def _append(self, line: bytes) -> bool:
        # After a write that was cut short, a line end keeps the next line whole.
        data = b"%b%b\n" % (b"\n" if self._broken else b"", line)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._complain(error.strerror or str(error))
            return False
        if written == len(data):
            self._broken = False
            return True
        self._broken = True
        self._complain("the disk is full")
        return False

    def _complain(self, reason: str) -> None:
        if not self._backlog:
            sys.stderr.write(f"{self.path} cannot be written: {reason}; lines wait in memory\n")

    def close(self) -> None:
        """Write what waits, if it can be written, and close."""
        if self._backlog:
            self._catch_up()
            if self._backlog:
                sys.stderr.write(f"{self.path}: {len(self._backlog)} lines are lost\n")
        os.close(self._fd)
