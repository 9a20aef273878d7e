"""A file that several processes append lines to and that any of them rotates."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bridge.core.rotation import delete_older, rotation_lock, set_aside
from bridge.core.streams import remark

_LOOK_SECONDS = 1.0
_DELETE_SECONDS = 3600.0
_WRITE_SECONDS = 0.001  # a kernel that shows a write page by page is done with it after that
_CLOSED = -1
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class AppendFile:
    """Appends whole lines. Not for several threads at once.

    Notices that the file was rotated, moved away or deleted by somebody else, and makes it anew.
    """

    def __init__(
        self, path: Path, max_bytes: int | None, daily: bool, keep_seconds: float | None
    ) -> None:
        """Open or create the file; OSError where that fails. See LineLog for the rest."""
        self._path = path
        self._max_bytes = max_bytes
        self._daily = daily
        self._keep_seconds = keep_seconds
        self._fd = _CLOSED
        self._cut = False  # the file ends in the middle of a line
        self._size = 0  # bytes, when last looked at
        self._end = 0  # and after our last line
        self._day = date.min
        self._look_at = 0.0
        self._rotate_at = 0.0
        self._delete_at = 0.0
        self._complained = False
        self._open()

    def use(self, max_bytes: int | None, keep_seconds: float | None) -> None:
        """Other limits, from now on."""
        self._max_bytes, self._keep_seconds = max_bytes, keep_seconds
        self._delete_at = 0.0

    def append(self, lines: Sequence[bytes]) -> int:
        """Append lines, given without their line ends, with one write.

        How many of them are there as a whole: OSError where that is none of them.
        """
        data = b"\n".join([*lines, b""])
        descriptor = self._current(len(data))
        if self._size != self._end:  # others write, too, and may have been cut short
            self._cut = self._was_cut_short(descriptor)
        if self._cut:  # after a write that was cut short, a line end keeps the next line whole
            data = b"\n" + data
        written = os.write(descriptor, data)
        self._end = self._size + written
        if written == len(data):
            self._cut = False
            return len(lines)
        whole = data.count(b"\n", 0, written) - self._cut
        self._cut = not data.endswith(b"\n", 0, written) if written else self._cut
        if whole <= 0:
            raise OSError(errno.ENOSPC, "the disk took a part of a line only")
        return whole

    def keep_house(self) -> None:
        """What is due without a line: rotation by day, deletion of old files. OSError."""
        self._current(0)

    def close(self) -> None:
        """Close the file."""
        if self._fd != _CLOSED:
            descriptor, self._fd = self._fd, _CLOSED
            os.close(descriptor)

    def _current(self, coming: int) -> int:
        """The descriptor to write to, after everything that is due before that."""
        now = time.monotonic()
        status = os.fstat(self._fd) if self._fd != _CLOSED else None
        if status is None or not status.st_nlink:
            status = self._open()
        elif now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            if not self._is_at_path(status):
                status = self._open()
        self._size = status.st_size
        if now >= self._rotate_at and self._is_due(status.st_size, coming):
            self._rotate(now)
        if now >= self._delete_at:
            self._delete_old(now)
        return self._fd

    def _open(self) -> os.stat_result:
        self.close()
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._fd = os.open(self._path, _FLAGS, 0o640)
        status = os.fstat(self._fd)
        size = self._size = self._end = status.st_size
        self._cut = self._ends_in_mid_line(size)
        self._day = date.fromtimestamp(status.st_mtime) if size else _today()
        self._look_at = time.monotonic() + _LOOK_SECONDS
        return status

    def _ends_in_mid_line(self, size: int) -> bool:
        return size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def _was_cut_short(self, descriptor: int) -> bool:
        """Whether the file ends in mid line, and not because another process is writing one."""
        while self._ends_in_mid_line(self._size):
            time.sleep(_WRITE_SECONDS)
            size = os.fstat(descriptor).st_size
            if size == self._size:
                return True
            self._size = size
        return False

    def _is_at_path(self, status: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._path.stat(), status)
        except FileNotFoundError:
            return False

    def _is_due(self, size: int, coming: int) -> bool:
        if not size:
            return False
        if self._max_bytes is not None and size + coming > self._max_bytes:
            return True
        return self._daily and _today() != self._day

    def _rotate(self, now: float) -> None:
        """Rotate, or find that another process did. A failure is said once, and tried again."""
        try:
            with rotation_lock(self._path) as mine:
                if not mine:
                    return
                if self._is_at_path(os.fstat(self._fd)):
                    set_aside(self._path)
        except OSError as error:
            self._rotate_at = now + _LOOK_SECONDS
            self._complain("rotated", error)
            return
        self._complained = False
        self._delete_at = 0.0
        self._open()

    def _delete_old(self, now: float) -> None:
        self._delete_at = now + _DELETE_SECONDS
        if self._keep_seconds is None:
            return
        try:
            delete_older(self._path, self._keep_seconds)
        except OSError as error:
            self._complain("rid of its old files", error)

    def _complain(self, what: str, error: OSError) -> None:
        if not self._complained:
            remark(f"{self._path} cannot be {what}: {error.strerror or error}")
        self._complained = True


def _today() -> date:
    return date.today()
