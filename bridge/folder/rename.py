"""A rename that replaces nothing. Blocks: disk."""

from __future__ import annotations

import ctypes
import errno
import os

_RENAME_NOREPLACE = 1
_NO_FLAGS = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
_libc = ctypes.CDLL(None, use_errno=True)


def rename_new(source: str, target: str, *, above: int, below: int) -> None:
    """Rename `source` in the folder `above` to `target` in the folder `below` (descriptors).

    FileExistsError where `target` is there, which then is as it was. renameat2(2) does it in one
    step; NFS, which has no such flag, has links; where neither is known we look first.
    """
    try:
        _renameat2(source, target, above, below)
    except OSError as error:
        if error.errno not in _NO_FLAGS:
            raise
        _by_link(source, target, above, below)


def _renameat2(source: str, target: str, above: int, below: int) -> None:
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(above, os.fsencode(source), below, os.fsencode(target), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)


def _by_link(source: str, target: str, above: int, below: int) -> None:
    try:
        os.link(source, target, src_dir_fd=above, dst_dir_fd=below, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _by_look(source, target, above, below)
    else:
        os.unlink(source, dir_fd=above)


def _by_look(source: str, target: str, above: int, below: int) -> None:
    try:
        os.lstat(target, dir_fd=below)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=above, dst_dir_fd=below)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
