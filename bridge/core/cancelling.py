"""Ends tasks, whatever becomes of a cancellation on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_SECONDS = 1.0


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended; nobody is told what they raised.

    A library may lose a cancellation: `asyncio.wait_for` before Python 3.12 does where what it
    waits for is done at the same moment (bpo-42130), and the driver of redis uses it.
    """
    several = list(tasks)
    left = {task for task in several if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
    await asyncio.gather(*several, return_exceptions=True)
