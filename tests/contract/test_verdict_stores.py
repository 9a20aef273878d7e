"""One contract for every verdict store: verdicts, claims, fencing, news."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import uvloop

from bridge.core.model import OutcomeKind
from bridge.core.verdicts import MemoryVerdicts, StoreError, Verdict, VerdictStore, open_store
from tests.conftest import need
from tests.support.redis import RedisServer

A, B = "a" * 64, "b" * 64
LEASE = 60.0
HANG = 30.0

Open = Callable[[], VerdictStore]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(need("redis-server"), tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_one(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the test's store, each time as another process would."""
    if kind == "memory":
        shared = MemoryVerdicts()
        return lambda: shared
    if kind == "sqlite":
        return lambda: open_store(f"sqlite://{tmp_path}/verdicts.db")
    server: RedisServer = request.getfixturevalue("redis_server")
    with redis.Redis(port=server.port) as client:
        client.flushall()
    return lambda: open_store(server.url)


@asynccontextmanager
async def opened(open_one: Open) -> AsyncIterator[tuple[VerdictStore, VerdictStore]]:
    first, second = open_one(), open_one()
    try:
        yield first, second
    finally:
        await first.close()
        await second.close()


def run(check: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(HANG):
            await check

    uvloop.run(bounded())


def on_two(open_one: Open, check: Callable[..., Coroutine[Any, Any, None]]) -> None:
    """Run the check with two objects that share one store."""

    async def main() -> None:
        async with opened(open_one) as stores:
            await check(*stores)

    run(main())


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    while not await condition():
        await asyncio.sleep(0.02)


def verdict(sha256: str = A, **changes: Any) -> Verdict:
    now = changes.pop("now", time.time())
    made = Verdict(sha256, OutcomeKind.DETECT, now, now + 60, "T", "sb", "s", "m")
    return dataclasses.replace(made, **changes)


def test_a_verdict_comes_back_whole_to_others(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        kept = verdict(threat='Т"\n\x00', rule="r")
        assert await store.put(kept)
        assert await other.get(A) == kept
        bare = Verdict(B, OutcomeKind.NOT_DETECTED, kept.time, kept.expires)
        assert await other.put(bare)
        assert await store.get(B) == bare
        assert await store.get("c" * 64) is None

    on_two(open_one, check)


def test_what_is_forgotten_is_gone_for_all(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        await store.put(verdict())
        assert await other.forget(A)
        assert await store.get(A) is None
        assert not await store.forget(A)

    on_two(open_one, check)


def test_each_verdict_has_its_own_life(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        now = time.time()
        await store.put(verdict(A, expires=now + 100))
        await store.put(verdict(B, expires=now + 1000))
        monkeypatch.setattr(time, "time", lambda: now + 101)
        assert await other.get(A) is None
        assert await other.get(B) is not None

    on_two(open_one, check)


def test_a_verdict_ends_while_the_store_runs(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        await store.put(verdict(expires=time.time() + 0.3))

        async def gone() -> bool:
            return await other.get(A) is None

        await until(gone)

    on_two(open_one, check)


def test_a_later_verdict_replaces_and_an_older_one_does_not(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        now = time.time()
        later = verdict(now=now + 1, threat="later")
        assert await store.put(verdict(now=now))
        assert await other.put(later)
        assert not await store.put(verdict(now=now))
        assert await store.get(A) == later

    on_two(open_one, check)


def test_an_ended_verdict_keeps_nothing_out(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        now = time.time()
        await store.put(verdict(now=now + 50, expires=now - 1))
        assert await other.put(verdict(now=now))
        assert await store.get(A) is not None

    on_two(open_one, check)


def test_a_persons_word_stands(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        now = time.time()
        said = verdict(now=now, kind=OutcomeKind.NOT_DETECTED, rule="allowed by hand")
        await store.put(verdict(now=now + 5))
        assert await store.put(said)
        assert not await other.put(verdict(now=now + 10))
        assert await other.get(A) == said
        assert await other.put(dataclasses.replace(said, time=now + 1))

    on_two(open_one, check)


def test_a_verdict_from_the_future_is_none_and_keeps_nothing_out(
    open_one: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        now = time.time()
        await store.put(verdict(now=now, expires=now + 7200))
        monkeypatch.setattr(time, "time", lambda: now - 3600)
        assert await other.get(A) is None
        assert await other.put(verdict(now=now - 3600))
        assert await store.get(A) is not None

    on_two(open_one, check)


def test_one_claim_at_a_time(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        mine = await store.claim(A, "me", LEASE)
        assert mine is not None
        assert (mine.sha256, mine.owner) == (A, "me")
        assert mine.token > 0
        assert await other.claim(A, "you", LEASE) is None
        assert await other.claim(B, "you", LEASE) is not None

    on_two(open_one, check)


def test_fifty_at_once_have_one_winner(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        claims = await asyncio.gather(
            *((store if n % 2 else other).claim(A, f"n{n}", LEASE) for n in range(50))
        )
        assert len([claim for claim in claims if claim]) == 1

    on_two(open_one, check)


def test_the_same_owner_gets_it_anew_and_its_former_life_is_fenced(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        before = await store.claim(A, "me", LEASE)
        again = await other.claim(A, "me", LEASE)
        assert before is not None
        assert again is not None
        assert again.token > before.token
        assert not await store.renew(before, LEASE)
        assert not await store.put(verdict(), before)
        await store.release(before)
        assert await store.get(A) is None
        assert await store.claim(A, "you", LEASE) is None
        assert await other.renew(again, LEASE)

    on_two(open_one, check)


def test_a_released_claim_is_free_and_of_no_use_to_its_owner(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        mine = await store.claim(A, "me", LEASE)
        assert mine is not None
        await store.release(mine)
        assert not await store.renew(mine, LEASE)
        assert not await store.put(verdict(), mine)
        assert await other.get(A) is None
        yours = await other.claim(A, "you", LEASE)
        assert yours is not None
        assert yours.token > mine.token

    on_two(open_one, check)


def test_an_ended_lease_can_be_taken_and_fences_the_old_owner(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        mine = await store.claim(A, "me", 0.1)
        assert mine is not None
        yours = None
        while yours is None:
            yours = await other.claim(A, "you", LEASE)
            await asyncio.sleep(0.02)
        assert yours.token > mine.token
        assert not await store.renew(mine, LEASE)
        assert not await store.put(verdict(), mine)
        assert await store.get(A) is None
        await store.release(mine)
        assert await store.claim(A, "third", LEASE) is None
        assert await other.put(verdict(), yours)
        assert await store.get(A) is not None

    on_two(open_one, check)


def test_an_ended_lease_that_nobody_took_is_still_its_owners(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        mine = await store.claim(A, "me", 0.05)
        assert mine is not None
        await asyncio.sleep(0.1)
        assert await store.renew(mine, LEASE)
        assert await other.claim(A, "you", LEASE) is None
        assert await store.put(verdict(), mine)

    on_two(open_one, check)


def test_renewing_lengthens(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        mine = await store.claim(A, "me", 0.5)
        assert mine is not None
        assert await store.renew(mine, LEASE)
        await asyncio.sleep(0.7)  # past the first lease
        assert await other.claim(A, "you", LEASE) is None

    on_two(open_one, check)


def test_a_verdict_ends_the_claim_whosever_it_is(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        mine = await store.claim(A, "me", LEASE)
        assert mine is not None
        assert await other.put(verdict(rule="allowed by hand"))
        assert not await store.renew(mine, LEASE)
        assert not await store.put(verdict(now=time.time() + 1), mine)
        assert await other.claim(A, "you", LEASE) is not None

    on_two(open_one, check)


Act = Callable[[VerdictStore], Awaitable[object]]


async def _put(store: VerdictStore) -> None:
    await store.put(verdict())


async def _release(store: VerdictStore) -> None:
    claim = await store.claim(A, "owner", LEASE)  # the same owner: any object may give it back
    assert claim is not None
    await store.release(claim)


async def _forget(store: VerdictStore) -> None:
    await store.forget(A)


@pytest.mark.parametrize("act", [_put, _release, _forget])
def test_news_from_elsewhere_wake_a_waiter(open_one: Open, act: Act) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        await other.claim(A, "owner", LEASE)
        async with store.watch(A) as watch:
            waiting = asyncio.create_task(watch.wait(3600))
            await asyncio.sleep(0)
            await act(other)
            await waiting

    on_two(open_one, check)


@pytest.mark.parametrize("act", [_put, _release, _forget])
def test_nothing_is_missed_between_entry_and_wait(open_one: Open, act: Act) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        await other.claim(A, "owner", LEASE)
        async with store.watch(A) as watch:
            await act(other)
            await watch.wait(3600)

    on_two(open_one, check)


def test_old_news_wake_once(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        async with store.watch(A) as watch:
            await other.put(verdict())
            await watch.wait(3600)
            waiting = asyncio.create_task(watch.wait(3600))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await store.put(verdict())
            await waiting

    on_two(open_one, check)


def test_a_wait_ends_without_news(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        async with store.watch(A) as watch:
            await watch.wait(0.1)

    on_two(open_one, check)


@pytest.mark.parametrize("kind", ["memory", "redis"])  # sqlite looks again anyway
def test_news_of_other_bytes_wake_nobody(open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        async with store.watch(A) as watch, other.watch(B) as theirs:
            waiting = asyncio.create_task(watch.wait(3600))
            await asyncio.sleep(0)
            await other.put(verdict(B))
            await theirs.wait(3600)
            await store.put(verdict(B, now=time.time() + 1))
            await theirs.wait(3600)
            assert not waiting.done()
            await _put(other)
            await waiting

    on_two(open_one, check)


def test_a_closed_store_says_so_and_closes_twice(kind: str, open_one: Open) -> None:
    async def check(store: VerdictStore, other: VerdictStore) -> None:
        await store.put(verdict())
        await store.close()
        await store.close()
        if kind == "memory":  # shared by all who use it
            assert await other.get(A) is not None
            return
        with pytest.raises(StoreError, match="is closed"):
            await store.get(A)

    on_two(open_one, check)


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite://relative.db", "file:///x", "memory"])
def test_any_other_url_is_a_sentence(url: str) -> None:
    with pytest.raises(StoreError, match="must begin with sqlite:///"):
        open_store(url)
