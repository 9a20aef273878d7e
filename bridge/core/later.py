"""Cases whose user was served before the verdict: kept over restarts until it is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from bridge.core.body import Body, SpoolError
from bridge.core.cancelling import end_tasks
from bridge.core.caseform import case_from_text, case_to_text
from bridge.core.journal import CaseKind, Journal, JournalError, Kept, KeptCase, ScanPhase
from bridge.core.kept import KeptBodies
from bridge.core.ledger import Entry, Ledger
from bridge.core.model import (
    Case,
    Decision,
    Identity,
    Item,
    KnownBytes,
    Outcome,
    OutcomeKind,
    Source,
)
from bridge.core.printable import printable
from bridge.core.submitter import Submitter

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 5.0
_MAX_PAUSE = 60.0

Judge = Callable[[Case, Item], Awaitable[Outcome]]


class Count(Protocol):
    """What is counted of cases that end later."""

    def count_case(self, entry: Entry) -> None:
        """A case has ended."""

    def count_late_detection(self, case: Case) -> None:
        """A threat was found in what a user has already."""


Decide = Callable[[Case, Outcome], Decision]


class LaterCases:
    """`accept`: judge and record later. `passed`: recorded, but a detection must still be told."""

    def __init__(self, journal: Journal, bodies: KeptBodies, ledger: Ledger, window: float) -> None:
        """`window`: seconds for which a case is looked after."""
        self._journal = journal
        self._bodies = bodies
        self._ledger = ledger
        self._window = window
        self._kept: dict[str, float] = {}  # case id -> until when it is looked after (epoch)
        self._pauses: dict[str, float] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._tells: set[asyncio.Task[None]] = set()
        self._judge: Judge
        self._decide: Decide
        self._submitter: Submitter
        self._count: Count

    def use(self, judge: Judge, decide: Decide, submitter: Submitter, count: Count) -> None:
        """The core's own ways to judge in the background, to decide and to count."""
        self._judge, self._decide, self._submitter = judge, decide, submitter
        self._count = count

    def look_for(self, window: float) -> None:
        """Look after cases for so many seconds from now on."""
        self._window = window

    async def accept(self, case: Case, item: Item) -> None:
        """Take a case over; SpoolError or JournalError where it would not survive a crash."""
        item.body.retain()
        keeping = asyncio.create_task(self._keep(case, item, CaseKind.LATER))
        try:
            await asyncio.shield(keeping)
        except BaseException:
            # its door records it as it ends, so nobody may come back to it
            item.body.release()
            self._spawn(self._tells, self._undo(keeping, case.id))
            raise
        self._spawn(self._runs, self._run(case, item, time.time() + self._window))

    async def _undo(self, keeping: asyncio.Task[None], case_id: str) -> None:
        await asyncio.wait({keeping})
        if keeping.exception() is None:
            await self.drop(case_id)

    async def passed(self, case: Case, item: Item) -> None:
        """Look after a case that is passed without a verdict; a fault is said, and lived with."""
        try:
            await self._keep(case, item, CaseKind.PASSED)
        except (SpoolError, JournalError) as error:
            _log.warning("case %s: %s; after a crash nobody looks after it", case.id, error)

    async def _keep(self, case: Case, item: Item, kind: CaseKind) -> None:
        await self._bodies.keep(item.body, case.id)
        until = time.time() + self._window
        self._kept[case.id] = until
        try:
            await self._journal.keep_case(_kept(case, item, kind, until))
        except JournalError:
            await self._bodies.drop(case.id)
            raise

    def judged_late(self, case: Case, content: Identity, outcome: Outcome) -> asyncio.Task[None]:
        """See `bridge.core.submitter.Aftermath`."""
        return self._spawn(self._tells, self._tell(case, content, outcome))

    async def _tell(self, case: Case, content: Identity, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.DETECT:
            await self._tell_detection(case, content, outcome)
        pause = self._pauses.get(case.id, _FIRST_PAUSE)
        until = self._kept.get(case.id, 0.0)
        if outcome.kind is OutcomeKind.UNAVAILABLE and time.time() + pause < until:
            self._spawn(self._runs, self._look_again(case, content, until, pause))
        else:
            await self.drop(case.id)

    async def _look_again(self, case: Case, content: Identity, until: float, pause: float) -> None:
        """KATA could not be asked about what its user has already: it is asked until it can be."""
        self._pauses[case.id] = min(max(pause * 2, _FIRST_PAUSE), _MAX_PAUSE)
        await asyncio.sleep(pause)
        body = self._load(case.id, content)
        if body is None:
            await self.drop(case.id)
            return
        flight = self._submitter.restart(Item(case.name, body), case.client)
        self._submitter.look_after(flight, case, until)
        body.release()

    def _load(self, case_id: str, content: Identity) -> Body | None:
        body = self._bodies.load(case_id, content.size, content.sha256)
        if body is None:
            _log.error("the body of case %s is gone from the spool: it is not judged", case_id)
        return body

    async def _tell_detection(self, case: Case, content: Identity, outcome: Outcome) -> None:
        if case.decision is Decision.PASS:
            self._say_late_detection(case, content, outcome)
        decision = case.decision or Decision.HOLD
        await self._ledger.write_late(Entry(case, content, outcome, decision))

    def _say_late_detection(self, case: Case, content: Identity, outcome: Outcome) -> None:
        self._count.count_late_detection(case)
        _log.error("LATE DETECTION: %s", printable(_who_got_what(case, content, outcome)))

    async def _run(self, case: Case, item: Item, until: float) -> None:
        try:
            try:
                outcome = await self._judged(case, item, until)
            except Exception:
                _log.exception("a fault of katabridge itself; case %s counts as `error`", case.id)
                outcome = Outcome(OutcomeKind.ERROR, Source.RULE, "a fault inside katabridge")
            record = self._record(case, KnownBytes(item.sha256, item.size), outcome)
            # once begun it is done to the end, also by a stop
            await asyncio.shield(self._spawn(self._tells, record))
        finally:
            item.body.release()

    async def _record(self, case: Case, content: Identity, outcome: Outcome) -> None:
        decision = self._decide(case, outcome)
        case.decision = decision
        entry = Entry(case, content, outcome, decision, late=True)
        self._count.count_case(entry)
        await self._ledger.write_named(entry)
        if outcome.kind is OutcomeKind.DETECT and decision is Decision.PASS:
            self._say_late_detection(case, content, outcome)
        if self._submitter.recorded(case, outcome):
            await self._look_after(case, content)
        else:
            await self.drop(case.id)

    async def _look_after(self, case: Case, content: Identity) -> None:
        """It has its record, and a detection must still be told: after a restart, too."""
        until = self._kept.get(case.id)
        if until is not None:
            with contextlib.suppress(JournalError):
                await self._journal.keep_case(_kept(case, content, CaseKind.PASSED, until))
        if case.id not in self._kept:  # it was told meanwhile
            await self._journal.drop_case(case.id)

    async def _judged(self, case: Case, item: Item, until: float) -> Outcome:
        """Nobody waits, so a KATA that is away is asked again until it is back."""
        pause = _FIRST_PAUSE
        while True:
            outcome = await self._judge(case, item)
            if outcome.kind is not OutcomeKind.UNAVAILABLE or time.time() + pause > until:
                return outcome
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE)

    async def drop(self, case_id: str) -> None:
        """Nobody comes back to a case."""
        self._pauses.pop(case_id, None)
        if self._kept.pop(case_id, None) is not None:
            await self._journal.drop_case(case_id)
            await self._bodies.drop(case_id)

    def _spawn(
        self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="later")
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    async def resume(self, kept: Kept) -> None:
        """Go on with what an earlier process left. Blocks for a moment: disk."""
        given = {c.case_id: c.until - self._window for c in kept.cases if c.kind is CaseKind.PASSED}
        told = await self._ledger.told_late(given)
        passed: dict[str, list[tuple[Case, float]]] = defaultdict(list)
        for each in kept.cases:
            case = case_from_text(each.data)
            self._kept[case.id] = each.until
            if each.kind is CaseKind.LATER:
                self._resume_later(case, each)
            elif case.id in told or each.until < time.time():
                self._spawn(self._tells, self.drop(case.id))
            else:
                passed[each.sha256].append((case, each.until))
        scans = [scan for scan in kept.scans if scan.phase is not ScanPhase.DONE]
        self._submitter.resume(scans, passed)
        sizes = {each.sha256: each.size for each in kept.cases}
        for sha256, cases in passed.items():  # what is left was not brought to KATA
            for case, until in cases:
                content = KnownBytes(sha256, sizes[sha256])
                self._spawn(self._runs, self._look_again(case, content, until, 0.0))
        self._bodies.clear({each.case_id for each in kept.cases})

    def _resume_later(self, case: Case, kept: KeptCase) -> None:
        body = self._load(case.id, kept)
        if body is None:
            gone = Outcome(OutcomeKind.ERROR, Source.RULE, "its body is gone from the spool")
            content = KnownBytes(kept.sha256, kept.size)
            self._spawn(self._tells, self._record(case, content, gone))
            return
        self._spawn(self._runs, self._run(case, Item(case.name, body), kept.until))

    async def close(self) -> None:
        """Stop judging; what is not judged stays for the next start."""
        await end_tasks(self._runs)

    async def finish_telling(self) -> None:
        """Wait until every late detection that is known is written."""
        await asyncio.gather(*self._tells, return_exceptions=True)


def _kept(case: Case, content: Identity, kind: CaseKind, until: float) -> KeptCase:
    return KeptCase(case.id, kind, case_to_text(case), content.sha256, content.size, until)


def _who_got_what(case: Case, content: Identity, outcome: Outcome) -> str:
    """A sentence for whoever goes after a threat that is on its way already."""
    context = case.context
    user = f" (user {context['user']})" if context.get("user") else ""
    source = context.get("url") or context.get("path") or "an unknown place"
    threat = outcome.threat or "a threat"
    return (
        f"case {case.id}: {case.name} (sha256 {content.sha256}) from {source} was given to "
        f"{case.client or 'an unknown client'}{user} before KATA found {threat}"
    )
