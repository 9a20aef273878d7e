"""The folders of one process, by the settings in force: what their watchers share and outlast."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from bridge.core import (
    Adopt,
    Core,
    Decision,
    FolderSettings,
    OutageKind,
    Settings,
    StartError,
    new_case_id,
    real_path,
)
from bridge.folder.crew import Crew, Wanted, all_end, say_watches
from bridge.folder.handling import GONE_SECONDS
from bridge.folder.left import LeftFiles
from bridge.folder.mounts import SamePlace
from bridge.folder.notes import Note, parse_note
from bridge.folder.owner import owner_of, rules_of
from bridge.folder.slots import FairSlots
from bridge.folder.usable import NO_FOLDER, check_usable
from bridge.folder.watch import Common, FolderWatcher

_OUTAGES = (OutageKind.SHARE_GONE, OutageKind.TARGET_FAILING)


class Folders:
    """Has all configured folders watched."""

    def __init__(self, core: Core) -> None:
        """Of a core that has begun. StartError where a folder cannot be used. Blocks: disk."""
        self._core = core
        kata = core.settings.kata
        slots = FairSlots(kata.max_in_flight, len(core.settings.folders))
        self._common = Common(core, slots, owner_of(core), new_case_id(), self._place)
        self._places: Mapping[Path, SamePlace] = {}  # all that are configured
        self._before: dict[Path, SamePlace] = {}  # all that ever were
        self._files = core.metrics.tally(
            "folder_files", "Files of a folder by what was done.", ("folder", "decision")
        )
        self._notes = _notes(core)  # of an earlier process, for the first watcher of their folder
        self._undone: list[tuple[Wanted, dict[str, Note]]] = []  # of watchers that have ended
        self._lefts: dict[str, LeftFiles] = {}  # by folder: one for all who ever watch it
        self._watchers: WeakSet[FolderWatcher] = WeakSet()
        self._crew = Crew(self)
        self.prepare(core.settings)()
        for kind in _OUTAGES:
            core.events.keep_only(kind, [folder.name for folder in core.settings.folders])

    async def confirm_strangers(self) -> None:
        """Nobody is there to do what a note says of a folder that is configured no longer."""
        names = {folder.name for folder in self._core.settings.folders}
        known = {case_id for case_id, note in self._notes.items() if note.folder in names}
        for case_id in self._core.notes().keys() - known:
            await self._core.confirm(case_id)

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._crew.run()

    def run_once(self) -> list[Coroutine[Any, Any, int]]:
        """For each folder what deals with all that is there now: how many files stay, 1 where it
        was cut off."""
        return [self._once(wanted) for wanted in self._crew.wanted]

    async def _once(self, wanted: Wanted) -> int:
        say_watches(wanted)
        watcher = self.make(wanted)
        work = asyncio.create_task(watcher.run_once(), name=f"once-{wanted.folder.name}")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({work})
        if not watcher.is_ending:  # to cancel it then would cut that off
            work.cancel()
        await all_end([work])
        return 1 if work.cancelled() else work.result()  # what it leaves is not known

    def give_up(self) -> list[FolderSettings]:
        """Have those who watch do nothing more; the folders where something was under way."""
        late = [each.folder for each in list(self._watchers) if each.give_up()]
        return sorted(late, key=lambda folder: folder.name)

    def facts(self) -> list[dict[str, object]]:
        """What the status page says of each folder."""
        return self._crew.facts()

    # -- other settings ------------------------------------------------------------------------

    def prepare(self, settings: Settings) -> Adopt:
        """See `bridge.core.reloading`: folders are added, changed, removed; rules change."""
        if not settings.folders:
            raise StartError(NO_FOLDER)
        places = self._places_of(settings.folders)
        new = [each for each in settings.folders if self._watched(each) is None]
        check_usable(new, places.__getitem__)
        wanted = [self._watched(each) or _wanted(each) for each in settings.folders]
        rules = rules_of(settings)
        marks = {each.folder.name: f"{rules} {each.input}" for each in wanted}
        unread = [name for name in marks if name not in self._lefts]
        lefts = {name: self._read_left(name, marks[name]) for name in unread}

        def adopt() -> None:
            self._lefts |= lefts
            self._places = places
            self._before |= places
            self._common.slots.resize(settings.kata.max_in_flight, len(wanted))
            self._crew.want(wanted)
            for name, mark in marks.items():
                if self._lefts[name].go_by(mark):
                    self._crew.look_soon(name)

        return adopt

    def _watched(self, folder: FolderSettings) -> Wanted | None:
        """One that is the same as before goes on, whatever its share does just now."""
        return next((each for each in self._crew.wanted if each.folder == folder), None)

    def _places_of(self, folders: Sequence[FolderSettings]) -> Mapping[Path, SamePlace]:
        """Also who watches a share anew knows what it was: it may be unmounted just now."""
        paths = {path for each in folders for path in (each.input, each.output, each.quarantine)}
        new = {path: SamePlace(path, self._before.get(path)) for path in paths}
        return new | {path: place for path, place in self._places.items() if path in paths}

    def _place(self, path: Path) -> SamePlace:
        return self._places[path]

    def _read_left(self, name: str, mark: str) -> LeftFiles:
        core = self._core
        path = core.spool.dir.parent / f"{core.instance}.{name}.left.json"
        return LeftFiles(path, mark, GONE_SECONDS)

    # -- for the crew --------------------------------------------------------------------------

    def make(self, wanted: Wanted) -> FolderWatcher:
        """A watcher that has not begun."""
        name = wanted.folder.name
        notes = {k: note for k, note in self._notes.items() if note.folder == name}
        for case_id in notes:
            del self._notes[case_id]
        notes |= self._undone_of(wanted)
        left, count = self._lefts[name], self._count(name)
        watcher = FolderWatcher(self._common, wanted.folder, left, notes, count)
        self._watchers.add(watcher)
        return watcher

    def _undone_of(self, wanted: Wanted) -> dict[str, Note]:
        notes: dict[str, Note] = {}
        for entry in [each for each in self._undone if each[0].has_input_of(wanted)]:
            self._undone.remove(entry)
            notes |= entry[1]
        return notes

    def _count(self, name: str) -> Callable[[Decision], None]:
        def count(decision: Decision) -> None:
            self._files.raise_by((name, decision))

        return count

    def keep(self, wanted: Wanted, undone: dict[str, Note]) -> None:
        """For who watches that input next; else the journal has it for the next start."""
        if undone:
            self._undone.append((wanted, undone))

    def forget(self, names: Sequence[str], name: str) -> None:
        """No folder of that name is watched any longer."""
        self._files.forget(name)
        for kind in _OUTAGES:
            self._core.events.keep_only(kind, names)


def _wanted(folder: FolderSettings) -> Wanted:
    return Wanted(folder, str(real_path(folder.input)))


def _notes(core: Core) -> dict[str, Note]:
    """What earlier processes left to be done, as far as this version understands it."""
    notes = {}
    for case_id, text in core.notes().items():
        with contextlib.suppress(ValueError):
            notes[case_id] = parse_note(text)
    return notes
