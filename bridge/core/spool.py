"""Holds bodies still while they are judged: small ones in memory, larger ones in files.

Files are written by threads of the spool's own, mode 0600, within `max_bytes` and `min_free`.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

from bridge.core.settings import SpoolSettings

_BLOCK = 256 * 1024
_THREADS = 4

T = TypeVar("T")


class SpoolError(Exception):
    """A body cannot be kept: the spool is full or its disk fails. The text is one sentence."""


class Spool:
    """All bodies of one process. Call `close` at the end."""

    def __init__(self, settings: SpoolSettings, instance: str) -> None:
        self._settings = settings
        self.dir = settings.dir / instance
        self.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in self.dir.iterdir():  # of a process that died; what it kept lies beside
            leftover.unlink()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")
        self.memory_used = 0
        self.disk_used = 0

    def adopt(self, path: Path, size: int, sha256: str) -> Body:
        """A file of this spool's folder as a body, held once. OSError where it is not whole."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        storage = _Storage(self)
        storage.path, storage.fd, storage.on_disk = path, descriptor, size
        self.disk_used += size
        if os.fstat(descriptor).st_size != size:
            storage.release()
            raise OSError(errno.EIO, "it is not whole", str(path))
        return Body(storage, size, sha256)

    def close(self) -> None:
        """End the threads; bodies that are still held stay readable."""
        self._threads.shutdown(wait=True)

    def writer(self) -> BodyWriter:
        """A new, empty body."""
        return BodyWriter(self)

    def takes_memory(self, body_size: int, more: int) -> bool:
        """Whether a body of `body_size` bytes may keep `more` bytes in memory."""
        fits = body_size + more <= self._settings.memory
        return fits and self.memory_used + more <= self._settings.memory_total

    def wants_flush(self, unwritten: int) -> bool:
        """Whether a body on disk is to write the bytes that it has gathered."""
        return unwritten >= _BLOCK or self.memory_used > self._settings.memory_total

    def reserve_disk(self, size: int) -> None:
        """Count `size` bytes on disk; SpoolError where a limit would be passed."""
        if self.disk_used + size > self._settings.max_bytes:
            raise SpoolError(f"the spool {self.dir} has reached spool.max_bytes")
        self.disk_used += size

    @property
    def half_full(self) -> bool:
        """Whether what is only passed on must leave the rest to what is judged."""
        return self.disk_used > self._settings.max_bytes // 2

    def check_free(self) -> None:
        """SpoolError where the disk would be left with less than `min_free`. Blocks: disk."""
        state = os.statvfs(self.dir)
        if state.f_bavail * state.f_frsize < self._settings.min_free + _BLOCK:
            raise SpoolError(f"the disk of the spool {self.dir} is down to spool.min_free")

    def in_thread(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Run blocking file work off the loop."""
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


class _Storage:
    """The bytes of one body: the first `on_disk` in a file, the rest in `memory`.

    Freed when the last holder lets go, and never under a thread that still uses the file.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.memory = bytearray()
        self.fd = -1
        self.path: Path | None = None
        self.on_disk = 0
        self._holders = 1

    @property
    def is_free(self) -> bool:
        """Whether the last holder has let go."""
        return not self._holders

    def retain(self) -> None:
        """One holder more."""
        self._holders += 1

    def release(self) -> None:
        """One holder less; the last one gives memory and disk back."""
        self._holders -= 1
        if self._holders:
            return
        self.spool.memory_used -= len(self.memory)
        self.spool.disk_used -= self.on_disk
        self.memory, self.on_disk = bytearray(), 0
        if self.path is not None:
            os.close(self.fd)
            self.path.unlink(missing_ok=True)

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Run file work in a thread that holds this body even if the caller is cancelled."""
        self.retain()
        future = self.spool.in_thread(function, *arguments)
        future.add_done_callback(lambda _: self.release())
        return await asyncio.shield(future)

    def write_block(self, block: bytes, offset: int) -> None:
        """Write at the end of the file, made when it is needed. Blocks: disk."""
        self.spool.check_free()
        if self.path is None:
            path = self.spool.dir / secrets.token_hex(8)
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self.path = path
        view = memoryview(block)
        while view:
            written = os.pwrite(self.fd, view, offset)
            view, offset = view[written:], offset + written

    async def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on; fewer at the end, and where disk meets memory."""
        if offset < self.on_disk:
            length = min(size, self.on_disk - offset)
            return await self.in_thread(os.pread, self.fd, length, offset)
        start = offset - self.on_disk
        return bytes(self.memory[start : start + size])

    async def chunks(self, offset: int) -> AsyncIterator[bytes]:
        """All bytes from `offset` on, in pieces of at most 256 KiB."""
        while piece := await self.read_at(offset, _BLOCK):
            yield piece
            offset += len(piece)


class BodyWriter:
    """Takes a body as it arrives and hashes it on the way.

    Either `finish` or `discard` must be called in the end.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._storage = _Storage(spool)
        self._hash = hashlib.sha256()
        self._hashed = 0
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Add bytes. After a SpoolError all bytes given so far stay readable, but no more fit."""
        storage = self._storage
        stays = not storage.on_disk and self._spool.takes_memory(self.size, len(data))
        storage.memory += data
        self._spool.memory_used += len(data)
        self.size += len(data)
        if stays:
            self._hash.update(data)
            self._hashed += len(data)
        elif not storage.on_disk or self._spool.wants_flush(len(storage.memory)):
            await self._flush()

    async def _flush(self) -> None:
        storage, spool = self._storage, self._spool
        block = bytes(storage.memory)
        spool.reserve_disk(len(block))
        try:
            await storage.in_thread(self._write_and_hash, block, storage.on_disk)
        except (OSError, SpoolError) as error:
            spool.disk_used -= len(block)
            if isinstance(error, OSError):
                reason = error.strerror or str(error)
                raise SpoolError(f"the spool {spool.dir} fails: {reason}") from error
            raise
        except asyncio.CancelledError:
            spool.disk_used -= len(block)
            raise
        storage.on_disk += len(block)
        del storage.memory[: len(block)]
        spool.memory_used -= len(block)

    def _write_and_hash(self, block: bytes, offset: int) -> None:
        self._storage.write_block(block, offset)
        self._hash.update(memoryview(block)[self._hashed - offset :])
        self._hashed = offset + len(block)

    def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """What was written so far, from `offset` on."""
        return self._storage.chunks(offset)

    async def read_at(self, offset: int, size: int) -> bytes:
        """Some of what was written so far."""
        return await self._storage.read_at(offset, size)

    async def finish(self) -> Body:
        """The whole body, held once for the caller; SpoolError as in `write`."""
        storage = self._storage
        if storage.on_disk and storage.memory:
            await self._flush()
        return Body(storage, self.size, self._hash.hexdigest())

    def discard(self) -> None:
        """Let go of a body that is not finished."""
        self._storage.release()


class Body:
    """A whole body: `size` bytes with their `sha256` (lower hex). Each holder calls `release`."""

    def __init__(self, storage: _Storage, size: int, sha256: str) -> None:
        self._storage = storage
        self.size = size
        self.sha256 = sha256

    def retain(self) -> Body:
        """Hold it once more."""
        self._storage.retain()
        return self

    def release(self) -> None:
        """Let go of it."""
        self._storage.release()

    def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """All bytes from `offset` on, in pieces of at most 256 KiB."""
        return self._storage.chunks(offset)

    @property
    def path(self) -> Path | None:
        """The file that holds all of it; None where it is in memory."""
        return self._storage.path

    def open(self) -> BinaryIO:
        """The bytes as a file of their own, to be closed by the caller. Blocks: disk."""
        if self._storage.is_free:
            raise RuntimeError("a body was opened after its last holder let go of it")
        if self._storage.path is not None:
            return self._storage.path.open("rb")
        return io.BytesIO(self._storage.memory)
