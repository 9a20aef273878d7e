"""Who runs, by the locks that daemons hold: they are looked at, never taken. proc_locks(5)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bridge.core.model import Door

_LOCKS = Path("/proc/locks")


def door_runs(directory: Path, node: str, door: Door) -> bool:
    """Whether a process of this door runs with this spool.

    OSError where it cannot be seen. Blocks: disk.
    """
    held = locked_inodes(_LOCKS.read_text())
    lock = re.compile(rf"{re.escape(f'{node}.{door.value.lower()}.')}[0-9]+\.lock")
    try:
        with os.scandir(directory) as entries:
            return any(lock.fullmatch(each.name) and each.inode() in held for each in entries)
    except FileNotFoundError:
        return False


def locked_inodes(locks: str) -> set[int]:
    """The files that somebody holds a lock of the kind flock(2) on. Pure."""
    found = set()
    for fields in (line.split() for line in locks.splitlines()):
        # 1: FLOCK  ADVISORY  WRITE 4321 fe:00:131 0 EOF; one that waits has an arrow in between
        if len(fields) >= 6 and fields[1] == "FLOCK":
            inode = fields[5].rpartition(":")[2]
            found |= {int(inode)} if inode.isascii() and inode.isdigit() else set()
    return found
