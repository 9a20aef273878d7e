"""The front of a verdict store: quick, not wrong for long, undisturbed by a store that fails."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from bridge.core.model import Outcome, OutcomeKind, Source
from bridge.core.verdicts import Claim, MemoryVerdicts, StoreError, Verdict, VerdictFront, admin
from bridge.core.verdicts import unwritten as unwritten_module
from bridge.core.verdicts.codec import from_json, to_json

KEEP = {OutcomeKind.NOT_DETECTED: 3600.0, OutcomeKind.DETECT: 7200.0}
CLEAN = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA, scan_id="s", md5="m")
BAD = Outcome(OutcomeKind.DETECT, Source.KATA, threat="T", technology="sb")
A = "a" * 64
HANG = 30.0


class Flaky(MemoryVerdicts):
    """A store that fails while it is told to."""

    fails_to_read = False
    fails_to_write = False

    async def get(self, sha256: str) -> Verdict | None:
        self._check(self.fails_to_read)
        return await super().get(sha256)

    async def put(self, verdict: Verdict, claim: Claim | None = None) -> bool:
        self._check(self.fails_to_write)
        return await super().put(verdict, claim)

    async def claim(self, sha256: str, owner: str, seconds: float) -> Claim | None:
        self._check(self.fails_to_write)
        return await super().claim(sha256, owner, seconds)

    async def renew(self, claim: Claim, seconds: float) -> bool:
        self._check(self.fails_to_write)
        return await super().renew(claim, seconds)

    async def release(self, claim: Claim) -> None:
        self._check(self.fails_to_write)
        await super().release(claim)

    async def forget(self, sha256: str) -> bool:
        self._check(self.fails_to_write)
        return await super().forget(sha256)

    def _check(self, fails: bool) -> None:
        if fails:
            raise StoreError("the store is away")

    def breaks(self, broken: bool = True) -> None:
        self.fails_to_read = self.fails_to_write = broken


def run(check: Callable[[Flaky], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(HANG):
            await check(Flaky())

    asyncio.run(main())


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    while not await condition():
        await asyncio.sleep(0.01)


@pytest.fixture
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwritten_module, "_RETRY_SECONDS", 0.01)


def front(store: MemoryVerdicts, size: int = 10) -> VerdictFront:
    return VerdictFront(store, KEEP, size)


def test_the_front_answers_from_memory_and_says_that_it_knows() -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        assert known.peek("a") is None
        await known.put("a", CLEAN)
        outcome = known.peek("a")
        assert outcome is not None
        assert outcome == Outcome(OutcomeKind.NOT_DETECTED, Source.KNOWN, scan_id="s", md5="m")
        assert await front(store).get("a") == outcome

    run(check)


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind not in KEEP])
def test_what_is_no_verdict_is_never_kept(kind: OutcomeKind) -> None:
    async def check(store: Flaky) -> None:
        with pytest.raises(ValueError, match="no verdict"):
            await front(store).put("a", Outcome(kind, Source.KATA))

    run(check)


def test_each_kind_has_its_own_life(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        await known.put("clean", CLEAN)
        await known.put("bad", BAD)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3601)
        assert known.peek("clean") is None
        assert known.peek("bad") is not None
        assert await known.get("clean") is None
        monkeypatch.setattr(time, "time", lambda: now + 7201)
        assert await known.get("bad") is None

    run(check)


def test_memory_is_bounded_and_the_store_behind_still_knows() -> None:
    async def check(store: Flaky) -> None:
        known = front(store, size=2)
        for name in ("a", "b", "c"):
            await known.put(name, CLEAN)
        assert known.peek("a") is None
        assert await known.get("a") is not None

    run(check)


def test_only_kata_itself_makes_a_verdict() -> None:
    async def check(store: Flaky) -> None:
        for source in (Source.KNOWN, Source.RULE):
            with pytest.raises(ValueError, match="no verdict to keep"):
                await front(store).put("a", dataclasses.replace(CLEAN, source=source))

    run(check)


def test_what_is_changed_elsewhere_is_seen_once_trust_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(store: Flaky) -> None:
        known = VerdictFront(store, KEEP, trust=1)
        await known.put(A, BAD)
        await admin.allow(store, A, 60)
        now = time.monotonic()
        assert known.peek(A) is not None
        monkeypatch.setattr(time, "monotonic", lambda: now + 1.1)
        assert known.peek(A) is None
        outcome = await known.get(A)
        assert outcome is not None
        assert (outcome.kind, outcome.rule) == (OutcomeKind.NOT_DETECTED, admin.BY_HAND)
        await admin.forget(store, A)
        monkeypatch.setattr(time, "monotonic", lambda: now + 2.2)
        assert await known.get(A) is None
        assert known.peek(A) is None

    run(check)


class Slow(MemoryVerdicts):
    """A store that answers when it is let, and counts who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.let = asyncio.Event()

    async def get(self, sha256: str) -> Verdict | None:
        self.asked += 1
        found = await super().get(sha256)
        await self.let.wait()
        return found


