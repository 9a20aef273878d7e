"""Reads whole files that people name, and waits for nothing that is no file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_plain(path: Path) -> bytes:
    """The bytes of a regular file; OSError for what cannot be read, and for all else.

    A pipe or a device is neither waited for nor, if it stands there already, opened. Blocks: disk.
    """
    _refuse_others(path.stat())  # opening alone has some devices do something
    with open(path, "rb", opener=_not_waiting) as file:
        _refuse_others(os.fstat(file.fileno()))
        return file.read()


def _not_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _refuse_others(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
