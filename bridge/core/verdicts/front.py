"""Verdicts in memory, before a store that several processes share."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from bridge.core.model import Outcome, OutcomeKind, Source
from bridge.core.printable import printable
from bridge.core.verdicts.store import Claim, StoreError, Verdict, VerdictStore, Watch
from bridge.core.verdicts.unwritten import Unwritten

_log = logging.getLogger(__name__)
_SIZE = 100_000
_PROBE_LEASE = 1.0
_TRUST_SECONDS = 5.0  # how long a verdict that was changed elsewhere may still be told
_ASKED_AGAIN = 0.6  # of that time: from then on it is looked up beside those who are told


class _Remembered(NamedTuple):
    """A verdict, when it was looked up (monotonic seconds), and the outcome that it is."""

    verdict: Verdict
    looked_up: float
    outcome: Outcome


class VerdictFront:
    """Answers from memory what it can; a store that fails is said once and done without.

    Verdicts that could not be written are written when the store works again.
    """

    def __init__(
        self,
        store: VerdictStore,
        keep: Mapping[OutcomeKind, float],
        size: int = _SIZE,
        trust: float = _TRUST_SECONDS,
        since: float = 0.0,
    ) -> None:
        """`keep`: seconds of life by kind; `size`: how many verdicts stay in memory.

        `trust`: seconds after which a verdict in memory is looked up in the store again.
        `since`: verdicts older than this (epoch) count as unknown here; others still see them.
        """
        self._store = store
        self._keep = keep
        self._size = size
        self._trust = trust
        self._since = since
        self._memory: OrderedDict[str, _Remembered] = OrderedDict()
        self._looks: dict[str, asyncio.Task[Outcome | None]] = {}
        self._unwritten = Unwritten(self._write)
        self._trouble: str | None = None
        self._failing: set[str] = set()  # "reading", "writing": a full disk stops one of them

    def use(self, keep: Mapping[OutcomeKind, float]) -> None:
        """Give new verdicts these lives."""
        self._keep = keep

    @property
    def trouble(self) -> str | None:
        """Why the store cannot be used; empty where it can be, None: not known yet."""
        return self._trouble

    @property
    def works(self) -> bool:
        """Whether the store was read and written when that was last tried."""
        return not self._failing

    async def probe(self, owner: str) -> None:
        """Try the store, since nobody else may: read, and take a claim that it gives back."""
        key = hashlib.sha256(owner.encode()).hexdigest()
        await self._get(key)
        claim = await self.claim(key, owner, _PROBE_LEASE)
        if claim is not None:
            await self.release(claim)

    def peek(self, sha256: str) -> Outcome | None:
        """The known outcome if it is in memory and fresh; never waits."""
        there = self._memory.get(sha256)
        if there is None or (age := time.monotonic() - there.looked_up) >= self._trust:
            return None
        if age >= self._trust * _ASKED_AGAIN:
            self._look(sha256)  # so that what is asked for all the time never has to be waited for
        if not there.verdict.is_valid(time.time()):
            del self._memory[sha256]
            return None
        self._memory.move_to_end(sha256)
        return there.outcome

    async def ask(self, sha256: str) -> Outcome | None:
        """`get` for many who ask at the same time: one look serves them all.

        So it may have begun a moment before, and not see what was written since.
        """
        return self.peek(sha256) or await asyncio.shield(self._look(sha256))

    def _look(self, sha256: str) -> asyncio.Task[Outcome | None]:
        look = self._looks.get(sha256)
        if look is None:
            look = self._looks[sha256] = asyncio.create_task(self._get(sha256))
            look.add_done_callback(lambda _: self._looks.pop(sha256, None))
        return look

    async def get(self, sha256: str) -> Outcome | None:
        """The known outcome, from memory or the store."""
        return self.peek(sha256) or await self._get(sha256)

    async def _get(self, sha256: str) -> Outcome | None:
        before = self._memory.get(sha256)
        try:
            verdict = self._newest(await self._store.get(sha256), self._unwritten.get(sha256))
        except StoreError as error:
            self._failed("reading", error)
            in_memory = self._memory.get(sha256)
            verdict = in_memory and in_memory.verdict
            verdict = self._newest(verdict, self._unwritten.get(sha256))
        else:
            self._works("reading")
            now_there = self._memory.get(sha256)
            if now_there is not None and now_there is not before:  # put while we looked
                verdict = self._newest(verdict, now_there.verdict)
            elif now_there is None and before is not None:  # forgotten while we looked
                return None
        return self._remember(sha256, verdict)

    async def put(self, sha256: str, outcome: Outcome, claim: Claim | None = None) -> bool:
        """Keep KATA's verdict for its life, and end the claim.

        False where another's word stands: the claim was taken over, or a person has spoken.
        ValueError for anything but a verdict that comes from KATA itself.
        """
        verdict = self._verdict(sha256, outcome)
        try:
            kept = await self._store.put(verdict, _real(claim))
        except StoreError as error:
            self._failed("writing", error)
            self._remember(sha256, verdict)
            self._unwritten.add(verdict)
            return True
        self._works("writing")
        if kept:
            self._unwritten.drop(sha256)
            self._remember(sha256, verdict)
        else:
            self._memory.pop(sha256, None)
        return kept

    def _verdict(self, sha256: str, outcome: Outcome) -> Verdict:
        if not outcome.is_verdict:
            raise ValueError(f"{outcome.kind} is no verdict")
        if outcome.source is not Source.KATA:
            raise ValueError(f"an outcome from {outcome.source} is no verdict to keep anew")
        now = time.time()
        return Verdict(
            sha256,
            outcome.kind,
            now,
            now + self._keep[outcome.kind],
            outcome.threat and printable(outcome.threat),
            outcome.technology and printable(outcome.technology),
            outcome.importance and printable(outcome.importance),
            outcome.scan_id,
            outcome.md5,
        )

    async def forget(self, sha256: str) -> bool:
        """Drop a verdict here and in the store; False where there was none. StoreError."""
        self._unwritten.drop(sha256)
        here = self._memory.pop(sha256, None) is not None
        return await self._store.forget(sha256) or here

    async def claim(self, sha256: str, owner: str, seconds: float) -> Claim | None:
        """See VerdictStore; without a store a claim that `is_local`: go on by yourself."""
        try:
            claim = await self._store.claim(sha256, owner, seconds)
        except StoreError as error:
            self._failed("writing", error)
            return Claim(sha256, owner, 0)
        if claim is not None:  # else nothing was written
            self._works("writing")
        return claim

    async def renew(self, claim: Claim, seconds: float) -> bool:
        """See VerdictStore; True without a store: nothing speaks against going on."""
        if claim.is_local:
            return True
        try:
            return await self._store.renew(claim, seconds)
        except StoreError as error:
            self._failed("writing", error)
            return True

    async def release(self, claim: Claim) -> None:
        """See VerdictStore; without a store the lease ends by itself."""
        if claim.is_local:
            return
        try:
            await self._store.release(claim)
        except StoreError as error:
            self._failed("writing", error)

    def watch(self, sha256: str) -> AbstractAsyncContextManager[Watch]:
        """See VerdictStore."""
        return self._store.watch(sha256)

    def _newest(self, there: Verdict | None, here: Verdict | None) -> Verdict | None:
        if there is None or here is None:
            return there or here
        return here if here.replaces(there, time.time()) else there

    def _remember(self, sha256: str, verdict: Verdict | None) -> Outcome | None:
        """Keep it as looked up just now; its outcome, where it is still valid."""
        if verdict is None or not verdict.is_valid(time.time()) or verdict.time < self._since:
            self._memory.pop(sha256, None)
            return None
        there = _Remembered(verdict, time.monotonic(), verdict.as_outcome())
        self._memory[sha256] = there
        self._memory.move_to_end(sha256)
        if len(self._memory) > self._size:
            self._memory.popitem(last=False)
        return there.outcome

    async def _write(self, verdict: Verdict) -> None:
        await self._store.put(verdict)
        self._works("writing")

    def _failed(self, what: str, error: StoreError) -> None:
        if not self._failing:
            self._trouble = str(error)
            _log.error("%s; verdicts are kept in memory until it works again", error)
        self._failing.add(what)

    def _works(self, what: str) -> None:
        if self._failing == {what}:
            _log.warning("the verdict store works again")
        self._failing.discard(what)
        if not self._failing:
            self._trouble = ""

    async def close(self) -> None:
        """Write what waits, and close the store behind; what fails then is said."""
        if self._looks:
            await asyncio.wait(list(self._looks.values()))
        for step in (self._unwritten.close, self._store.close):
            try:
                await step()
            except StoreError as error:
                self._failed("writing", error)


def _real(claim: Claim | None) -> Claim | None:
    return None if claim is None or claim.is_local else claim
