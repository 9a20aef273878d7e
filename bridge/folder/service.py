"""The folder daemon: one watcher for each configured folder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bridge.core import (
    WATCH_LOG,
    Configuration,
    Core,
    Door,
    Settings,
    StartError,
    follow,
    start_log,
    status_of,
)
from bridge.folder.crew import say_hangs
from bridge.folder.folders import Folders
from bridge.folder.usable import NO_FOLDER

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0  # that a stop waits for shares; well below TimeoutStopSec


class Reloads(NamedTuple):
    """When the configuration is to be read anew, and from where."""

    hangup: asyncio.Event
    source: Configuration


async def serve(
    settings: Settings,
    stop: asyncio.Event,
    reloads: Reloads | None = None,
    *,
    once: bool = False,
    log: Path | None = None,
) -> int:
    """Watch all folders until `stop`, or (`once`) until what is there now is dealt with.

    How many files stay although they were to go (`once`, which reloads nothing), 1 for a folder
    that was cut off. StartError where that cannot begin. `log`: the service log, where it is not
    in `logs.dir`.
    """
    if not settings.folders:
        raise StartError(NO_FOLDER)
    name = str(log or WATCH_LOG)
    service_log = start_log(settings, name)
    where = None if once else settings.status.watch  # what ends in a moment has no page
    async with Core(settings, Door.FOLDER) as core, status_of(core, "watch", where, name) as status:
        folders = Folders(core)
        core.reporter.tell("folders", folders.facts)
        await folders.confirm_strangers()
        if once or reloads is None:
            works = folders.run_once() if once else [folders.run()]
            stay = await _until_stopped(core, folders, works, stop, cut_off=int(once))
        else:
            reloader = core.reloader(follow(service_log), status)
            reloader.join(folders.prepare)
            reloader.end_at(stop)
            async with reloader.at_each(*reloads):
                stay = await _until_stopped(core, folders, [folders.run()], stop)
    _log.warning("kata-bridge watch has stopped")
    service_log.close()
    return stay


async def _until_stopped(
    core: Core,
    folders: Folders,
    runs: Sequence[Coroutine[Any, Any, int | None]],
    stop: asyncio.Event,
    *,
    cut_off: int = 0,
) -> int:
    """How many files stay, by each of the runs; by one that did not come to its end `cut_off`."""
    greeting = asyncio.create_task(core.greet())
    stopping = asyncio.create_task(stop.wait())
    watching = [asyncio.create_task(run) for run in runs]
    try:
        running = set(watching)
        while running and not stopping.done():
            ended, _ = await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
            running -= ended
            if any(_failed(task) for task in ended):
                break
        if running:
            _log.warning("kata-bridge watch stops; files that are not judged stay in input")
    finally:
        # before the core ends: a verdict that is cut off must not move a file
        for task in (greeting, stopping, *watching):
            task.cancel()
        _, late = await asyncio.wait({greeting, stopping, *watching}, timeout=PATIENCE_SECONDS)
        if late:
            for folder in folders.give_up():
                say_hangs(folder, PATIENCE_SECONDS, "The next start takes it up")
    # a watcher that failed: better no service than one that does not look
    return sum(_result(task, cut_off) for task in watching)


def _failed(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is not None


def _result(task: asyncio.Task[int | None], cut_off: int) -> int:
    if not task.done() or task.cancelled():
        return cut_off
    return task.result() or 0
