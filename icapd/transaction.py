"""One REQMOD or RESPMOD: take the body in, have it judged, answer, leave a record."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from bridge.core import (
    CUT_OFF,
    BodyWriter,
    Decision,
    Mode,
    OutageKind,
    Outcome,
    OutcomeKind,
    Source,
    unavailable,
)
from icapd.answer import Answer
from icapd.channel import Channel
from icapd.early import Early
from icapd.edits import Edit, passing_edit
from icapd.intake import Intake, Taken
from icapd.judged import Judged, worst
from icapd.judging import Judging
from icapd.kept_back import KeptBack
from icapd.message import PART, Message
from icapd.peer import Disconnected, Expired
from icapd.planning import make_plan
from icapd.protocol import ProtocolError, Request, RequestState
from icapd.relay import give_back
from icapd.service import Service, Services
from icapd.visitor import Visitor

_log = logging.getLogger(__name__)


class Transaction:
    """Answers one request on its channel. `run` returns when the answer is out."""

    def __init__(
        self, channel: Channel, request: Request, services: Services, service: Service
    ) -> None:
        self._channel = channel
        self._services = services
        self._service = service
        self._core = services.core
        self._message = message = Message.of(request)
        self._answer = Answer(channel, request, services.fields, services.host)
        self._case = message.new_case(service.path, service.settings.log_mode, channel.peer)
        self._case.rules = services.core.rules  # those by which its answer is planned
        self._visitor = Visitor(services.visits, self._case, message)
        self._kept_back = KeptBack(
            services, channel, self._answer, self._case, message, self._visitor
        )
        self._recorded = not message.has_body  # without a body there is no case
        self._due: list[tuple[Judged, Decision]] = []  # what is still to be recorded
        self._passed = False
        if message.has_body:
            channel.case = self._case.id

    @property
    def _monitors(self) -> bool:
        return self._case.mode is Mode.MONITOR

    async def run(self) -> bool:
        """Answer; whether the message was let by.

        Raises what the proxy did, or Disconnected, after the record was left.
        """
        writer = self._core.spool.writer()
        try:
            await self._run(writer)
        except (Disconnected, Expired, ProtocolError, asyncio.CancelledError) as error:
            self._record_failure(_reason(error), CUT_OFF)
            if not isinstance(error, Disconnected):
                self._kept_back.end_open_page()
            raise
        except Exception:
            _log.exception("a fault of katabridge itself in case %s", self._case.id)
            await self._after_own_fault(writer)
        finally:
            writer.discard()
        return self._passed

    async def _run(self, writer: BodyWriter) -> None:
        logs, origin = self._core.settings.logs, self._core.wants_origin
        self._message.describe(self._case, logs, origin=origin)
        if not self._message.has_body:
            if self._message.body_withheld:
                await self._conclude([self._withheld()], Taken(), writer)
            else:
                await self._give_back(Taken(), writer)
            return
        self._note_body(withheld="")
        early = await self._early(writer)
        channel, carrying = self._channel, self._message.carrying
        intake = Intake(self._core, channel, carrying, self._case, writer, early)
        taken = await intake.take(await self._decided_by_head())
        item, outcome = taken.item, taken.outcome
        if item is None:
            assert outcome is not None  # noqa: S101 - a body that is not whole has an outcome
            await self._conclude([Judged(self._case, None, outcome)], taken, writer)
        elif not item.size:
            self._recorded = True  # nothing to judge: no case
            await self._give_back(taken, writer)
        else:
            await self._judge(taken, early, writer)

    async def _early(self, writer: BodyWriter) -> Early:
        plan = await make_plan(self._services, self._service, self._message, self._kept_back)
        channel, carrying = self._channel, self._message.carrying
        early = Early(channel, self._answer, writer, carrying, plan, self._services.stallers)
        self._kept_back.early = early
        return early

    async def _decided_by_head(self) -> Outcome | None:
        """The outcome of what is not judged, as far as heads tell."""
        excluded = self._core.excluded(self._case)
        if excluded is not None:
            return excluded
        if self._message.is_part and self._services.settings.ranges != "pass":
            return PART
        return None if self._monitors else await self._bad_before()

    async def _bad_before(self) -> Outcome | None:
        """What is known from this client's last try, where it blocks: else these bytes count."""
        outcome = await self._visitor.bad_before(self._core)
        if outcome is None or self._core.decide(self._case, outcome) is not Decision.BLOCK:
            return None
        return outcome

    async def _judge(self, taken: Taken, early: Early, writer: BodyWriter) -> None:
        item = taken.item
        assert item is not None  # noqa: S101 - the caller looked
        note = self._message.short_body(item)
        if note is not None:
            self._case.context["note"] = note
        judging = Judging(
            self._core,
            self._service,
            self._message,
            self._case,
            early,
            self._kept_back,
        )
        try:
            if self._monitors:
                try:
                    judged = await judging.accept(item)
                finally:
                    self._recorded = judging.accepted
            else:
                judged = await judging.judge(item)
            await self._conclude(judged, taken, writer)
        finally:
            judging.release()

    # -- answering -----------------------------------------------------------------------------

    async def _conclude(self, judged: list[Judged], taken: Taken, writer: BodyWriter) -> None:
        decisions = [self._core.decide(each.case, each.outcome) for each in judged]
        chief, decision = worst(judged, decisions)
        if decision is Decision.SKIP:
            decision = Decision.BLOCK
        done = self._kept_back.done_for(decision)
        self._recorded, self._due = True, [(each, done) for each in judged]
        while self._due:
            await self._services.finish(*self._due.pop(0))
        if done is Decision.PASS:
            self._visitor.served(chief.item, chief.outcome)
            await self._give_back(taken, writer, chief.outcome)
        else:
            self._kept_back.answer(chief, decision)

    async def _give_back(
        self, taken: Taken, writer: BodyWriter, outcome: Outcome | None = None
    ) -> None:
        """The message as it came, or with an edited head: 204 or 206 where legal, else whole."""
        self._passed = True
        icap = self._channel.icap
        if not self._answer.begun:
            edit = self._edit(taken, outcome)
            if edit is None and icap.may_204:
                self._answer.empty(204)
                return
            self._answer.head(edit)
        if not self._message.has_body or self._answer.end_with_own_copy():
            return
        may_spool = not taken.spool_failed
        spool = self._core.spool
        await give_back(self._channel, self._answer, spool, writer, may_spool=may_spool)
        self._answer.end()

    def _edit(self, taken: Taken, outcome: Outcome | None) -> Edit | None:
        """What passes without a verdict is kept out of caches, where its body can be given back."""
        if self._monitors:
            return None
        icap = self._channel.icap
        lost = self._message.has_body and taken.item is None and not taken.complete
        if lost and icap.request_state is not RequestState.BODY and not icap.may_206:
            return None
        ranges = self._services.settings.ranges
        return passing_edit(self._message, outcome, strip=ranges == "strip")

    # -- what goes wrong -----------------------------------------------------------------------

    def _record_failure(self, reason: str, rule: str | None = None) -> Outcome:
        outcome = Outcome(OutcomeKind.ERROR, Source.RULE, reason, rule=rule)
        for each, decision in self._due:  # of several, whose records were being written
            self._services.finish_now(each, decision)
        self._due = []
        if not self._recorded:
            self._recorded = True
            decision = Decision.PASS if self._monitors else Decision.BLOCK
            self._services.finish_now(Judged(self._case, None, outcome), decision)
        return outcome

    async def _after_own_fault(self, writer: BodyWriter) -> None:
        """What we could not handle is blocked, and not left to the proxy's bypass.

        A service that only watches lets by what it has.
        """
        self._channel.closing = True
        outcome = self._record_failure("a fault inside katabridge")
        if self._monitors:
            await self._give_back(Taken(spool_failed=True), writer)
        else:
            self._kept_back.answer(Judged(self._case, None, outcome), Decision.BLOCK)

    def _note_body(self, *, withheld: str) -> None:
        """Proxies withhold by direction, so that a body of the other one proves nothing."""
        kind, peer, path = OutageKind.BODIES_WITHHELD, self._channel.peer, self._service.path
        self._core.events.set(kind, peer, bool(withheld), withheld, part=path)

    def _withheld(self) -> Judged:
        outcome = unavailable(
            "the proxy withholds the body: its largest message size for ICAP must not be 0"
        )
        self._channel.proxy.withheld += 1
        self._services.complain(self._channel.peer, outcome.detail or "")
        self._note_body(withheld=outcome.detail or "")
        return Judged(self._case, None, replace(outcome, rule="withheld"))


def _reason(error: BaseException) -> str:
    """Why a body never came in whole, for its record."""
    if isinstance(error, ProtocolError):
        return f"the proxy broke the protocol: {error.sentence}"
    if isinstance(error, Expired):
        return str(error)
    if isinstance(error, Disconnected):
        return "the proxy closed the connection before it had its answer"
    return "katabridge was stopped"
