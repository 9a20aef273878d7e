"""Whether a folder still is the share that it was, and not the empty place where it was mounted.

By proc_pid_mountinfo(5) and fstab(5). Blocks: disk.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import NamedTuple

_MOUNTINFO = Path("/proc/self/mountinfo")
_FSTAB = Path("/etc/fstab")
_OCTAL = re.compile(r"\\([0-7]{3})")
# a refused lease tells nothing there: without an oplock there is none, whoever writes
_LEASES_TELL_NOTHING = ("cifs", "smb3", "smbfs")


class Mount(NamedTuple):
    """A mounted file system: where, its kind and what was mounted."""

    point: str
    kind: str
    source: str


class AwayError(OSError):
    """A share is not mounted."""


def parse_mounts(mountinfo: str) -> list[Mount]:
    """What is mounted, later mounts last."""
    mounts = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, source = after.split(" ")[:2]
        mounts.append(Mount(_unescaped(before.split(" ")[4]), kind, _unescaped(source)))
    return mounts


def parse_fstab(fstab: str) -> list[Mount]:
    """What is to be mounted."""
    lines = (line.split() for line in fstab.splitlines())
    entries = [fields for fields in lines if len(fields) >= 3 and not fields[0].startswith("#")]
    return [
        Mount(_unescaped(point), kind, _unescaped(source)) for source, point, kind, *_ in entries
    ]


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def mount_around(path: str, mounts: list[Mount]) -> Mount | None:
    """The innermost of some mounts around a path; of several in one place the last."""
    found = None
    for mount in mounts:
        around = mount.point == path or path.startswith(mount.point.rstrip("/") + "/")
        if around and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # a machine without it has nothing to compare
        return ""


class SamePlace:
    """One folder, which is to stay the share that it was when it was first looked at."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._device: int | None = None
        self._mount: Mount | None = None

    @property
    def leases_tell(self) -> bool:
        """Whether a refused lease means there that somebody writes."""
        return self._mount is None or self._mount.kind not in _LEASES_TELL_NOTHING

    def check(self) -> None:
        """OSError where the folder cannot be reached, AwayError where its share is not mounted."""
        device = self._root.stat().st_dev
        if device == self._device:
            return
        path = os.path.realpath(self._root)
        mount = mount_around(path, parse_mounts(_read(_MOUNTINFO)))
        if self._mount is None:
            self._check_fstab(path, mount)
            self._mount = mount
        elif mount is None or mount != self._mount:
            raise self._away(self._mount)
        self._device = device

    def _check_fstab(self, path: str, mount: Mount | None) -> None:
        wanted = mount_around(path, parse_fstab(_read(_FSTAB)))
        there = mount.point if mount is not None else ""
        if wanted is not None and wanted.point != "/" and len(there) < len(wanted.point):
            raise self._away(wanted)

    def _away(self, mount: Mount) -> AwayError:
        reason = f"{mount.source} ({mount.kind}) is not mounted on {mount.point}"
        return AwayError(errno.ENODEV, reason, str(self._root))
