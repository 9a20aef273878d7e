"""Work that goes on is ended, also where a library lost its cancellation once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from bridge.core import cancelling
from bridge.core.cancelling import end_tasks
from bridge.core.upkeep import Clockwork


async def _lose_one() -> None:
    """As asyncio.wait_for did before Python 3.12."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)


def test_a_task_that_lost_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancelling, "_AGAIN_SECONDS", 0.01)

    async def goes_on() -> None:
        await _lose_one()
        await asyncio.sleep(3600)

    async def main() -> None:
        tasks = [asyncio.create_task(goes_on()) for _ in range(3)]
        await asyncio.sleep(0)
        await end_tasks([*tasks, asyncio.create_task(asyncio.sleep(0))])
        assert all(task.cancelled() for task in tasks)
        await end_tasks(tasks)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_the_clockwork_ends_though_its_work_lost_a_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancelling, "_AGAIN_SECONDS", 0.01)

    async def main() -> None:
        clockwork, begun = Clockwork(), asyncio.Event()

        async def work() -> None:
            if begun.is_set():
                await asyncio.sleep(3600)
            begun.set()
            await _lose_one()

        clockwork.every(0.0, work)
        await begun.wait()
        await clockwork.close()

    asyncio.run(asyncio.wait_for(main(), 30))
