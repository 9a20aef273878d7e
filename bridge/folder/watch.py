"""Watches one folder: looks, lets files settle, and sends each on its way once."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bridge.core import Case, Core, Decision, FolderSettings, StartError
from bridge.folder import files
from bridge.folder.files import NotStillError
from bridge.folder.left import LeftFiles
from bridge.folder.settle import Look, Settler
from bridge.folder.transfer import Transfer

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
MAX_RETRY_SECONDS = 30.0
_INPUT = "reading the input"
_DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class _Retry:
    failures: int = 0
    at: float = 0.0  # loop seconds

    def again(self, now: float) -> _Retry:
        """One failure more: the next try comes later."""
        delay = min(RETRY_SECONDS * 2.0 ** min(self.failures, 10), MAX_RETRY_SECONDS)
        return _Retry(self.failures + 1, now + delay)


class FolderWatcher:
    """One input, output and quarantine triple, until `run` is cancelled."""

    def __init__(
        self,
        core: Core,
        folder: FolderSettings,
        threads: ThreadPoolExecutor,
        slots: asyncio.Semaphore,
    ) -> None:
        """`threads` do the file work and `slots` limit the files under way, of all folders."""
        self._core = core
        self._folder = folder
        self._threads = threads
        self._slots = slots
        self._transfer = Transfer(core, folder, threads)
        self._settler = Settler(folder.settle)
        self._left = LeftFiles(core.spool.dir.parent / f"{core.instance}.{folder.name}.left.json")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[Look, Case] = {}
        self._retries: dict[str, _Retry] = {}
        self._probe = _Retry()
        self._troubles: dict[str, str] = {}

    def prepare(self) -> None:
        """StartError where one of the three folders cannot be used; clear what a crash left there.

        Blocks: disk.
        """
        for key in ("input", "output", "quarantine"):
            path: Path = getattr(self._folder, key)
            if not path.is_dir():
                reason = "is no folder"
            elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                reason = "must be readable and writable for this service"
            else:
                continue
            raise StartError(f"{path} {reason} (folders, {self._folder.name}: {key}).")
        for path in (self._folder.output, self._folder.quarantine):
            files.remove_drafts(path, self._core.instance)

    async def run(self) -> None:
        """Watch until cancelled; files under way then stay in input."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(self._folder.rescan)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            looks = await loop.run_in_executor(self._threads, files.list_files, self._folder.input)
        except OSError as error:
            self._begins(_INPUT, f"{self._folder.input} cannot be read: {error.strerror}")
            return
        self._ends(_INPUT)
        self._left.keep_only(looks)
        self._forget_others({look.name for look in looks})
        for look in self._settler.settled(looks, loop.time()):
            if self._may_begin(look, loop.time()):
                self._begin(look)

    def _forget_others(self, present: set[str]) -> None:
        self._held = {look: case for look, case in self._held.items() if look.name in present}
        self._retries = {name: r for name, r in self._retries.items() if name in present}

    def _may_begin(self, look: Look, now: float) -> bool:
        if look.name in self._tasks or look in self._left:
            return False
        if look.name in self._retries and self._retries[look.name].at > now:
            return False
        # While KATA is away one file now and then asks for all.
        return self._core.kata_works or (not self._tasks and now >= self._probe.at)

    def _begin(self, look: Look) -> None:
        task = asyncio.create_task(self._handle(look), name=f"file-{self._folder.name}")
        self._tasks[look.name] = task
        task.add_done_callback(lambda _: self._tasks.pop(look.name, None))

    async def _handle(self, look: Look) -> None:
        async with self._slots:
            case = self._held.pop(look, None) or self._transfer.new_case(look)
            try:
                decision = await self._transfer.run(case, look)
            except NotStillError:
                return  # it is looked at again, as new
            except OSError as error:
                self._hold(look, case)
                self._fails(look, error)
                return
            except Exception:
                _log.exception("a fault of katabridge itself; %s stays in input", look.name)
                self._hold(look, case)
                return
        if decision is Decision.HOLD:
            self._hold(look, case)
            return
        self._retries.pop(look.name, None)
        self._probe = _Retry()
        self._ends(look.name)
        if decision is Decision.SKIP:
            self._left.add(look)
        else:
            self._ends(_DELIVERY)

    def _hold(self, look: Look, case: Case) -> None:
        """The file stays, its case stays open, and it is tried again after a while."""
        now = asyncio.get_running_loop().time()
        self._held[look] = case
        if self._core.kata_works:
            self._retries[look.name] = self._retries.get(look.name, _Retry()).again(now)
        elif now >= self._probe.at:  # all that were under way failed with it: one failure
            self._probe = self._probe.again(now)

    def _fails(self, look: Look, error: OSError) -> None:
        source = str(self._folder.input / look.name)
        about = look.name if str(error.filename) == source else _DELIVERY
        place = error.filename2 or error.filename or source
        self._begins(about, f"{place}: {error.strerror}; {look.name} stays in input")

    def _begins(self, about: str, sentence: str) -> None:
        """Log a trouble once, however often it is met."""
        if about not in self._troubles:
            _log.error("folder %s: %s", self._folder.name, sentence)
            self._troubles[about] = sentence

    def _ends(self, about: str) -> None:
        if self._troubles.pop(about, None) is not None:
            _log.warning("folder %s: %s works again", self._folder.name, about)
