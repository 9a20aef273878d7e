"""Folders by descriptor: below a root no link is followed, so nobody can lead us elsewhere.

A root is what the administrator configured, links included. Everything here blocks: disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

OWN_PREFIX = ".katabridge"  # names that are ours in every folder; never taken for somebody's file

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_OURS = (errno.ENOTDIR, errno.ELOOP)


@contextlib.contextmanager
def folder(root: Path, parts: Sequence[str] = (), *, make: int | None = None) -> Iterator[int]:
    """The descriptor of the folder `parts` below `root`, for as long as the context lasts.

    `make`: the mode with which folders below the root are made that are missing. OSError where
    one is missing, or is no folder, or is a link.
    """
    descriptor = os.open(root, _FOLDER)
    try:
        for number, part in enumerate(parts, start=1):
            deeper = _deeper(descriptor, part, Path(root, *parts[:number]), make)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def _deeper(above: int, name: str, path: Path, make: int | None) -> int:
    if make is not None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, make, dir_fd=above)
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        reason = "is a link or a file, not a folder" if error.errno in _NOT_OURS else error.strerror
        raise OSError(error.errno, reason, str(path)) from None


def remove_empty(root: Path, parts: Sequence[str], keep: int) -> None:
    """Remove the folder `parts` and those above it, as far as they are empty, but not the
    first `keep` of them."""
    for length in range(len(parts), keep, -1):
        try:
            with folder(root, parts[: length - 1]) as above:
                os.rmdir(parts[length - 1], dir_fd=above)
        except OSError:
            return


def sync_folder(descriptor: int) -> None:
    """Make renames in a folder last."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
