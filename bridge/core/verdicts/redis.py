"""The shared verdict store: one redis, used by many nodes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bridge.core.verdicts import scripts
from bridge.core.verdicts.breaker import Breaker
from bridge.core.verdicts.codec import from_json, to_json
from bridge.core.verdicts.leases import LEASE_SLACK, TOKEN_SECONDS
from bridge.core.verdicts.redis_news import RedisNews
from bridge.core.verdicts.redis_url import connection_arguments
from bridge.core.verdicts.store import CLOCK_SLACK, Claim, StoreError, Verdict, Watch
from bridge.core.verdicts.waiters import Waiters

_log = logging.getLogger(__name__)
PREFIX = "katabridge:1:"  # the number is the version of what lies behind it
_CALL_SECONDS = 1.0
_CONNECTIONS = 16
_LOOK_AGAIN = 0.5  # seconds: while nothing tells of what others changed


class RedisVerdicts:
    """A VerdictStore in redis (one server, or what stands in for it; not a cluster).

    No call takes longer than about a second, and after a failed one all fail at once for a while.
    Leases are told by the clock of redis. Verdicts and claims carry an expiry; that there are not
    too many is up to redis' `maxmemory` with `volatile-ttl`: what ends first goes first.
    """

    def __init__(self, url: str) -> None:
        """`url`: see `redis_url`; StoreError where it cannot be read. Connects when first used."""
        self._name, is_tls, arguments = connection_arguments(url)
        pool = BlockingConnectionPool(
            connection_class=SSLConnection if is_tls else Connection,
            max_connections=_CONNECTIONS,
            timeout=_CALL_SECONDS,
            socket_timeout=_CALL_SECONDS,
            socket_connect_timeout=_CALL_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **arguments,
        )
        self._password = arguments.get("password", "")
        self._redis = Redis.from_pool(pool)
        self._claim = self._redis.register_script(scripts.CLAIM)
        self._renew = self._redis.register_script(scripts.RENEW)
        self._release = self._redis.register_script(scripts.RELEASE)
        self._put = self._redis.register_script(scripts.PUT)
        self._forget = self._redis.register_script(scripts.FORGET)
        self._breaker = Breaker(f"the verdict store {self._name}")
        self._waiters = Waiters(self._longest_wait)
        self._news = RedisNews(self._redis, f"{PREFIX}news", self._waiters)
        self._said_unreadable = False
        self._closed = False

    async def get(self, sha256: str) -> Verdict | None:
        """See VerdictStore."""
        # MGET, unlike GET, calls a key of another type absent.
        (value,) = await self._run(self._redis.mget, _verdict_key(sha256))
        if value is None:
            return None
        verdict = from_json(sha256, value)
        if verdict is None:
            self._say_unreadable(_verdict_key(sha256))
            return None
        return verdict if verdict.is_valid(time.time()) else None

    async def put(self, verdict: Verdict, claim: Claim | None = None) -> bool:
        """See VerdictStore."""
        now = time.time()
        arguments = [
            to_json(verdict),
            max(1, math.ceil((verdict.expires - now) * 1000)),
            repr(verdict.time),
            int(verdict.rule is not None),
            repr(now),
            CLOCK_SLACK,
            f"{PREFIX}news",
            verdict.sha256,
            claim.owner if claim else "",
            claim.token if claim else "",
        ]
        kept = await self._run(self._put, _keys(verdict.sha256), arguments)
        return bool(kept)

    async def forget(self, sha256: str) -> bool:
        """See VerdictStore."""
        there = await self._run(self._forget, _keys(sha256), [f"{PREFIX}news", sha256])
        return bool(there)

    async def claim(self, sha256: str, owner: str, seconds: float) -> Claim | None:
        """See VerdictStore."""
        arguments = [owner, _ms(seconds), _ms(LEASE_SLACK), _ms(TOKEN_SECONDS)]
        token = await self._run(self._claim, _keys(sha256), arguments)
        return None if token is None else Claim(sha256, owner, int(token))

    async def renew(self, claim: Claim, seconds: float) -> bool:
        """See VerdictStore."""
        arguments = [claim.owner, claim.token, _ms(seconds), _ms(TOKEN_SECONDS)]
        return bool(await self._run(self._renew, _keys(claim.sha256), arguments))

    async def release(self, claim: Claim) -> None:
        """See VerdictStore."""
        arguments = [claim.owner, claim.token, f"{PREFIX}news", claim.sha256]
        await self._run(self._release, _keys(claim.sha256), arguments)

    @contextlib.asynccontextmanager
    async def watch(self, sha256: str) -> AsyncIterator[Watch]:
        """See VerdictStore. While redis tells nothing, `wait` returns after 0.5 s at most."""
        await self._news.listen()
        with self._waiters.watch(sha256) as watch:
            yield watch

    def _longest_wait(self) -> float:
        return math.inf if self._news.is_listening else _LOOK_AGAIN

    async def close(self) -> None:
        """See VerdictStore."""
        self._closed = True
        await self._news.close()
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_CALL_SECONDS):
                await self._redis.aclose()

    async def _run(self, call: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
        if self._closed:
            raise StoreError(f"the verdict store {self._name} is closed")
        self._breaker.check()
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                result = await call(*arguments)
        except (RedisConnectionError, RedisTimeoutError, TimeoutError, OSError) as error:
            reason = self._words(error) or f"no answer within {_CALL_SECONDS:.0f} s"
            self._breaker.failed(reason)
            raise StoreError(f"the verdict store {self._name} fails: {reason}") from None
        except (RedisError, ValueError) as error:
            raise StoreError(
                f"the verdict store {self._name} refuses: {self._words(error)}"
            ) from None
        self._breaker.worked()
        return result

    def _words(self, error: Exception) -> str:
        """The text of an error; redis may quote what it was sent."""
        text = str(error).removesuffix(".")
        return text.replace(self._password, "***") if self._password else text

    def _say_unreadable(self, key: str) -> None:
        if not self._said_unreadable:
            _log.warning(
                "%s: %s holds no verdict of katabridge; it counts as unknown, and so will others "
                "like it without another word",
                self._name,
                key,
            )
        self._said_unreadable = True


def _verdict_key(sha256: str) -> str:
    return f"{PREFIX}verdict:{sha256}"


def _keys(sha256: str) -> list[str]:
    return [_verdict_key(sha256), f"{PREFIX}claim:{sha256}"]


def _ms(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
