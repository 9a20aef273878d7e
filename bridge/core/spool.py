"""Holds bodies still while they are judged: small ones in memory, larger ones in files.

Files are written by threads of the spool's own, mode 0600, within `max_bytes` and `min_free`.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from bridge.core.body import BLOCK, Body, BodyWriter, SpoolError, Storage
from bridge.core.settings import SpoolSettings

_THREADS = 4
_ORDINARY = 1 << 20
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_PROBE = ".room"

T = TypeVar("T")


class Spool:
    """All bodies of one process. Call `close` at the end."""

    def __init__(self, settings: SpoolSettings, instance: str) -> None:
        self.use(settings)
        self.dir = settings.dir / instance
        self.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in self.dir.iterdir():  # of a process that died; what it kept lies beside
            leftover.unlink()
        self.device = self.dir.stat().st_dev
        self._refused = ""  # why a body was, for lack of space
        self._write_failed = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")
        self.memory_used = 0
        self.disk_used = 0

    def use(self, settings: SpoolSettings) -> None:
        """Keep to these limits from now on."""
        self._settings = settings
        # bytes: as long as it fits the spool is not full, whatever larger body did not
        self._ordinary = max(1, min(_ORDINARY, settings.max_bytes // 2))

    def adopt(self, path: Path, size: int, sha256: str) -> Body:
        """A file of this spool's folder as a body, held once. OSError where it is not whole."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        storage = Storage(self)
        storage.path, storage.fd, storage.on_disk = path, descriptor, size
        self.disk_used += size
        if os.fstat(descriptor).st_size != size:
            storage.release()
            raise OSError(errno.EIO, "it is not whole", str(path))
        return Body(storage, size, sha256)

    def close(self) -> None:
        """End the threads; bodies that are still held stay readable."""
        self._threads.shutdown(wait=False)  # one may wait for a disk that does not answer

    def writer(self) -> BodyWriter:
        """A new, empty body."""
        return BodyWriter(self)

    def takes_memory(self, body_size: int, more: int) -> bool:
        """Whether a body of `body_size` bytes may keep `more` bytes in memory."""
        fits = body_size + more <= self._settings.memory
        return fits and self.memory_used + more <= self._settings.memory_total

    def wants_flush(self, unwritten: int) -> bool:
        """Whether a body on disk is to write the bytes that it has gathered."""
        return unwritten >= BLOCK or self.memory_used > self._settings.memory_total

    def reserve_disk(self, size: int) -> None:
        """Count `size` bytes on disk; SpoolError where a limit would be passed."""
        if not self._fits(size):
            reason = f"the spool {self.dir} has reached spool.max_bytes"
            if not self._fits(self._ordinary):
                self._refused = reason
            raise SpoolError(reason)
        self.disk_used += size

    def _fits(self, size: int) -> bool:
        return self.disk_used + size <= self._settings.max_bytes

    @property
    def half_full(self) -> bool:
        """Whether what is only passed on must leave the rest to what is judged."""
        return self.disk_used > self._settings.max_bytes // 2

    def check_free(self) -> None:
        """SpoolError where the disk would be left with less than `min_free`. Blocks: disk."""
        if why := self._too_little(os.statvfs(self.dir)):
            self._refused = why
            raise SpoolError(why)

    def _too_little(self, disk: os.statvfs_result) -> str:
        free = disk.f_bavail * disk.f_frsize
        if free >= self._settings.min_free + BLOCK:
            return ""
        return f"the disk of the spool {self.dir} is down to spool.min_free"

    def _no_new_file(self, disk: os.statvfs_result) -> str:
        """Why no body can begin, whatever is free for those that are written."""
        if disk.f_flag & os.ST_RDONLY:
            return f"the disk of the spool {self.dir} is mounted read-only"
        if disk.f_files and not disk.f_favail:  # some file systems do not count them
            return f"the disk of the spool {self.dir} has no inodes left"
        return ""

    def why_full(self) -> str:
        """Why there is no room, after a look; empty where there is. Blocks: disk."""
        self.look()
        return self._refused

    def look(self) -> None:
        """See whether bodies find room, for `has_room`. Blocks: disk.

        Room is where one of 1 MiB, or of half of `max_bytes`, fits.
        """
        try:
            disk = os.statvfs(self.dir)
            if why := self._no_new_file(disk) or self._too_little(disk):
                self._refused = self._refused or why
            elif self._fits(self._ordinary) and (not self._write_failed or self._takes_bytes()):
                self._refused, self._write_failed = "", False
        except OSError as error:
            self._refused = self._refused or f"the spool {self.dir} fails: {error.strerror}"

    def _takes_bytes(self) -> bool:
        """A quota is in no figure of the disk's."""
        probe = self.dir / _PROBE
        try:
            return probe.write_bytes(bytes(BLOCK)) == BLOCK
        finally:
            probe.unlink(missing_ok=True)

    @property
    def has_room(self) -> bool:
        """Whether an ordinary body would be taken, when that was last looked at."""
        return self._fits(self._ordinary) and not self._refused

    def in_thread(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Run blocking file work off the loop."""
        return asyncio.get_running_loop().run_in_executor(
            self._threads, self._watched, function, *arguments
        )

    def _watched(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return function(*arguments)
        except OSError as error:
            if error.errno in _NO_SPACE:
                self._refused = f"the spool {self.dir} fails: {error.strerror}"
                self._write_failed = True
            raise