def test_many_who_ask_at_once_are_one_look() -> None:
    async def main() -> None:
        store = Slow()
        await VerdictFront(store, KEEP).put(A, CLEAN)
        front = VerdictFront(store, KEEP)
        asking = [asyncio.create_task(front.ask(A)) for _ in range(100)]
        await asyncio.sleep(0)
        asking[0].cancel()  # it is not the others' look that ends
        store.let.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert store.asked == 1
        assert isinstance(found[0], asyncio.CancelledError)
        assert {getattr(each, "kind", None) for each in found[1:]} == {OutcomeKind.NOT_DETECTED}
        await front.close()

    asyncio.run(main())


def test_what_is_asked_for_all_the_time_is_looked_up_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        store, now = Slow(), time.monotonic()
        store.let.set()
        front = VerdictFront(store, KEEP, trust=5.0)
        await front.put(A, CLEAN)
        for step, asked in ((2.9, 0), (3.1, 1), (5.9, 1), (6.3, 2)):
            monkeypatch.setattr(time, "monotonic", lambda step=step: now + step)
            assert front.peek(A) is not None, step
            assert front.peek(A) is not None, step
            for _ in range(5):
                await asyncio.sleep(0)
            assert store.asked == asked, step
        await front.close()

    asyncio.run(main())


def test_what_is_forgotten_while_it_is_looked_up_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        store, now = Slow(), time.monotonic()
        front = VerdictFront(store, KEEP, trust=5.0)
        await front.put(A, CLEAN)
        monkeypatch.setattr(time, "monotonic", lambda: now + 4)
        assert front.peek(A) is not None  # and it is looked up
        await asyncio.sleep(0)
        await front.forget(A)
        store.let.set()
        await front.close()
        assert front.peek(A) is None

    asyncio.run(main())


def test_a_verdict_found_elsewhere_is_seen_at_the_next_ask() -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        assert await known.get("a") is None
        await front(store).put("a", BAD)
        assert await known.get("a") is not None

    run(check)


def test_a_verdict_from_before_the_clock_was_set_back_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        await known.put("a", CLEAN)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now - 3000)
        assert known.peek("a") is None
        assert await known.get("a") is None

    run(check)


def test_a_failing_store_is_said_once_and_done_without(
    caplog: pytest.LogCaptureFixture, quick_retry: None
) -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        store.breaks()
        for _ in range(2):
            assert await known.get("b") is None
            assert await known.put("a", CLEAN)
        assert known.peek("a") is not None
        assert caplog.text.count("the store is away; verdicts are kept in memory") == 1
        known._trust = 0
        assert await known.get("a") is not None  # no longer trusted, but nobody knows better
        store.breaks(False)
        await until(lambda: store.get("a"))
        await known.get("b")
        assert caplog.text.count("the verdict store works again") == 1

    run(check)


def test_a_store_that_reads_but_does_not_write_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        store.fails_to_write = True
        for name in "abc":
            await known.put(name, CLEAN)
            await known.get("z")
        assert caplog.text.count("kept in memory") == 1
        assert "store works again" not in caplog.text
        await known.close()

    run(check)


def test_without_a_store_an_owner_goes_on_by_itself() -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        store.breaks()
        claim = await known.claim("a", "me", 60)
        assert claim is not None
        assert claim.is_local
        store.breaks(False)
        other = await store.claim("a", "you", 60)
        assert other is not None
        assert await known.renew(claim, 60)
        await known.release(claim)
        assert await store.renew(other, 60)
        assert await known.put("a", BAD, claim)
        assert await store.get("a") is not None

    run(check)


def test_a_claim_outlives_a_store_that_is_away_for_a_while() -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        claim = await known.claim("a", "me", 60)
        assert claim is not None
        store.breaks()
        assert await known.renew(claim, 60)
        await known.release(claim)
        store.breaks(False)
        assert await known.renew(claim, 60)

    run(check)


def test_another_owners_word_is_not_kept_in_memory_either() -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        await known.put(A, BAD)
        claim = await known.claim(A, "me", 60)
        await admin.allow(store, A, 60)
        assert not await known.put(A, BAD, claim)
        assert known.peek(A) is None
        outcome = await known.get(A)
        assert outcome is not None
        assert outcome.rule == admin.BY_HAND

    run(check)


