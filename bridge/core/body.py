"""One body: while it comes in, and when it is whole. The spool has its limits."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from bridge.core.pieces import Pieces
from bridge.core.reflink import clone

if TYPE_CHECKING:
    from bridge.core.spool import Spool

BLOCK = 256 * 1024
_MOST_PARTS = 512  # of one write; Linux takes 1024

T = TypeVar("T")


class SpoolError(Exception):
    """A body cannot be kept: the spool is full or its disk fails. The text is one sentence."""


class Storage:
    """The bytes of one body: the first `on_disk` in a file, the rest in `memory`.

    Freed when the last holder lets go, and never under a thread that still uses the file.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.memory = Pieces()
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
        self.spool.memory_used -= self.memory.size
        self.spool.disk_used -= self.on_disk
        self.memory.clear()
        self.on_disk = 0
        if self.path is not None:
            os.close(self.fd)
            self.path.unlink(missing_ok=True)

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Run file work in a thread that holds this body even if the caller is cancelled."""
        self.retain()
        future = self.spool.in_thread(function, *arguments)
        future.add_done_callback(lambda _: self.release())
        return await asyncio.shield(future)

    def write_parts(self, parts: Sequence[bytes | bytearray], offset: int) -> None:
        """Write at the end of the file, made when it is needed. Blocks: disk."""
        self.spool.check_free()
        if self.path is None:
            self._make_file()
        views = [memoryview(part) for part in parts]
        try:
            while views:
                written = os.pwritev(self.fd, views[:_MOST_PARTS], offset)
                offset += written
                while views and written >= len(views[0]):
                    written -= len(views.pop(0))
                if written:
                    views[0] = views[0][written:]
        finally:
            views.clear()  # an error that lives on holds them, and they the parts

    def _make_file(self) -> None:
        path = self.spool.dir / secrets.token_hex(8)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.path = path

    def take_clone(self, source: int, size: int) -> bool:
        """Become a clone of an open file of that size; False where there is none. Blocks: disk."""
        self.spool.check_free()
        self._make_file()
        if clone(source, self.fd) and os.fstat(self.fd).st_size == size:
            return True
        os.close(self.fd)
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.path, self.fd = None, -1
        return False

    async def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on: fewer where a piece ends, none at the end."""
        if offset < self.on_disk:
            length = min(size, self.on_disk - offset)
            return await self.in_thread(os.pread, self.fd, length, offset)
        return self.memory.read_at(offset - self.on_disk, size)

    async def chunks(self, offset: int) -> AsyncIterator[bytes]:
        """All bytes from `offset` on, in pieces of at most 256 KiB."""
        while piece := await self.read_at(offset, BLOCK):
            yield piece
            offset += len(piece)


class BodyWriter:
    """Takes a body as it arrives and hashes it on the way.

    Either `finish` or `discard` must be called in the end.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._storage = Storage(spool)
        self._hash = hashlib.sha256()
        self._hashed = 0
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Add bytes. After a SpoolError all bytes given so far stay readable, but no more fit."""
        storage = self._storage
        stays = not storage.on_disk and self._spool.takes_memory(self.size, len(data))
        storage.memory.add(data)
        self._spool.memory_used += len(data)
        self.size += len(data)
        if stays:
            self._hash.update(data)
            self._hashed += len(data)
        elif not storage.on_disk or self._spool.wants_flush(storage.memory.size):
            await self._flush()

    async def _flush(self) -> None:
        storage, spool = self._storage, self._spool
        parts, size = storage.memory.parts, storage.memory.size
        spool.reserve_disk(size)
        try:
            await storage.in_thread(self._write_and_hash, parts, storage.on_disk)
        except (OSError, SpoolError) as error:
            spool.disk_used -= size
            if isinstance(error, OSError):
                reason = error.strerror or str(error)
                raise SpoolError(f"the spool {spool.dir} fails: {reason}") from error
            raise
        except asyncio.CancelledError:
            spool.disk_used -= size
            raise
        storage.on_disk += size
        storage.memory.clear()
        spool.memory_used -= size

    def _write_and_hash(self, parts: Sequence[bytes | bytearray], offset: int) -> None:
        self._storage.write_parts(parts, offset)
        for part in parts:
            new = max(self._hashed - offset, 0)  # what stayed in memory at first is hashed already
            if new < len(part):
                self._hash.update(memoryview(part)[new:])
            offset += len(part)
        self._hashed = offset

    def is_beside(self, source: int) -> bool:
        """Whether an open file (descriptor) lies on the spool's disk: only then it can be cloned.

        Blocks: the disk of that file. So it is for a thread of whoever has it, not of the spool's.
        """
        return os.fstat(source).st_dev == self._spool.device

    async def clone(self, source: int, size: int) -> bool:
        """Make an empty body a clone of an open file that `is_beside`, of that size in bytes.

        False: the disk of the spool cannot do it, and the body is still empty. SpoolError.
        """
        storage, spool = self._storage, self._spool
        spool.reserve_disk(size)
        try:
            cloned = await storage.in_thread(self._clone_and_hash, source, size)
        except OSError as error:
            spool.disk_used -= size
            raise SpoolError(f"the spool {spool.dir} fails: {error.strerror}") from error
        except BaseException:
            spool.disk_used -= size
            raise
        if cloned:
            storage.on_disk = self.size = self._hashed = size
        else:
            spool.disk_used -= size
        return cloned

    def _clone_and_hash(self, source: int, size: int) -> bool:
        if not self._storage.take_clone(source, size):
            return False
        offset = 0
        while block := os.pread(self._storage.fd, BLOCK, offset):
            self._hash.update(block)
            offset += len(block)
        return True

    def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """What was written so far, from `offset` on."""
        return self._storage.chunks(offset)

    async def read_at(self, offset: int, size: int) -> bytes:
        """Some of what was written so far."""
        return await self._storage.read_at(offset, size)

    async def finish(self) -> Body:
        """The whole body, held once for the caller; SpoolError as in `write`."""
        storage = self._storage
        if storage.on_disk and storage.memory.size:
            await self._flush()
        return Body(storage, self.size, self._hash.hexdigest())

    def discard(self) -> None:
        """Let go of a body that is not finished."""
        self._storage.release()


class Body:
    """A whole body: `size` bytes with their `sha256` (lower hex). Each holder calls `release`."""

    def __init__(self, storage: Storage, size: int, sha256: str) -> None:
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
        return io.BytesIO(self._storage.memory.joined())
