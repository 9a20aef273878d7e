"""The core as one thing to open and close: what a door needs to judge, decide and record."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Self

from bridge.core.alerts import AlertBook
from bridge.core.bypass import RULE as BYPASS
from bridge.core.bypass import Bypass
from bridge.core.health import KataHealth, KataState
from bridge.core.journal import Journal
from bridge.core.kata.client import KataClient
from bridge.core.kata.poller import Intervals, Pollers
from bridge.core.kept import KeptBodies
from bridge.core.later import LaterCases
from bridge.core.ledger import Entry, Ledger
from bridge.core.model import Case, Decision, Door, Identity, Item, Outcome, OutcomeKind, Source
from bridge.core.opening import lock_instance, open_verdicts, said
from bridge.core.policy import Policy, decide, door_policy
from bridge.core.posting import Poster
from bridge.core.records import Records
from bridge.core.scanner import Scanner
from bridge.core.settings import Settings
from bridge.core.sieve import Sieve
from bridge.core.spool import Spool
from bridge.core.submitter import Submitter
from bridge.core.upkeep import Clockwork, Limits, knock
from bridge.core.verdicts import VerdictFront

_TICK = 1.0
_LIMITS_SECONDS = 600.0
_SWEEP_SECONDS = 60.0


class Core:
    """One process's share of the submission core, for one door: `async with Core(…) as core`.

    Every case ends in exactly one call of `finish`, `finish_now` or `accept`.
    """

    def __init__(
        self, settings: Settings, door: Door, worker: int = 0, *, instance: str | None = None
    ) -> None:
        """Open everything; StartError says what cannot be had. Needs a running loop.

        `instance`: the name that owns scans, where it is not `<node>.<door>.<worker>`.
        """
        own = settings.icap.policy if door is Door.ICAP else settings.folder_policy
        self.policy: Policy = door_policy(door, settings.policy, own)
        self.settings = settings
        self.door = door
        self.instance = instance or f"{settings.kata.node}.{door.value.lower()}.{worker}"
        self._lock = lock_instance(settings.spool.dir, self.instance)
        kata, journal = settings.kata, settings.spool.dir / f"{self.instance}.journal"
        with said(journal):
            self._sieve = Sieve(settings, door)
            self.spool = Spool(settings.spool, self.instance)
            bodies = KeptBodies(self.spool)
            records = Records(settings.logs.dir)
            self._journal = Journal(journal)
        self._verdicts = VerdictFront(open_verdicts(settings), settings.verdicts.keep)
        self._client = KataClient(kata, self.instance)
        self.health = KataHealth(str(kata.sensor_id), kata.urls)
        intervals = Intervals(kata.poll_interval_waiting, kata.poll_interval)
        self._poller = Pollers(self._client, kata.urls, intervals)
        self._poster = Poster(self._client, self.health, self._journal)
        self._alerts = AlertBook(self._client, kata.urls, self._journal)
        self._ledger = Ledger(records, self._journal, self._name_threat)
        self._later = LaterCases(self._journal, bodies, self._ledger, kata.late_window)
        scanner = Scanner(kata, self.instance, self._verdicts, self._poster, self._poller)
        self._submitter = Submitter(kata, self._verdicts, scanner, self._later)
        self._later.use(self._judge_in_background, self.decide, self._submitter.recorded)
        self._bypass = Bypass(settings.spool.dir)
        self._clockwork = Clockwork()
        self._finishing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Take up what an earlier process left, and begin the work that goes by the clock."""
        self._bypass.refresh(self.door)
        kept = self._journal.load()
        self._notes = await self._ledger.resume(kept.records)
        self._later.resume(kept, self._submitter)
        limits = Limits(self._client, self.health, self._submitter)
        self._clockwork.every(_TICK, self._tick)
        self._clockwork.every(_LIMITS_SECONDS, limits.ask)
        self._clockwork.every(_SWEEP_SECONDS, self._poster.sweep)
        return self

    async def _tick(self) -> None:
        await knock(self._client, self.health)
        await self.spool.in_thread(self._bypass.refresh, self.door)

    async def greet(self) -> None:
        """Ask KATA once, so that the log says at the start whether it accepts us."""
        for node in self.settings.kata.urls:
            result = await self._client.states(node)
            self.health.note(node, result.answer, result.detail)

    @property
    def kata_works(self) -> bool:
        """Whether KATA took or judged something when it was last asked."""
        return self.health.state in (KataState.OK, KataState.UNKNOWN)

    @property
    def wants_origin(self) -> bool:
        """Whether a rule looks at `Case.origin`."""
        return self._sieve.wants_origin

    # -- judging -------------------------------------------------------------------------------

    def known(self, case: Case, item: Item) -> Outcome | None:
        """What can be said of these bytes without waiting."""
        excluded = self.excluded(case)
        if excluded is not None or self._sieve.wants_body:
            return excluded
        return self._submitter.known(item)

    async def judge(self, case: Case, item: Item, *, wait: float | None = None) -> Outcome:
        """The outcome of an item; `pending` where `wait` seconds pass without one."""
        by_rule = await self._by_rule(case, item)
        return by_rule or await self._submitter.submit(case, item, wait=wait)

    async def _judge_in_background(self, case: Case, item: Item) -> Outcome:
        by_rule = await self._by_rule(case, item)
        return by_rule or await self._submitter.submit(case, item, background=True)

    def excluded(self, case: Case) -> Outcome | None:
        """The rule by which an object is not judged, where that is known before its body."""
        if not self._bypass.active(self.door):
            return self._sieve.quick(case)
        case.bypassed = True
        detail = "not judged: kata-bridge bypass is on"
        return Outcome(OutcomeKind.EXCLUDED, Source.RULE, detail, rule=BYPASS)

    async def _by_rule(self, case: Case, item: Item) -> Outcome | None:
        excluded = self.excluded(case)
        if excluded is not None or not self._sieve.wants_body:
            return excluded
        item.body.retain()
        try:
            return await self.spool.in_thread(self._sieve.judge, case, item)
        finally:
            item.body.release()

    def decide(self, case: Case, outcome: Outcome) -> Decision:
        """What the door does with it."""
        case.bypassed |= self._bypass.active(self.door)
        return decide(outcome.kind, case.mode, self.policy, bypassed=case.bypassed)

    # -- records -------------------------------------------------------------------------------

    async def finish(
        self,
        case: Case,
        item: Item | None,
        outcome: Outcome,
        decision: Decision,
        note: str | None = None,
    ) -> None:
        """Write the case's record, or make sure that it will be; then its door may answer.

        With a `note` of what the door does next, `confirm` must follow, or the note comes back as
        one of `notes` after a restart.
        """
        entry = self._entry(case, item, outcome, decision)
        unjudged = outcome.kind in (OutcomeKind.PENDING, OutcomeKind.TIMEOUT)
        passed = item if unjudged and decision is Decision.PASS else None
        nameless = entry.detection and not outcome.threat and self._may_be_named(outcome)
        if passed is None and note is None and not nameless:
            self._ledger.write(entry)
            self._submitter.recorded(case, outcome)
            return
        work = self._finish_by_journal(entry, passed, note)
        task = asyncio.create_task(work, name=f"record-{case.id}")
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        await asyncio.shield(task)  # once begun it is done to the end, whoever is cancelled

    async def _finish_by_journal(self, entry: Entry, passed: Item | None, note: str | None) -> None:
        if passed is not None:
            await self._later.passed(entry.case, passed)
        if note is not None:
            await self._ledger.write_noted(entry, note)
        else:
            await self._ledger.write_named(entry)
        self._submitter.recorded(entry.case, entry.outcome)

    def finish_now(
        self, case: Case, item: Item | None, outcome: Outcome, decision: Decision
    ) -> None:
        """`finish` for a case that ends without a verdict of KATA's."""
        self._ledger.write(self._entry(case, item, outcome, decision))
        self._submitter.recorded(case, outcome)

    def _entry(self, case: Case, item: Item | None, outcome: Outcome, decision: Decision) -> Entry:
        case.decision = decision
        if case.bypassed:
            outcome = replace(outcome, rule=BYPASS)
        return Entry(case, item, outcome, decision)

    async def accept(self, case: Case, item: Item) -> None:
        """Have an item judged and recorded after its user was served; it survives a crash.

        SpoolError or JournalError where it would not.
        """
        await self._later.accept(case, item)

    def notes(self) -> dict[str, str]:
        """By case id, what the door was to do after records of an earlier process."""
        return self._notes

    async def confirm(self, case_id: str) -> None:
        """What the case's note said is done."""
        await self._ledger.done(case_id)

    def _may_be_named(self, outcome: Outcome) -> bool:
        return self.settings.kata.alerts and outcome.source is Source.KATA

    async def _name_threat(self, content: Identity, outcome: Outcome) -> Outcome:
        if not self._may_be_named(outcome):
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

    # -- the end -------------------------------------------------------------------------------

    async def stop_judging(self) -> None:
        """Give everybody who waits for a verdict `unavailable`; scans stay for the next start."""
        await self._later.close()
        await self._submitter.close()

    async def close(self) -> None:
        """End everything, in the order that loses nothing."""
        await self._clockwork.close()
        await self.stop_judging()
        await self._poller.close()
        self._ledger.hurry()
        await asyncio.gather(*self._finishing, return_exceptions=True)
        await self._later.finish_telling()
        await self._ledger.close()
        await self._client.close()
        await self._verdicts.close()
        self.spool.close()
        await asyncio.to_thread(self._journal.close)
        os.close(self._lock)

    async def __aexit__(self, *_: object) -> None:
        await self.close()
