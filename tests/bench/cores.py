"""Which core runs what, and how much processor time a program has used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SERVER = 0
LOAD = 1
_TICK = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on(*which: int) -> Iterator[None]:
    """What is started meanwhile stays on those cores, with all its threads and children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, which)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its children have used, those that ended too.

    ProcessLookupError where it is gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(f"the process {pid} is gone") from None
    own = sum(int(field) for field in fields[11:15]) / _TICK
    return own + sum(cpu_seconds(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += [int(each) for each in (thread / "children").read_text().split()]
    return found
