"""The folder daemon: one watcher for each configured folder."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from bridge.core import Core, Door, Settings, StartError, start_log
from bridge.folder.left import parse_note
from bridge.folder.watch import FolderWatcher

_log = logging.getLogger(__name__)
LOG = "kata-bridge-watch.log"
_FILE_THREADS = 8


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Watch all folders until `stop`; StartError where that cannot begin."""
    if not settings.folders:
        raise StartError("no folder is configured (folders).")
    log = start_log(settings, LOG)
    with ThreadPoolExecutor(_FILE_THREADS, thread_name_prefix="folder") as threads:
        async with Core(settings, Door.FOLDER) as core:
            slots = asyncio.Semaphore(settings.kata.max_in_flight)
            watchers = [FolderWatcher(core, each, threads, slots) for each in settings.folders]
            for watcher in watchers:
                watcher.prepare()
            stop_metrics = core.serve_metrics(settings.status.watch)
            await _take_up(core, watchers)
            await _watch(core, watchers, settings, stop)
            stop_metrics()
    _log.warning("kata-bridge watch has stopped")
    log.close()


async def _take_up(core: Core, watchers: list[FolderWatcher]) -> None:
    """Go on with files whose record was written when an earlier process was cut off."""
    by_name = {watcher.name: watcher for watcher in watchers}
    for case_id, note in core.notes().items():
        folder, look, why = parse_note(note)
        if folder in by_name:
            await by_name[folder].take_up(case_id, look, why)
        else:
            await core.confirm(case_id)


async def _watch(
    core: Core, watchers: list[FolderWatcher], settings: Settings, stop: asyncio.Event
) -> None:
    greeting = asyncio.create_task(core.greet())
    stopping = asyncio.create_task(stop.wait())
    watching = [asyncio.create_task(watcher.run()) for watcher in watchers]
    for folder in settings.folders:
        _log.warning("watches %s as folder %s", folder.input, folder.name)
    try:
        await asyncio.wait({stopping, *watching}, return_when=asyncio.FIRST_COMPLETED)
        _log.warning("kata-bridge watch stops; files that are not judged stay in input")
    finally:
        # before the core ends: a verdict that is cut off must not move a file
        for task in (greeting, stopping, *watching):
            task.cancel()
        ends = await asyncio.gather(greeting, stopping, *watching, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end  # a watcher that failed: better no service than one that does not look
