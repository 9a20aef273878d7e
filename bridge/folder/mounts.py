"""Whether a folder still is the share that it was, and not the empty place where it was mounted.

By proc_pid_mountinfo(5) and fstab(5). Blocks: disk.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
from pathlib import Path
from typing import NamedTuple

_log = logging.getLogger(__name__)

_MOUNTINFO = Path("/proc/self/mountinfo")
_FSTAB = Path("/etc/fstab")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# only by these is nothing there, or nothing of ours; by any other nobody knows
NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
# errors that say nothing of the file that was asked for
OF_THE_SHARE = (
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ETIMEDOUT,
)
_OCTAL = re.compile(r"\\([0-7]{3})")
# on CIFS and NFS a lease is refused as well where nobody writes: without oplock or delegation
_LEASES_TELL = (
    *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3"),
    *("overlay", "ramfs", "reiserfs", "tmpfs", "vfat", "xfs", "zfs"),
)


class Mount(NamedTuple):
    """A mounted file system: where, its kind and what was mounted."""

    point: str
    kind: str
    source: str


class AwayError(OSError):
    """A share, or the folder itself, is not there, or another is in its place."""


def parse_mounts(mountinfo: str) -> list[Mount]:
    """What is mounted, later mounts last; lines that are none are left out."""
    mounts = []
    for line in mountinfo.split("\n"):
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) >= 5 and len(kinds) >= 2:
            mounts.append(Mount(_unescaped(fields[4]), kinds[0], _unescaped(kinds[1])))
    return mounts


def parse_fstab(fstab: str) -> list[Mount]:
    """What is to be mounted."""
    lines = (line.split() for line in fstab.split("\n"))
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
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:  # a machine without it has nothing to compare
        return ""


class SamePlace:
    """One configured folder, which is to stay what it was when it was first looked at.

    Neither a share that is not mounted nor a link that somebody puts in its place is taken for it.
    """

    def __init__(self, root: Path, before: SamePlace | None = None) -> None:
        """`before`: what it was until nobody watched it: what was mounted there must be again."""
        self.root = root
        self._identity: tuple[int, int] | None = None
        self._real = ""
        self._mount: Mount | None = before._mount if before is not None else None
        self._said = False
        self._lock = threading.Lock()

    @property
    def leases_tell(self) -> bool:
        """Whether a refused lease means there that somebody writes."""
        return self._mount is None or self._mount.kind in _LEASES_TELL

    @property
    def mounted_on(self) -> str:
        """The mount point that it lies on, when last looked at; empty for `/` and the unknown."""
        return self._mount.point.rstrip("/") if self._mount is not None else ""

    def open(self) -> int:
        """Its descriptor, to be closed; AwayError where it is not there, or not the same."""
        try:
            descriptor = os.open(self.root, _FOLDER)
        except OSError as error:
            if error.errno not in NOTHING_THERE:
                raise
            # never FileNotFoundError: that would look as if what lies in it were gone
            raise AwayError(error.errno, error.strerror, str(self.root)) from None
        try:
            self._accept(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def check(self) -> None:
        """AwayError, or another OSError, where it cannot be used now."""
        os.close(self.open())

    def inner_mounts(self) -> frozenset[str]:
        """What is mounted below it, relative to it."""
        below = self._real.rstrip("/") + "/"
        points = (mount.point for mount in parse_mounts(_read(_MOUNTINFO)))
        return frozenset(point[len(below) :] for point in points if point.startswith(below))

    def lease_refused(self) -> None:
        """Say once that nobody knows who writes: a service that is not root lacks a right."""
        if not self._said:
            _log.warning(
                "%s: whether files of other users are being written cannot be known; run this "
                "service as root or with the capability CAP_LEASE, or choose a long `settle`",
                self.root,
            )
        self._said = True

    def _accept(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        identity = state.st_dev, state.st_ino
        if identity == self._identity:
            return
        with self._lock:  # several threads may be the first
            if identity != self._identity:
                self._accept_other(descriptor, identity)

    def _accept_other(self, descriptor: int, identity: tuple[int, int]) -> None:
        real = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        mount = mount_around(real, parse_mounts(_read(_MOUNTINFO)))
        if self._identity is None:
            self._check_mounted(real, mount)
        else:
            self._check_moved(real, mount, same_device=identity[0] == self._identity[0])
        self._check_still(identity)
        self._real, self._mount, self._identity = real, mount, identity

    def _check_still(self, identity: tuple[int, int]) -> None:
        """What was opened just before a mount came or went is not what lies there since."""
        try:
            state = self.root.stat()
        except OSError as error:
            raise AwayError(error.errno, error.strerror, str(self.root)) from None
        if (state.st_dev, state.st_ino) != identity:
            raise AwayError(errno.ESTALE, "was mounted or replaced just now", str(self.root))

    def _check_mounted(self, real: str, mount: Mount | None) -> None:
        """By fstab, and by what was there before."""
        before = [self._mount] if self._mount is not None else []
        wanted = mount_around(real, [*parse_fstab(_read(_FSTAB)), *before])
        there = mount.point if mount is not None else ""
        if wanted is not None and wanted.point != "/" and len(there) < len(wanted.point):
            raise self._away(wanted)

    def _check_moved(self, real: str, mount: Mount | None, *, same_device: bool) -> None:
        """Another file system may be the share after a remount; another folder never is."""
        before, now = self._mount, mount
        if before is not None and (now is None or len(now.point) < len(before.point)):
            raise self._away(before)
        as_before = before == now or (before and now and before.point == now.point)
        if real != self._real or (same_device and as_before):
            reason = (
                "is not the folder that it was when this service began; restart it if that is meant"
            )
            raise AwayError(errno.ESTALE, reason, str(self.root))

    def _away(self, mount: Mount) -> AwayError:
        reason = f"{mount.source} ({mount.kind}) is not mounted on {mount.point}"
        return AwayError(errno.ENODEV, reason, str(self.root))
