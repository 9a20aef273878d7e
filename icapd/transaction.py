"""One REQMOD or RESPMOD: take the body in, have it judged, answer, leave a record."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from bridge.core import (
    BodyWriter,
    Case,
    Decision,
    Door,
    Item,
    Outcome,
    OutcomeKind,
    Source,
    SpoolError,
    oversize,
    unavailable,
)
from icapd.answer import Answer
from icapd.channel import SILENCE, Channel, Disconnected, Expired
from icapd.context import client_ip, log_url, object_name, user_name
from icapd.pages import make_page
from icapd.protocol import (
    BodyEnd,
    Data,
    HttpHead,
    PreviewEnd,
    ProtocolError,
    Reading,
    Request,
)
from icapd.service import Service, Services

_log = logging.getLogger(__name__)

BODY_PATIENCE = 60.0  # seconds without a byte of a body that is not complete
# Squid 5.7 stops a fast body past 64 KiB until it is sent something; one byte frees it each time.
STALL_SILENCE = 0.1
STALL_MIN_BYTES = 32 * 1024
STALL_SILENCE_SMALL = 3.0
_NO_BODY_STATUS = (204, 304)
_REASONS: dict[type[BaseException], str] = {
    Disconnected: "the proxy closed the connection before the body was complete",
    Expired: "the proxy stopped sending the body",
    ProtocolError: "the proxy broke the protocol",
    asyncio.CancelledError: "katabridge was stopped",
}


@dataclass(slots=True)
class _Taken:
    """How the body came in: whole as an item, or with the outcome that stopped it."""

    item: Item | None = None
    outcome: Outcome | None = None


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
        self._answer = Answer(channel, request, services.fields)
        self._http_request = HttpHead(request.request_head)
        is_response = request.method == "RESPMOD"
        self._carrying = HttpHead(request.response_head) if is_response else self._http_request
        self._case = self._new_case()
        self._case.size = self._carrying.content_length
        self._writer: BodyWriter = self._core.spool.writer()
        self._fits_preview = False
        self._closed = False

    def _new_case(self) -> Case:
        head, request = self._http_request, self._request
        keep_query = self._core.settings.logs.urls == "full"
        return Case(
            Door.ICAP,
            self._service.settings.log_mode,
            object_name(head, self._carrying),
            {
                "service": self._service.path,
                "proxy": self._channel.peer,
                "client_ip": client_ip(request),
                "user": user_name(request),
                "method": head.method or None,
                "url": log_url(head.url, keep_query) or None,
            },
        )

    async def run(self) -> None:
        """Answer; Disconnected where the proxy went away, after the record was left."""
        try:
            await self._run()
        except BaseException as error:
            self._record_broken(error)
            raise
        finally:
            self._writer.discard()

    async def _run(self) -> None:
        if not self._request.encapsulated.has_body:
            if self._body_withheld():
                await self._conclude(None, self._withheld())
            else:
                await self._give_back(None)
            return
        taken = await self._take()
        outcome = taken.outcome
        if taken.item is not None:
            if not taken.item.size:
                self._closed = True  # nothing to judge: no case
                await self._give_back(taken.item)
                return
            self._note_short_body(taken.item)
            outcome = self._core.known(taken.item)
            if outcome is None:
                hold = self._service.settings.hold
                outcome = await self._core.judge(self._case, taken.item, wait=hold)
        assert outcome is not None  # noqa: S101 - a body is whole or has an outcome
        await self._conclude(taken.item, outcome)

    # -- taking the body in --------------------------------------------------------------------

    async def _take(self) -> _Taken:
        try:
            while True:
                event = await self._channel.next_event(BODY_PATIENCE, self._silence())
                if isinstance(event, Data):
                    await self._writer.write(event.data)
                    limit = self._core.settings.kata.max_object_size
                    if self._writer.size > limit:
                        return _Taken(outcome=oversize(limit))
                elif isinstance(event, PreviewEnd):
                    if self._announced_too_large():
                        limit = self._core.settings.kata.max_object_size
                        return _Taken(outcome=oversize(limit))
                    self._channel.write(self._channel.icap.send_continue())
                elif isinstance(event, BodyEnd):
                    self._fits_preview = event.ieof and self._request.preview is not None
                    return _Taken(Item(self._case.name, await self._writer.finish()))
                elif event is SILENCE:
                    await self._unstall()
        except SpoolError as error:
            _log.error("%s; case %s is unavailable", error, self._case.id)
            return _Taken(outcome=unavailable(str(error)))

    def _announced_too_large(self) -> bool:
        length = self._carrying.content_length
        return length is not None and length > self._core.settings.kata.max_object_size

    def _silence(self) -> float | None:
        """How long a silence of a body under way counts as a stall; None: never."""
        may_stall = self._request.method == "RESPMOD" and bool(self._request.response_head)
        if not may_stall or self._channel.icap.reading is not Reading.BODY:
            return None
        small = self._writer.size < STALL_MIN_BYTES and not self._answer.begun
        return STALL_SILENCE_SMALL if small else STALL_SILENCE

    async def _unstall(self) -> None:
        """Commit to the origin's head, then give a byte of the body for each further stall."""
        if not self._answer.begun:
            self._answer.head(resumable=False)
            return
        byte = await self._writer.read_at(self._answer.sent_bytes, 1)
        if byte:
            await self._answer.data(byte)

    # -- answering -----------------------------------------------------------------------------

    async def _conclude(self, item: Item | None, outcome: Outcome) -> None:
        case = self._case
        decision = self._core.decide(case, outcome)
        if decision is Decision.SKIP:
            decision = Decision.BLOCK
        self._finish(item, outcome, decision)
        if decision is Decision.PASS:
            await self._give_back(item)
        elif self._answer.begun:
            _log.warning("case %s: the answer had begun, so its download is cut", case.id)
            self._channel.abort()
            raise Disconnected
        else:
            self._answer.page(make_page(case, item, outcome, decision))

    async def _give_back(self, item: Item | None) -> None:
        """The message as it came: 204 where that is legal, else whole, as far as it is here, and
        then as it arrives."""
        if not self._answer.begun:
            if self._may_204():
                self._answer.empty(204)
                return
            self._answer.head()
        if not self._request.encapsulated.has_body:
            return
        await self._answer.rest(self._writer.chunks(self._answer.sent_bytes))
        while self._channel.icap.reading is not Reading.COMPLETE:
            event = await self._channel.next_event(BODY_PATIENCE)
            if isinstance(event, Data):
                await self._answer.data(event.data)
        self._answer.end()

    def _may_204(self) -> bool:
        held = self._channel.icap.reading is Reading.HELD
        return self._request.allows_204 or held or self._fits_preview

    # -- what leaves a record ------------------------------------------------------------------

    def _finish(self, item: Item | None, outcome: Outcome, decision: Decision) -> None:
        self._closed = True
        self._services.finish(self._case, item, outcome, decision)

    def _record_broken(self, error: BaseException) -> None:
        if self._closed or not self._request.encapsulated.has_body:
            return
        reason = _REASONS.get(type(error), "a fault inside katabridge")
        self._finish(None, Outcome(OutcomeKind.ERROR, Source.RULE, reason), Decision.BLOCK)

    def _body_withheld(self) -> bool:
        """Whether the head announces a body that the proxy did not send (UserGate's default)."""
        carrying = self._carrying
        if self._request.method == "RESPMOD":
            status = carrying.status
            if status is None or status in _NO_BODY_STATUS or status < 200:
                return False
            if self._http_request.method in ("HEAD", "CONNECT"):
                return False
        return carrying.announces_body

    def _withheld(self) -> Outcome:
        outcome = unavailable(
            "the proxy withholds the body: its largest message size for ICAP must not be 0"
        )
        _log.error("proxy %s: %s", self._channel.peer, outcome.detail)
        return replace(outcome, rule="withheld")

    def _note_short_body(self, item: Item) -> None:
        """Squid ends a body in good order even when the origin broke off."""
        length = self._carrying.content_length
        if length is not None and item.size < length:
            note = f"judged on a part: {item.size} of {length} bytes arrived"
            self._case.context["note"] = note
