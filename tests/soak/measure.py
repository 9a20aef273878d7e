"""What a daemon holds: descriptors, threads, memory; and what lies in its folders."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

# A scan that may not have reached KATA is DELETEd again for ten minutes: it waits for nothing.
_OPEN = ("scans WHERE state != 'done'", "cases", "records")


@dataclass(frozen=True, slots=True)
class Held:
    """What a daemon and its workers hold. `descriptors` without TCP `connections`.

    `processes` counts that of the status page, too; the rest does not: a reload replaces it.
    """

    processes: int
    descriptors: int
    connections: int
    threads: int
    resident_kib: int


def held_by(pid: int) -> Held:
    """The figures of a process and all below it; of those that end meanwhile, none."""
    connections, family = _tcp_inodes(), list(_family(pid))
    own = [each for each in family if not _is_status_page(each)]
    parts = [part for each in own if (part := _of_one(each, connections)) is not None]
    sums = [sum(column) for column in zip(*parts, strict=True)] or [0, 0, 0, 0]
    return Held(len(family), *sums)


def least(looks: Sequence[Held]) -> Held:
    """What all of several looks have seen: a folder is opened to be listed, and closed again."""
    columns = zip(*(astuple(look) for look in looks), strict=True)
    processes, *rest = ([int(value) for value in column] for column in columns)
    return Held(max(processes), *map(min, rest))


def _is_status_page(pid: int) -> bool:
    try:
        return b"bridge.status" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _of_one(pid: int, connections: set[str]) -> tuple[int, int, int, int] | None:
    try:
        own = _descriptors(pid)
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    wires = sum(name in connections for name in own)
    figures = dict(re.findall(r"^(Threads|VmRSS):\s+(\d+)", status, re.MULTILINE))
    return len(own) - wires, wires, int(figures["Threads"]), int(figures.get("VmRSS", 0))


def _descriptors(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return found


def _tcp_inodes() -> set[str]:
    """Of every TCP socket that does not listen."""
    rows = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            rows += Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    return {f"socket:[{row.split()[9]}]" for row in rows if row.split()[3] != "0A"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What lies on disk: bodies in the spool, what is under way in the journals, logs."""

    spool_files: int
    spool_bytes: int
    journal_entries: int
    log_bytes: int


def kept_in(spool: Path, logs: Path) -> Kept:
    """Look at the folders of both daemons, running or not."""
    bodies = [size for path, size in _files(spool) if path.parent != spool]
    rows = sum(_rows(path) for path in spool.glob("*.journal"))
    return Kept(len(bodies), sum(bodies), rows, sum(size for _, size in _files(logs)))


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                yield path, path.stat().st_size


def _rows(journal: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
        counts = [database.execute(f"SELECT count(*) FROM {rows}") for rows in _OPEN]
        return sum(int(count.fetchone()[0]) for count in counts)
