"""A copy that shares its blocks with the original until one of them changes (btrfs, XFS)."""

from __future__ import annotations

import fcntl

_FICLONE = 0x40049409


def clone(source: int, target: int) -> bool:
    """Make `target` (an empty file) a clone of `source`, both descriptors; False: not possible.

    ioctl_ficlone(2): both must lie on one file system that can do it. Blocks: disk.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True
