"""What happens where a name is taken already. Names are pure; the rest blocks: disk."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import NamedTuple

from bridge.folder.opened import NotStillError, open_regular
from bridge.folder.rename import rename_new
from bridge.folder.sidecar import NAME_MAX, cut_name

_MOST_NUMBERS = 50
_LONGEST_SUFFIX = 20  # bytes of what counts as the kind of a file


class Conflict(StrEnum):
    """What has the name goes (`replace`), keeps it (`rename`), or is moved aside (`keep-both`)."""

    REPLACE = "replace"
    RENAME = "rename"
    KEEP_BOTH = "keep-both"


class Content(NamedTuple):
    """What names some bytes: lower hex, and how many."""

    sha256: str
    size: int


def numbered(name: str, number: int) -> str:
    """`a.txt` for 1, then `a (2).txt` and so on; at most 255 bytes."""
    if number == 1:
        return name
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    if len(os.fsencode(suffix)) > _LONGEST_SUFFIX:
        stem, suffix = name, ""
    mark = f" ({number}){suffix}"
    return cut_name(stem, NAME_MAX - len(os.fsencode(mark))) + mark


def settle_name(
    descriptor: int, draft: str, name: str, rule: Conflict, content: Content
) -> tuple[str, bool]:
    """Give the draft in a folder its name by a rule; that name, and whether a new file has it.

    A file that is there with the same content counts as the one to be delivered: so a delivery
    that a crash cut off leaves no second one. OSError where no name can be had.
    """
    if rule is Conflict.REPLACE:
        os.rename(draft, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        return name, True
    for number, candidate in enumerate(_candidates(name)):
        if _renamed(descriptor, draft, candidate):
            return candidate, True
        if _holds(descriptor, candidate, content):
            os.unlink(draft, dir_fd=descriptor)
            return candidate, False
        if rule is Conflict.KEEP_BOTH and number == 0 and _moved_aside(descriptor, name):
            return settle_name(descriptor, draft, name, rule, content)
    raise OSError(errno.EEXIST, "too many files of this name", name)


def _candidates(name: str) -> Iterator[str]:
    """Names to be tried: numbers, which people read, and then one that nobody has."""
    yield from (numbered(name, number) for number in range(1, _MOST_NUMBERS))
    yield numbered(name, secrets.randbits(40) + _MOST_NUMBERS)


def _renamed(descriptor: int, source: str, target: str) -> bool:
    try:
        rename_new(source, target, above=descriptor, below=descriptor)
    except FileExistsError:
        return False
    return True


def _moved_aside(descriptor: int, name: str) -> bool:
    """Give the file of that name a number; False: it is no file, and stays."""
    if not stat.S_ISREG(os.lstat(name, dir_fd=descriptor).st_mode):
        return False
    candidates = _candidates(name)
    next(candidates)
    return any(_renamed(descriptor, name, candidate) for candidate in candidates)


def _holds(descriptor: int, name: str, content: Content) -> bool:
    """Whether that file has this content; a file that cannot be read counts as another."""
    try:
        with open_regular(descriptor, name) as file:
            if os.fstat(file.fileno()).st_size != content.size:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == content.sha256
    except (OSError, NotStillError):
        return False
