"""The folder daemon: one watcher for each configured folder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.core import (
    WATCH_LOG,
    Core,
    Decision,
    Door,
    OutageKind,
    Settings,
    StartError,
    service_manager,
    start_log,
    status_of,
)
from bridge.folder.notes import Note, parse_note
from bridge.folder.slots import FairSlots
from bridge.folder.watch import FolderWatcher

_log = logging.getLogger(__name__)


async def serve(
    settings: Settings, stop: asyncio.Event, *, once: bool = False, log: Path | None = None
) -> int:
    """Watch all folders until `stop`, or (`once`) until what is there now is dealt with.

    How many files stay although they were to go (`once`). StartError where that cannot begin.
    `log`: the service log, where it is not in `logs.dir`.
    """
    if not settings.folders:
        raise StartError("no folder is configured (folders).")
    name = str(log or WATCH_LOG)
    service_log = start_log(settings, name)
    where = None if once else settings.status.watch  # what ends in a moment has no page
    async with Core(settings, Door.FOLDER) as core, status_of(core, "watch", where, name):
        watchers = _watchers(core)
        for watcher in watchers:
            watcher.prepare()
        core.reporter.tell("folders", lambda: [watcher.facts() for watcher in watchers])
        await _confirm_strangers(core)
        for kind in (OutageKind.SHARE_GONE, OutageKind.TARGET_FAILING):
            core.events.keep_only(kind, [folder.name for folder in settings.folders])
        for folder in settings.folders:
            _log.warning("watches %s as folder %s", folder.input, folder.name)
        service_manager.ready(f"watches {', '.join(folder.name for folder in settings.folders)}")
        runs = [watcher.run_once() if once else watcher.run() for watcher in watchers]
        stay = await _until_stopped(core, runs, stop)
    _log.warning("kata-bridge watch has stopped")
    service_log.close()
    return stay


def _watchers(core: Core) -> list[FolderWatcher]:
    settings = core.settings
    slots = FairSlots(settings.kata.max_in_flight, len(settings.folders))
    notes = _notes(core)
    files = core.metrics.tally(
        "folder_files", "Files of a folder by what was done.", ("folder", "decision")
    )

    def watcher(number: int) -> FolderWatcher:
        folder = settings.folders[number]

        def count(decision: Decision) -> None:
            files.raise_by((folder.name, decision))

        return FolderWatcher(core, folder, slots, notes, count)

    return [watcher(number) for number in range(len(settings.folders))]


def _notes(core: Core) -> Mapping[str, Note]:
    """What earlier processes left to be done, as far as this version understands it."""
    notes = {}
    for case_id, text in core.notes().items():
        with contextlib.suppress(ValueError):
            notes[case_id] = parse_note(text)
    return notes


async def _confirm_strangers(core: Core) -> None:
    """Nobody is there to do what a note says of a folder that is configured no longer."""
    names = {folder.name for folder in core.settings.folders}
    known = {case_id for case_id, note in _notes(core).items() if note.folder in names}
    for case_id in core.notes().keys() - known:
        await core.confirm(case_id)


async def _until_stopped(
    core: Core, runs: Sequence[Coroutine[Any, Any, int | None]], stop: asyncio.Event
) -> int:
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
        await asyncio.gather(greeting, stopping, *watching, return_exceptions=True)
    # a watcher that failed: better no service than one that does not look
    return sum(_result(task) for task in watching)


def _failed(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is not None


def _result(task: asyncio.Task[int | None]) -> int:
    with contextlib.suppress(asyncio.CancelledError):
        return task.result() or 0
    return 0
