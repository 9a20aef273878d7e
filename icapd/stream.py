"""One proxy's connection as a stream of bytes: waiting, writing, lateness, and the end in order.

Reading pauses while too much is unread, writing waits while the proxy is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from array import array
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Protocol, cast

from bridge.core import Address, IcapTimes
from icapd.peer import Disconnected, Expired, address_of
from icapd.protocol import ProtocolError

UNREAD_MAX = 64 << 10  # more than that is one read, and the next one waits
_LINGER_SECONDS = 2.0
FLUSH_SECONDS = 30.0  # for what is not sent yet when a connection is closed


class Listener(Protocol):
    """Is told what is heard and said on a connection, while `kata-bridge capture` wants it."""

    def heard(self, data: bytes) -> None:
        """Bytes came."""

    def said(self, data: bytes) -> None:
        """Bytes went out."""

    def leaves(self) -> None:
        """The peer says no more, and was the first to end the connection."""

    def gone(self, *, is_cut: bool) -> None:
        """The connection is no more, or is cut now."""


class Stream(asyncio.Protocol):
    """What a connection is without what is said on it.

    One task, if any, reads and writes; the server calls `look` now and then, so that what is late
    ends.
    """

    def __init__(self, times: IcapTimes | None = None) -> None:
        self.times = times or IcapTimes()
        self.peer = "unknown"
        self.tap: Listener | None = None
        self.lost = False
        self.lost_by: Exception | None = None
        self._expires: float | None = None  # loop seconds; None: never
        self._late = ""  # what is then to be said
        self._untaken: int | None = None  # bytes that the proxy had not taken when last looked
        self._expires_mildly = False  # what is then late is not the proxy
        self._eof = False
        self._eof_at: float | None = None
        self._expired = False
        self._paused = False
        self._discarding = False
        self._wakes_for_writing = False
        self.writable = True  # whether the proxy takes what it is sent
        self._writer: asyncio.Future[None] | None = None  # who waits until it does
        self._gone: asyncio.Future[None] | None = None  # who waits until the connection is
        self._waiter: asyncio.Future[bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    # -- what is said on it --------------------------------------------------------------------

    @abstractmethod
    def _take(self, data: bytes) -> int:
        """Keep bytes that came; how many are unread now."""

    @abstractmethod
    async def _read_the_rest(self) -> bool:
        """Read on until what was answered early is whole; whether anything may follow it."""

    # -- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self.peer = address_of(transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._discarding:
            return
        if self._take(data) > UNREAD_MAX and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> bool:
        """See asyncio.Protocol; the answer can still be written, but not over TLS."""
        self._eof = True
        self._eof_at = self._loop.time()
        if self.tap is not None and not self._discarding:
            self.tap.leaves()
        self._wake()
        return self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.lost_by = exc
        self.lost = self._eof = True
        if self.tap is not None:
            self.tap.gone(is_cut=exc is not None)
        self.resume_writing()
        _end(self._gone)
        self._wake()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writable = False

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writable = True
        _end(self._writer)
        if self._wakes_for_writing:
            self._wake(False)

    # -- waiting -------------------------------------------------------------------------------

    async def _bytes_came(self, silence: float | None) -> bool:
        if self._expired:
            raise Expired(self._late)
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
            raise Expired(self._late)
        return came

    def _wake(self, came: bool = True) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(came)

    def _resume_reading(self) -> None:
        if self._paused:
            self._transport.resume_reading()
            self._paused = False

    def ends(self) -> tuple[Address, Address, bool]:
        """Where the peer is and where we are, and whether it is TLS between them."""
        transport = self._transport
        places = [transport.get_extra_info(name) for name in ("peername", "sockname")]
        client, own = (Address(address_of(at), at[1] if at else 0) for at in places)
        return client, own, transport.get_extra_info("ssl_object") is not None

    def time(self) -> float:
        """The loop's seconds, by which `until` counts."""
        return self._loop.time()

    def has_left(self, patience: float) -> bool:
        """Whether the proxy is gone, or sends no more since `patience` seconds.

        A connection that is closed looks like one that is half-closed until it is written to.
        """
        closed = self._eof_at is not None and self.time() - self._eof_at >= patience
        return self.lost or closed

    def look(self, now: float) -> None:
        """End what is late at `now`, loop seconds."""
        if self._expires is None or self._expires > now or self._takes_what_it_is_sent(now):
            return
        if self._expires_mildly:
            self._expires = None
            self._wake(False)
        else:
            self.expire(self._late)

    def expire(self, reason: str = "katabridge was stopped") -> None:
        """The proxy was waited for long enough; `reason` is for the log."""
        self._late = reason
        self._expires = None
        self._expired = True
        self._wake()
        if not self.writable:
            self.abort()

    # -- writing -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send; what a lost connection cannot take is dropped."""
        if self.tap is not None:
            self.tap.said(data)
        if not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the proxy has taken most of what was sent; Disconnected when it is gone.

        Expired where it takes nothing at all for `times.write`: it is cut.
        """
        if not self.writable and not self.lost:
            self._expires, self._expires_mildly = self.time() + self.times.write, False
            self._late = "the proxy took nothing of its answer within icap.times.write"
            self._untaken = self._count_untaken()
            self._writer = self._loop.create_future()
            await self._writer
            self._expires = self._untaken = None
            if self._expired:
                raise Expired(self._late)
        if self.lost:
            raise Disconnected

    def _takes_what_it_is_sent(self, now: float) -> bool:
        """Whether the proxy that is written to has taken anything; then it has time anew."""
        if self._untaken is None or (untaken := self._count_untaken()) >= self._untaken:
            return False
        self._untaken, self._expires = untaken, now + self.times.write
        return True

    def _count_untaken(self) -> int:
        # the kernel asks for more only when a good part of its own, large buffer is free
        return self._transport.get_write_buffer_size() + self._in_kernel()

    def abort(self) -> None:
        """Cut the connection so that the proxy sees a broken answer."""
        if self.tap is not None:
            self.tap.gone(is_cut=True)
        self._transport.abort()

    # -- the end -------------------------------------------------------------------------------

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
        if secure and not await self._wait_gone(_LINGER_SECONDS) and not self._in_kernel():
            self.abort()
        if not await self._wait_gone(FLUSH_SECONDS):
            self.abort()

    async def _wait_gone(self, seconds: float) -> bool:
        if not self.lost:
            self._gone = self._loop.create_future()
            await asyncio.wait({self._gone}, timeout=seconds)
        return self.lost

    def _in_kernel(self) -> int:
        """Bytes that the kernel was given and the peer has not acknowledged."""
        count = array("i", [0])
        try:
            ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, count)
        except OSError:
            return 0
        return count[0]

    async def _linger(self) -> None:
        if self._eof or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            with contextlib.suppress(OSError):  # it has been reset meanwhile
                self._transport.write_eof()
        elif not await self._read_the_rest():
            return
        self._discarding = True
        self._resume_reading()
        while not self._eof:
            await self._bytes_came(None)


def _end(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
