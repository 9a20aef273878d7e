"""A worker's own side: the ICAP door of one process, or the end of what such a one left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from bridge.core import (
    EXIT_START,
    VERDICT_LOG,
    Core,
    Door,
    LineLog,
    Reloader,
    Settings,
    StartError,
    follow,
    remove_instance,
    run_until_stopped,
    share,
    start_log,
)
from icapd import descriptors
from icapd.door import serve_until
from icapd.server import IcapServer
from icapd.workers.handed import Handed
from icapd.workers.link import Link
from icapd.workers.supervision import Member

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0

Work = Callable[[Settings, LineLog, Member, Link, asyncio.Event], Awaitable[None]]


def run(settings: Settings, member: Member, sock: socket.socket, handed: Handed) -> int:
    """Be that member of the service until the stop; the exit code.

    `settings`: of the service; `handed`: where new ones are found.
    """
    work = _drain if member.drains else _work
    own = share(settings, member.number)
    return run_until_stopped(
        lambda stop, _: _linked(work, own, member, Link(sock, stop, handed), stop)
    )


async def _linked(
    work: Work, settings: Settings, member: Member, link: Link, stop: asyncio.Event
) -> int:
    async with link:
        # one worker says what all would say, and no drain does
        echo = member.drains or member.number > 0
        try:
            log = start_log(settings, VERDICT_LOG, member.name, echo=echo)
            await work(settings, log, member, link, stop)
        except StartError as error:
            await link.fails(str(error))
            return EXIT_START
        log.close()
        return 0


async def _work(
    settings: Settings, log: LineLog, member: Member, link: Link, stop: asyncio.Event
) -> None:
    descriptors.allow(settings)
    async with Core(settings, Door.ICAP, member.number) as core:
        core.reporter.add_gauges()
        reloader = _reloader(core, log, member, link, stop)

        async def listens(_: IcapServer) -> None:
            await link.listens()
            _tell_figures(settings, link, core)

        await serve_until(stop, core, log, listens, reloader, shares_ports=True)
    await link.last_figures(core)


def _reloader(
    core: Core, log: LineLog, member: Member, link: Link, stop: asyncio.Event
) -> Reloader:
    """Takes what the supervisor hands, which counts it."""
    reloader = Reloader(core.settings, follow(log), core.prepare)
    reloader.end_at(stop)
    link.reload_by(lambda settings: reloader.apply(share(settings, member.number)))
    return reloader


def _tell_figures(settings: Settings, link: Link, core: Core) -> None:
    if settings.status.icapd is not None:
        link.tell_figures_of(core)


async def _drain(
    settings: Settings, log: LineLog, member: Member, link: Link, stop: asyncio.Event
) -> None:
    """End what a worker left that there is no longer: scans, cases to judge, lines to deliver."""
    async with Core(settings, Door.ICAP, member.number) as core:
        core.reporter.add_gauges()
        _reloader(core, log, member, link, stop)
        await link.listens()
        _tell_figures(settings, link, core)
        _log.warning("goes on with what worker %d left, which there is no longer", member.number)
        greeting = asyncio.create_task(core.greet())
        drained = await _drained(core, stop)
        greeting.cancel()
    await link.last_figures(core)
    if not drained:
        return
    if not await asyncio.to_thread(remove_instance, settings, core.instance):
        raise StartError(f"lines of {core.instance} wait for their receiver.")
    _log.warning("nothing is left of worker %d", member.number)


async def _drained(core: Core, stop: asyncio.Event) -> bool:
    """Wait until nothing is under way; False where the stop comes first."""
    while not stop.is_set():
        if await core.is_drained():
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)
    return False
