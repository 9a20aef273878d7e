"""Our daemons as the system sees them: found by the locks that they hold in the spool."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from bridge.commands.terminal import reason

_STATUS = ("Name", "State", "PPid", "Uid", "VmPeak", "VmRSS", "VmSwap", "Threads")
_LIMITS = ("Max open files", "Max processes", "Max address space", "Max file size")
_OURS = re.compile(rb"icapd|bridge\.cli|kata-bridge")


def daemons(spool: Path) -> str:
    """Memory, descriptors and limits of each process that works with this spool. Blocks: disk."""
    found: dict[int, str] = {}
    for pid, lock in _holders(spool):
        found[pid] = lock
        parent = _parent(pid)
        if parent and _is_ours(parent):
            found[parent] = "the supervisor"
    for pid in list(found):
        found |= dict.fromkeys(_pages(pid), f"the status page of {pid}")
    lines = []
    for pid, what in found.items():
        lines += [f"process {pid}, {what}", *(f"  {fact}" for fact in _facts(pid))]
    return "\n".join(lines or ["no process holds a lock in the spool"]) + "\n"


def _pages(pid: int) -> Iterator[int]:
    """The processes that a daemon has for its status page."""
    with contextlib.suppress(OSError):
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"bridge.status" in Path(f"/proc/{word}/cmdline").read_bytes():
                yield int(word)


def _holders(spool: Path) -> Iterator[tuple[int, str]]:
    """(process, name of its lock): who holds a lock, the system tells everybody."""
    with contextlib.suppress(OSError):
        by_inode = {path.stat().st_ino: path.name for path in sorted(spool.glob("*.lock"))}
        for row in Path("/proc/locks").read_text().splitlines():
            fields = row.split()
            if "->" in fields or len(fields) < 6:
                continue
            inode = int(fields[5].rpartition(":")[2])
            if fields[1] == "FLOCK" and inode in by_inode and int(fields[4]) > 0:
                yield int(fields[4]), by_inode[inode]


def _facts(pid: int) -> Iterator[str]:
    proc = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        words = (proc / "cmdline").read_bytes().split(b"\0")
        yield "command: " + " ".join(word.decode("utf-8", "backslashreplace") for word in words)
    yield from _lines(proc / "status", _STATUS)
    yield from _lines(proc / "limits", _LIMITS)
    try:
        yield f"open descriptors: {sum(1 for _ in (proc / 'fd').iterdir())}"
    except OSError as error:
        yield f"open descriptors: {reason(error)}; collect as the service's user, or as root"


def _lines(path: Path, names: tuple[str, ...]) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith(names):
                yield " ".join(line.split())


def _parent(pid: int) -> int | None:
    for line in _lines(Path(f"/proc/{pid}/status"), ("PPid",)):
        return int(line.split()[1])
    return None


def _is_ours(pid: int) -> bool:
    try:
        return _OURS.search(Path(f"/proc/{pid}/cmdline").read_bytes()) is not None
    except OSError:
        return False
