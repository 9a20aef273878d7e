"""The subscription to a redis verdict store ends when it is told to."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from redis.asyncio import Redis

from bridge.core.verdicts.redis_news import RedisNews
from bridge.core.verdicts.waiters import Waiters


class LosesACancel:
    """A driver that goes on after the first cancel, as asyncio.wait_for of Python 3.11 may."""

    def __init__(self) -> None:
        self.lost = 0
        self._subscribed = False

    def pubsub(self) -> LosesACancel:
        return self

    async def subscribe(self, _: str) -> None:
        self._subscribed = True

    async def get_message(self, *, timeout: float) -> dict[str, Any]:  # noqa: ASYNC109 - the driver's
        if self._subscribed:
            self._subscribed = False
            return {"type": "subscribe"}
        try:
            await asyncio.sleep(timeout)
        except asyncio.CancelledError:
            if self.lost:
                raise
            self.lost += 1
        return {"type": "pong"}

    async def ping(self) -> None:
        """Answered by get_message."""

    async def aclose(self) -> None:
        """Nothing to close."""


def test_it_ends_though_the_driver_loses_a_cancel() -> None:
    driver = LosesACancel()

    async def main() -> None:
        news = RedisNews(cast("Redis", driver), "news", Waiters(lambda: 1.0))
        await news.listen()
        assert news.is_listening
        async with asyncio.timeout(20) as limit:
            await news.close()
        assert not limit.expired()
        assert not news.is_listening
        await news.close()  # once more does no harm

    asyncio.run(main())
    assert driver.lost == 1
