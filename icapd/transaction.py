"""One REQMOD or RESPMOD: take the body in, have it judged, answer, leave a record."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from bridge.core import (
    BodyWriter,
    Case,
    Decision,
    Door,
    Item,
    Origin,
    Outcome,
    OutcomeKind,
    PageSettings,
    Source,
    unavailable,
)
from icapd.answer import Answer
from icapd.channel import Channel
from icapd.context import client_ip, log_url, object_name, sure_name, user_name
from icapd.edits import NOT_CACHED, Edit, pass_edit
from icapd.intake import Intake, Taken
from icapd.pages import Facts, Page, Pages, Reader
from icapd.peer import Disconnected, Expired
from icapd.protocol import HttpHead, ProtocolError, Request, RequestState
from icapd.relay import give_back
from icapd.service import Service, Services

_log = logging.getLogger(__name__)

_NO_BODY_STATUS = (204, 205, 304)
_PAGES = Pages(PageSettings())


class Transaction:
    """Answers one request on its channel. `run` returns when the answer is out."""

    def __init__(
        self, channel: Channel, request: Request, services: Services, service: Service
    ) -> None:
        self._channel = channel
        self._request = request
        self._services = services
        self._service = service
        self._core = services.core
        self._answer = Answer(channel, request, services.fields, services.host)
        self._http_request = HttpHead(request.request_head)
        is_response = request.method == "RESPMOD"
        self._carrying = HttpHead(request.response_head) if is_response else self._http_request
        context: dict[str, str | None] = {"service": service.path, "proxy": channel.peer}
        self._case = Case(Door.ICAP, service.settings.log_mode, "unnamed", context)
        self._recorded = not request.encapsulated.has_body  # without a body there is no case
        self._passed = False
        if request.encapsulated.has_body:
            channel.case = self._case.id

    async def run(self) -> bool:
        """Answer; whether the message was let by.

        Raises what the proxy did, or Disconnected, after the record was left.
        """
        writer = self._core.spool.writer()
        try:
            await self._run(writer)
        except (Disconnected, Expired, ProtocolError, asyncio.CancelledError) as error:
            self._record_failure(_reason(error))
            raise
        except Exception:
            _log.exception("a fault of katabridge itself; case %s is blocked", self._case.id)
            self._block_for_own_fault()
        finally:
            writer.discard()
        return self._passed

    async def _run(self, writer: BodyWriter) -> None:
        self._describe_case()
        if self._services.unjudged_may_pass:
            self._answer.commit_edit |= NOT_CACHED
        if not self._request.encapsulated.has_body:
            if self._body_withheld():
                await self._conclude(Taken(outcome=self._withheld()), writer)
            else:
                await self._give_back(Taken(), writer)
            return
        intake = Intake(
            self._core,
            self._channel,
            self._request,
            self._carrying,
            self._answer,
            self._case,
            writer,
        )
        taken = await intake.take()
        if taken.item is not None:
            if not taken.item.size:
                self._recorded = True  # nothing to judge: no case
                await self._give_back(taken, writer)
                return
            self._note_short_body(taken.item)
            taken = replace(taken, outcome=await self._judge(taken.item))
        await self._conclude(taken, writer)

    async def _judge(self, item: Item) -> Outcome:
        hold = self._service.settings.hold_seconds
        known = self._core.known(self._case, item)
        return known or await self._core.judge(self._case, item, wait=hold)

    # -- answering -----------------------------------------------------------------------------

    async def _conclude(self, taken: Taken, writer: BodyWriter) -> None:
        case, outcome = self._case, taken.outcome
        assert outcome is not None  # noqa: S101 - a body is whole and judged, or has an outcome
        decision = self._core.decide(case, outcome)
        if decision is Decision.SKIP:
            decision = Decision.BLOCK
        self._recorded = True
        await self._services.finish(case, taken.item, outcome, decision)
        if decision is Decision.PASS:
            await self._give_back(taken, writer)
        elif self._answer.begun:
            _log.warning("case %s: the answer had begun, so its download is cut", case.id)
            self._channel.abort()
            raise Disconnected
        else:
            self._answer.page(self._page(taken.item, outcome, decision))

    def _page(self, item: Item | None, outcome: Outcome, decision: Decision) -> Page:
        """The page for a case that is not passed."""
        facts = Facts(
            self._case.id,
            self._case.name,
            item.size if item else None,
            item.sha256 if item else None,
            outcome.kind,
            outcome.threat,
            outcome.detail or "",
            self._request.method == "REQMOD",
        )
        make = _PAGES.later if decision is Decision.HOLD else _PAGES.block
        return make(Reader.of(self._http_request), facts)

    async def _give_back(self, taken: Taken, writer: BodyWriter) -> None:
        """The message as it came, or with an edited head: 204 or 206 where legal, else whole."""
        self._passed = True
        icap = self._channel.icap
        if not self._answer.begun:
            edit = self._edit(taken)
            if edit is None and icap.may_204:
                self._answer.empty(204)
                return
            self._answer.head(edit)
        if not self._request.encapsulated.has_body or self._answer.end_with_own_copy():
            return
        may_spool = not taken.spool_failed
        spool = self._core.spool
        await give_back(self._channel, self._answer, spool, writer, may_spool=may_spool)
        self._answer.end()

    def _edit(self, taken: Taken) -> Edit | None:
        """What passes without a verdict is kept out of caches, where its body can be given back."""
        if self._request.method != "RESPMOD" or taken.outcome is None:
            return None
        icap = self._channel.icap
        lost = taken.item is None and icap.request_state is not RequestState.BODY
        if lost and not icap.may_206:
            return None
        return pass_edit(self._carrying, taken.outcome.kind)

    # -- the case and its record ---------------------------------------------------------------

    def _describe_case(self) -> None:
        head = self._http_request
        keep_query = self._core.settings.logs.urls == "full"
        self._case.name = object_name(head, self._carrying)
        self._case.size = self._carrying.content_length
        self._case.context |= {
            "client_ip": client_ip(self._request),
            "user": user_name(self._request),
            "method": head.method or None,
            "url": log_url(head.url, keep_query) or None,
        }
        if self._core.wants_origin:
            kind, agent = self._carrying.joined("content-type"), head.joined("user-agent")
            self._case.origin = Origin(
                head.url or None,
                kind,
                agent,
                client_ip(self._request),
                sure_name(head, self._carrying, self._case.name),
            )

    def _record_failure(self, reason: str) -> Outcome:
        outcome = Outcome(OutcomeKind.ERROR, Source.RULE, reason)
        if not self._recorded:
            self._recorded = True
            self._services.finish_now(self._case, outcome, Decision.BLOCK)
        return outcome

    def _block_for_own_fault(self) -> None:
        """What we could not handle does not pass, and is not left to the proxy's bypass either."""
        self._channel.closing = True
        outcome = self._record_failure("a fault inside katabridge")
        if self._answer.begun:
            self._channel.abort()
            raise Disconnected
        self._answer.page(self._page(None, outcome, Decision.BLOCK))

    def _body_withheld(self) -> bool:
        """Whether the head announces a body that the proxy did not send (UserGate's default)."""
        carrying = self._carrying
        if self._request.method == "RESPMOD":
            status = carrying.status
            if status is not None and (status in _NO_BODY_STATUS or status < 200):
                return False
            if self._http_request.method in ("HEAD", "CONNECT"):
                return False
            # without a length a body ends with its connection: a proxy may have unchunked it
            if status is not None and not 300 <= status < 400 and carrying.content_length is None:
                return True
        return carrying.announces_body

    def _withheld(self) -> Outcome:
        outcome = unavailable(
            "the proxy withholds the body: its largest message size for ICAP must not be 0"
        )
        self._services.complain(self._channel.peer, outcome.detail or "")
        return replace(outcome, rule="withheld")

    def _note_short_body(self, item: Item) -> None:
        """Squid ends a body in good order even when the origin broke off."""
        length = self._carrying.content_length
        if length is not None and item.size < length:
            note = f"judged on a part: {item.size} of {length} bytes arrived"
            self._case.context["note"] = note


def _reason(error: BaseException) -> str:
    """Why a body never came in whole, for its record."""
    if isinstance(error, ProtocolError):
        return f"the proxy broke the protocol: {error.sentence}"
    if isinstance(error, Expired):
        return str(error)
    if isinstance(error, Disconnected):
        return "the proxy closed the connection before the body was complete"
    return "katabridge was stopped"
