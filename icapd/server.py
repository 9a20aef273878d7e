"""Listens for proxies, keeps their connections within limits, and ends them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bridge.core import (
    Address,
    Adopt,
    Core,
    IcapSettings,
    IcapTlsSettings,
    LineLog,
    Settings,
    StartError,
    cannot_listen,
)
from icapd import session
from icapd.access import Access, Entry
from icapd.channel import Channel
from icapd.complaints import Complaints
from icapd.express import Express
from icapd.figures import Figures
from icapd.protocol import AnswerState, Limits, RequestState
from icapd.proxies import Proxies
from icapd.secure import TlsPorts, make_context, renewed_context
from icapd.service import Memory, Services
from icapd.stall import Stallers
from icapd.taps import Taps
from icapd.visits import Visits

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_STOP_SECONDS = 5.0
_LAST_WORDS_SECONDS = 1.0
_BACKLOG = 512


class _PlainChannel(Channel):
    def __init__(self, server: IcapServer) -> None:
        super().__init__(server.limits, server.times, server.figures.answered)
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.begin(self)


class IcapServer:
    """The ICAP door of one process: `start`, then `stop`."""

    def __init__(self, core: Core, verdict_log: LineLog) -> None:
        self._core = core
        self._verdict_log = verdict_log
        icap, clock = core.settings.icap, asyncio.get_running_loop().time
        self.times = icap.times
        self.limits = _limits(icap)
        self._complaints = Complaints(clock)
        self._memory = Memory(Visits(icap.visits, clock), Stallers())
        self._services = self._services_of(core.settings)
        self._services.say_what_is_risky()
        self.figures = Figures(core.metrics, lambda: self._access.served)
        self._proxies = Proxies()
        self._access = Access(icap, self._complaints, self.figures.refused, self._proxies.refuse)
        core.reporter.tell("proxies", self._proxies.facts)
        self._express = Express(core, self._services, self.limits)
        self._tls: TlsPorts | None = None
        self._servers: list[asyncio.Server] = []
        self._open: dict[Channel, asyncio.Task[bool] | None] = {}  # None: it is at rest
        self._taps = Taps(core, self.limits, self._express, lambda: self._open)
        self._looks: list[asyncio.Task[None]] = []

    @property
    def addresses(self) -> list[Address]:
        """Where it listens in plain."""
        sockets = [sock for server in self._servers for sock in server.sockets]
        return [Address(*sock.getsockname()[:2]) for sock in sockets]

    @property
    def tls_addresses(self) -> list[Address]:
        """Where it listens with TLS."""
        return self._tls.addresses if self._tls is not None else []

    @property
    def connections(self) -> int:
        """How many proxies' connections are open."""
        return len(self._open)

    async def start(self, *, shares_ports: bool = False) -> None:
        """Listen; StartError where an address cannot be had.

        `shares_ports`: with other processes that say so, too; the kernel deals out connections.
        """
        icap = self._core.settings.icap
        try:
            if icap.tls is not None:
                self._start_tls(icap.tls, shares_ports)
            for address in icap.listen:
                self._servers.append(await self._listen(address, shares_ports))
        except StartError:
            await self.stop()
            raise
        looks = {"icap-expiry": self._look_for_expired(), "icap-captures": self._taps.run()}
        self._looks = [asyncio.create_task(look, name=name) for name, look in looks.items()]

    def _services_of(self, settings: Settings) -> Services:
        return Services(self._core, settings, self._verdict_log, self._complaints.say, self._memory)

    def prepare(self, settings: Settings) -> Adopt:
        """See `bridge.core.reloading`. After the core has adopted them.

        Connections stay: each request begins by what is in force then, and ends by it.
        """
        icap = settings.icap
        services = self._services_of(settings)
        context = renewed_context(icap.tls, self._core.settings.icap.tls)

        def adopt() -> None:
            self.times, self.limits, self._services = icap.times, _limits(icap), services
            services.say_what_is_risky()
            self._memory.visits.use(icap.visits)
            self._access.use(icap)
            self._express.use(services, self.limits)
            self._taps.use(self.limits)
            if self._tls is not None and context is not None:
                self._tls.use(context)
            for channel in list(self._open):
                if channel.held is not None:  # what it has sent was taken by the limits before
                    channel.hand_over()
                self._hold_to_limits(channel)

        return adopt

    async def _listen(self, address: Address, shares_port: bool) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: _PlainChannel(self),
                address.host,
                address.port,
                backlog=_BACKLOG,
                reuse_port=shares_port,
            )
        except OSError as error:
            raise cannot_listen(address, "icap.listen", error) from None

    def _start_tls(self, settings: IcapTlsSettings, shares_ports: bool) -> None:
        def new_channel() -> Channel:
            channel = Channel(self.limits, self.times, self.figures.answered)
            self._taps.fresh(channel)
            return channel

        context = make_context(settings)
        self._tls = TlsPorts(context, self._access, self._complaints, new_channel, self._serve)
        for address in settings.listen:
            try:
                self._tls.listen(address, shares_port=shares_ports)
            except OSError as error:
                raise cannot_listen(address, "icap.tls.listen", error) from None

    def begin(self, channel: Channel) -> None:
        """Serve a new connection, or say why not."""
        entry = self._access.enter(channel.peer)
        if entry is None:
            channel.abort()
            return
        self._serve(channel, entry)

    def _serve(self, channel: Channel, entry: Entry) -> None:
        self._open[channel] = None
        self._hold_to_limits(channel)  # a handshake lasts, and a reload may come meanwhile
        self._taps.begins(channel)
        if entry.refusal is None:
            channel.proxy = self._proxies.enter(entry.peer)
            channel.rest(lambda: self._work(channel, entry))
        else:
            self._work(channel, entry)

    def _hold_to_limits(self, channel: Channel) -> None:
        channel.times = self.times
        channel.icap.use(self.limits)

    def _work(self, channel: Channel, entry: Entry) -> None:
        work = session.serve(channel, lambda: self._services, self._complaints, entry.refusal)
        task = self._open[channel] = asyncio.create_task(work, name="icap-connection")
        task.add_done_callback(lambda task: self._done(channel, entry, task))

    def _done(self, channel: Channel, entry: Entry, task: asyncio.Task[bool]) -> None:
        if not task.cancelled() and task.exception() is None and task.result():
            self._open[channel] = None
            self._taps.rests(channel)
            channel.rest(lambda: self._work(channel, entry))
        else:
            self._open.pop(channel, None)
            self._access.leave(entry)
            if entry.refusal is None:
                self._proxies.leave(channel.proxy)

    async def _look_for_expired(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = loop.time()
            for channel in list(self._open):
                channel.look(now)
            self._complaints.look(now)

    async def stop(self) -> None:
        """Take no new connections, let requests under way end, cut what does not.

        Who still waits for a verdict after a while gets `unavailable`: the core is told to stop.
        """
        for server in self._servers:
            server.close()
        if self._tls is not None:
            await self._tls.stop()
        for look in self._looks:
            look.cancel()
        for channel in list(self._open):
            channel.closing = True
            channel.hand_over()
        self._expire(lambda channel: not channel.icap.in_request)
        await self._wait(_STOP_SECONDS)
        cut_off: set[Channel] = set()
        if self._open:
            await self._core.stop_judging()
            cut_off.update(ch for ch in self._open if _is_unanswered(ch) and not _is_whole(ch))
            self._expire(lambda channel: not _is_whole(channel))  # 408
            await self._wait(_LAST_WORDS_SECONDS)
        cut_off.update(channel for channel in self._open if _is_unanswered(channel))
        self._say_cut_off(len(cut_off))
        for channel, task in list(self._open.items()):
            _log.warning("the connection of %s is cut off by the stop", channel.peer)
            if task is not None:
                task.cancel()
            channel.abort()
        await self._wait(_STOP_SECONDS)
        if self._looks:
            await asyncio.wait(self._looks, timeout=_STOP_SECONDS)
        self._complaints.close()

    def _say_cut_off(self, count: int) -> None:
        if count:
            self.figures.cut_off(count)
            _log.warning("requests that the stop cut off, without a verdict: %d", count)

    def _expire(self, which: Callable[[Channel], bool]) -> None:
        for channel in list(self._open):
            if which(channel):
                channel.expire()

    async def _wait(self, seconds: float) -> None:
        tasks = [task for task in self._open.values() if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)


def _limits(settings: IcapSettings) -> Limits:
    return Limits(**settings.limits.model_dump())


def _is_whole(channel: Channel) -> bool:
    return channel.icap.request_state is RequestState.COMPLETE


def _is_unanswered(channel: Channel) -> bool:
    return channel.icap.in_request and channel.icap.answer_state is not AnswerState.COMPLETE
