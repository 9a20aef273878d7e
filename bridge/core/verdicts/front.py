"""Verdicts in memory, before a store that several processes share."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping

from bridge.core.model import Outcome, OutcomeKind
from bridge.core.verdicts.store import StoreError, Verdict, VerdictStore

_log = logging.getLogger(__name__)
_SIZE = 100_000


class VerdictFront:
    """Answers from memory what it can; a store that fails is said once and done without."""

    def __init__(
        self, store: VerdictStore, keep: Mapping[OutcomeKind, float], size: int = _SIZE
    ) -> None:
        """`keep`: seconds of life by kind; `size`: how many verdicts stay in memory."""
        self._store = store
        self._keep = keep
        self._size = size
        self._memory: OrderedDict[str, Verdict] = OrderedDict()
        self._failing = False

    def peek(self, sha256: str) -> Outcome | None:
        """The known outcome if it is in memory; never waits."""
        verdict = self._memory.get(sha256)
        if verdict is None:
            return None
        if verdict.expires <= time.time():
            del self._memory[sha256]
            return None
        self._memory.move_to_end(sha256)
        return verdict.as_outcome()

    async def get(self, sha256: str) -> Outcome | None:
        """The known outcome, from memory or the store."""
        known = self.peek(sha256)
        if known is not None:
            return known
        try:
            verdict = await self._store.get(sha256)
        except StoreError as error:
            self._failed(error)
            return None
        self._works()
        if verdict is None:
            return None
        self._remember(verdict)
        return verdict.as_outcome()

    async def put(self, sha256: str, outcome: Outcome) -> None:
        """Keep a verdict for its life; what is no verdict is not kept."""
        if not outcome.is_verdict:
            raise ValueError(f"{outcome.kind} is no verdict")
        now = time.time()
        verdict = Verdict(
            sha256,
            outcome.kind,
            now,
            now + self._keep[outcome.kind],
            outcome.threat,
            outcome.technology,
            outcome.scan_id,
            outcome.md5,
        )
        self._remember(verdict)
        try:
            await self._store.put(verdict)
        except StoreError as error:
            self._failed(error)
        else:
            self._works()

    def _remember(self, verdict: Verdict) -> None:
        self._memory[verdict.sha256] = verdict
        self._memory.move_to_end(verdict.sha256)
        if len(self._memory) > self._size:
            self._memory.popitem(last=False)

    def _failed(self, error: StoreError) -> None:
        if not self._failing:
            _log.error("%s; verdicts are kept in memory until it works again", error)
        self._failing = True

    def _works(self) -> None:
        if self._failing:
            _log.warning("the verdict store works again")
        self._failing = False

    async def close(self) -> None:
        """Close the store behind; what fails then is said."""
        try:
            await self._store.close()
        except StoreError as error:
            self._failed(error)
