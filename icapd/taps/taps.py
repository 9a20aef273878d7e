"""Turns captures on and off, for all connections of a process; see bridge.core.capture."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bridge.core import (
    OF_ALL_WORKERS,
    CaptureError,
    CapturePart,
    CaptureRequest,
    CaptureState,
    Core,
    local_time,
    read_capture,
    remove_leftovers,
)
from icapd.channel import Channel
from icapd.express import Express
from icapd.protocol import Limits
from icapd.taps.tap import Tap
from icapd.taps.watch import Watch

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_FLUSH_SECONDS = 0.25
T = TypeVar("T")
_NOBODY = "nobody waits for it any more"


class Taps:
    """While a capture is on, connections have a tap, and none goes the quick way."""

    def __init__(
        self,
        core: Core,
        limits: Limits,
        express: Express,
        channels: Callable[[], Iterable[Channel]],
    ) -> None:
        """`channels`: those that are served."""
        self._core = core
        self._limits = limits
        self._express = express
        self._channels = channels
        self._directory = core.settings.spool.dir
        self._watch: Watch | None = None
        self._over = ""  # the capture that ended here before its time
        self._complaint = ""
        self._thread = ThreadPoolExecutor(
            1, "captures"
        )  # one, so that what it does keeps its order

    def use(self, limits: Limits) -> None:
        """Read by these from the next connection on."""
        self._limits = limits

    # -- connections ---------------------------------------------------------------------------

    def fresh(self, channel: Channel) -> None:
        """A connection on which nothing was said."""
        if self._watch is not None:
            self._attach(channel, self._watch)

    def begins(self, channel: Channel) -> None:
        """It is served from now on."""
        if self._watch is None:
            channel.tap, channel.express = None, self._express
        elif channel.tap is None:
            channel.express = self._express
            self.rests(channel)

    def rests(self, channel: Channel) -> None:
        """It is at rest: what is said next is a request."""
        if self._watch is not None and channel.tap is None and channel.may_rest:
            self._attach(channel, self._watch)

    def _attach(self, channel: Channel, watch: Watch) -> None:
        channel.tap, channel.express = Tap(watch, self._limits, channel.ends), None

    def _begin(self, watch: Watch) -> None:
        self._watch = watch
        for channel in list(self._channels()):
            channel.hand_over()  # what the quick way has of it goes the usual way, unheard
            if channel.is_resting:
                self.rests(channel)

    def _end(self, watch: Watch) -> None:
        """Have things as they were; the disk may still be busy with what was captured."""
        if self._watch is not watch:
            return
        self._watch = None
        for channel in list(self._channels()):
            channel.tap, channel.express = None, self._express

    # -- captures ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look for requests, and do as they say, until it is cancelled."""
        try:
            await self._in_thread(remove_leftovers, self._directory)
            while True:
                await self._look_and_capture()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self._thread.shutdown(wait=False)

    async def _look_and_capture(self) -> None:
        try:
            request = await self._in_thread(self._look)
            if request is not None and request.until > time.time() and request.id != self._over:
                self._over = request.id
                await self._capture(request)
        except Exception:
            _log.exception("a fault of katabridge itself ends a capture, and nothing else")

    def _in_thread(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _look(self) -> CaptureRequest | None:
        try:
            request, complaint = read_capture(self._directory), ""
        except (CaptureError, OSError) as error:
            request, complaint = None, str(error)
        if complaint and complaint != self._complaint:
            _log.error("%s", complaint, extra=OF_ALL_WORKERS)
        self._complaint = complaint
        return request

    async def _capture(self, request: CaptureRequest) -> None:
        try:
            part = await self._in_thread(
                CapturePart, self._directory, request.id, self._core.instance
            )
        except OSError as error:
            _log.error("no capture: %s: %s", error.filename or self._directory, error.strerror)
            return
        watch = self._watch_for(request)
        _log.warning("%s", _words(request), extra=OF_ALL_WORKERS)
        try:
            self._begin(watch)
            await self._in_thread(self._tell, part, CaptureState())  # it is on: all are heard
            while not watch.ended:
                await asyncio.sleep(_FLUSH_SECONDS)
                await self._in_thread(self._flush, watch, part, watch.take())
        except asyncio.CancelledError:
            watch.end("icapd was stopped", is_gone=True)
            raise
        finally:
            self._end(watch)
            await self._in_thread(self._close, watch, part, watch.take())
            level = logging.ERROR if watch.is_fault else logging.WARNING
            _log.log(level, "the capture of ICAP conversations has ended: %s", watch.ended)

    def _watch_for(self, request: CaptureRequest) -> Watch:
        loop = asyncio.get_running_loop()

        def is_over() -> None:
            loop.call_soon_threadsafe(self._end, watch)

        keep_query = self._core.settings.logs.urls == "full"
        watch = Watch(request, keep_query=keep_query, is_over=is_over)
        return watch

    def _flush(self, watch: Watch, part: CapturePart, blocks: bytes) -> None:
        """Write what there is, and see whether it is to go on. Blocks: disk."""
        number = watch.request.id
        request = self._look()
        if request is None or request.id != number:
            watch.end(_NOBODY)
        elif request.until <= time.time():
            watch.end("its time is over")
        try:
            part.write(blocks)
            watch.room = watch.request.max_bytes - part.size_of_all()
            if part.free() < self._core.settings.spool.min_free:
                watch.end(f"the disk of {self._directory} is down to spool.min_free", is_fault=True)
        except OSError as error:
            watch.end(f"{self._directory} cannot be written: {error.strerror}", is_fault=True)
        if not watch.ended:  # what is said to have ended is all there
            self._tell(part, CaptureState(watch.conversations))

    def _tell(self, part: CapturePart, state: CaptureState) -> None:
        try:
            part.tell(state)
        except OSError as error:
            _log.error("the state of a capture cannot be told: %s", error.strerror)

    def _close(self, watch: Watch, part: CapturePart, blocks: bytes) -> None:
        try:
            part.write(blocks)
        except OSError as error:
            watch.end(f"{self._directory} cannot be written: {error.strerror}", is_fault=True)
        words = (watch.ended, watch.is_fault, watch.is_gone)
        self._tell(part, CaptureState(watch.conversations, *words))
        part.close(remove=watch.ended == _NOBODY)


def _words(request: CaptureRequest) -> str:
    bodies = {0: "without bodies", None: "with bodies"}.get(
        request.bodies, f"with {request.bodies} bytes of each body"
    )
    client = f", of {request.client}" if request.client else ""
    url = f", about URLs with {request.url!r}" if request.url else ""
    return (
        f"kata-bridge capture writes down ICAP conversations {bodies}{client}{url}, "
        f"until {local_time(request.until)}"
    )
