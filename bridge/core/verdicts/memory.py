"""The verdict store of one process: nothing is on disk, nothing is left after the end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator

from bridge.core.verdicts.leases import TOKEN_SECONDS, Lease, renewed, take
from bridge.core.verdicts.store import Claim, Verdict, Watch
from bridge.core.verdicts.waiters import Waiters

_MAX_ENTRIES = 1_000_000
_SWEEP_EVERY = 1000


class MemoryVerdicts:
    """A VerdictStore in memory, for any number of users on one event loop. Never fails."""

    def __init__(self, max_entries: int = _MAX_ENTRIES) -> None:
        """`max_entries`: how many verdicts it holds; the ones put first go first."""
        self._max_entries = max_entries
        self._verdicts: dict[str, Verdict] = {}
        self._leases: dict[str, Lease] = {}
        self._waiters = Waiters(lambda: math.inf)
        self._changes = 0

    async def get(self, sha256: str) -> Verdict | None:
        """See VerdictStore."""
        verdict = self._verdicts.get(sha256)
        return verdict if verdict is not None and verdict.is_valid(time.time()) else None

    async def put(self, verdict: Verdict, claim: Claim | None = None) -> bool:
        """See VerdictStore."""
        lease = self._leases.get(verdict.sha256)
        if claim is not None and lease is not None and not lease.belongs_to(claim):
            return False
        if lease is not None:
            self._leases[verdict.sha256] = lease.ended()
        old = self._verdicts.get(verdict.sha256)
        kept = old is None or verdict.replaces(old, time.time())
        if kept:
            self._keep(verdict)
        self._waiters.wake(verdict.sha256)
        return kept

    def _keep(self, verdict: Verdict) -> None:
        self._verdicts.pop(verdict.sha256, None)
        self._verdicts[verdict.sha256] = verdict
        if len(self._verdicts) > self._max_entries:
            first = next((v for v in self._verdicts.values() if v.rule is None), verdict)
            del self._verdicts[first.sha256]
        self._sweep()

    async def forget(self, sha256: str) -> bool:
        """See VerdictStore."""
        there = self._verdicts.pop(sha256, None) is not None
        self._waiters.wake(sha256)
        return there

    async def claim(self, sha256: str, owner: str, seconds: float) -> Claim | None:
        """See VerdictStore."""
        lease = take(self._leases.get(sha256), owner, seconds, time.time())
        if lease is None:
            return None
        self._leases[sha256] = lease
        self._sweep()
        return Claim(sha256, owner, lease.token)

    async def renew(self, claim: Claim, seconds: float) -> bool:
        """See VerdictStore."""
        lease = renewed(self._leases.get(claim.sha256), claim, seconds, time.time())
        if lease is not None:
            self._leases[claim.sha256] = lease
        return lease is not None

    async def release(self, claim: Claim) -> None:
        """See VerdictStore."""
        lease = self._leases.get(claim.sha256)
        if lease is not None and lease.belongs_to(claim):
            self._leases[claim.sha256] = lease.ended()
            self._waiters.wake(claim.sha256)

    def _sweep(self) -> None:
        """Now and then: drop what has ended long ago."""
        self._changes += 1
        if self._changes % _SWEEP_EVERY:
            return
        now = time.time()
        for sha256 in [s for s, v in self._verdicts.items() if v.expires <= now]:
            del self._verdicts[sha256]
        for sha256 in [s for s, lease in self._leases.items() if lease.ends + TOKEN_SECONDS <= now]:
            del self._leases[sha256]

    @contextlib.asynccontextmanager
    async def watch(self, sha256: str) -> AsyncIterator[Watch]:
        """See VerdictStore."""
        with self._waiters.watch(sha256) as watch:
            yield watch

    async def close(self) -> None:
        """Keeps everything: other users of the same object go on."""
