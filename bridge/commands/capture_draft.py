"""The file that a capture is put together in, beside the one that it becomes.

Whoever writes one holds a lock on it: what is not locked was left by a command that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bridge.commands.terminal import reason
from bridge.core import CaptureError

_PREFIX, _SUFFIX = ".kata-bridge-capture-", ".new"
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def draft_of(output: Path, *, may_replace: bool) -> Iterator[BinaryIO]:
    """A file that becomes `output`, unless an error ends the block. CaptureError."""
    try:
        if output.is_dir():
            raise CaptureError(f"{output} is a folder; name a file.")
        if output.exists() and not output.is_file():
            raise CaptureError(f"{output} is no regular file; name one.")
        if output.exists() and not may_replace:
            raise CaptureError(f"{output} exists already; --force overwrites it.")
        _remove_left(output.parent)
        descriptor, draft = _made(output.parent)
    except OSError as error:
        raise CaptureError(f"{output} cannot be written: {reason(error)}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # what a share cannot take it may say only now
            draft.replace(output)  # while it is locked
    except OSError as error:
        raise CaptureError(f"{output} cannot be written: {reason(error)}.") from None
    finally:
        draft.unlink(missing_ok=True)


def _made(folder: Path) -> tuple[int, Path]:
    while True:
        descriptor, name = tempfile.mkstemp(_SUFFIX, _PREFIX, folder)  # mode 0600
        with contextlib.suppress(OSError):  # where there are no locks nobody removes anything
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # another command was here before the lock


def _remove_left(folder: Path) -> None:
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
            _remove_if_left(path)


def _remove_if_left(path: Path) -> None:
    descriptor = os.open(path, _LOOK)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(descriptor)
