"""One answer for all who ask at the same time: many readers cost as much as one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

_FRESH_SECONDS = 0.5


class Shared:
    """Remembers what `make` made for half a second; who asks while it is made waits for it."""

    def __init__(self, make: Callable[[], Awaitable[bytes]]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self._made = b""
        self._at = float("-inf")

    async def get(self) -> bytes:
        """The answer."""
        async with self._lock:
            if time.monotonic() - self._at >= _FRESH_SECONDS:
                self._made = await self._make()
                self._at = time.monotonic()
            return self._made
