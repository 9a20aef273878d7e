"""One proxy's connection: bytes become protocol events, answers become bytes.

Whoever waits for the proxy can be told that it is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.core import IcapTimes
from icapd.peer import Disconnected
from icapd.protocol import (
    BodyEnd,
    Encapsulated,
    Event,
    Limits,
    NeedData,
    PreviewEnd,
    Request,
    RequestState,
    ServerConnection,
)
from icapd.proxies import Proxy
from icapd.stream import UNREAD_MAX, Stream

if TYPE_CHECKING:
    from icapd.express import Express, Held

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
    request under way is for and its number, empty where there is none. `proxy`: who is here.
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
        self.proxy = Proxy("")
        self._streak = 0  # events without a wait between them
        self.express: Express | None = None  # None: nothing goes that way
        self.held: Held | None = None
        self._read_before: list[Request | Event] = []  # the next events, last first
        self._resume: Callable[[], None] | None = None  # None: it is not at rest

    def _count(self, status: int) -> None:
        if self._answered is not None:
            self._answered(self.service, status)

    # -- at rest -------------------------------------------------------------------------------

    @property
    def may_rest(self) -> bool:
        """Whether the proxy has said nothing that is not answered."""
        return not (self.closing or self._eof or self.icap.in_request or self._expired)

    @property
    def is_resting(self) -> bool:
        """Whether nobody waits on it."""
        return self._resume is not None

    def rest(self, resume: Callable[[], None]) -> None:
        """Call `resume` as soon as somebody must see to the connection. Nobody need wait on it.

        Meanwhile `express` answers what it can.
        """
        self._late = "nothing was asked within icap.times.idle"
        self._expires, self._expires_mildly = self.time() + self.times.idle, False
        self._resume_reading()
        self._resume = resume
        if not self.may_rest or self.icap.buffered:
            self._wake()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._resume is not None and self.express is not None:
            self.express.put(self, data)
        else:
            super().data_received(data)

    def receive(self, data: bytes) -> None:
        """Take bytes that `express` was given, and declined."""
        self._unhold()
        super().data_received(data)

    @property
    def may_go_express(self) -> bool:
        """Whether a request may be answered now without anybody waiting on the connection."""
        return self._resume is not None and self.writable and not self.closing

    def answer(self, answer: bytes, service: str, status: int) -> None:
        """Write an answer that `express` has made."""
        self.held, self._expires = None, self._loop.time() + self.times.idle
        self.write(answer)
        self.proxy.requests += 1
        if self._answered is not None:
            self._answered(service, status)

    def hold(self, held: Held) -> None:
        """The rest of this request is awaited; `hand_over` ends that, if it does not come."""
        self.held, self._expires = held, None

    def hand_over(self) -> None:
        """Have what `express` has of this connection served in the usual way."""
        if self._resume is not None:
            self._take_over()
            if self.icap.buffered or self._read_before:
                self._wake()

    def _take_over(self) -> None:
        came = self.express.take_back(self) if self.express is not None else b""
        self._unhold()
        if came:
            super().data_received(came)

    def _unhold(self) -> None:
        """As if what is held had been read in the usual way, and 100 Continue had just gone out."""
        held, self.held = self.held, None
        if held is None:
            return
        self.icap.receive_data(held.data)
        events: list[Request | Event] = []
        while not isinstance(event := self.icap.next_event(), PreviewEnd | NeedData):
            events.append(event)
        self.icap.send_continue()
        self._read_before = events[::-1]

    def _wake(self, came: bool = True) -> None:
        if self._resume is not None:
            resume, self._resume = self._resume, None
            self._take_over()
            resume()
        else:
            super()._wake(came)

    # -- being served --------------------------------------------------------------------------

    def _next(self) -> Request | Event:
        return self._read_before.pop() if self._read_before else self.icap.next_event()

    def _take(self, data: bytes) -> int:
        if self.tap is not None:
            self.tap.heard(data)
        self.icap.receive_data(data)
        return self.icap.buffered

    async def next_request(self, idle: float, head: float) -> Request:
        """The next request, with the HTTP heads it carries.

        Expired where none has begun `idle` seconds from now (blank lines are no beginning), or
        where it is not whole `head` seconds after its first byte, however many bytes come.
        """
        end, begun = self.time() + idle, False
        while not isinstance(event := self._next(), Request):
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
            event = self._next()
            if not isinstance(event, NeedData):
                if isinstance(event, BodyEnd) and self.icap.buffered <= UNREAD_MAX:
                    self._resume_reading()  # or nobody would see who leaves
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
