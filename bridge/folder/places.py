"""Folders by descriptor: below a root no link is followed, so nobody can lead us elsewhere.

A root is what the administrator configured, links included. Everything here blocks: disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.folder.mounts import SamePlace

OWN_PREFIX = ".katabridge"  # names that are ours in every folder; never taken for somebody's file
LIKE_ABOVE = -1  # a new folder gets owner and mode of the one that it is made in
PRIVATE = 0o700

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_OURS = (errno.ENOTDIR, errno.ELOOP)

Root = Path | SamePlace


@contextlib.contextmanager
def folder(root: Root, parts: Sequence[str] = (), *, make: int | None = None) -> Iterator[int]:
    """The descriptor of the folder `parts` below `root`, for as long as the context lasts.

    `make`: the mode with which folders below the root are made that are missing, or `LIKE_ABOVE`.
    OSError where one is missing, or is no folder, or is a link; AwayError where a SamePlace is
    not the same.
    """
    descriptor = root.open() if isinstance(root, SamePlace) else os.open(root, _FOLDER)
    try:
        for number, part in enumerate(parts, start=1):
            try:
                deeper = _deeper(descriptor, part, make)
            except OSError as error:
                path = Path(root.root if isinstance(root, SamePlace) else root, *parts[:number])
                raise OSError(error.errno, error.strerror, str(path)) from None
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def _deeper(above: int, name: str, make: int | None) -> int:
    made = make is not None and _make(above, name, make)
    try:
        descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        if error.errno in _NOT_OURS:
            raise OSError(error.errno, "is a link or a file, not a folder") from None
        raise
    if made and make == LIKE_ABOVE:
        _make_like(above, descriptor)
    return descriptor


def _make(above: int, name: str, mode: int) -> bool:
    try:
        os.mkdir(name, PRIVATE if mode == LIKE_ABOVE else mode, dir_fd=above)
    except FileExistsError:
        return False
    with contextlib.suppress(OSError):
        sync_folder(above)
    return True


def _make_like(above: int, descriptor: int) -> None:
    """Who may do something in a folder may do it in the one that was made there."""
    state = os.fstat(above)
    with contextlib.suppress(OSError):  # only root can give a folder away
        os.fchown(descriptor, state.st_uid, state.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(state.st_mode))


def remove_empty(root: Root, parts: Sequence[str], keep: int) -> None:
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
