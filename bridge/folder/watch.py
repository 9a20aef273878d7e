"""Watches one folder: looks, lets files settle, and sends each on its way once."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridge.core import Case, Core, Decision, FolderSettings, OutcomeKind, StartError
from bridge.folder import files
from bridge.folder.files import NotStillError
from bridge.folder.left import LeftFiles, Why
from bridge.folder.retry import Retries, Troubles
from bridge.folder.settle import Look, Settler
from bridge.folder.transfer import DeliveryError, Transfer

_log = logging.getLogger(__name__)

_INPUT = "reading the input"


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
        self._settler = Settler(folder.settle)
        self._left = LeftFiles(core.spool.dir.parent / f"{core.instance}.{folder.name}.left.json")
        self._transfer = Transfer(core, folder, threads, self._left)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[Look, Case] = {}
        self._retries = Retries()
        self._probes = Retries()
        self._probe: asyncio.Task[None] | None = None
        self._troubles = Troubles(folder.name)

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

    @property
    def name(self) -> str:
        """The folder's name in the configuration."""
        return self._folder.name

    async def take_up(self, case_id: str, look: Look, why: Why) -> None:
        """Go on with a file whose case has its record since an earlier process."""
        await self._transfer.leave(case_id, look, why)

    async def run(self) -> None:
        """Watch until cancelled. Deliveries under way are completed, other files stay in input."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(self._folder.rescan)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await self._transfer.finish_deliveries()
            self._left.save()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            looks = await loop.run_in_executor(self._threads, files.list_files, self._folder.input)
        except OSError as error:
            self._troubles.begins(_INPUT, f"{self._folder.input} cannot be read: {error.strerror}")
            return
        self._troubles.ends(_INPUT)
        await self._forget_others(set(looks))
        await self._remove_delivered()
        await loop.run_in_executor(self._threads, self._left.save)
        settled = self._settler.settled(looks, loop.time())
        due = [look for look in settled if self._is_due(look, loop.time())]
        if self._core.kata_works:
            for look in due:
                self._begin(look)
        elif due:
            self._begin_probe(due)

    async def _forget_others(self, present: set[Look]) -> None:
        self._left.keep_only(present)
        names = {look.name for look in present}
        self._retries.keep_only(names)
        targets = {str(self._folder.output), str(self._folder.quarantine)}
        self._troubles.keep_only(names | targets | {_INPUT})
        for look in [look for look in self._held if look not in present]:
            await self._transfer.withdrawn(self._held.pop(look))

    def _is_due(self, look: Look, now: float) -> bool:
        if look.name in self._tasks or look in self._left:
            return False
        return self._retries.is_due(look.name, now)

    def _begin(self, look: Look) -> asyncio.Task[None]:
        task = asyncio.create_task(self._handle(look), name=f"file-{self._folder.name}")
        self._tasks[look.name] = task
        task.add_done_callback(lambda _: self._tasks.pop(look.name, None))
        return task

    def _begin_probe(self, due: list[Look]) -> None:
        """While KATA takes no files one file now and then asks for all, each in its turn."""
        now = asyncio.get_running_loop().time()
        asking = self._probe is not None and not self._probe.done()
        if asking or not self._probes.is_due(_INPUT, now):
            return
        self._probe = self._begin(min(due, key=lambda look: self._retries.failures(look.name)))

    async def _handle(self, look: Look) -> None:
        async with self._slots:
            held = self._held.pop(look, None)
            case = held or self._transfer.new_case(look)
            try:
                done = await self._transfer.run(case, look)
            except NotStillError:  # it is looked at again, as new where it changed
                if held is not None:
                    self._held[look] = held
                return
            except DeliveryError as error:
                self._hold(look, case)
                what = f"{look.name} ({error.outcome.kind}) stays in input"
                self._troubles.begins(str(error.folder), f"{error}; {what}")
                if error.outcome.kind is OutcomeKind.DETECT:  # each is said: it is no mere trouble
                    self._troubles.begins(f"detect {look.name}", f"KATA found a threat: {what}")
                return
            except OSError as error:
                self._hold(look, case)
                self._troubles.begins(look.name, f"{look.name} stays in input: {error.strerror}")
                return
            except Exception:
                _log.exception("a fault of katabridge itself; %s stays in input", look.name)
                self._hold(look, case)
                return
        if done.decision is Decision.HOLD:
            self._hold(look, case)
            self._troubles.begins(look.name, f"{look.name} stays in input: {done.detail}")
            return
        self._retries.succeeded(look.name)
        self._probes.succeeded(_INPUT)
        self._troubles.forget(look.name)
        if done.target is not None:
            self._troubles.ends(str(done.target))
        if not done.removed:
            reason = "is delivered but cannot be removed from input yet; it is not taken again"
            self._troubles.begins(look.name, f"{look.name} {reason}")

    async def _remove_delivered(self) -> None:
        now = asyncio.get_running_loop().time()
        for look in self._left.delivered():
            if not self._retries.is_due(look.name, now):
                continue
            if await self._transfer.remove(look):
                self._left.discard(look)
                self._retries.succeeded(look.name)
                self._troubles.ends(look.name)
            else:
                self._retries.failed(look.name, now)

    def _hold(self, look: Look, case: Case) -> None:
        """The file stays, its case stays open, and it is tried again after a while."""
        now = asyncio.get_running_loop().time()
        self._held[look] = case
        self._retries.failed(look.name, now)
        if not self._core.kata_works and self._probes.is_due(_INPUT, now):
            self._probes.failed(_INPUT, now)  # all that were under way failed with it: once
