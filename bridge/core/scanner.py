"""From a content to its outcome: a place in the queue, the claim among all processes, the scan."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from bridge.core.flight import Flight, oversize, unavailable
from bridge.core.gate import Gate, QueueFullError
from bridge.core.kata.poller import Pollers
from bridge.core.kata.wire import Answer, ScanState
from bridge.core.model import Item, Outcome, OutcomeKind, Source
from bridge.core.posting import Poster
from bridge.core.settings import KataSettings
from bridge.core.verdicts import Claim, VerdictFront

_log = logging.getLogger(__name__)

LEASE = 15.0  # seconds after which others take over from an owner that was killed
_LOOK_SECONDS = 2.0  # the end of a lease sends no news
_TRIES = 2  # KATA may lose a scan once
_STATES = {
    ScanState.DETECT: OutcomeKind.DETECT,
    ScanState.NOT_DETECTED: OutcomeKind.NOT_DETECTED,
    ScanState.ERROR: OutcomeKind.ERROR,
    ScanState.TIMEOUT: OutcomeKind.TIMEOUT,
}


class Scanner:
    """Has contents judged by KATA, each by one process at a time."""

    def __init__(
        self,
        settings: KataSettings,
        owner: str,
        verdicts: VerdictFront,
        poster: Poster,
        poller: Pollers,
    ) -> None:
        """`owner`: the name of this instance in claims."""
        self._settings = settings
        self._owner = owner
        self._verdicts = verdicts
        self._poster = poster
        self._poller = poller
        self.gate = Gate(settings.max_in_flight, settings.queue)

    def use(self, settings: KataSettings) -> None:
        """Keep to these numbers from now on."""
        self._settings = settings
        self.gate.use(settings.max_in_flight, settings.queue)

    async def judge(self, flight: Flight) -> Outcome:
        """The outcome of a content; that of `flight.out_of_time` where nobody waits so long."""
        try:
            async with asyncio.timeout_at(flight.keep_until) as flight.timer:
                if flight.posting.scan is not None:
                    return await self._take_up(flight)
                return await self._have_judged(flight)
        except TimeoutError:
            return flight.out_of_time()
        finally:
            flight.timer = None

    async def forget(self, flight: Flight) -> None:
        """DELETE at KATA what it holds of this content."""
        await self._poster.forget(flight.posting)

    def waiters_changed(self, flight: Flight) -> None:
        """A case began or ceased to wait."""
        if flight.posting.scan is not None:
            self._poller.waiters_changed(flight.posting.scan)

    async def _take_up(self, flight: Flight) -> Outcome:
        """Wait for a scan of an earlier process; its claim is ours, if nobody took over."""
        flight.place = place = self.gate.force(flight.client)
        try:
            claim = await self._verdicts.claim(flight.content.sha256, self._owner, LEASE)
            return await self._own(flight, claim)
        finally:
            flight.place = None
            place.leave()

    async def _have_judged(self, flight: Flight) -> Outcome:
        while True:
            try:
                place = self.gate.ask(flight.client, waited_for=flight.waiters > 0)
            except QueueFullError:
                return await self._without_a_place(flight)
            flight.place = place
            try:
                try:
                    await place.ready
                except QueueFullError:
                    return unavailable("others are waited for in the full queue (kata.queue)")
                claim = await self._verdicts.claim(flight.content.sha256, self._owner, LEASE)
                if claim is not None:
                    return await self._own(flight, claim)
            finally:
                flight.place = None
                place.leave()
            known = await self._wait_for_owner(flight.content.sha256)
            if known is not None:
                return known

    async def _without_a_place(self, flight: Flight) -> Outcome:
        """The queue is full; but what another process has scanned needs no place of ours."""
        sha256 = flight.content.sha256
        claim = await self._verdicts.claim(sha256, self._owner, LEASE)
        known = None
        if claim is None:
            known = await self._wait_for_owner(sha256)
        else:
            await self._verdicts.release(claim)
        return known or unavailable("the queue for KATA is full (kata.queue)")

    async def _wait_for_owner(self, sha256: str) -> Outcome | None:
        """Another process has it scanned: its verdict, or None where the claim is free again."""
        while True:
            async with self._verdicts.watch(sha256) as watch:
                known = await self._verdicts.get(sha256)
                if known is not None:
                    return known
                await watch.wait(_LOOK_SECONDS)
            known = await self._verdicts.get(sha256)
            if known is not None:
                return known
            claim = await self._verdicts.claim(sha256, self._owner, LEASE)
            if claim is not None:
                await self._verdicts.release(claim)
                return None

    async def _own(self, flight: Flight, claim: Claim | None) -> Outcome:
        sha256 = flight.content.sha256
        if claim is None:
            outcome = await self._scan(flight)
            if outcome.is_verdict:
                await self._verdicts.put(sha256, outcome)
            return outcome
        async with self._holding(claim):
            # between our look and our claim the owner before us may have been done
            known = await self._verdicts.get(sha256)
            outcome = known or await self._scan(flight)
            if known is None and outcome.is_verdict:
                await self._verdicts.put(sha256, outcome, claim)
            return outcome

    @contextlib.asynccontextmanager
    async def _holding(self, claim: Claim) -> AsyncIterator[None]:
        """Renew the claim meanwhile, and give it back in the end."""
        renewing = asyncio.create_task(self._renew(claim), name="claim")
        try:
            yield
        finally:
            renewing.cancel()
            await self._verdicts.release(claim)

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            if not await self._verdicts.renew(claim, LEASE):
                _log.warning("the claim on %s was lost to another process", claim.sha256)
                return

    async def _scan(self, flight: Flight) -> Outcome:
        posting = flight.posting
        for _ in range(_TRIES + len(posting.others)):
            if posting.scan is None and flight.item is None:
                return unavailable("KATA does not know the scan of an earlier process")
            if posting.scan is None and flight.item is not None:
                failure = await self._post(flight, flight.item)
                if failure is not None:
                    return failure
            assert posting.scan is not None  # noqa: S101 - `_post` set it, or failed
            scan_id = posting.scan.scan_id
            state = await self._final_state(flight)
            if state is not None:
                what = f"KATA says {state.value!r}"
                return Outcome(_STATES[state], Source.KATA, what, scan_id=scan_id, md5=posting.md5)
            if flight.item is not None:
                _log.warning("KATA lost scan %s: it is submitted anew", scan_id)
            posting.scan = posting.others.pop(0) if posting.others else None
        return unavailable("KATA lost the scan, and the next one too")

    async def _post(self, flight: Flight, item: Item) -> Outcome | None:
        """Submit; what went wrong, or None."""
        result = await self._poster.post(item, flight.posting)
        if result.answer is Answer.TOO_LARGE:
            return oversize(None)
        if flight.posting.scan is None:
            return unavailable(result.detail)
        flight.posting.scan.waiters = flight.waiters
        return None

    async def _final_state(self, flight: Flight) -> ScanState | None:
        scan = flight.posting.scan
        assert scan is not None  # noqa: S101 - see the caller
        loop = asyncio.get_running_loop()
        # who is looked after for a day must not take a place from others all the time
        leave = flight.place.leave if flight.place is not None else lambda: None
        timer = loop.call_later(self._settings.verdict_timeout, leave)
        self._poller.watch(scan)
        try:
            return await scan.final
        finally:
            timer.cancel()
            self._poller.forget(scan)
