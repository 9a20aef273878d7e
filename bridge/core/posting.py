"""Brings one item to KATA: back-off when it is busy, the next Central Node when one fails."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass, field
from typing import Protocol

from bridge.core.health import KataHealth
from bridge.core.journal import Journal, KeptScan, ScanPhase
from bridge.core.kata.poller import Scan
from bridge.core.kata.wire import Answer, CallResult, new_scan_id
from bridge.core.model import Item
from bridge.core.trial import trial_item

_log = logging.getLogger(__name__)

ROUNDS = 3  # over all Central Nodes, for faults that may pass
FIRST_DELAY = 0.5
MAX_DELAY = 8.0
_MAY_COME_SECONDS = 600.0
_TRIAL = "katabridge-trial.txt"
_TRIAL_BYTES = 1 << 17  # more than what a link or a relay may let by of a call that it stops


class ScanCalls(Protocol):
    """What posting needs of the client."""

    async def submit(self, central_node: str, scan_id: str, item: Item) -> CallResult:
        """POST one item."""

    async def try_file(self, central_node: str, scan_id: str, item: Item) -> CallResult:
        """POST one item beside the others."""

    async def delete(self, central_node: str, scan_id: str) -> CallResult:
        """DELETE one scan."""


@dataclass(eq=False, slots=True)
class Posting:
    """What became of an item's way to KATA.

    `sent`: every (central node, scanId) that KATA may hold, accepted or in doubt.
    """

    scan: Scan | None = None
    md5: str | None = None
    sent: list[tuple[str, str]] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    others: list[Scan] = field(default_factory=list)  # of the same content, of an earlier process


def backoff(attempt: int, retry_after: float | None = None) -> float:
    """Seconds to wait after failure number `attempt` (from 0), jittered by half."""
    delay = min(FIRST_DELAY * 2.0 ** min(attempt, 10), MAX_DELAY)
    jittered = delay * random.uniform(0.5, 1)  # noqa: S311 - spreads load, hides nothing
    return max(jittered, retry_after or 0.0)


class Poster:
    """Posts items and forgets scans; notes for `health` what the answers show.

    Whatever KATA may hold stands in the journal before it is sent, until KATA has forgotten it.
    """

    def __init__(self, client: ScanCalls, health: KataHealth, journal: Journal) -> None:
        self._client = client
        self._health = health
        self._journal = journal

    async def post(self, item: Item, posting: Posting) -> CallResult:
        """Try until KATA takes the item, refuses it, or stays out of reach.

        A busy KATA (429) is asked again for as long as the caller lets it; one that has been out
        of reach for a while is not waited for. Sets `posting.scan` on success.
        """
        attempt = faults = 0
        while True:
            result = await self._try_nodes(item, posting)
            if result.answer is Answer.FAULT or result.answer is Answer.UNREACHABLE:
                faults += 1
            elif result.answer is not Answer.BUSY:
                return result
            if faults >= ROUNDS or self._health.is_down:
                return result
            await asyncio.sleep(backoff(attempt, result.retry_after))
            attempt += 1

    async def _try_nodes(self, item: Item, posting: Posting) -> CallResult:
        busy = None
        result = CallResult(Answer.UNREACHABLE, f"KATA takes no files: {self._health.reason}")
        for node in self._health.usable():
            pause = self._health.busy_for(node)
            if pause:
                busy = CallResult(Answer.BUSY, "KATA asked for a pause (429)", pause)
                continue
            result = await self._send(node, item, posting)
            if result.answer in (Answer.OK, Answer.TOO_LARGE):
                return result
            if result.answer is Answer.BUSY:
                busy = result
        return busy or result

    async def _send(
        self, node: str, item: Item, posting: Posting, *, ours: bool = False
    ) -> CallResult:
        # Each try has an id of its own: what KATA does with one that it has seen is unknown.
        scan_id = new_scan_id()
        posting.sent.append((node, scan_id))
        kept = KeptScan(scan_id, node, item.sha256, item.size, None, time.time(), ScanPhase.SENT)
        await self._journal.scan_sent(kept)
        submit = self._client.try_file if ours else self._client.submit
        result = await submit(node, scan_id, item)
        self._health.note_file(node, result, item.sha256, ours=ours)
        if result.answer is Answer.OK:
            posting.md5 = result.md5
            posting.accepted.add(scan_id)
            posting.scan = Scan(scan_id, node, asyncio.get_running_loop().time())
            await self._journal.scan_accepted(scan_id, result.md5)
        elif result.answer not in (Answer.UNREACHABLE, Answer.FAULT):
            posting.sent.pop()  # KATA said that it did not take it
            await self._journal.scan_gone(scan_id)
        return result

    async def forget(self, posting: Posting, *, may_come: bool = True) -> None:
        """DELETE whatever KATA may hold of this item; `sweep` tries again what fails.

        `may_come`: whether it matters that an upload that was cut off reaches KATA after that.
        """
        for _, scan_id in posting.sent:
            await self._journal.scan_done(scan_id)
        while posting.sent:
            node, scan_id = posting.sent.pop()
            waits = may_come and scan_id not in posting.accepted
            for attempt in range(ROUNDS):
                if await self._delete(node, scan_id, may_come=waits):
                    break
                if node not in self._health.usable():
                    break
                await asyncio.sleep(backoff(attempt))

    async def try_node(self, node: str) -> None:
        """Give a node a file of ours, to see whether it takes any, and have it forget that."""
        posting = Posting()
        try:
            await self._send(node, trial_item(_TRIAL, _TRIAL_BYTES), posting, ours=True)
            await self.forget(posting, may_come=False)
        except asyncio.CancelledError:
            for _, scan_id in posting.sent:  # the next start has it forgotten
                await self._journal.scan_done(scan_id)
            raise

    async def sweep(self) -> None:
        """DELETE what could not be DELETEd before, by this process or an earlier one."""
        for node, scan_id, sent in await self._journal.done_scans():
            if not self._health.knows(node):
                _log.warning("scan %s stays at %s, which is not in kata.urls", scan_id, node)
                await self._journal.scan_gone(scan_id)
            elif node in self._health.usable():
                may_come = time.time() - sent < _MAY_COME_SECONDS
                await self._delete(node, scan_id, may_come=may_come)

    async def _delete(self, node: str, scan_id: str, *, may_come: bool) -> bool:
        """Whether nothing more is to be done now; with `may_come` a 404 may be too early."""
        result = await self._client.delete(node, scan_id)
        if result.missing and may_come:
            return True
        if result.answer is not Answer.OK:
            _log.info("scan %s stays at %s for now: %s", scan_id, node, result.detail)
            return False
        await self._journal.scan_gone(scan_id)
        return True
