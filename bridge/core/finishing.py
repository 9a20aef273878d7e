"""How a case ends: at once, or by way of the journal where something depends on its record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.core.alerts import AlertBook
from bridge.core.bypass import RULE as BYPASS
from bridge.core.later import LaterCases
from bridge.core.ledger import Entry, Ledger
from bridge.core.model import Case, Decision, Identity, Item, Outcome, OutcomeKind, Source
from bridge.core.submitter import Submitter
from bridge.core.verdicts import VerdictFront


class ThreatNamer:
    """Gives detections the name that KATA's alerts have for them."""

    def __init__(self, alerts: AlertBook | None, verdicts: VerdictFront) -> None:
        """`alerts` is None where they are not to be read."""
        self._alerts = alerts
        self._verdicts = verdicts

    def may_name(self, outcome: Outcome) -> bool:
        """Whether a name is worth a look: KATA has just detected something."""
        nameless = outcome.kind is OutcomeKind.DETECT and not outcome.threat
        return nameless and self._alerts is not None and outcome.source is Source.KATA

    async def named(self, content: Identity, outcome: Outcome) -> Outcome:
        """The outcome with its threat, which the verdict store learns, too."""
        if self._alerts is None or not self.may_name(outcome):
            return outcome
        alert = await self._alerts.find(content.sha256, outcome.md5)
        if alert is None:
            return outcome
        named = replace(
            outcome,
            threat=alert.threat,
            technology=alert.technology,
            importance=alert.importance,
        )
        await self._verdicts.put(content.sha256, named)
        return named


class Finisher:
    """Writes the one record of each case, and tells the submitter."""

    def __init__(
        self,
        ledger: Ledger,
        later: LaterCases,
        submitter: Submitter,
        namer: ThreatNamer,
        count: Callable[[Entry], None],
    ) -> None:
        """`count` is told of each case that ends."""
        self._ledger = ledger
        self._later = later
        self._submitter = submitter
        self._namer = namer
        self._count = count
        self._tasks: set[asyncio.Task[None]] = set()

    async def finish(
        self,
        case: Case,
        item: Item | None,
        outcome: Outcome,
        decision: Decision,
        note: str | None,
    ) -> None:
        """See `bridge.core.engine.Core.finish`."""
        entry = _entry(case, item, outcome, decision)
        self._count(entry)
        unjudged = outcome.kind in (OutcomeKind.PENDING, OutcomeKind.TIMEOUT)
        passed = item if unjudged and decision is Decision.PASS else None
        if passed is None and note is None and not self._namer.may_name(outcome):
            self._ledger.write(entry)
            self._submitter.recorded(case, outcome)
            return
        work = self._finish_by_journal(entry, passed, note)
        task = asyncio.create_task(work, name=f"record-{case.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)  # once begun it is done to the end, whoever is cancelled

    async def _finish_by_journal(self, entry: Entry, passed: Item | None, note: str | None) -> None:
        if passed is not None:
            passed.body.retain()
            try:
                await self._later.passed(entry.case, passed)
            finally:
                passed.body.release()
        if note is not None:
            await self._ledger.write_noted(entry, note)
        else:
            await self._ledger.write_named(entry)
        looked_after = self._submitter.recorded(entry.case, entry.outcome)
        if passed is not None and not looked_after:
            await self._later.drop(entry.case.id)

    def finish_now(
        self, case: Case, item: Item | None, outcome: Outcome, decision: Decision
    ) -> None:
        """See `bridge.core.engine.Core.finish_now`."""
        self.finish_together((_entry(case, item, outcome, decision),))

    def finish_together(self, entries: Sequence[Entry]) -> None:
        """See `bridge.core.engine.Core.finish_together`."""
        for entry in entries:
            entry.case.decision = entry.decision
            self._count(entry)
        self._ledger.write_all(entries)
        for entry in entries:
            self._submitter.recorded(entry.case, entry.outcome)

    async def close(self) -> None:
        """Wait for what has begun."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _entry(case: Case, item: Item | None, outcome: Outcome, decision: Decision) -> Entry:
    case.decision = decision
    if case.bypassed:
        outcome = replace(outcome, rule=BYPASS)
    return Entry(case, item, outcome, decision)
