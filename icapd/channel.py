"""One proxy's connection: bytes become protocol events, answers become bytes.

Reading pauses while too much is unread, writing waits while the proxy is slow, and whoever waits
for the proxy can be told that it is silent.
"""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias, cast

from icapd.protocol import Event, NeedData, Request, ServerConnection

_UNREAD_MAX = 1 << 20
_LINGER_SECONDS = 2.0
_FLUSH_SECONDS = 30.0
_MAX_STREAK = 8


class Disconnected(Exception):
    """The proxy closed the connection where more was expected."""


class Expired(Exception):
    """The proxy sent nothing for too long."""


class Silence:
    """Nothing came for the time that was asked, or the proxy takes bytes again."""


SILENCE: Final = Silence()

Incoming: TypeAlias = Request | Event | Silence


class Channel(asyncio.Protocol):
    """A connection with its protocol state in `icap`.

    One task reads and writes; `expires` (loop seconds, None: never) is looked at by the server.
    `closing`: the connection ends after the request under way.
    """

    def __init__(self) -> None:
        self.icap = ServerConnection()
        self.peer = "unknown"
        self.expires: float | None = None
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

    # -- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else "unknown"

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
        """See asyncio.Protocol; the answer can still be written."""
        self._eof = True
        self._wake()
        return True

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

    async def next_event(
        self,
        patience: float | None = None,
        silence: float | None = None,
        *,
        or_writable: bool = False,
    ) -> Incoming:
        """What the proxy says next.

        Expired after `patience` seconds without a byte, `SILENCE` after `silence` seconds without
        one or, with `or_writable`, when the proxy takes bytes again. Disconnected where nothing
        can come any more, ProtocolError for what is malformed.
        """
        while True:
            event = self.icap.next_event()
            if not isinstance(event, NeedData):
                self.expires = None
                self._streak += 1
                if self._streak >= _MAX_STREAK:  # others have their turn
                    self._streak = 0
                    await asyncio.sleep(0)
                return event
            if self._eof:
                raise Disconnected
            if or_writable and self.writable:
                return SILENCE
            self._resume_reading()
            self.expires = None if patience is None else self._loop.time() + patience
            self._wakes_for_writing = or_writable
            if not await self._bytes_came(silence):
                return SILENCE

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

    def expire(self) -> None:
        """The server's word that `expires` has passed."""
        self.expires = None
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

    async def drain(self, patience: float) -> None:
        """Wait until the proxy has taken most of what was sent; Disconnected when it is gone."""
        if not self._can_write.is_set():
            self.expires = self._loop.time() + patience
            await self._can_write.wait()
            self.expires = None
        if self.lost:
            raise Disconnected

    def abort(self) -> None:
        """Cut the connection so that the proxy sees a broken answer."""
        self._transport.abort()

    async def finish(self) -> None:
        """Close without a reset eating the end of the answer: half-close, read on, close.

        Returns when the connection is gone; a proxy that does not take the rest is cut.
        """
        self.expires = None
        self._discarding = True
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._linger()
        except (TimeoutError, Expired):
            pass
        self._transport.close()
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._gone.wait()
        except TimeoutError:
            self.abort()

    async def _linger(self) -> None:
        if self._eof or not self._transport.can_write_eof():
            return
        self._transport.write_eof()
        self._resume_reading()
        while not self._eof:
            await self._bytes_came(None)
