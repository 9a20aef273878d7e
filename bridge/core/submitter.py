"""From an item to its outcome, for both doors: limits, known verdict, one scan for equal bytes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.core.kata.poller import Pollers
from bridge.core.kata.wire import Answer, ScanState
from bridge.core.model import Case, Item, Outcome, OutcomeKind, Source
from bridge.core.posting import Poster, Posting
from bridge.core.settings import KataSettings
from bridge.core.verdicts import VerdictFront

_log = logging.getLogger(__name__)

PENDING = Outcome(OutcomeKind.PENDING, Source.KATA, "KATA has not judged it yet")
_CLOSE_SECONDS = 2.0
_RECORD_SECONDS = 60.0  # how long a scan stays at KATA for a door that does not write its record
_STATES = {
    ScanState.DETECT: OutcomeKind.DETECT,
    ScanState.NOT_DETECTED: OutcomeKind.NOT_DETECTED,
    ScanState.ERROR: OutcomeKind.ERROR,
    ScanState.TIMEOUT: OutcomeKind.TIMEOUT,
}

LateHandler = Callable[[Case, Item, Outcome], None]


@dataclass(eq=False, slots=True)
class _Job:
    """One content on its way through KATA, with all the cases that want to know."""

    item: Item
    started: float
    outcome: asyncio.Future[Outcome]
    posting: Posting = field(default_factory=Posting)
    open_cases: set[str] = field(default_factory=set)
    late_cases: list[Case] = field(default_factory=list)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    waiters: int = 0
    task: asyncio.Task[None] | None = None


class Submitter:
    """`submit` gives the outcome of an item; `recorded` says that a case has its record.

    A scan is DELETEd at KATA once every case that waited for it has its record.
    """

    def __init__(
        self,
        settings: KataSettings,
        verdicts: VerdictFront,
        poster: Poster,
        poller: Pollers,
        on_late: LateHandler,
    ) -> None:
        """`on_late` is told of a detection that comes after a case was recorded as pending."""
        self._settings = settings
        self._verdicts = verdicts
        self._poster = poster
        self._poller = poller
        self._on_late = on_late
        self._jobs: dict[str, _Job] = {}
        self._by_case: dict[str, _Job] = {}
        self._unfinished: set[_Job] = set()  # judged or not: KATA may still hold their scans
        self._slots = asyncio.Semaphore(settings.max_in_flight)

    @property
    def in_flight(self) -> int:
        """Contents that are queued or at KATA."""
        return len(self._jobs)

    def known(self, item: Item) -> Outcome | None:
        """What can be said at once, without waiting: a limit, or a verdict in memory."""
        if item.size > self._settings.max_object_size:
            return oversize(self._settings.max_object_size)
        return self._verdicts.peek(item.sha256)

    async def submit(self, case: Case, item: Item, *, wait: float | None = None) -> Outcome:
        """The outcome of these bytes; `pending` where `wait` seconds pass without one.

        The scan goes on then, and its verdict is known to the next who asks.
        """
        outcome = self.known(item) or await self._verdicts.get(item.sha256)
        if outcome is not None:
            return outcome
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        deadline = None if wait is None else arrived + wait
        while True:
            job = self._jobs.get(item.sha256) or self._start(item)
            outcome = await self._wait(job, case, deadline)
            # A failure of a scan that began before this case came is not this case's failure.
            if outcome is PENDING or outcome.is_verdict or job.started >= arrived:
                return outcome
            self.recorded(case)

    def recorded(self, case: Case) -> None:
        """The case has its record: nothing of it needs its scan at KATA any longer."""
        job = self._by_case.pop(case.id, None)
        if job is not None:
            job.open_cases.discard(case.id)
            if not job.open_cases:
                job.recorded.set()

    async def close(self) -> None:
        """Stop all work: who still waits gets `unavailable`; KATA is told to forget our scans."""
        for job in self._unfinished:
            job.recorded.set()
            if job.task is not None and not job.outcome.done():
                job.task.cancel()
        tasks = [job.task for job in self._unfinished if job.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for job in list(self._jobs.values()):  # whose task was cancelled before it began
            del self._jobs[job.item.sha256]
            job.outcome.set_result(unavailable("katabridge was stopped"))
            job.item.body.release()

    def _start(self, item: Item) -> _Job:
        loop = asyncio.get_running_loop()
        item.body.retain()
        job = _Job(item, loop.time(), loop.create_future())
        self._jobs[item.sha256] = job
        self._unfinished.add(job)
        job.task = asyncio.create_task(self._run(job), name=f"scan-{item.sha256[:12]}")
        job.task.add_done_callback(lambda _: self._unfinished.discard(job))
        return job

    async def _wait(self, job: _Job, case: Case, deadline: float | None) -> Outcome:
        self._by_case[case.id] = job
        job.open_cases.add(case.id)
        job.recorded.clear()
        self._count_waiter(job, 1)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(job.outcome)
        except TimeoutError:
            if job.outcome.done():  # in the same turn of the loop: nobody would tell of it later
                return job.outcome.result()
            job.late_cases.append(case)
            return PENDING
        finally:
            self._count_waiter(job, -1)

    def _count_waiter(self, job: _Job, change: int) -> None:
        job.waiters += change
        if job.posting.scan is not None:
            job.posting.scan.waiters = job.waiters
            self._poller.waiters_changed(job.posting.scan)

    async def _run(self, job: _Job) -> None:
        try:
            outcome = await self._judge(job)
            if outcome.is_verdict:
                await self._verdicts.put(job.item.sha256, outcome)
        except asyncio.CancelledError:  # by `close`, which still waits for the clean-up
            outcome = unavailable("katabridge was stopped")
        except Exception:
            _log.exception("a fault of katabridge itself; the item counts as `error`")
            outcome = Outcome(OutcomeKind.ERROR, Source.RULE, "a fault inside katabridge")
        del self._jobs[job.item.sha256]
        job.outcome.set_result(outcome)
        self._tell_late(job, outcome)
        job.item.body.release()
        await self._clean_up(job)

    async def _judge(self, job: _Job) -> Outcome:
        if self._slots.locked() and len(self._jobs) > self._capacity:
            return unavailable("the queue for KATA is full (kata.queue)")
        try:
            async with asyncio.timeout(self._settings.verdict_timeout):
                async with self._slots:
                    return await self._scan(job)
        except TimeoutError:
            if job.posting.scan is None:
                return unavailable("KATA took no file within kata.verdict_timeout")
            return Outcome(
                OutcomeKind.TIMEOUT,
                Source.KATA,
                "KATA gave no verdict within kata.verdict_timeout",
                scan_id=job.posting.scan.scan_id,
                md5=job.posting.md5,
            )

    @property
    def _capacity(self) -> int:
        return self._settings.max_in_flight + self._settings.queue

    async def _scan(self, job: _Job) -> Outcome:
        result = await self._poster.post(job.item, job.posting)
        if result.answer is Answer.TOO_LARGE:
            return oversize(None)
        scan = job.posting.scan
        if scan is None:
            return unavailable(result.detail)
        scan.waiters = job.waiters
        self._poller.watch(scan)
        try:
            state = await scan.final
        finally:
            self._poller.forget(scan)
        return Outcome(
            _STATES[state],
            Source.KATA,
            f"KATA says {state.value!r}",
            scan_id=scan.scan_id,
            md5=job.posting.md5,
        )

    def _tell_late(self, job: _Job, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.DETECT:
            for case in job.late_cases:
                self._on_late(case, job.item, outcome)

    async def _clean_up(self, job: _Job) -> None:
        """Forget the scan at KATA, after the records of its cases."""
        if job.open_cases:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RECORD_SECONDS):
                    await job.recorded.wait()
        for case_id in job.open_cases:
            if self._by_case.get(case_id) is job:
                del self._by_case[case_id]
        await self._poster.forget(job.posting)


def oversize(limit: int | None) -> Outcome:
    """An item that is too large: by our limit in bytes, or (None) by KATA's."""
    if limit is None:
        return Outcome(
            OutcomeKind.OVERSIZE, Source.KATA, "larger than KATA takes (413)", rule="kata"
        )
    return Outcome(
        OutcomeKind.OVERSIZE,
        Source.RULE,
        f"larger than kata.max_object_size ({limit} bytes)",
        rule="kata.max_object_size",
    )


def unavailable(detail: str) -> Outcome:
    """An item that KATA could not be asked about."""
    return Outcome(OutcomeKind.UNAVAILABLE, Source.RULE, detail)