def test_what_waited_is_written_the_newest_first_of_all_but_never_over_a_newer(
    quick_retry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        store.breaks()
        await known.put("a", CLEAN)
        await known.put("a", BAD)
        await known.put("b", CLEAN)
        store.breaks(False)
        newer = Verdict("b", OutcomeKind.DETECT, time.time() + 1, time.time() + 60)
        await MemoryVerdicts.put(store, newer)
        await until(lambda: store.get("a"))
        await known.close()
        written = await store.get("a")
        assert written is not None
        assert written.kind is OutcomeKind.DETECT
        assert await store.get("b") == newer

    run(check)


def test_what_waits_is_known_before_it_is_written_and_written_at_the_end() -> None:
    async def check(store: Flaky) -> None:
        known = front(store, size=1)
        store.fails_to_write = True
        await known.put("a", BAD)
        await known.put("b", BAD)
        assert known.peek("a") is None  # pushed out of memory
        assert await known.get("a") is not None
        store.fails_to_write = False
        await known.close()
        assert await store.get("a") is not None

    run(check)


def test_what_waits_is_bounded(quick_retry: None) -> None:
    async def check(store: Flaky) -> None:
        async def never(_: Verdict) -> None:
            raise StoreError("away")

        waiting = unwritten_module.Unwritten(never, size=2)
        now = time.time()
        for name in "abc":
            waiting.add(Verdict(name, OutcomeKind.DETECT, now, now + 60))
        assert [waiting.get(name) is not None for name in "abc"] == [False, True, True]
        with pytest.raises(StoreError):
            await waiting.close()

    run(check)


def test_what_ended_while_it_waited_is_not_written() -> None:
    async def check(store: Flaky) -> None:
        waiting = unwritten_module.Unwritten(store.put)
        waiting.add(Verdict("a", OutcomeKind.DETECT, 1, 2))
        await waiting.close()
        assert not await store.forget("a")

    run(check)


def test_what_is_forgotten_here_is_gone_at_once() -> None:
    async def check(store: Flaky) -> None:
        known = front(store)
        store.fails_to_write = True
        await known.put("a", BAD)
        store.fails_to_write = False
        assert await known.forget("a")
        assert await known.get("a") is None
        await known.close()
        assert await store.get("a") is None

    run(check)


def test_untrusted_words_are_made_harmless() -> None:
    async def check(store: Flaky) -> None:
        await front(store).put("a", dataclasses.replace(BAD, threat="x\ud800\n"))
        verdict = await store.get("a")
        assert verdict is not None
        assert verdict.threat == "x\\ud800\\n"

    run(check)


def test_by_hand() -> None:
    async def check(store: Flaky) -> None:
        assert await admin.show(store, A) is None
        allowed = await admin.allow(store, A.upper(), 60)
        assert (allowed.sha256, allowed.kind) == (A, OutcomeKind.NOT_DETECTED)
        assert allowed.expires == allowed.time + 60
        assert await admin.show(store, A) == allowed
        assert await admin.forget(store, A)
        assert not await admin.forget(store, A)

    run(check)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_nothing_is_allowed_for_no_time_or_for_ever(seconds: float) -> None:
    async def check(store: Flaky) -> None:
        with pytest.raises(ValueError, match="no time to allow"):
            await admin.allow(store, A, seconds)

    run(check)


@pytest.mark.parametrize(
    ("text", "words"),
    [("d41d8cd98f00b204e9800998ecf8427e", "is an md5"), ("", "no sha256"), (A + "\n", "no sha256")],
)
def test_only_a_sha256_names_bytes(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        admin.checked_hash(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "null", "[]", "\xff", "[" * 100_000, '{"kind":"detect"}'),
        '{"kind":"error","time":1,"expires":2}',
        '{"kind":"detect","time":"1","expires":2}',
        '{"kind":"not_detected","time":1,"expires":Infinity}',
        '{"kind":"not_detected","time":true,"expires":2}',
        '{"kind":"detect","time":1,"expires":2,"threat":3}',
        '{"kind":["detect"],"time":1,"expires":2}',
    ],
)
def test_what_cannot_be_read_is_no_verdict(text: str) -> None:
    assert from_json("a", text) is None


def test_json_keeps_a_verdict_whole() -> None:
    verdict = Verdict("a", OutcomeKind.DETECT, 1.5, 2.25, "T", None, "s", None, "r")
    assert from_json("a", to_json(verdict)) == verdict


@pytest.mark.parametrize("what", ["fails_to_read", "fails_to_write"])
def test_a_probe_finds_out_whether_the_store_works(what: str) -> None:
    async def check(store: Flaky) -> None:
        here = front(store)
        await here.probe("gw1.icap.0")
        assert here.works
        setattr(store, what, True)
        assert here.works  # nobody has tried
        await here.probe("gw1.icap.0")
        assert not here.works
        setattr(store, what, False)
        await here.probe("gw1.icap.0")
        assert here.works
        # it leaves nothing that another would wait for
        key = hashlib.sha256(b"gw1.icap.0").hexdigest()
        assert await store.claim(key, "another", 1.0) is not None

    run(check)
