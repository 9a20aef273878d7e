"""Takes a body into the spool: preview, 100 Continue, the rest, and stops on the way."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bridge.core import (
    BodyWriter,
    Case,
    Core,
    Decision,
    Item,
    Outcome,
    OutcomeKind,
    Source,
    SpoolError,
    oversize,
    unavailable,
)
from icapd.channel import SILENCE, Channel
from icapd.early import Early
from icapd.peer import Expired
from icapd.protocol import BodyEnd, Data, HttpHead, PreviewEnd, RequestState

_log = logging.getLogger(__name__)


_TOO_OLD = Outcome(
    OutcomeKind.ERROR, Source.RULE, "the body was not complete within icap.times.body_lifetime"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """How the body came in: whole as `item`, or with the `outcome` that stopped it.

    `spool_failed`: no more bytes can be kept. `complete`: all of them can be read all the same.
    """

    item: Item | None = None
    outcome: Outcome | None = None
    spool_failed: bool = False
    complete: bool = False


class Intake:
    """One body on its way in. The caller owns `writer`."""

    def __init__(  # noqa: PLR0913, PLR0917 - what one request brings along
        self,
        core: Core,
        channel: Channel,
        carrying: HttpHead,
        case: Case,
        writer: BodyWriter,
        early: Early,
    ) -> None:
        """`carrying` is the HTTP head that the body belongs to."""
        self._core = core
        self._channel = channel
        self._carrying = carrying
        self._case = case
        self._writer = writer
        self._early = early
        self._limit = core.settings.kata.max_object_size
        self._until = channel.time() + channel.times.body_lifetime
        self._stopped: Outcome | None = None
        self._spool_failed = False

    async def take(self, stopped: Outcome | None) -> Taken:
        """Until the body is whole, or cannot be judged; `stopped`: why it need not be.

        Within the preview nothing is answered: the client would take it for what follows 100.
        """
        icap = self._channel.icap
        self._stopped = stopped
        if self._stopped is not None and icap.request_state is RequestState.BODY:
            return Taken(outcome=self._stopped)
        while True:
            silence = self._early.silence()
            event = await self._channel.next_event(silence, until=self._until)
            if isinstance(event, BodyEnd):
                return await self._whole()
            too_old = self._channel.time() >= self._until
            if isinstance(event, Data):
                await self._keep(event.data)
            elif isinstance(event, PreviewEnd):
                outcome = self._stopped or self._announced_too_large()
                if outcome is not None:
                    return Taken(outcome=outcome, spool_failed=self._spool_failed)
                self._channel.write(icap.send_continue())
            elif event is SILENCE and not too_old and silence is not None:
                await self._early.silent(silence)
            if too_old:
                self._stop_waiting()
            if self._stopped is not None and icap.request_state is RequestState.BODY:
                return Taken(outcome=self._stopped, spool_failed=self._spool_failed)

    def _stop_waiting(self) -> None:
        """The body's lifetime is over; within a preview, where nothing may be answered: Expired."""
        if self._channel.icap.request_state is RequestState.PREVIEW:
            raise Expired(_TOO_OLD.detail)
        self._stopped = self._stopped or _TOO_OLD

    async def _keep(self, data: bytes) -> None:
        if self._stopped is not None:
            return  # the rest of a preview: it is answered with 204 or a page
        try:
            await self._writer.write(data)
        except SpoolError as error:
            self._spool_fails(error)
            return
        if self._writer.size > self._limit:
            self._stopped = oversize(self._limit)
        else:
            await self._early.arrived(data)

    async def _whole(self) -> Taken:
        if self._stopped is None:
            try:
                item = Item(self._case.name, await self._writer.finish())
                return Taken(item)
            except SpoolError as error:
                self._spool_fails(error)
                return Taken(None, self._stopped, spool_failed=True, complete=True)
        return Taken(None, self._stopped, self._spool_failed)

    def _spool_fails(self, error: SpoolError) -> None:
        _log.error("%s; case %s is unavailable", error, self._case.id)
        self._stopped = unavailable(str(error))
        self._spool_failed = True

    def _announced_too_large(self) -> Outcome | None:
        """`oversize` by Content-Length, where that blocks: a false one must not let a body pass."""
        length = self._carrying.content_length
        if length is None or length <= self._limit:
            return None
        outcome = oversize(self._limit)
        blocked = self._core.decide(self._case, outcome) is not Decision.PASS
        return outcome if blocked else None
