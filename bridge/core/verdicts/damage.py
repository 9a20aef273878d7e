"""A damaged SQLite file: how it is told from other trouble, and set aside by one process only."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

_log = logging.getLogger(__name__)
_LOCK_SECONDS = 5.0
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
}
_LOST_TABLES = ("no such table", "no such column", "no such index")

FileId = tuple[int, int]


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken; locked, busy, full and read-only files are not."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF in _DAMAGE:
        return True
    return code == sqlite3.SQLITE_ERROR and str(error).startswith(_LOST_TABLES)


def file_id(path: Path) -> FileId | None:
    """Which file lies there, or None; changes when it is set aside or deleted."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from opening or setting aside the file. OSError where that fails."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError(f"{path}.lock is held by another process") from None
        time.sleep(0.02)


def set_aside(path: Path, reason: str) -> None:
    """Rename the file and what belongs to it, and say so. The lock is held. OSError."""
    aside = _free_name(path)
    # The log first: left beside a new file it would be replayed into that.
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    _log.error(
        "the verdict store %s is damaged (%s): it was set aside as %s and a new one was begun",
        path,
        reason,
        aside.name,
    )


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    return name
