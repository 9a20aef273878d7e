"""Hears what other processes changed in a redis verdict store: one subscription for all waiters."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bridge.core.cancelling import end_tasks
from bridge.core.verdicts.waiters import Waiters

_REPLY_SECONDS = 1.0
_PING_SECONDS = 5.0  # of silence, after which a dead connection would be noticed
_RETRY_SECONDS = 1.0


class RedisNews:
    """Wakes `waiters` with each message of the channel (a sha256); starts with the first watch."""

    def __init__(self, redis: Redis, channel: str, waiters: Waiters) -> None:
        """The channel's messages are hashes."""
        self._redis = redis
        self._channel = channel
        self._waiters = waiters
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self.is_listening = False

    async def listen(self) -> None:
        """Return when it listens, or when its first try to do so has failed (about 1 s)."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="verdict-news")
        await self._tried.wait()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            await end_tasks([self._task])

    async def _run(self) -> None:
        while True:
            try:
                with contextlib.suppress(RedisError, OSError, TimeoutError):
                    await self._subscribed()
            finally:
                self.is_listening = False
                self._tried.set()
                self._waiters.wake_all()  # they wait shorter now
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.3, 1.0))  # noqa: S311

    async def _subscribed(self) -> None:
        """Subscribe and hand on messages until the connection fails."""
        pubsub: Any = self._redis.pubsub()
        try:
            async with asyncio.timeout(_REPLY_SECONDS):
                await pubsub.subscribe(self._channel)
                while (await self._next(pubsub, _REPLY_SECONDS)).get("type") != "subscribe":
                    pass
            self.is_listening = True
            self._tried.set()
            self._waiters.wake_all()  # of what came before the subscription
            while True:
                await self._hand_on(pubsub)
        finally:
            await pubsub.aclose()

    async def _hand_on(self, pubsub: Any) -> None:
        message = await self._next(pubsub, _PING_SECONDS)
        if not message:
            await pubsub.ping()
            message = await self._next(pubsub, _REPLY_SECONDS)
        if not message:
            raise TimeoutError
        if message["type"] == "message":
            self._waiters.wake(message["data"].decode(errors="replace"))

    async def _next(self, pubsub: Any, seconds: float) -> dict[str, Any]:
        """The next message; empty where none came in `seconds`."""
        async with asyncio.timeout(seconds + _REPLY_SECONDS):
            return await pubsub.get_message(timeout=seconds) or {}
