"""Log files that several processes append to: whole lines, none lost to a full disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from bridge.core.appendfile import AppendFile
from bridge.core.streams import remark

_BACKLOG = 100_000
_BACKLOG_BYTES = 64 << 20


class LineLog:
    """Appends lines to a file. While the file cannot be written, lines wait in memory.

    Several processes and threads may write. What waits is bounded: 100,000 lines and 64 MiB; the
    oldest go first, and are counted.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        daily: bool = False,
        keep_seconds: float | None = None,
    ) -> None:
        """Open or create the file; OSError where that fails. Blocks: disk.

        `max_bytes`: rotate before a line that would make the file larger; `daily`: rotate with
        the first line of a day (local time); `keep_seconds`: delete rotated files last written
        before that. See `bridge.core.rotation` for their names.
        """
        self.path = path
        self._file = AppendFile(path, max_bytes, daily, keep_seconds)
        self._lock = threading.Lock()
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._dropped = 0
        self._dropped_now = 0
        self._reason = ""

    def use(self, max_bytes: int, keep_seconds: float) -> None:
        """Rotate and delete by these limits from now on."""
        with self._lock:
            self._file.use(max_bytes, keep_seconds)

    @property
    def trouble(self) -> str:
        """Why lines wait; empty where none does."""
        return self._reason if self._backlog else ""

    @property
    def waiting(self) -> int:
        """Lines that wait in memory."""
        return len(self._backlog)

    @property
    def dropped(self) -> int:
        """Lines lost since the start."""
        return self._dropped

    def write(self, line: bytes) -> None:
        """Append one line, given without its line end; whatever waits goes first."""
        self.write_all((line,))

    def write_all(self, lines: Sequence[bytes]) -> None:
        """Append several lines with one write."""
        with self._lock:
            waited = bool(self._backlog)
            if not waited:
                lines = lines[self._append(lines) :]
            for line in lines:
                self._keep(line)
            if waited:
                self._write_backlog()
            elif lines:
                remark(f"{self.path} cannot be written: {self._reason}; lines wait in memory")

    def take_waiting(self) -> list[bytes]:
        """The lines that wait, for somebody else to keep; they are forgotten here."""
        with self._lock:
            lines = list(self._backlog)
            self._backlog.clear()
            self._backlog_bytes = 0
            return lines

    def catch_up(self) -> None:
        """Write what waits, and rotate and delete what is due. For a timer. Blocks: disk."""
        with self._lock:
            if self._backlog:
                self._write_backlog()
                return
            try:
                self._file.keep_house()
            except OSError:
                return  # the next line tries again, and says it

    def close(self) -> None:
        """Write what waits, if it can be written, and close."""
        with self._lock:
            if self._backlog:
                self._write_backlog()
            if self._backlog:
                remark(f"{self.path}: {len(self._backlog)} lines are lost")
                self._dropped += len(self._backlog)
                self._backlog.clear()
            self._file.close()

    def _keep(self, line: bytes) -> None:
        self._backlog.append(line)
        self._backlog_bytes += len(line)
        while len(self._backlog) > _BACKLOG or self._backlog_bytes > _BACKLOG_BYTES:
            self._backlog_bytes -= len(self._backlog.popleft())
            if not self._dropped_now:
                remark(f"{self.path}: too many lines wait; the oldest are dropped")
            self._dropped += 1
            self._dropped_now += 1

    def _write_backlog(self) -> None:
        while self._backlog and self._append((self._backlog[0],)):
            self._backlog_bytes -= len(self._backlog.popleft())
        if not self._backlog:
            missing = f"{self._dropped_now} lines are" if self._dropped_now else "nothing is"
            remark(f"{self.path} can be written again; {missing} missing")
            self._dropped_now = 0

    def _append(self, lines: Sequence[bytes]) -> int:
        """How many of them the file has; `_reason`, where that is not all."""
        try:
            written = self._file.append(lines)
        except OSError as error:
            self._reason = error.strerror or str(error)
            return 0
        if written < len(lines):
            self._reason = "the disk took a part of the lines only"
        return written
