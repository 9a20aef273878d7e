"""What is left on a disk: bytes, and files (inodes)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from bridge.commands.checking.line import Line, Status, failed, warning

LEAST_FILES = 20  # so many the start of a daemon takes: folders, locks, journals, logs
_FEW_FILES = 1000  # bodies, and rotated logs, of a busy day
_FEWER = "remove files there (`df -i` counts them), or have another file system made there"


class Room(NamedTuple):
    """What is left for this user: bytes, and files; None where the file system does not say."""

    free: int | None
    files: int | None = None

    def lacks(self, least: int) -> bool:
        """Whether it is known that fewer bytes, or hardly any files, are left."""
        return any(
            left is not None and left < wanted
            for left, wanted in ((self.free, least), (self.files, LEAST_FILES))
        )


def room(path: Path) -> Room:
    """What the disk of a folder has, or of the one where it will be. Blocks: disk."""
    there = next((each for each in (path, *path.parents) if each.exists()), Path("/"))
    state = os.statvfs(there)
    # some file systems keep the one to themselves, or have no number of the other
    free = state.f_bavail * state.f_frsize if state.f_blocks else None
    return Room(free, state.f_favail if state.f_files else None)


def minding_files(line: Line, key: str, files: int | None) -> Line:
    """What was found of the bytes, or in its place what is worse: that files run out. Pure."""
    if files is None or files >= _FEW_FILES or line.status is Status.FAILED:
        return line
    sentence = f"{key} lies on a disk with {files} inodes left"
    if files < LEAST_FILES:
        sentence += ": once there are none no file can be made there, however much room it has"
        return failed(line.area, sentence, _FEWER)
    return line if line.status is Status.WARNING else warning(line.area, sentence, _FEWER)
