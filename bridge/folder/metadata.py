"""What is kept of a file beside its content: owner, mode, times, extended attributes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Windows' own attributes and access lists, as Samba keeps them, and POSIX ones. Never capabilities.
_ACCESS = ("system.posix_acl_access", "security.NTACL")
_MOST_BYTES = 64 << 10  # of attributes; they lie in memory until the verdict


@dataclass(frozen=True, slots=True)
class Metadata:
    """Owner by number, permission bits, times in nanoseconds since the epoch, attributes."""

    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    attributes: Mapping[str, bytes] = field(default_factory=dict)

    def private(self, uid: int, gid: int) -> Metadata:
        """For quarantine: only this service may read it."""
        harmless = {k: v for k, v in self.attributes.items() if k not in _ACCESS}
        return replace(self, mode=0o600, uid=uid, gid=gid, attributes=harmless)


def read_metadata(descriptor: int) -> Metadata:
    """What is to be kept of an open file. Blocks: disk."""
    state = os.fstat(descriptor)
    attributes = {}
    room = _MOST_BYTES
    with contextlib.suppress(OSError):  # not every file system has them
        for name in os.listxattr(descriptor):
            if name.startswith("user.") or name in _ACCESS:
                with contextlib.suppress(OSError):
                    value = os.getxattr(descriptor, name)
                    room -= len(name) + len(value)
                    if room < 0:
                        break
                    attributes[name] = value
    # never setuid and the like: who drops a file must not make a program of ours of it
    mode = state.st_mode & 0o777
    times = (state.st_atime_ns, state.st_mtime_ns)
    return Metadata(mode, state.st_uid, state.st_gid, *times, attributes)


def write_metadata(descriptor: int, kept: Metadata) -> None:
    """Give it to a file of ours, as far as the target allows. OSError where mode or times fail."""
    try:
        os.fchown(descriptor, kept.uid, kept.gid)
    except OSError:  # only root can give a file away; to a group of his anybody can
        with contextlib.suppress(OSError):
            os.fchown(descriptor, -1, kept.gid)
    os.fchmod(descriptor, kept.mode)
    for name, value in kept.attributes.items():
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, value)
    os.utime(descriptor, ns=(kept.atime_ns, kept.mtime_ns))
