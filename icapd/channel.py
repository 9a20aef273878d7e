"""One proxy's connection: bytes become protocol events, answers become bytes.

Whoever waits for the proxy can be told that it is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from bridge.core import IcapTimes
from icapd.peer import Disconnected
from icapd.protocol import (
    Encapsulated,
    Event,
    Limits,
    NeedData,
    Request,
    RequestState,
    ServerConnection,
)
from icapd.stream import Stream

_MAX_STREAK = 8


class Silence:
    """Nothing came for the time that was asked, or the proxy takes bytes again."""


SILENCE: Final = Silence()

Incoming: TypeAlias = Request | Event | Silence


class _Connection(ServerConnection):
    """Tells of each answer."""

    def __init__(self, limits: Limits | None, answered: Callable[[int], None]) -> None:
        super().__init__(limits)
        self._answered = answered

    def send_head(
        self,
        status: int,
        fields: list[tuple[str, str]],
        encapsulated: Encapsulated,
        heads: bytes = b"",
    ) -> bytes:
        head = super().send_head(status, fields, encapsulated, heads)
        self._answered(status)
        return head


class Channel(Stream):
    """A connection with its protocol state in `icap`.

    `closing`: the connection ends after the request under way. `service` and `case`: what the
    request under way is for and its number, empty where there is none.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        times: IcapTimes | None = None,
        answered: Callable[[str, int], None] | None = None,
    ) -> None:
        """`answered` is told service and status of each answer."""
        super().__init__(times)
        self._answered = answered
        self.icap: ServerConnection = _Connection(limits, self._count)
        self.service = ""
        self.case = ""
        self.closing = False
        self._streak = 0  # events without a wait between them

    def _count(self, status: int) -> None:
        if self._answered is not None:
            self._answered(self.service, status)

    def _take(self, data: bytes) -> int:
        self.icap.receive_data(data)
        return self.icap.buffered

    async def next_request(self, idle: float, head: float) -> Request:
        """The next request, with the HTTP heads it carries.

        Expired where none has begun `idle` seconds from now (blank lines are no beginning), or
        where it is not whole `head` seconds after its first byte, however many bytes come.
        """
        end, begun = self.time() + idle, False
        while not isinstance(event := self.icap.next_event(), Request):
            if not isinstance(event, NeedData):
                raise TypeError(f"{event!r} where a request was due")
            if self._eof:
                raise Disconnected
            if not begun and self.icap.in_request:
                end, begun = self.time() + head, True
            self._resume_reading()
            self._expires, self._expires_mildly = end, False
            self._late = "a request's head was not complete within icap.times.head"
            await self._bytes_came(None)
        await self._take_turns()
        return event

    async def next_event(
        self,
        silence: float | None = None,
        *,
        until: float | None = None,
        or_writable: bool = False,
    ) -> Incoming:
        """What the proxy says next of the request under way.

        Expired after `times.body` without a byte. `SILENCE` after `silence` seconds without one,
        about when `until` (loop seconds) comes, or, with `or_writable`, when the proxy takes bytes
        again. Disconnected where nothing can come any more, ProtocolError for what is malformed.
        """
        while True:
            event = self.icap.next_event()
            if not isinstance(event, NeedData):
                await self._take_turns()
                return event
            if self._eof:
                raise Disconnected
            if or_writable and self.writable:
                return SILENCE
            self._resume_reading()
            late = self.time() + self.times.body
            self._expires_mildly = until is not None and until < late
            self._expires = until if self._expires_mildly else late
            self._late = "the proxy sent nothing of a body for icap.times.body"
            self._wakes_for_writing = or_writable
            if not await self._bytes_came(silence):
                return SILENCE

    async def _take_turns(self) -> None:
        """Let others have their turn, now and then."""
        self._expires = None
        self._streak += 1
        if self._streak >= _MAX_STREAK:
            self._streak = 0
            await asyncio.sleep(0)

    async def _bytes_came(self, silence: float | None) -> bool:
        self._streak = 0
        return await super()._bytes_came(silence)

    async def _read_the_rest(self) -> bool:
        while self.icap.request_state in (RequestState.PREVIEW, RequestState.BODY):
            if not isinstance(self.icap.next_event(), NeedData):
                await asyncio.sleep(0)
            elif self._eof:
                break
            else:
                self._resume_reading()
                await self._bytes_came(None)
        return self.icap.request_state is RequestState.FAILED
