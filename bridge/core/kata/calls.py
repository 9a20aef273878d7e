"""What one call to KATA needs while it is under way: a thread, an end, a body that is counted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO


@dataclass(slots=True)
class Call:
    """One call on its way through a thread. `status`: of the answer, once it is there."""

    name: str
    status: int | None = None
    connection: Any = None  # an HTTP connection with its `sock`
    aborted: threading.Event = field(default_factory=threading.Event)

    def abort(self) -> None:
        """End the call from outside: its thread gets an error from the socket."""
        self.aborted.set()
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                # not SSLSocket.shutdown: that would take the TLS state from under the thread
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Upload:
    """A file for the multipart encoder that makes the md5 on the way and minds the deadline."""

    def __init__(self, file: BinaryIO, size: int, call: Call) -> None:
        self._file = file
        self._call = call
        self.len = size
        self.md5 = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        if self._call.aborted.is_set():
            raise TimeoutError("the upload took too long")
        data = self._file.read(size)
        self.len -= len(data)
        self.md5.update(data)
        return data


class Lane:
    """Threads for one kind of call; `free` has a place for each, so that no call queues unseen."""

    def __init__(self, name: str, threads: int) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=f"kata-{name}")
        self.free = asyncio.Semaphore(threads)
