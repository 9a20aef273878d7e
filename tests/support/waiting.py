"""Waiting on the loop for what tells nobody when it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_SECONDS = 60.0  # a busy machine is no fault


async def until(condition: Callable[[], object], seconds: float = _SECONDS) -> None:
    """Wait for a condition; TimeoutError where it does not come true within `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
