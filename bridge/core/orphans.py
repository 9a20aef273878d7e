"""Instances that no process serves any more, since there are fewer workers than there were."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from bridge.core.model import Door
from bridge.core.opening import lock_instance
from bridge.core.settings import Settings
from bridge.core.siem.queue import DiskQueue, QueueError

_EMPTY_QUEUE_BYTES = 1 << 20  # any: nothing is put into it


def orphans(settings: Settings, door: Door, workers: int) -> list[int]:
    """Numbers from `workers` on whose journal lies in the spool of this node. Blocks: disk."""
    pattern = re.compile(rf"{re.escape(settings.kata.node)}\.{door.value.lower()}\.(\d+)\.journal")
    try:
        names = [entry.name for entry in os.scandir(settings.spool.dir)]
    except OSError:
        return []  # who opens it says so
    numbers = [int(match[1]) for name in names if (match := pattern.fullmatch(name))]
    return sorted(number for number in numbers if number >= workers)


def remove_instance(settings: Settings, instance: str) -> bool:
    """Remove what a drained instance leaves, so that nobody looks for it again.

    False, and nothing is removed, where a queue still holds lines: `Core.is_drained` may have been
    asked before the queue was opened. StartError where the instance is somebody's. Blocks: disk.
    """
    base = settings.spool.dir / instance
    queues = [Path(f"{base}.syslog")] if settings.logs.syslog else []
    queues += [Path(f"{base}.notify")] if settings.notify else []
    lock = lock_instance(settings.spool.dir, instance)
    try:
        if any(_holds_lines(queue) for queue in queues):
            return False
        for directory in (base, Path(f"{base}.kept"), *queues):
            shutil.rmtree(directory, ignore_errors=True)
        for suffix in ("-wal", "-shm", ""):  # the journal itself last: it is what is looked for
            Path(f"{base}.journal{suffix}").unlink(missing_ok=True)
        return True
    finally:
        os.close(lock)


def _holds_lines(directory: Path) -> bool:
    if not directory.exists():
        return False
    queue = DiskQueue(directory, _EMPTY_QUEUE_BYTES)
    try:
        return queue.peek(1) is not None
    except QueueError:  # nobody knows
        return True
    finally:
        queue.close()
