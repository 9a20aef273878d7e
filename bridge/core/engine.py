"""The core as one thing to open and close: what a door needs to judge, decide and record."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from bridge.core.alerts import AlertBook
from bridge.core.bypass import RULE as BYPASS
from bridge.core.bypass import Bypass
from bridge.core.events import EVENTS, Events, Parts, PartsWatch
from bridge.core.finishing import Finisher, ThreatNamer
from bridge.core.gate import Gate
from bridge.core.health import KataHealth, KataState
from bridge.core.heap import give_back
from bridge.core.journal import Journal
from bridge.core.kata.client import KataClient
from bridge.core.kata.enrolment import certificate_expiry, expiry_warning
from bridge.core.kata.poller import Intervals, Pollers
from bridge.core.kept import KeptBodies
from bridge.core.later import LaterCases
from bridge.core.ledger import Entry, Ledger
from bridge.core.logfiles import open_log
from bridge.core.metrics import Metrics
from bridge.core.model import (
    Case,
    Decision,
    Door,
    Identity,
    Item,
    Outcome,
    OutcomeKind,
    Source,
    Stage,
)
from bridge.core.notify import Webhook
from bridge.core.opening import lock_instance, open_verdicts, refuse_unusable, said
from bridge.core.policy import decide
from bridge.core.posting import Poster
from bridge.core.records import Records
from bridge.core.reloading import Adopt, Prepare, Reloader
from bridge.core.reporter import Reporter
from bridge.core.rules import Rules, rules_of, say_what_is_risky
from bridge.core.saying import OF_ALL_WORKERS
from bridge.core.scanner import Scanner
from bridge.core.settings import Settings
from bridge.core.spool import Spool
from bridge.core.submitter import Submitter
from bridge.core.upkeep import Clockwork, Limits, knock
from bridge.core.verdicts import VerdictFront

_log = logging.getLogger(__name__)

_TICK = 1.0
_LIMITS_SECONDS = 600.0
_SWEEP_SECONDS = 60.0
_HEAP_SECONDS = 10.0
_PROBE_SECONDS = 5.0
_DAY = 86400.0


class Core:
    """One process's share of the submission core, for one door: `async with Core(…) as core`.

    Every case ends in exactly one call of `finish`, `finish_now` or `accept`.
    """

    def __init__(  # noqa: PLR0913 - what a door, or a command beside it, says of itself
        self,
        settings: Settings,
        door: Door,
        worker: int = 0,
        *,
        instance: str | None = None,
        keeps_scans: bool = True,
        judges_anew: bool = False,
    ) -> None:
        """Open everything; StartError says what cannot be had. Needs a running loop.

        `instance`: the name that owns scans, where it is not `<node>.<door>.<worker>`.
        `keeps_scans`: a stop leaves them at KATA for the next start of this instance.
        `judges_anew`: verdicts from before now do not count here; others see them until a new
        one takes their place.
        """
        self.settings = settings
        self.door = door
        self._keeps_scans = keeps_scans
        self.instance = instance or f"{settings.kata.node}.{door.value.lower()}.{worker}"
        refuse_unusable(settings, self.instance)
        self._lock = lock_instance(settings.spool.dir, self.instance)
        kata, journal = settings.kata, settings.spool.dir / f"{self.instance}.journal"
        with said(journal):
            self.rules = rules_of(settings, door)
            say_what_is_risky(self.rules, settings, door)
            self.spool = Spool(settings.spool, self.instance)
            bodies = KeptBodies(self.spool)
            queues, notify = settings.spool.dir / self.instance, settings.notify
            webhook = Webhook(notify, Path(f"{queues}.notify")) if notify else None
            self._records = Records(settings.logs, Path(f"{queues}.syslog"), webhook)
            self._journal = Journal(journal)
            # a command comes and goes: what it meets is no outage of the service's
            self._events_log = log = None if instance else open_log(settings.logs, EVENTS)
        self._verdicts = VerdictFront(
            open_verdicts(settings),
            settings.verdicts.keep,
            since=time.time() if judges_anew else 0.0,
        )
        self.metrics = Metrics()
        self._client = KataClient(kata, self.instance, self.metrics.count_request)
        # a command comes and goes: a trial that its end cut off would stay at KATA
        self.health = KataHealth(str(kata.sensor_id), kata.urls, tries_files=keeps_scans)
        self._poller = Pollers(self._client, kata.urls, _intervals(settings))
        self._poster = Poster(self._client, self.health, self._journal)
        alerts = AlertBook(self._client, kata.urls, self._journal) if kata.alerts else None
        self._namer = namer = ThreatNamer(alerts, self._verdicts)
        self._ledger = Ledger(self._records, self._journal, namer.named)
        self._later = LaterCases(self._journal, bodies, self._ledger, kata.late_window)
        self._scanner = Scanner(kata, self.instance, self._verdicts, self._poster, self._poller)
        self._submitter = Submitter(kata, self._verdicts, self._scanner, self._later)
        self._later.use(self._judge_in_background, self.decide, self._submitter, self.metrics)
        self._finisher = Finisher(
            self._ledger, self._later, self._submitter, namer, self.metrics.count_case
        )
        self._bypass = Bypass(settings.spool.dir)
        self.events = Events(self.instance, log)
        parts = Parts(door, self.health, self._records, self.spool, self._verdicts, self._bypass)
        self._outages = PartsWatch(self.events, parts, settings, self.instance)
        self._clockwork = Clockwork()
        self.reporter = Reporter(self.instance, self.metrics, self._outages, self.gate, self.events)

    async def __aenter__(self) -> Self:
        """Take up what an earlier process left, and begin the work that goes by the clock.

        StartError where what it left cannot be used.
        """
        self._bypass.refresh(self.door)
        await asyncio.to_thread(self.events.restore)
        try:
            with said(self.settings.spool.dir / f"{self.instance}.journal"):
                kept = self._journal.load()
                self._notes = await self._ledger.resume(kept.records)
                await self._later.resume(kept)
        except BaseException:
            await self.close()
            raise
        self._limits = limits = Limits(self._client, self.health, self._submitter)
        # each by itself: a node that hangs must not delay the emergency switch
        for node in self.settings.kata.urls:
            ask = partial(knock, self._client, self._poster, self.health, node)
            self._clockwork.every(_TICK, ask)
        self._clockwork.every(_TICK, lambda: self._off_loop(self._bypass.refresh, self.door))
        self._clockwork.every(_TICK, lambda: self._off_loop(self._outages.look))
        self._clockwork.every(_TICK, self._ledger.catch_up)
        self._clockwork.every(_LIMITS_SECONDS, limits.ask)
        self._clockwork.every(_SWEEP_SECONDS, self._poster.sweep)
        self._clockwork.every(_HEAP_SECONDS, lambda: self._off_loop(give_back))
        self._clockwork.every(_PROBE_SECONDS, lambda: self._verdicts.probe(self.instance))
        self._clockwork.every(_DAY, self._look_at_certificate)
        return self

    def reloader(self, *parts: Prepare) -> Reloader:
        """What brings new settings to `parts`, to this core, and then to who joins."""
        return Reloader(self.settings, *parts, self.prepare, count=self.metrics.count_reloads())

    def prepare(self, settings: Settings) -> Adopt:
        """See `bridge.core.reloading`: new settings for a core that runs."""
        with said(settings.spool.dir):
            rules = rules_of(settings, self.door)

        def adopt() -> None:
            kata = settings.kata
            self.settings, self.rules = settings, rules
            say_what_is_risky(rules, settings, self.door)
            self._client.use(kata)
            self.health.hurry()
            self._poller.use(_intervals(settings))
            self._scanner.use(kata)
            self._submitter.use(kata)
            self._limits.use(kata.max_object_size)
            self._clockwork.once(self._look_at_certificate)
            self._later.look_for(kata.late_window)
            self._verdicts.use(settings.verdicts.keep)
            self.spool.use(settings.spool)
            self._records.use(settings.logs)
            if self._events_log is not None:
                self._events_log.use(settings.logs.rotate, settings.logs.keep)

        return adopt

    async def is_drained(self) -> bool:
        """Whether nothing of this instance is under way any more, here or at KATA."""
        records = self._records
        if records.waiting or records.syslog_waiting or records.notify_waiting:
            return False
        kept = await self.spool.in_thread(self._journal.load)
        return not (kept.scans or kept.cases or kept.records)

    async def _off_loop(self, work: Callable[..., None], *arguments: object) -> None:
        await self.spool.in_thread(work, *arguments)

    async def _look_at_certificate(self) -> None:
        path = self.settings.kata.client_cert
        try:
            expires = await self.spool.in_thread(certificate_expiry, path)
        except (OSError, ValueError) as error:
            _log.error("%s cannot be read any longer: %s", path, error, extra=OF_ALL_WORKERS)
            return
        warning = expiry_warning(path, expires, datetime.now(UTC))
        if warning is not None:
            _log.error("%s", warning, extra=OF_ALL_WORKERS)

    async def greet(self) -> None:
        """Ask KATA once, so that the log says at the start whether it accepts us."""
        for node in self.settings.kata.urls:
            result = await self._client.states(node)
            self.health.note(node, result)

    @property
    def kata_works(self) -> bool:
        """Whether KATA took or judged something when it was last asked."""
        return self.health.state in (KataState.OK, KataState.UNKNOWN)

    @property
    def gate(self) -> Gate:
        """Who is at KATA and who waits for a place."""
        return self._scanner.gate

    def rules_for(self, case: Case) -> Rules:
        """Those that the case began by, else those in force."""
        return case.rules or self.rules

    @property
    def wants_origin(self) -> bool:
        """Whether a rule looks at `Case.origin`."""
        return self.rules.sieve.wants_origin

    # -- judging -------------------------------------------------------------------------------

    def known(self, case: Case, content: Identity) -> Outcome | None:
        """What can be said of these bytes without waiting."""
        excluded = self.excluded(case)
        if excluded is not None or self.rules_for(case).sieve.wants_body:
            return excluded
        return self._submitter.known(content)

    async def known_before(self, case: Case, item: Item) -> Outcome | None:
        """What can be said of these bytes without KATA: by a rule, or a verdict in the store."""
        by_rule = await self._by_rule(case, item)
        return by_rule or await self._verdicts.ask(item.sha256)

    async def verdict(self, sha256: str) -> Outcome | None:
        """The verdict that the store has of some bytes."""
        return await self._verdicts.ask(sha256)

    def stage(self, sha256: str) -> Stage:
        """How far some bytes are that are judged now."""
        return self._submitter.stage(sha256)

    async def judge(
        self, case: Case, item: Item, *, wait: float | None = None, since: float | None = None
    ) -> Outcome:
        """The outcome of an item; `pending` where `wait` seconds pass without one.

        `since`: when whoever asks was first put off for these bytes (loop seconds).
        """
        by_rule = await self._by_rule(case, item)
        return by_rule or await self._submitter.submit(case, item, wait=wait, since=since)

    async def _judge_in_background(self, case: Case, item: Item) -> Outcome:
        by_rule = await self._by_rule(case, item)
        return by_rule or await self._submitter.submit(case, item, background=True)

    def excluded(self, case: Case) -> Outcome | None:
        """The rule by which an object is not judged, where that is known before its body."""
        case.bypassed = self._bypass.active(self.door)  # a case may be judged again, later
        if not case.bypassed:
            return self.rules_for(case).sieve.quick(case)
        detail = "not judged: kata-bridge bypass is on"
        return Outcome(OutcomeKind.EXCLUDED, Source.RULE, detail, rule=BYPASS)

    async def _by_rule(self, case: Case, item: Item) -> Outcome | None:
        excluded, sieve = self.excluded(case), self.rules_for(case).sieve
        if excluded is not None or not sieve.wants_body:
            return excluded
        item.body.retain()
        try:
            return await self.spool.in_thread(sieve.judge, case, item)
        finally:
            item.body.release()

    def decide(self, case: Case, outcome: Outcome) -> Decision:
        """What the door does with it."""
        case.bypassed |= self._bypass.active(self.door)
        policy = self.rules_for(case).policy
        return decide(outcome.kind, case.mode, policy, bypassed=case.bypassed)

    async def named(self, item: Item, outcome: Outcome) -> Outcome:
        """The outcome with the name that KATA's alerts have for its threat.

        Waits a few seconds for one; `finish` looks for it by itself.
        """
        return await self._namer.named(item, outcome)

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
        await self._finisher.finish(case, item, outcome, decision, note)

    def finish_now(
        self, case: Case, item: Item | None, outcome: Outcome, decision: Decision
    ) -> None:
        """`finish` for a case that ends without a verdict of KATA's."""
        self._finisher.finish_now(case, item, outcome, decision)

    def finish_together(self, ends: Sequence[Entry]) -> None:
        """`finish_now` for cases that end at the same time, not by the bypass: one write."""
        self._finisher.finish_together(ends)

    async def record_act(
        self,
        case: Case,
        content: Identity | None,
        outcome: Outcome,
        decision: Decision,
        note: str,
    ) -> None:
        """Write the record of what a person did with bytes that were judged before.

        `outcome`: of that judgement, said by a rule, so that no detection counts twice. `note` as
        in `finish`.
        """
        case.decision = decision
        await self._ledger.write_noted(Entry(case, content, outcome, decision), note)

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

    # -- the end -------------------------------------------------------------------------------

    async def stop_judging(self) -> None:
        """Give everybody who waits for a verdict `unavailable`; scans stay for the next start."""
        await self._later.close()
        await self._submitter.close(keep=self._keeps_scans)

    async def close(self) -> None:
        """End everything, in the order that loses nothing."""
        await self._clockwork.close()
        await asyncio.to_thread(self._outages.look)  # before our own end makes things fail
        await self.stop_judging()
        await self._poller.close()
        self._ledger.hurry()
        await self._finisher.close()
        await self._later.finish_telling()
        await self._ledger.close()
        await self._client.close()
        await self._verdicts.close()
        self.spool.close()
        await asyncio.to_thread(self._journal.close)
        await asyncio.to_thread(self.events.close)
        os.close(self._lock)

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _intervals(settings: Settings) -> Intervals:
    return Intervals(settings.kata.poll_interval_waiting, settings.kata.poll_interval)
