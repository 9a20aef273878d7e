"""Rotated log files: how they are named, found, read from the end and deleted.

`log-history.log` is rotated to `log-history-20261124-101500.log` (UTC, so that a change to winter
time keeps the order), the second of the same second to `log-history-20261124-101500_0001.log`.
What bears another name, such as those of logrotate, is not ours: it is not read, and not deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_STAMP = "%Y%m%d-%H%M%S"
_MODE = 0o640
_DELETIONS = 1000  # at most, in one go


def rotated_files(path: Path) -> list[Path]:
    """The rotated files of a log, oldest first; OSError where the folder cannot be read."""
    pattern = _pattern(path)
    found = []
    for each in path.parent.iterdir():
        match = pattern.fullmatch(each.name)
        if match is not None:
            found.append((match[1], int(match[2] or 0), each))
    return [each for _, _, each in sorted(found)]


def foreign_files(path: Path) -> list[Path]:
    """What other programs (logrotate, gzip) have made of a log or of its rotated files, by name:
    `log-history.log.1.gz`. OSError where the folder cannot be read."""
    ours, pattern = _pattern(path), _foreign_pattern(path)
    found = [each for each in path.parent.iterdir() if pattern.fullmatch(each.name)]
    return sorted(
        each for each in found if each.name != path.name and not ours.fullmatch(each.name)
    )


def set_aside(path: Path) -> Path:
    """Rename a log to its rotated name, which it returns; OSError where that fails.

    Never overwrites: the name is made first, as an empty file of ours. Names never go back in
    time, even where the clock does. The caller holds the lock.
    """
    target = path.with_name(_next_name(path))
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
    try:
        path.rename(target)
    except OSError:
        target.unlink()
        raise
    return target


@contextlib.contextmanager
def rotation_lock(path: Path) -> Iterator[bool]:
    """Whether this process may rotate: False while another one does. Never waits."""
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def delete_older(path: Path, keep_seconds: float) -> int:
    """Delete rotated files last written before that, a thousand at most; how many were deleted."""
    oldest = time.time() - keep_seconds
    deleted = 0
    for each in rotated_files(path):
        if deleted == _DELETIONS:
            break
        with contextlib.suppress(FileNotFoundError):  # another process deletes as well
            status = each.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mtime < oldest:
                each.unlink()
                deleted += 1
    return deleted


def tail_lines(path: Path, max_bytes: int) -> Iterator[bytes]:
    """The whole lines in the last `max_bytes` of a log, oldest first, without line ends.

    Goes on in the newest rotated files where the current one is shorter. A line that the window
    or the end of a file cuts is left out. What stands there may still be no record: a write that
    was cut short leaves a fragment. Blocks: disk.
    """
    with contextlib.ExitStack() as stack:
        for file, start in reversed(list(_windows(path, max_bytes, stack))):
            # from the byte before, so that a window that begins with a line keeps it
            file.seek(max(0, start - 1))
            if start:
                file.readline()
            yield from (line[:-1] for line in file if line.endswith(b"\n") and line != b"\n")


def _windows(
    path: Path, max_bytes: int, stack: contextlib.ExitStack
) -> Iterator[tuple[BinaryIO, int]]:
    """Open files, newest first, each with the place where its part of the window begins."""
    seen = set()
    for each in _newest_first(path):
        try:
            file = stack.enter_context(each.open("rb"))
        except FileNotFoundError:
            continue
        status = os.fstat(file.fileno())
        if status.st_ino in seen:  # rotated while we looked
            continue
        seen.add(status.st_ino)
        yield file, max(0, status.st_size - max_bytes)
        max_bytes -= status.st_size
        if max_bytes <= 0:
            return


def _newest_first(path: Path) -> Iterator[Path]:
    yield path  # opened before the folder is listed: a rotation in between hides nothing
    with contextlib.suppress(FileNotFoundError):
        yield from reversed(rotated_files(path))


def _pattern(path: Path) -> re.Pattern[str]:
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    return re.compile(rf"{stem}-([0-9]{{8}}-[0-9]{{6}})(?:_([0-9]{{4,}}))?{suffix}")


def _foreign_pattern(path: Path) -> re.Pattern[str]:
    stem, suffix, number = re.escape(path.stem), re.escape(path.suffix), r"(?:[.-][0-9][0-9._-]*)?"
    return re.compile(rf"{stem}{number}{suffix}{number}(?:\.(?:gz|bz2|xz|zst|lz4|zip|Z))?")


def _next_name(path: Path) -> str:
    stamp, number = time.strftime(_STAMP, time.gmtime()), 0
    files = rotated_files(path)
    match = _pattern(path).fullmatch(files[-1].name) if files else None
    if match is not None and match[1] >= stamp:
        stamp, number = match[1], int(match[2] or 0) + 1
    counted = f"_{number:04d}" if number else ""
    return f"{path.stem}-{stamp}{counted}{path.suffix}"
