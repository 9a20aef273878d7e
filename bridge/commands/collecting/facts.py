"""How things are on this machine: versions, memory, disks, mounts, ports."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import resource
import ssl
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from bridge.commands.collecting.patience import looks
from bridge.commands.terminal import reason

_MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "Dirty", "CommitLimit")
_LIMITS = ("NOFILE", "NPROC", "AS", "FSIZE", "CORE", "MEMLOCK")
_LISTEN = "0A"
_MOST_FILES = 2000
_MOST_COUNTED = 100_000


def versions() -> str:
    """What runs here."""
    os_release = Path("/etc/os-release")
    name = "unknown"
    with contextlib.suppress(OSError):
        for line in os_release.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("PRETTY_NAME="):
                name = line.partition("=")[2].strip('"')
    packages = {
        f"  {each.metadata['Name']} {each.version}" for each in importlib.metadata.distributions()
    }
    lines = [
        f"katabridge {importlib.metadata.version('katabridge')}",
        f"Python {sys.version.replace(chr(10), ' ')} ({sys.executable})",
        ssl.OPENSSL_VERSION,
        f"kernel {platform.release()} {platform.machine()}",
        f"distribution {name}",
        f"user {os.geteuid()}, groups {os.getgroups()}",
        f"time {time.strftime('%Y-%m-%dT%H:%M:%S%z')} ({' '.join(time.tzname)})",
        "packages:",
        *sorted(packages, key=str.lower),
    ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Memory, load and limits of a process that is started here."""
    lines = [f"processors: {os.cpu_count()}"]
    with contextlib.suppress(OSError):
        lines.append(f"load: {Path('/proc/loadavg').read_text().strip()}")
    with contextlib.suppress(OSError):
        lines.append(f"uptime: {Path('/proc/uptime').read_text().split()[0]} s")
    lines += _of_proc(Path("/proc/meminfo"), _MEMORY)
    for name in _LIMITS:
        soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
        lines.append(f"limit {name.lower()}: soft {_limit(soft)}, hard {_limit(hard)}")
    return "\n".join(lines) + "\n"


def _limit(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)


def _of_proc(path: Path, names: Iterable[str]) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            if line.partition(":")[0] in names:
                yield " ".join(line.split())


def disks(folders: Mapping[str, Path]) -> str:
    """Of each folder, by the key that names it: its disk, its mount, its owner and mode."""
    mounts = _mounts()
    lines = []
    for key, found in looks(lambda folder: _facts(folder, mounts), folders):
        lines.append(f"{key}: {folders[key]}")
        if isinstance(found, Exception):
            lines.append(f"  {reason(found) if isinstance(found, OSError) else found}")
            lines.append(f"  mount: {_mount_of(folders[key], mounts)}")
        else:
            lines += [f"  {fact}" for fact in found]
    return "\n".join(lines) + "\n"


def _facts(folder: Path, mounts: list[tuple[Path, str]]) -> list[str]:
    real = Path(os.path.realpath(folder))
    return [*_disk(real), f"mount: {_mount_of(real, mounts)}"]


def _disk(folder: Path) -> Iterator[str]:
    status = folder.stat()
    yield f"mode {status.st_mode & 0o7777:04o}, owner {status.st_uid}:{status.st_gid}"
    rights = (("read", os.R_OK), ("write", os.W_OK), ("enter", os.X_OK))
    yield "this user may: " + (", ".join(w for w, bit in rights if os.access(folder, bit)) or "-")
    state = os.statvfs(folder)
    unit = state.f_frsize
    yield f"bytes: {state.f_blocks * unit} in all, {state.f_bavail * unit} free"
    yield f"files: {state.f_files} in all, {state.f_favail} free"


def _mounts() -> list[tuple[Path, str]]:
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
            head, _, tail = line.partition(" - ")
            fields, rest = head.split(" "), tail.split(" ")
            if len(fields) > 5 and len(rest) > 2:
                place = fields[4].encode().decode("unicode_escape", "replace")
                words = f"{place}, type {rest[0]}, of {rest[1]}, {fields[5]}, {rest[2]}"
                found.append((Path(place), words))
    return found


def _mount_of(folder: Path, mounts: list[tuple[Path, str]]) -> str:
    around = [each for each in mounts if each[0] == folder or each[0] in folder.parents]
    # of two in one place the later hides the earlier
    nearest = max(enumerate(around), key=lambda one: (len(one[1][0].parts), one[0]), default=None)
    return nearest[1][1] if nearest else "unknown"


def listening(ports: Mapping[int, str]) -> str:
    """Who listens on our ports: `ports` says by port which key names it."""
    lines = []
    heard = set()
    for name in ("tcp", "tcp6"):
        rows: list[str] = []
        with contextlib.suppress(OSError):
            rows = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        for row in rows:
            fields = row.split()
            port = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == _LISTEN and port in ports:
                heard.add(port)
                words = f"{fields[1]} ({name}), user {fields[7]}, waiting to be accepted: "
                lines.append(f"port {port} ({ports[port]}): {words}{fields[4].split(':')[1]}")
    lines += [f"port {port} ({ports[port]}): nobody" for port in sorted({*ports} - heard)]
    return "\n".join(lines) + "\n"


def sizes_below(folder: Path) -> str:
    """Names, sizes and times of the files in a folder of ours; never what is in them."""
    lines, total, count = [], 0, 0
    for path, status in islice(_files_below(folder), _MOST_COUNTED):
        count += 1
        total += status.st_size
        if count <= _MOST_FILES:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime))
            lines.append(f"{status.st_size:>14} {when} {path.relative_to(folder)}")
    if count > _MOST_FILES:
        lines.append(f"and {count - _MOST_FILES} more")
    if count == _MOST_COUNTED:
        lines.append("and others that were not counted")
    return "\n".join([f"{count} files, {total} bytes in {folder}", *lines]) + "\n"


def _files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for root, directories, names in os.walk(folder):
        directories.sort()
        for name in sorted(names):
            path = Path(root, name)
            with contextlib.suppress(OSError):  # bodies come and go
                yield path, path.lstat()
