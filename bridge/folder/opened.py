"""Opens exactly the file that was looked at, and nothing that is being written. Blocks: disk."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from io import FileIO

from bridge.folder.listing import look_of
from bridge.folder.settle import Look

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)
_BUSY = (errno.EBUSY, errno.ETXTBSY, errno.EAGAIN)  # a Windows program shares it with nobody


class NotStillError(Exception):
    """The file is not, or no longer, the one that was looked at, or is being written."""


class BeingWrittenError(NotStillError):
    """The file still is what it was, but a process has it open for writing."""


def open_regular(above: int, name: str) -> FileIO:
    """Open a file for reading, never a link, a folder or a device (NotStillError)."""
    try:
        descriptor = os.open(name, _READ, dir_fd=above)
    except OSError as error:
        if error.errno in _GONE:
            raise NotStillError from None
        if error.errno in _BUSY:
            raise BeingWrittenError from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotStillError
    return os.fdopen(descriptor, "rb", buffering=0)


def open_still(above: int, look: Look) -> FileIO:
    """Open the file that was looked at in the folder `above`.

    NotStillError where it is another by now. Closing it gives up the lease that keeps writers out.
    """
    file = open_regular(above, look.name)
    try:
        check_still(file, look)
    except BaseException:
        file.close()
        raise
    return file


def check_still(file: FileIO, look: Look) -> None:
    """NotStillError where the open file no longer looks as it did."""
    if look_of(look.path, os.fstat(file.fileno())) != look:
        raise NotStillError


def keep_writers_out(file: FileIO, *, leases_tell: bool) -> None:
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
