"""The files that `scan` is asked for, and their way into the spool."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

from bridge.commands.terminal import reason
from bridge.core import BodyWriter, Case, Outcome, OutcomeKind, Source, oversize, unavailable

_BLOCK = 1 << 18

T = TypeVar("T")


class NotTakenError(Exception):
    """A file cannot be given to KATA; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


@dataclass(slots=True)
class Found:
    """Regular `files`, what of the rest is to be said of a path, and how many were left out."""

    files: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    left_out: int = 0


def find_files(named: Sequence[Path], stopped: Callable[[], bool]) -> Found:
    """All regular files at and below the named paths, links not followed. Blocks: disk.

    A named path that is neither file nor folder, and a folder that cannot be read, are unreadable;
    links and special files inside of folders are left out.
    """
    found = Found()
    for path in named:
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            found.unreadable.append((path, reason(error)))
            continue
        if stat.S_ISDIR(mode):
            _look_below(path, found, stopped)
        elif stat.S_ISREG(mode):
            found.files.append(path)
        else:
            found.unreadable.append((path, "no regular file and no folder; links are not followed"))
    return found


def _look_below(top: Path, found: Found, stopped: Callable[[], bool]) -> None:
    folders = [top]
    while folders and not stopped():
        folder = folders.pop()
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            found.unreadable.append((folder, reason(error)))
            continue
        inner = [folder / each.name for each in entries if each.is_dir(follow_symlinks=False)]
        files = [folder / each.name for each in entries if each.is_file(follow_symlinks=False)]
        folders += reversed(inner)
        found.files += files
        found.left_out += len(entries) - len(inner) - len(files)


class Reader:
    """Copies files into bodies of the spool, in threads."""

    def __init__(
        self, threads: ThreadPoolExecutor, limit: int, stopped: Callable[[], bool]
    ) -> None:
        """`limit`: the largest file in bytes."""
        self._threads = threads
        self._limit = limit
        self._stopped = stopped

    async def copy(self, path: Path, case: Case, writer: BodyWriter) -> None:
        """Take the whole file as it is now; the case is told its size.

        NotTakenError where it cannot be read, changes meanwhile or is too large, and SpoolError.
        """
        try:
            with await self._in_thread(_open, path) as file:
                before = os.fstat(file.fileno())
                case.size = before.st_size
                self._check_size(before.st_size)
                while block := await self._in_thread(file.read, _BLOCK):
                    await writer.write(block)
                    self._check_size(writer.size)
                    if self._stopped():
                        raise NotTakenError(unavailable("the scan was stopped"))
                if _looks(os.fstat(file.fileno())) != _looks(before):
                    raise NotTakenError(not_readable("it changed while it was read"))
        except OSError as error:
            raise NotTakenError(not_readable(reason(error))) from None

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise NotTakenError(oversize(self._limit))

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)


def _open(path: Path) -> BinaryIO:
    # NONBLOCK: a pipe that has taken the file's name meanwhile must not hold us
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file any more")
    return file


def _looks(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def context_of(path: Path) -> dict[str, str | None]:
    """What the record says of the place: no configured folder, and nothing is moved."""
    return {"folder": None, "path": str(path.absolute()), "moved_to": None}


def not_readable(why: str) -> Outcome:
    """A path that cannot be judged because of itself."""
    return Outcome(OutcomeKind.ERROR, Source.RULE, why)
