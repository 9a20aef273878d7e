"""One proxy's connection: bytes become protocol events, answers become bytes.

Reading pauses while too much is unread, writing waits while the proxy is slow, and whoever waits
for the proxy can be told that it is silent.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Final, TypeAlias, cast

from bridge.core import IcapTimes
from icapd.access import address_of
from icapd.protocol import (
    Encapsulated,
    Event,
    Limits,
    NeedData,
    ProtocolError,
    Request,
    RequestState,
    ServerConnection,
)

_UNREAD_MAX = 256 << 10  # as much as is read at once
_LINGER_SECONDS = 2.0
FLUSH_SECONDS = 30.0  # for what is not sent yet when a connection is closed
_MAX_STREAK = 8


class Disconnected(Exception):
    """The proxy closed the connection where more was expected."""


class Expired(Exception):
    """The proxy sent nothing for too long."""


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


class Channel(asyncio.Protocol):
    """A connection with its protocol state in `icap`.

    One task reads and writes; the server calls `look` now and then, so that what is late ends.
    `closing`: the connection ends after the request under way. `service`: the path that the request
    under way is for, where there is such a service.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        times: IcapTimes | None = None,
        answered: Callable[[str, int], None] | None = None,
    ) -> None:
        """`answered` is told service and status of each answer."""
        self._answered = answered
        self.icap: ServerConnection = _Connection(limits, self._count)
        self.times = times or IcapTimes()
        self.service = ""
        self.peer = "unknown"
        self._expires: float | None = None  # loop seconds; None: never
        self._expires_mildly = False  # what is then late is not the proxy
        self.closing = False
        self.lost = False
        self._eof = False
        self._expired = False
        self._paused = False
        self._discarding = False
        self._streak = 0  # events without a wait between them
        self._wakes_for_writing = False
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._gone = asyncio.Event()
        self._waiter: asyncio.Future[bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def _count(self, status: int) -> None:
        if self._answered is not None:
            self._answered(self.service, status)

    # -- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self.peer = address_of(transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._discarding:
            return
        self.icap.receive_data(data)
        if self.icap.buffered > _UNREAD_MAX and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> bool:
        """See asyncio.Protocol; the answer can still be written, but not over TLS."""
        self._eof = True
        self._wake()
        return self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        del exc
        self.lost = self._eof = True
        self._can_write.set()
        self._gone.set()
        self._wake()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._can_write.set()
        if self._wakes_for_writing:
            self._wake(False)

    # -- reading -------------------------------------------------------------------------------

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
        if self._expired:
            raise Expired
        self._streak = 0
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiter = waiter
        timer = None
        if silence is not None:
            timer = self._loop.call_later(silence, self._wake, False)
        try:
            came = await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        if self._expired:
            raise Expired
        return came

    def _wake(self, came: bool = True) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(came)

    def _resume_reading(self) -> None:
        if self._paused:
            self._transport.resume_reading()
            self._paused = False

    def time(self) -> float:
        """The loop's seconds, by which `until` counts."""
        return self._loop.time()

    def look(self, now: float) -> None:
        """End what is late at `now`, loop seconds."""
        if self._expires is None or self._expires > now:
            return
        if self._expires_mildly:
            self._expires = None
            self._wake(False)
        else:
            self.expire()

    def expire(self) -> None:
        """The proxy was waited for long enough."""
        self._expires = None
        self._expired = True
        self._wake()
        if not self._can_write.is_set():
            self.abort()

    # -- writing -------------------------------------------------------------------------------

    @property
    def writable(self) -> bool:
        """Whether the proxy takes what it is sent."""
        return self._can_write.is_set()

    def write(self, data: bytes) -> None:
        """Send; what a lost connection cannot take is dropped."""
        if not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the proxy has taken most of what was sent; Disconnected when it is gone.

        One that does not take it within `times.write` is cut.
        """
        if not self._can_write.is_set():
            self._expires, self._expires_mildly = self.time() + self.times.write, False
            await self._can_write.wait()
            self._expires = None
        if self.lost:
            raise Disconnected

    def abort(self) -> None:
        """Cut the connection so that the proxy sees a broken answer."""
        self._transport.abort()

    async def finish(self) -> None:
        """Close without a reset eating the end of the answer: half-close, read on, close.

        Over TLS, which has no half-close, whoever waits for our close gets it as soon as the
        request is whole. Returns when the connection is gone; a proxy that does not take the rest
        is cut.
        """
        self._expires = None
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._linger()
        except (TimeoutError, Expired, ProtocolError):
            pass
        self._discarding = True
        self._transport.close()
        secure = not self._transport.can_write_eof()
        # a peer need not answer the close of TLS
        if secure and not await self._wait_gone(_LINGER_SECONDS) and not self._unacknowledged:
            self.abort()
        if not await self._wait_gone(FLUSH_SECONDS):
            self.abort()

    async def _wait_gone(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return False
        return True

    @property
    def _unacknowledged(self) -> bool:
        """Whether the peer has not taken all that the kernel was given."""
        count = array("i", [0])
        try:
            ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, count)
        except OSError:
            return False
        return count[0] > 0

    async def _linger(self) -> None:
        if self._eof or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            await self._read_the_rest()
            if self.icap.request_state is not RequestState.FAILED:
                return
        self._discarding = True
        self._resume_reading()
        while not self._eof:
            await self._bytes_came(None)

    async def _read_the_rest(self) -> None:
        """Read on until a request that was answered early is whole."""
        while self.icap.request_state in (RequestState.PREVIEW, RequestState.BODY):
            if not isinstance(self.icap.next_event(), NeedData):
                await asyncio.sleep(0)
            elif self._eof:
                return
            else:
                self._resume_reading()
                await self._bytes_came(None)
