"""Reads whole files that people name, and waits for nothing that is no file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MOST = 16 << 20


def read_plain(path: Path, most: int = _MOST) -> bytes:
    """The bytes of a regular file; OSError for what cannot be read, and for all else.

    A pipe or a device is neither waited for nor, if it stands there already, opened. EFBIG: there
    are more than `most` bytes. Blocks: disk.
    """
    _refuse_others(path.stat())  # opening alone has some devices do something
    with os.fdopen(_open(path), "rb") as file:
        _refuse_others(os.fstat(file.fileno()))
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)


def _refuse_others(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
