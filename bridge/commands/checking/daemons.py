"""Whether `kata-bridge watch` runs: by the lock that it holds, which is looked at, not taken.

By proc_locks(5). Blocks: disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bridge.commands.checking.line import Line, ok, skipped, warning
from bridge.core import Settings

_LOCKS = Path("/proc/locks")
_AREA = "watch"


def look_at_watch(settings: Settings) -> Iterator[Line]:
    """Said where folders are configured."""
    if not settings.folders:
        return
    node = settings.kata.node
    lock = settings.spool.dir / f"{node}.folder.0.lock"
    try:
        held = _inode(lock) in locked_inodes(_LOCKS.read_text())
    except OSError as error:
        yield skipped(_AREA, f"whether it runs cannot be seen: {error.strerror}")
        return
    if held:
        yield ok(_AREA, f"`kata-bridge watch` of node {node} runs")
    else:
        sentence = f"no `kata-bridge watch` of node {node} runs here: files stay in input"
        yield warning(_AREA, sentence, "start it, unless it is called by cron (--once)")


def locked_inodes(locks: str) -> set[int]:
    """The files that somebody holds a lock of the kind flock(2) on. Pure."""
    found = set()
    for fields in (line.split() for line in locks.splitlines()):
        # 1: FLOCK  ADVISORY  WRITE 4321 fe:00:131 0 EOF; one that waits has an arrow in between
        if len(fields) >= 6 and fields[1] == "FLOCK":
            inode = fields[5].rpartition(":")[2]
            found |= {int(inode)} if inode.isascii() and inode.isdigit() else set()
    return found


def _inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None
