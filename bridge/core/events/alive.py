"""Whether the process that wrote an event still runs: what it left open lasts only with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path

_INSTANCE = re.compile(r"[\w-][\w.-]{0,200}", re.ASCII)


class Sign:
    """A file beside the log that its process keeps locked; its time is the last sign of life.

    Never fails: without the file what this process leaves open counts as lasting.
    """

    def __init__(self, logs_dir: Path, instance: str) -> None:
        self._path = _path(logs_dir, instance)
        self._fd = -1

    def live(self) -> None:
        """Give a sign of life. Blocks: disk."""
        with contextlib.suppress(OSError):
            if self._fd < 0:
                self._fd = _locked(self._path)
            os.utime(self._fd)

    def close(self) -> None:
        """No more signs."""
        if self._fd >= 0:
            descriptor, self._fd = self._fd, -1
            os.close(descriptor)


def last_sign(logs_dir: Path, instance: str) -> float | None:
    """When a process that has ended gave its last sign (epoch); None: it runs, or nobody knows.

    Blocks: disk.
    """
    if not _INSTANCE.fullmatch(instance):
        return None
    try:
        descriptor = os.open(_path(logs_dir, instance), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_mtime
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _path(logs_dir: Path, instance: str) -> Path:
    return logs_dir / f".log-events.{instance}.alive"


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody looks just now
        os.close(descriptor)
        raise
    return descriptor
