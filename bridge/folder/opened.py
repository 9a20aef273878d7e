"""Opens exactly the file that was looked at, and nothing that is being written. Blocks: disk."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import BinaryIO

from bridge.folder.listing import look_of
from bridge.folder.settle import Look

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)
_BUSY = (errno.EBUSY, errno.ETXTBSY, errno.EAGAIN)  # a Windows program shares it with nobody


class NotStillError(Exception):
    """The file is not, or no longer, the one that was looked at, or is being written."""


class BeingWrittenError(NotStillError):
    """The file still is what it was, but a process has it open for writing."""


def open_still(above: int, look: Look, name: str | None = None) -> BinaryIO:
    """Open the file in the folder `above`, under the look's name or `name`.

    NotStillError where it is another by now. Closing it gives up the lease that keeps writers out.
    """
    try:
        descriptor = os.open(name or look.name, _READ, dir_fd=above)
    except OSError as error:
        if error.errno in _GONE:
            raise NotStillError from None
        if error.errno in _BUSY:
            raise BeingWrittenError from None
        raise
    file = os.fdopen(descriptor, "rb", buffering=0)
    try:
        check_still(file, look)
    except BaseException:
        file.close()
        raise
    return file


def check_still(file: BinaryIO, look: Look) -> None:
    """NotStillError where the open file no longer looks as it did."""
    state = os.fstat(file.fileno())
    if not stat.S_ISREG(state.st_mode) or look_of(look.path, state) != look:
        raise NotStillError


def keep_writers_out(file: BinaryIO, *, leases_tell: bool) -> None:
    """BeingWrittenError where a process of this host has it open for writing.

    Else nobody can open it for writing before the file is closed. Does nothing where the file
    system has no leases. `leases_tell`: False where a refused lease tells nothing, as on CIFS
    without oplocks.
    """
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN and leases_tell:
            raise BeingWrittenError from None
