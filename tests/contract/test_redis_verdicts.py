"""The redis verdict store alone: a redis that dies, is slow, is full of garbage, or wants proof."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import redis.asyncio as redis_asyncio
import uvloop

from bridge.core.model import OutcomeKind
from bridge.core.verdicts import StoreError, Verdict, breaker, open_store
from bridge.core.verdicts.redis import PREFIX, RedisVerdicts
from bridge.core.verdicts.redis_news import RedisNews
from bridge.core.verdicts.redis_url import connection_arguments
from bridge.core.verdicts.waiters import Waiters
from tests.conftest import need
from tests.support.processes import free_port
from tests.support.redis import RedisServer

A = "a" * 64
LEASE = 60.0
PASSWORD = "planted-#/secret"
QUOTED = "planted-%23%2Fsecret"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(need("redis-server"), tmp_path) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis_py.Redis(port=server.port) as connected:
        yield connected


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(breaker, "_LONGEST_SECONDS", 0.2)


def run(url: str, check: Callable[[RedisVerdicts], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        store = RedisVerdicts(url)
        try:
            async with asyncio.timeout(30):
                await check(store)
        finally:
            await store.close()

    uvloop.run(main())


async def until_it_works(call: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await call()
        except StoreError:
            await asyncio.sleep(0.05)
        else:
            return


def verdict(sha256: str = A, **changes: Any) -> Verdict:
    now = time.time()
    return Verdict(sha256, OutcomeKind.DETECT, now, now + 60, **changes)


def test_what_it_keeps_ends_by_itself(server: RedisServer, client: Any) -> None:
    async def check(store: RedisVerdicts) -> None:
        claim = await store.claim(A, "me", LEASE)
        await store.put(verdict(), claim)
        other = await store.claim("b" * 64, "me", LEASE)
        assert other is not None
        await store.renew(other, LEASE)
        await store.claim("c" * 64, "me", LEASE)

    run(server.url, check)
    keys = client.keys("*")
    assert sorted(key.decode()[: len(PREFIX) + 7] for key in keys) == [
        *(f"{PREFIX}claim:a", f"{PREFIX}claim:b", f"{PREFIX}claim:c", f"{PREFIX}verdict")
    ]
    assert 0 < client.pttl(f"{PREFIX}verdict:{A}") <= 60_000
    assert all(0 < client.pttl(key) <= 3_660_000 for key in keys)


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"{}", b'{"kind":"not_detected"}', b"[1]"])
def test_a_value_that_cannot_be_read_is_no_verdict_and_is_said_once(
    server: RedisServer, client: Any, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def check(store: RedisVerdicts) -> None:
        for name in (A, "b"):
            client.set(f"{PREFIX}verdict:{name}", value)
            assert await store.get(name) is None
        assert await store.put(verdict())
        assert await store.get(A) is not None
        assert caplog.text.count("holds no verdict of katabridge") == 1

    run(server.url, check)


def test_keys_of_another_type_are_absent(server: RedisServer, client: Any) -> None:
    async def check(store: RedisVerdicts) -> None:
        client.rpush(f"{PREFIX}verdict:{A}", "x")
        client.set(f"{PREFIX}claim:{A}", "x")
        assert await store.get(A) is None
        claim = await store.claim(A, "me", LEASE)
        assert claim is not None
        assert await store.put(verdict(), claim)
        assert await store.get(A) is not None

    run(server.url, check)


def test_a_claim_whose_fields_are_garbage_can_be_taken(server: RedisServer, client: Any) -> None:
    async def check(store: RedisVerdicts) -> None:
        client.hset(f"{PREFIX}claim:{A}", mapping={"owner": "you", "token": "x", "ends": "y"})
        claim = await store.claim(A, "me", LEASE)
        assert claim is not None
        assert await store.renew(claim, LEASE)

    run(server.url, check)


def test_a_lease_that_ends_too_far_ahead_counts_as_ended(server: RedisServer, client: Any) -> None:
    async def check(store: RedisVerdicts) -> None:
        mine = await store.claim(A, "me", LEASE)
        assert mine is not None
        client.hset(f"{PREFIX}claim:{A}", "ends", str(int(time.time() * 1000) + 3_600_000))
        yours = await store.claim(A, "you", LEASE)
        assert yours is not None
        assert yours.token > mine.token

    run(server.url, check)


def test_tokens_rise_although_the_clock_was_set_back(server: RedisServer, client: Any) -> None:
    async def check(store: RedisVerdicts) -> None:
        ahead = int(time.time() * 1000) + 3_600_000
        client.hset(f"{PREFIX}claim:{A}", mapping={"owner": "", "token": ahead})
        claim = await store.claim(A, "me", LEASE)
        assert claim is not None
        assert claim.token == ahead + 1

    run(server.url, check)


def test_a_redis_that_dies_costs_a_sentence_and_is_used_again(server: RedisServer) -> None:
    async def check(store: RedisVerdicts) -> None:
        await store.put(verdict())
        server.kill()
        with pytest.raises(StoreError, match=rf"redis://127.0.0.1:{server.port}/0 fails: "):
            await store.get(A)
        await asyncio.to_thread(server.start)
        await until_it_works(lambda: store.get(A))
        assert await store.get(A) is None  # it came up empty
        assert await store.put(verdict())
        assert await store.get(A) is not None

    run(server.url, check)


def test_an_owner_whose_redis_came_up_empty_goes_on(server: RedisServer) -> None:
    async def check(store: RedisVerdicts) -> None:
        first = await store.claim(A, "me", LEASE)
        second = await store.claim("b" * 64, "me", LEASE)
        third = await store.claim("c" * 64, "me", LEASE)
        assert first is not None
        assert second is not None
        assert third is not None
        server.kill()
        await asyncio.to_thread(server.start)
        await until_it_works(lambda: store.get(A))
        assert await store.renew(first, LEASE)
        assert await store.claim(A, "you", LEASE) is None
        assert await store.put(verdict("b" * 64), second)
        yours = await store.claim("c" * 64, "you", LEASE)
        assert yours is not None
        assert yours.token > third.token
        assert not await store.renew(third, LEASE)
        assert not await store.put(verdict("c" * 64), third)

    run(server.url, check)


@pytest.mark.parametrize("act", ["put", "release"])
def test_a_waiter_is_woken_after_a_restart_too(server: RedisServer, act: str) -> None:
    async def check(store: RedisVerdicts) -> None:
        other = RedisVerdicts(server.url)
        async with store.watch(A) as watch:
            await other.claim(A, "owner", LEASE)
            server.kill()
            await watch.wait(3600)  # the connection was lost: there may be news
            assert not store._news.is_listening
            await asyncio.to_thread(server.start)
            while not store._news.is_listening:
                await watch.wait(3600)  # woken by looking again, then by the new subscription
            claim = None
            while claim is None:
                with contextlib.suppress(StoreError):
                    claim = await other.claim(A, "owner", LEASE)
                await asyncio.sleep(0.02)
            waiting = asyncio.create_task(watch.wait(3600))
            await asyncio.sleep(0)
            await (other.put(verdict(), claim) if act == "put" else other.release(claim))
            await waiting
        await other.close()

    run(server.url, check)


def test_who_waits_without_a_redis_looks_again_soon(server: RedisServer) -> None:
    async def check(store: RedisVerdicts) -> None:
        server.kill()
        async with store.watch(A) as watch:
            for _ in range(3):
                await watch.wait(3600)

    run(server.url, check)


def test_a_new_subscription_wakes_for_what_came_before_it(server: RedisServer) -> None:
    async def main() -> None:
        waiters = Waiters(lambda: math.inf)
        client = redis_asyncio.Redis(port=server.port)
        news = RedisNews(client, "news", waiters)
        async with asyncio.timeout(30):
            with waiters.watch(A) as watch:
                await news.listen()
                await watch.wait(3600)
        await news.close()
        await client.aclose()

    uvloop.run(main())


class BlackHole:
    """Takes connections and says nothing."""

    def __init__(self) -> None:
        self.accepted: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.accepted.append(self._listener.accept()[0])

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.accepted:
            connection.close()


@pytest.fixture
def black_hole() -> Iterator[BlackHole]:
    hole = BlackHole()
    yield hole
    hole.close()


def test_nobody_waits_for_a_redis_that_was_just_silent(
    black_hole: BlackHole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "_FIRST_SECONDS", 600.0)
    monkeypatch.setattr(breaker, "_LONGEST_SECONDS", 600.0)

    async def check(store: RedisVerdicts) -> None:
        with pytest.raises(StoreError, match=r"no answer within 1 s|Timeout"):
            await store.get(A)
        before = len(black_hole.accepted)
        for _ in range(100):
            with pytest.raises(StoreError, match="left alone for a moment"):
                await store.claim(A, "me", LEASE)
        assert len(black_hole.accepted) == before == 1

    run(black_hole.url, check)


def test_after_the_pause_one_caller_tries(black_hole: BlackHole) -> None:
    async def check(store: RedisVerdicts) -> None:
        with pytest.raises(StoreError):
            await store.get(A)
        await asyncio.sleep(0.1)  # longer than the first pause
        results = await asyncio.gather(*(store.get(A) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(result, StoreError) for result in results)
        assert len([r for r in results if "left alone" not in str(r)]) == 1
        assert len(black_hole.accepted) == 2

    run(black_hole.url, check)


def test_a_password_opens_it_and_is_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RedisServer(need("redis-server"), tmp_path, PASSWORD) as server:
        good = f"redis://:{QUOTED}@127.0.0.1:{server.port}/0"
        seen: list[BaseException] = []

        async def works(store: RedisVerdicts) -> None:
            assert await store.put(verdict())
            async with store.watch(A) as watch:
                await store.forget(A)
                await watch.wait(3600)
            server.kill()
            with pytest.raises(StoreError) as caught:
                await store.get(A)
            seen.append(caught.value)
            assert PASSWORD not in repr(store)

        async def refused(store: RedisVerdicts) -> None:
            with pytest.raises(StoreError, match="fails: ") as caught:
                await store.get(A)
            seen.append(caught.value)

        run(good, works)
        server.start()
        run(good.replace("secret", "secret-wrong"), refused)
        run(f"redis://127.0.0.1:{server.port}", refused)
        said = caplog.text + "".join("".join(traceback.format_exception(e)) for e in seen)
        assert "secret" not in said
        assert len(seen) == 3


def test_words_of_redis_that_quote_the_password_are_cut() -> None:
    store = RedisVerdicts(f"redis://:{QUOTED}@127.0.0.1:1")
    assert store._words(ValueError(f"unknown command AUTH {PASSWORD}")) == (
        "unknown command AUTH ***"
    )


def test_tls_is_used_and_verified(tmp_path: Path) -> None:
    with RedisServer(need("redis-server"), tmp_path, is_tls=True) as server:

        async def works(store: RedisVerdicts) -> None:
            assert await store.put(verdict())
            async with store.watch(A) as watch:
                await store.forget(A)
                await watch.wait(3600)

        async def refused(store: RedisVerdicts) -> None:
            with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
                await store.put(verdict())

        run(f"{server.url}?ssl_ca_certs={server.certificate}", works)
        run(server.url, refused)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://:planted-/secret@h:1", "cannot be read"),
        ("redis://:planted-secret@h:x", "cannot be read"),
        ("redis://u:planted-secret@h#x", "cannot be read"),
        ("redis://u:planted-secret@", "cannot be read"),
        ("redis://u:planted-secret@h/name", "number of a redis database"),
        ("rediss://u:planted-secret@h?ssl_cert_reqs=none", "'ssl_cert_reqs' is no option"),
        ("rediss://u:planted-secret@h?ssl_check_hostname=false", "is no option"),
        ("redis://u:planted-secret@h?ssl_ca_certs=/x", "needs TLS"),
        ("rediss://u:planted-secret@h?ssl_ca_certs=/no/file", "/no/file does not exist"),
    ],
)
def test_a_bad_url_is_a_sentence_without_its_password(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        open_store(url)
    assert "planted" not in "".join(traceback.format_exception(caught.value))


def test_a_url_in_full() -> None:
    name, is_tls, arguments = connection_arguments(f"redis://kata:{QUOTED}@[::1]:7000/3")
    assert (name, is_tls) == ("redis://[::1]:7000/3", False)
    assert arguments == {
        **{"host": "::1", "port": 7000, "db": 3},
        **{"username": "kata", "password": PASSWORD},
    }
