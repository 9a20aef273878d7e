"""Cases whose user was served before the verdict: kept over restarts until it is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from bridge.core.caseform import case_from_text, case_to_text
from bridge.core.journal import CaseKind, Journal, JournalError, Kept, KeptCase, ScanPhase
from bridge.core.kept import KeptBodies
from bridge.core.ledger import Entry, Ledger
from bridge.core.model import Case, Decision, Identity, Item, Outcome, OutcomeKind
from bridge.core.spool import Body, SpoolError
from bridge.core.submitter import Submitter

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 5.0
_MAX_PAUSE = 60.0

Judge = Callable[[Case, Item], Awaitable[Outcome]]
Decide = Callable[[Case, Outcome], Decision]


class LaterCases:
    """`accept`: judge and record later. `passed`: recorded, but a detection must still be told."""

    def __init__(self, journal: Journal, bodies: KeptBodies, ledger: Ledger, window: float) -> None:
        """`window`: seconds for which a case is looked after."""
        self._journal = journal
        self._bodies = bodies
        self._ledger = ledger
        self._window = window
        self._kept: set[str] = set()
        self._runs: set[asyncio.Task[None]] = set()
        self._tells: set[asyncio.Task[None]] = set()
        self._judge: Judge
        self._decide: Decide
        self._recorded: Callable[[Case, Outcome], None]

    def use(self, judge: Judge, decide: Decide, recorded: Callable[[Case, Outcome], None]) -> None:
        """The core's own ways to judge in the background, to decide, and to end a case."""
        self._judge, self._decide, self._recorded = judge, decide, recorded

    async def accept(self, case: Case, item: Item) -> None:
        """Take a case over; SpoolError or JournalError where it would not survive a crash."""
        await self._keep(case, item, CaseKind.LATER)
        item.body.retain()
        self._spawn(self._runs, self._run(case, item, time.time() + self._window))

    async def passed(self, case: Case, item: Item) -> None:
        """Look after a case that is passed without a verdict; a fault is said, and lived with."""
        try:
            await self._keep(case, item, CaseKind.PASSED)
        except (SpoolError, JournalError) as error:
            _log.warning("case %s: %s; after a crash nobody looks after it", case.id, error)

    async def _keep(self, case: Case, item: Item, kind: CaseKind) -> None:
        await self._bodies.keep(item.body, case.id)
        self._kept.add(case.id)
        until = time.time() + self._window
        kept = KeptCase(case.id, kind, case_to_text(case), item.sha256, item.size, until)
        try:
            await self._journal.keep_case(kept)
        except JournalError:
            await self._bodies.drop(case.id)
            raise

    def judged_late(self, case: Case, content: Identity, outcome: Outcome) -> None:
        """See `bridge.core.submitter.Aftermath`."""
        self._spawn(self._tells, self._tell(case, content, outcome))

    async def _tell(self, case: Case, content: Identity, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.DETECT:
            _log.error(
                "LATE DETECTION: case %s (%s) was given to its user before KATA found a threat",
                case.id,
                case.name,
            )
            decision = case.decision or Decision.HOLD
            await self._ledger.write_late(Entry(case, content, outcome, decision))
        await self._drop(case.id)

    async def _run(self, case: Case, item: Item, until: float) -> None:
        try:
            outcome = await self._judged(case, item, until)
            decision = self._decide(case, outcome)
            case.decision = decision
            await self._ledger.write_named(Entry(case, item, outcome, decision, late=True))
            self._recorded(case, outcome)
            await self._drop(case.id)
        finally:
            item.body.release()

    async def _judged(self, case: Case, item: Item, until: float) -> Outcome:
        """Nobody waits, so a KATA that is away is asked again until it is back."""
        pause = _FIRST_PAUSE
        while True:
            outcome = await self._judge(case, item)
            if outcome.kind is not OutcomeKind.UNAVAILABLE or time.time() + pause > until:
                return outcome
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE)

    async def _drop(self, case_id: str) -> None:
        if case_id in self._kept:
            self._kept.discard(case_id)
            await self._journal.drop_case(case_id)
            await self._bodies.drop(case_id)

    def _spawn(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="later")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def resume(self, kept: Kept, submitter: Submitter) -> None:
        """Go on with what an earlier process left. Blocks for a moment: disk."""
        told = await self._ledger.told_late(
            {each.case_id for each in kept.cases if each.kind is CaseKind.PASSED}
        )
        passed: dict[str, list[tuple[Case, float]]] = defaultdict(list)
        for each in kept.cases:
            case = case_from_text(each.data)
            self._kept.add(case.id)
            if case.id in told:
                self._spawn(self._tells, self._drop(case.id))
            elif each.kind is CaseKind.PASSED:
                passed[each.sha256].append((case, each.until))
            else:
                self._resume_later(case, each)
        scans = [scan for scan in kept.scans if scan.phase is not ScanPhase.DONE]
        submitter.resume(scans, passed)
        for sha256, cases in passed.items():  # what is left was not brought to KATA
            size = next(each.size for each in kept.cases if each.sha256 == sha256)
            self._resume_passed(sha256, size, cases, submitter)
        self._bodies.clear({each.case_id for each in kept.cases})

    def _resume_later(self, case: Case, kept: KeptCase) -> None:
        body = self._bodies.load(case.id, kept.size, kept.sha256)
        if body is None:
            _log.error("the body of case %s is gone from the spool: it is not judged", case.id)
            self._spawn(self._tells, self._drop(case.id))
            return
        self._spawn(self._runs, self._run(case, Item(case.name, body), kept.until))

    def _resume_passed(
        self, sha256: str, size: int, cases: list[tuple[Case, float]], submitter: Submitter
    ) -> None:
        bodies = [self._bodies.load(case.id, size, sha256) for case, _ in cases]
        whole: list[Body] = [body for body in bodies if body is not None]
        if whole:
            flight = submitter.restart(Item(cases[0][0].name, whole[0]), cases[0][0].client)
            for case, until in cases:
                submitter.look_after(flight, case, until)
        for body in whole:
            body.release()

    async def close(self) -> None:
        """Stop judging; what is not judged stays for the next start."""
        for task in self._runs:
            task.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    async def finish_telling(self) -> None:
        """Wait until every late detection that is known is written."""
        await asyncio.gather(*self._tells, return_exceptions=True)
