"""What a client gets that does not get its object, and what is remembered of it."""

from __future__ import annotations

import logging
from functools import cached_property

from bridge.core import PENDING, Case, Decision, OutcomeKind
from icapd.answer import Answer
from icapd.channel import Channel
from icapd.early import Begun, Early
from icapd.judged import Judged
from icapd.message import Message
from icapd.pages import Ending, Facts, OpenPage, Reader, Stage
from icapd.peer import Disconnected
from icapd.protocol import AnswerState
from icapd.service import Services
from icapd.visitor import Visitor

_log = logging.getLogger(__name__)


class KeptBack:
    """Answers in place of one message: a page, the end of one, or a cut.

    `early`: what was begun before.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what one request brings along
        self,
        services: Services,
        channel: Channel,
        answer: Answer,
        case: Case,
        message: Message,
        visitor: Visitor,
    ) -> None:
        self._services = services
        self._channel = channel
        self._answer = answer
        self._case = case
        self._message = message
        self._visitor = visitor
        self.early: Early | None = None

    @cached_property
    def _reader(self) -> Reader:
        return Reader.of(self._message.http_request)

    @property
    def can_put_off(self) -> bool:
        """See `icapd.judging.Asker`."""
        is_page = self._message.is_response and self._reader.navigation
        return is_page and not self.is_restless

    @property
    def is_restless(self) -> bool:
        """See `icapd.judging.Asker`."""
        return self._visitor.is_restless

    def waits_since(self, sha256: str) -> float | None:
        """See `icapd.judging.Asker`."""
        return self._visitor.waits_since(sha256)

    async def may_open_page(self) -> bool:
        """Whether a page may be begun while the body arrives.

        What the client comes back for is begun itself: a page would be followed by the next one,
        since the body is known by its end only.
        """
        return self.can_put_off and not await self._visitor.comes_back_for_more(self._services.core)

    def open_page(self) -> OpenPage:
        """The beginning of a page that is held open."""
        facts = Facts(
            self._case.id,
            self._case.name,
            self._case.size,
            None,
            OutcomeKind.PENDING,
            None,
            "",
            False,
        )
        return self._services.pages.open(self._reader, facts, elapsed=self._visitor.elapsed)

    # -- the answer ----------------------------------------------------------------------------

    @property
    def _begun(self) -> Begun:
        return Begun.NOTHING if self.early is None else self.early.begun

    def done_for(self, decision: Decision) -> Decision:
        """What is done by a decision: who sees a page has to come again for what is clean."""
        if decision is Decision.PASS and self._begun is Begun.PAGE:
            return Decision.HOLD
        return decision

    def answer(self, judged: Judged, decision: Decision) -> None:
        """Answer for what decides; Disconnected where the answer had to be cut."""
        if self._begun is Begun.PAGE:
            self._end_page(judged, decision)
        elif self._answer.begun:
            self._cut(judged)
        else:
            self._page(judged, decision)

    def _end_page(self, judged: Judged, decision: Decision) -> None:
        if decision is Decision.BLOCK:
            how = Ending.BLOCKED
            self._visitor.cut_off(judged.item, judged.outcome)
        else:
            how = Ending.RELOAD if decision is Decision.PASS else Ending.WAIT
            self._visitor.put_off(judged.item)
            if decision is Decision.PASS:
                self._visitor.let_by()
        self._answer.page_bytes(self._services.pages.ending(self._reader, self._facts(judged), how))
        self._answer.end()

    def end_open_page(self) -> None:
        """End a page that is held open, if one is, so that it reloads: nothing is known yet."""
        if self._begun is Begun.PAGE and self._channel.icap.answer_state is AnswerState.BODY:
            facts = self._facts(Judged(self._case, None, PENDING))
            self._answer.page_bytes(self._services.pages.ending(self._reader, facts, Ending.WAIT))
            self._answer.end()

    def _cut(self, judged: Judged) -> None:
        self._visitor.cut_off(judged.item, judged.outcome)
        _log.warning("case %s: the answer had begun, so its download is cut", judged.case.id)
        self._channel.abort()
        raise Disconnected

    def _page(self, judged: Judged, decision: Decision) -> None:
        pages, facts = self._services.pages, self._facts(judged)
        waits = judged.outcome.kind is OutcomeKind.PENDING and judged.item is not None
        if decision is Decision.BLOCK:
            self._visitor.told()
            page = pages.block(self._reader, facts)
        elif waits and self.can_put_off and judged.item is not None:
            self._visitor.put_off(judged.item)
            stage = Stage(self._services.core.stage(judged.item.sha256).value)
            page = pages.wait(self._reader, facts, elapsed=self._visitor.elapsed, stage=stage)
        else:
            if waits:
                self._visitor.put_off(judged.item)
            page = pages.later(self._reader, facts)
        self._answer.page(page)

    def _facts(self, judged: Judged) -> Facts:
        case, item, outcome = judged.case, judged.item, judged.outcome
        return Facts(
            case.id,
            case.name,
            item.size if item is not None else None,
            item.sha256 if item is not None else None,
            outcome.kind,
            outcome.threat,
            outcome.detail,
            not self._message.is_response,
        )
