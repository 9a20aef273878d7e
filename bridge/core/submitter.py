"""From an item to its outcome, for both doors: limits, known verdict, one scan for equal bytes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from typing import Protocol

from bridge.core.cancelling import end_tasks
from bridge.core.failures import Failures
from bridge.core.flight import Flight, oversize, unavailable
from bridge.core.journal import KeptScan, ScanPhase
from bridge.core.kata.poller import Scan
from bridge.core.model import (
    Case,
    Decision,
    Identity,
    Item,
    KnownBytes,
    Outcome,
    OutcomeKind,
    Source,
    Stage,
)
from bridge.core.scanner import Scanner
from bridge.core.settings import KataSettings
from bridge.core.verdicts import VerdictFront

_log = logging.getLogger(__name__)

PENDING = Outcome(OutcomeKind.PENDING, Source.KATA, "KATA has not judged it yet")
_CLOSE_SECONDS = 2.0
_FORGET_SECONDS = 5.0
_GRACE = 1.0  # for a case that waited in vain to be recorded, and perhaps passed
_RECORD_SECONDS = 3600.0  # how long a scan stays at KATA for a door that does not write its record


class Aftermath(Protocol):
    """Told what becomes of cases that were recorded without a verdict."""

    def judged_late(self, case: Case, content: Identity, outcome: Outcome) -> asyncio.Task[None]:
        """The outcome that came later, or that none came in time; done when it is written."""


class Submitter:
    """`submit` gives the outcome of an item; `recorded` says that a case has its record.

    A scan is DELETEd at KATA once every case that waited for it has its record. One that was
    passed unjudged is looked after for `late_window`.
    """

    def __init__(
        self,
        settings: KataSettings,
        verdicts: VerdictFront,
        scanner: Scanner,
        aftermath: Aftermath,
    ) -> None:
        self._settings = settings
        self._verdicts = verdicts
        self._scanner = scanner
        self._aftermath = aftermath
        self._failures = Failures()
        self._flights: dict[str, Flight] = {}
        self._by_case: dict[str, Flight] = {}
        self._unfinished: set[Flight] = set()  # judged or not: KATA may still hold their scans
        self._closing = False
        self.max_object_size = settings.max_object_size  # KATA's own limit may lower it

    def use(self, settings: KataSettings) -> None:
        """Keep to these times from now on. For `max_object_size` see `upkeep.Limits`."""
        self._settings = settings

    @property
    def in_flight(self) -> int:
        """Contents that are queued or at KATA."""
        return len(self._flights)

    def stage(self, sha256: str) -> Stage:
        """How far a content is that has no verdict."""
        flight = self._flights.get(sha256)
        if flight is None:
            return Stage.QUEUED
        if flight.posting.scan is not None:
            return Stage.AT_KATA
        return Stage.SENDING if flight.place is not None and flight.place.let_in else Stage.QUEUED

    def known(self, content: Identity) -> Outcome | None:
        """What can be said at once, without waiting: a verdict in memory."""
        return self._verdicts.peek(content.sha256)

    def _too_large(self, item: Item) -> Outcome | None:
        if item.size <= self.max_object_size:
            return None
        ours = self.max_object_size == self._settings.max_object_size
        return oversize(self.max_object_size if ours else None)

    async def submit(
        self,
        case: Case,
        item: Item,
        *,
        wait: float | None = None,
        background: bool = False,
        since: float | None = None,
    ) -> Outcome:
        """The outcome of these bytes; `pending` where `wait` seconds pass without one.

        The scan goes on then, and its verdict is known to the next who asks. Who asks in the
        `background` has others go first. `since`: when whoever asks was first put off for these
        bytes (loop seconds): what became of that scan is his answer, a failure too.
        """
        # what is known counts whatever its size: a limit that was lowered must not let it by
        outcome = await self._verdicts.ask(item.sha256)
        outcome = outcome or self._too_large(item) or self._failures.of(item.sha256, since)
        if outcome is not None:
            return outcome
        now = asyncio.get_running_loop().time()
        arrived = now if since is None else since
        limit = arrived + self._settings.verdict_timeout
        hold = limit if wait is None else min(now + wait, limit)
        while not self._closing:
            flight = self._flights.get(item.sha256) or self._start(item, case.client, limit)
            outcome = await self._wait(flight, case, hold, limit, background=background)
            # A failure of a scan that began before this case came is not this case's failure.
            if outcome is PENDING or outcome.is_verdict or flight.started >= arrived:
                return outcome
            self._close_case(case)
        return unavailable("katabridge was stopped")

    def recorded(self, case: Case, outcome: Outcome) -> bool:
        """The case has its record; whether its `Aftermath` will be told of a later outcome."""
        flight = self._close_case(case)
        if flight is None or outcome.is_verdict:
            return False
        if flight.outcome.done():  # it came while the record was written
            later = flight.outcome.result()
            if later.kind is outcome.kind:
                return False
            self._aftermath.judged_late(case, flight.content, later)
            return True
        flight.unjudged[case.id] = case
        now = asyncio.get_running_loop().time()
        if case.decision is Decision.PASS:
            flight.extend(now + self._settings.late_window)
        elif not flight.waiters and now >= flight.keep_until - _GRACE:
            flight.expire(now)
        return True

    def _close_case(self, case: Case) -> Flight | None:
        flight = self._by_case.pop(case.id, None)
        if flight is not None:
            flight.closed(case)
        return flight

    def resume(
        self, scans: Iterable[KeptScan], passed: dict[str, list[tuple[Case, float]]]
    ) -> None:
        """Take up scans of an earlier process, with the cases that it passed unjudged.

        `passed`: by sha256, each with the time (seconds since the epoch) until it is looked after.
        """
        for kept in sorted(scans, key=lambda each: (each.phase is ScanPhase.SENT, -each.sent)):
            flight = self._flights.get(kept.sha256)
            if flight is None:
                flight = self._take_up(kept)
                for case, until in passed.pop(kept.sha256, []):
                    self.look_after(flight, case, until)
            else:
                flight.posting.others.append(self._scan(kept))
            flight.posting.sent.append((kept.node, kept.scan_id))
            if kept.phase is ScanPhase.ACCEPTED:
                flight.posting.accepted.add(kept.scan_id)

    def look_after(self, flight: Flight, case: Case, until: float) -> None:
        """Tell what becomes of a case that was passed unjudged, until `until` (epoch seconds)."""
        flight.unjudged[case.id] = case
        flight.extend(asyncio.get_running_loop().time() + until - time.time())

    def _take_up(self, kept: KeptScan) -> Flight:
        now = asyncio.get_running_loop().time()
        content = KnownBytes(kept.sha256, kept.size)
        flight = self._new_flight(content, None, "", now + self._settings.verdict_timeout)
        flight.posting.md5 = kept.md5
        flight.posting.scan = self._scan(kept)
        return flight

    def _scan(self, kept: KeptScan) -> Scan:
        now = asyncio.get_running_loop().time()
        return Scan(kept.scan_id, kept.node, now, in_doubt=kept.phase is ScanPhase.SENT)

    def restart(self, item: Item, client: str) -> Flight:
        """Have a content judged that an earlier process did not bring to KATA."""
        limit = asyncio.get_running_loop().time() + self._settings.verdict_timeout
        return self._flights.get(item.sha256) or self._start(item, client, limit)

    async def close(self, *, keep: bool) -> None:
        """Stop all work: who still waits gets `unavailable`.

        With `keep` scans stay at KATA and in the journal, so that the next start takes them up.
        """
        self._closing = True
        now = asyncio.get_running_loop().time()
        cut_off = []
        for flight in self._unfinished:
            running = not flight.outcome.done() and flight.keep_until > now
            unrecorded = flight.outcome.done() and bool(flight.open_cases)
            if flight.task is not None and (running or unrecorded):
                flight.task.cancel()
                cut_off.append(flight)
        tasks = [flight.task for flight in self._unfinished if flight.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
            await end_tasks(late)
        for flight in list(self._flights.values()):  # whose task was cancelled before it began
            self._land(flight, unavailable("katabridge was stopped"))
        if not keep:
            await self._forget_all(cut_off)

    async def _forget_all(self, flights: list[Flight]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FORGET_SECONDS):
                await asyncio.gather(*(self._scanner.forget(flight) for flight in flights))

    def _start(self, item: Item, client: str, limit: float) -> Flight:
        item.body.retain()
        return self._new_flight(item, item, client, limit)

    def _new_flight(
        self, content: Identity, item: Item | None, client: str, limit: float
    ) -> Flight:
        loop = asyncio.get_running_loop()
        flight = Flight(content, item, client, loop.time(), limit, loop.create_future())
        self._flights[content.sha256] = flight
        self._unfinished.add(flight)
        flight.task = asyncio.create_task(self._run(flight), name=f"scan-{content.sha256[:12]}")
        flight.task.add_done_callback(lambda _: self._unfinished.discard(flight))
        return flight

    async def _wait(
        self, flight: Flight, case: Case, hold: float, limit: float, *, background: bool
    ) -> Outcome:
        self._close_case(case)  # one that asks again waits no more for what its last scan became
        self._by_case[case.id] = flight
        flight.opened(case)
        flight.extend(limit + _GRACE)
        self._count_waiter(flight, 0 if background else 1)
        try:
            async with asyncio.timeout_at(hold):
                return await asyncio.shield(flight.outcome)
        except TimeoutError:
            if flight.outcome.done():  # in the same turn of the loop: nobody would tell of it later
                return flight.outcome.result()
            return PENDING if hold < limit else flight.out_of_time()
        finally:
            self._count_waiter(flight, 0 if background else -1)

    def _count_waiter(self, flight: Flight, change: int) -> None:
        if change:
            flight.count_waiter(change)
            self._scanner.waiters_changed(flight)

    async def _run(self, flight: Flight) -> None:
        try:
            outcome = await self._scanner.judge(flight)
        except asyncio.CancelledError:  # by `close`: its scan and cases are the next start's
            self._land(flight, unavailable("katabridge was stopped"))
            return
        except Exception:
            _log.exception("a fault of katabridge itself; the item counts as `error`")
            outcome = Outcome(OutcomeKind.ERROR, Source.RULE, "a fault inside katabridge")
        self._land(flight, outcome)
        told = [
            self._aftermath.judged_late(case, flight.content, outcome)
            for case in flight.unjudged.values()
        ]
        if told:
            await asyncio.wait(told)  # a scan is DELETEd after everything that is written of it
        await self._clean_up(flight)

    def _land(self, flight: Flight, outcome: Outcome) -> None:
        del self._flights[flight.content.sha256]
        self._failures.note(flight.content.sha256, outcome, asyncio.get_running_loop().time())
        flight.end(outcome)
        if flight.item is not None:
            flight.item.body.release()

    async def _clean_up(self, flight: Flight) -> None:
        """Forget the scan at KATA, after the records of its cases."""
        if flight.open_cases:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RECORD_SECONDS):
                    await flight.recorded.wait()
        for case_id in flight.open_cases:
            if self._by_case.get(case_id) is flight:
                del self._by_case[case_id]
        await self._scanner.forget(flight)
