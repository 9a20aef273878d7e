"""Sends files of one folder on their way, as many at a time as it may have."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice

from bridge.core import Core
from bridge.folder.handling import Handler
from bridge.folder.settle import Look
from bridge.folder.slots import FairSlots

_FEW = 4  # files at a time while a folder fails: they only ask whether it works again
_PROBE_CHOICE = 1000


class Feeder:
    """Takes the files that are due, one after another."""

    def __init__(self, core: Core, handler: Handler, slots: FairSlots, folder: str) -> None:
        """`folder`: its name."""
        self._core = core
        self._handler = handler
        self._slots = slots
        self._folder = folder
        self._due: deque[Look] = deque()
        self._work = asyncio.Event()
        self._chosen = False
        self._tried: set[Look] | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    def try_once(self) -> None:
        """Take each content once, even where it comes back."""
        self._tried = set()

    def offer(self, due: Iterable[Look]) -> None:
        """These are due now, and no others."""
        self._due = deque(due)
        self._work.set()

    def wants(self, look: Look) -> bool:
        """Whether a file may be taken now. From any thread."""
        return (self._tried is None or look not in self._tried) and self._handler.may_begin(look)

    @property
    def is_busy(self) -> bool:
        """Whether files are under way, or may begin."""
        may_begin = self._core.kata_works or self._may_probe
        return bool(self.tasks or self._chosen or (self._due and may_begin))

    @property
    def waiting(self) -> int:
        """How many files are due and have not begun."""
        return len(self._due)

    async def run(self) -> None:
        """Feed until cancelled."""
        while True:
            await self._work.wait()
            look = self._next()
            if look is None:
                self._work.clear()
                continue
            self._chosen = True
            try:
                await self._slots.take(self, _FEW if self._handler.is_troubled else None)
                self._begin(look)
            finally:
                self._chosen = False

    @property
    def _may_probe(self) -> bool:
        return not self.tasks and self._handler.may_probe

    def _next(self) -> Look | None:
        """The next file to take; while KATA takes none, one now and then that asks for all."""
        if not self._core.kata_works:
            if not self._due or not self._may_probe:
                return None
            look = min(islice(self._due, _PROBE_CHOICE), key=self._handler.failures)
            self._due.remove(look)
            return look
        while self._due:
            look = self._due.popleft()
            if self.wants(look):
                return look
        return None

    def _begin(self, look: Look) -> None:
        if self._tried is not None:
            self._tried.add(look)
        work = self._handler.start(look)
        if work is None:
            self._slots.give(self)
            return
        task = asyncio.create_task(work, name=f"file-{self._folder}")
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._slots.give(self)
        self._work.set()

    def let_go(self) -> None:
        """Have no places any longer, whatever still is under way."""
        self._slots.drop(self)
