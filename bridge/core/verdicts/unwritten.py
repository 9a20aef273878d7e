"""Verdicts that wait for their store to work again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from bridge.core.cancelling import end_tasks
from bridge.core.verdicts.store import StoreError, Verdict

_SIZE = 10_000
_RETRY_SECONDS = 1.0


class Unwritten:
    """Keeps the newest verdict of each content and writes them when that works again."""

    def __init__(self, write: Callable[[Verdict], Awaitable[object]], size: int = _SIZE) -> None:
        """`write`: puts a verdict, StoreError while it cannot; `size`: the oldest go beyond it."""
        self._write = write
        self._size = size
        self._verdicts: OrderedDict[str, Verdict] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def get(self, sha256: str) -> Verdict | None:
        """What waits for these bytes."""
        return self._verdicts.get(sha256)

    def add(self, verdict: Verdict) -> None:
        """Write it as soon as possible."""
        self._verdicts[verdict.sha256] = verdict
        self._verdicts.move_to_end(verdict.sha256)
        if len(self._verdicts) > self._size:
            self._verdicts.popitem(last=False)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_later(), name="unwritten-verdicts")

    def drop(self, sha256: str) -> None:
        """It need not be written any more."""
        self._verdicts.pop(sha256, None)

    async def close(self) -> None:
        """Write what can be written, each once; StoreError where the store still fails."""
        if self._task is not None:
            await end_tasks([self._task])
        await self._write_all()

    async def _write_later(self) -> None:
        while self._verdicts:
            await asyncio.sleep(_RETRY_SECONDS)
            with contextlib.suppress(StoreError):
                await self._write_all()

    async def _write_all(self) -> None:
        while self._verdicts:
            sha256, verdict = next(iter(self._verdicts.items()))
            if verdict.is_valid(time.time()):
                await self._write(verdict)
            if self._verdicts.get(sha256) is verdict:  # no newer one came meanwhile
                del self._verdicts[sha256]
