"""A log and its rotated files, read backwards in blocks, and the place where a search goes on."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from bridge.core.rotation import rotated_files

BLOCK = 256 << 10
_LONGEST = 4 << 20  # bytes of a line: heads are limited, so no record comes near
_HEAD = 64  # bytes by which a file is known again
_CURSOR = re.compile(
    r"([0-9a-f]{1,16})\.([0-9a-f]{1,15})\.([0-9a-f]{8})\.([0-9a-f]{1,15})\.([0-9a-f]{8})"
)


class LogFile(NamedTuple):
    """An open file of a log, as large as it was when it was opened."""

    descriptor: int
    inode: int
    size: int

    def mark(self, offset: int) -> int:
        """What tells the file from another one that was given its inode: its first bytes."""
        return zlib.crc32(os.pread(self.descriptor, min(_HEAD, offset), 0))


class Block(NamedTuple):
    """Whole lines, each with its line end, and where the first of them begins in the file."""

    data: bytes
    start: int


class Place(NamedTuple):
    """Where a search goes on: with the lines before `offset`, and then the older files.

    `older`: bytes of lines from before `since` that were the last to be seen.
    """

    inode: int
    offset: int
    mark: int
    older: int

    def is_in(self, file: LogFile) -> bool:
        """Whether the file still is the one that the place was in. Blocks: disk."""
        same = self.inode == file.inode and file.mark(self.offset) == self.mark
        return same and self.offset <= file.size


def cursor_of(place: Place, log: str) -> str:
    """A place in the log of that name, as text."""
    text = f"{place.inode:x}.{place.offset:x}.{place.mark:08x}.{place.older:x}"
    return f"{text}.{_check(text, log):08x}"


def place_of(cursor: str, log: str) -> Place:
    """The place again; ValueError, a sentence, where it is damaged or of another log."""
    match = _CURSOR.fullmatch(cursor)
    if match is None or int(match[5], 16) != _check(cursor.rpartition(".")[0], log):
        raise ValueError(f"the cursor is damaged, or none of {log}; begin the search anew")
    inode, offset, mark, older, _ = (int(each, 16) for each in match.groups())
    return Place(inode, offset, mark, older)


def _check(text: str, log: str) -> int:
    return zlib.crc32(f"{log} {text}".encode())


def log_files(path: Path) -> Generator[LogFile, None, None]:
    """A log and its rotated files, newest first, each open until the next is asked for.

    OSError: one that is there cannot be read; FileNotFoundError: there is none at all. What is
    deleted meanwhile, and what is no regular file, is left out, unless nothing else is there.
    """
    seen = set()
    for file in _opened(path):
        try:
            status = os.fstat(file)
            if stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
                seen.add(status.st_ino)
                yield LogFile(file, status.st_ino, status.st_size)
        finally:
            os.close(file)
    if not seen:
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def _opened(path: Path) -> Iterator[int]:
    missing: FileNotFoundError | None = None
    try:
        yield _open(path)  # before the folder is listed: a rotation in between hides nothing
    except FileNotFoundError as error:
        missing = error
    try:
        rotated = rotated_files(path)
    except FileNotFoundError:
        rotated = []
    if missing is not None and not rotated:
        raise missing
    for each in reversed(rotated):
        with contextlib.suppress(FileNotFoundError):
            yield _open(each)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def blocks_before(descriptor: int, end: int) -> Iterator[Block]:
    """The lines before `end`, from there backwards. Blocks: disk.

    Each line is in one of them, but for one that goes on at `end`, and lines that are longer than
    any record: instead of these come blocks without lines, so that whoever reads may stop there.
    """
    rest = b""  # of a line whose beginning was not come to
    lost = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"  # that line is none to be had
    while end > 0:
        start = max(0, end - BLOCK)
        data = os.pread(descriptor, end - start, start)
        if len(data) < end - start:
            return  # somebody cut the file short
        end = start
        cut = data.find(b"\n") + 1 if start else 0
        if start and not cut:
            lost = lost or len(rest) + len(data) > _LONGEST
            rest = b"" if lost else data + rest
            if lost:
                yield Block(b"", start)
            continue
        whole = data[cut : data.rfind(b"\n") + 1] if lost else data[cut:] + rest
        rest, lost = data[:cut], False
        if whole:
            yield Block(whole, start + cut)
