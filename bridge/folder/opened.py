"""Opens exactly the file that was looked at, and nothing that is being written. Blocks: disk."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from io import FileIO

from bridge.folder.listing import look_of
from bridge.folder.mounts import SamePlace
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
    if look_of(look.path, os.fstat(file.fileno())) != look:
        file.close()
        raise NotStillError
    return file


def check_still(file: FileIO, look: Look) -> None:
    """NotStillError where the open file was written. A rename, or a link to it, is no change."""
    if look_of(look.path, os.fstat(file.fileno())).lasting != look.lasting:
        raise NotStillError


def keep_writers_out(file: FileIO, place: SamePlace) -> None:
    """BeingWrittenError where a process of this host has it open for writing.

    Else nobody can open it for writing before the file is closed. Where the file system of
    `place` has no leases, or refuses them for other reasons, nothing is known, and nothing done.
    """
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN and place.leases_tell:
            raise BeingWrittenError from None
        if error.errno in (errno.EACCES, errno.EPERM):
            place.lease_refused()
