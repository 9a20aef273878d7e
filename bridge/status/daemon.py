"""The daemon that this process answers for: asked over a socket for what it knows of itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Any

from prometheus_client.metrics_core import Metric

from bridge.core import from_plain

_LARGEST = 64 << 20
_WAIT = 2.0


class Report:
    """What a daemon told: all figures, and facts of each process. `answers`: which question."""

    def __init__(self, line: bytes) -> None:
        message = json.loads(line)
        self.answers: int = message["answers"]
        self.facts: list[dict[str, Any]] = message["facts"]
        self.families: list[Metric] = from_plain(message["figures"])


class Daemon:
    """Asks, and remembers the last answer. `ended` is set when the daemon is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writer: asyncio.StreamWriter
        self._listening: asyncio.Task[None]
        self._news = asyncio.Condition()
        self._questions = 0
        self.last: Report | None = None
        self.ended = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen to it."""
        reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=_LARGEST)
        self._listening = asyncio.create_task(self._listen(reader), name="daemon")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                async with self._news:
                    self.last = Report(line)
                    self._news.notify_all()
        self.ended.set()

    async def report(self) -> Report | None:
        """What it knows now; None where it does not answer within two seconds."""
        self._questions += 1
        mine = self._questions
        async with self._news:
            with contextlib.suppress(OSError):
                self._writer.write(b"?")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait_for(lambda: self._answers(mine)), _WAIT)
        return self.last if self._answers(mine) else None

    def _answers(self, question: int) -> bool:
        """Whether the last answer was given after that question was asked."""
        return self.last is not None and self.last.answers >= question

    async def close(self) -> None:
        """Let go of it."""
        self._listening.cancel()
        self._writer.close()
