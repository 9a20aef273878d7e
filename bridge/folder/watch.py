"""Watches one folder: looks, lets files settle, and sends each on its way once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from bridge.core import Core, Decision, FolderSettings
from bridge.folder.abandoned import Abandoned
from bridge.folder.claim import ClaimError, Claims
from bridge.folder.deliver import Delivery
from bridge.folder.feed import Feeder
from bridge.folder.handling import Handler
from bridge.folder.hints import watch_hints
from bridge.folder.left import LeftFiles
from bridge.folder.mounts import SamePlace
from bridge.folder.notes import Note
from bridge.folder.outages import FolderOutages
from bridge.folder.retry import Troubles
from bridge.folder.sight import Seen, Sight
from bridge.folder.slots import FairSlots
from bridge.folder.sweep import Sweeper
from bridge.folder.transfer import Parts, Transfer

_log = logging.getLogger(__name__)

_INPUT = "reading the input"
_THREADS = 4  # a folder's own: a share that hangs must not hold up the others
_LEAST_PAUSE = 0.05
_SHARE = 4  # a look may take a fifth of the time
_MOST_PAUSE = 60.0  # after one that hung for an hour nobody waits for four
_LIFE_SECONDS = 30.0
_MOST_SAID = 20  # troubles on the status page


def pause_after(look: float) -> float:
    """How long not to look again after a look that took so long. Seconds."""
    return min(max(_LEAST_PAUSE, _SHARE * look), _MOST_PAUSE)


class Common(NamedTuple):
    """What all watchers of a process have in common.

    `owner`: who we are on a share. `began`: the id of a case; drafts of older ones are leftovers.
    `place`: what is known of a configured path, also from a watcher before.
    """

    core: Core
    slots: FairSlots
    owner: str
    began: str
    place: Callable[[Path], SamePlace]


class FolderWatcher:
    """One input, output and quarantine triple, until `run` is cancelled."""

    def __init__(
        self,
        common: Common,
        folder: FolderSettings,
        left: LeftFiles,
        notes: Mapping[str, Note],
        count: Callable[[Decision], None],
    ) -> None:
        """`notes`: by case id, files whose record another one wrote before. `count` is told of
        each recorded file."""
        self._core = core = common.core
        self.folder = folder
        self._began = common.began
        self._place = common.place(folder.input)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"folder-{folder.name}")
        self._left = left
        self._claims = Claims(self._place, common.owner)
        self._sight = Sight(folder, self._place, left)
        self._delivery = Delivery(folder, common.owner, common.place)
        self._outages = FolderOutages(core.events, folder.name)
        told = self._telling(count)
        self._transfer = Transfer(
            core, Parts(folder, self._threads, self._claims, self._delivery, left, told)
        )
        self._handler = Handler(core, self._transfer)
        self._sweeper = Sweeper(
            self._claims,
            Abandoned(self._place, common.owner),
            self._transfer,
            self._handler,
            notes,
        )
        self._feeder = Feeder(core, self._handler, common.slots, folder.name)
        self._hint = asyncio.Event()
        self._main: asyncio.Task[Any] | None = None
        self._fault: BaseException | None = None
        self._is_at_work = False
        self.is_ending = False
        self._troubles = Troubles(folder.name)

    def _telling(self, count: Callable[[Decision], None]) -> Callable[[Decision], None]:
        def told(decision: Decision) -> None:
            count(decision)
            self._outages.ended(decision)

        return told

    def facts(self) -> dict[str, object]:
        """What the status page says of it: files that wait, are held, are under way; troubles.

        All may read it, so no file is named.
        """
        return {
            "name": self.folder.name,
            "input": str(self.folder.input),
            "waiting": self._feeder.waiting,
            "held": self._handler.held,
            "under_way": len(self._handler.under_way),
            "troubles": [*self._troubles.counted, *self._handler.troubles][:_MOST_SAID],
        }

    def look_soon(self) -> None:
        """Look before the clock says so."""
        self._hint.set()

    # -- running -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until cancelled. Deliveries under way are completed, other files stay in input."""
        async with self._at_work(watch_hints(self.folder.input, self._hint.set)):
            while True:
                least, most = await self._look()
                await asyncio.sleep(least)
                with contextlib.suppress(TimeoutError):
                    # not wait_for: before Python 3.12 a hint makes it forget that it is cancelled
                    async with asyncio.timeout(most - least):
                        await self._hint.wait()
                self._hint.clear()

    async def run_once(self) -> int:
        """Deal with what is there now; how many files stay in input until something works."""
        self._feeder.try_once()
        async with self._at_work():
            await self._look()
            if _INPUT in self._troubles.names:
                return 1  # it has been said; what is there is not known
            self._sight.only_these()
            await asyncio.sleep(self.folder.settle + _LEAST_PAUSE)  # it may end a little early
            least, _ = await self._look()
            while self._feeder.is_busy:
                await asyncio.sleep(least)
                least, _ = await self._look()
            stay = self._handler.held + len(self._handler.not_removed) + self._feeder.waiting
            stay += self._sweeper.waiting
        if stay:
            files = "1 file stays" if stay == 1 else f"{stay} files stay"
            _log.warning("folder %s: %s in input", self.folder.name, files)
        return stay + self._troubles.any

    @contextlib.asynccontextmanager
    async def _at_work(self, *others: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Files go their way as long as this lasts; in the end all lie where they belong."""
        self._is_at_work = True
        helpers = [asyncio.create_task(each) for each in self._helpers(*others)]
        for helper in helpers:
            helper.add_done_callback(self._helper_ended)
        self._main = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if self._fault is not None:
                raise self._fault from None
            raise
        finally:
            self._main = None  # nothing cuts off the end
            self.is_ending = True
            tasks = [*helpers, *self._feeder.tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._transfer.finish_deliveries()
            for case_id in await asyncio.to_thread(self._left.save):
                await self._core.confirm(case_id)
            await self._transfer.in_thread(self._tidy_up)
            self._threads.shutdown(wait=False)  # a share that hangs must not keep the rest open
            self._is_at_work = False

    def _tidy_up(self) -> None:
        with contextlib.suppress(OSError):
            self._claims.clear()

    async def quiet(self) -> None:
        """After `run`: return when nothing of this watcher touches its folders any more."""
        await self._transfer.quiet()
        self.let_go()

    def give_up(self) -> bool:
        """The process ends, and does not wait: do nothing more. Whether there was more to do."""
        if self._is_at_work:
            self._transfer.give_up()
        return self._is_at_work

    def let_go(self) -> None:
        """Give up its places: it has ended, or hangs at its end."""
        self._feeder.let_go()

    @property
    def undone(self) -> dict[str, Note]:
        """By case id, delivered files that could not be removed yet: for who watches next."""
        return {**self._sweeper.notes, **self._handler.not_removed}

    def _helpers(self, *others: Coroutine[Any, Any, None]) -> list[Coroutine[Any, Any, None]]:
        return [self._feeder.run(), self._clean(), self._live(), *others]

    async def _live(self) -> None:
        """Give signs of life by a thread that waits for no file."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="alive")
        try:
            while True:
                with contextlib.suppress(OSError):
                    await loop.run_in_executor(thread, self._claims.live)
                await asyncio.sleep(_LIFE_SECONDS)
        finally:
            thread.shutdown(wait=False)

    def _helper_ended(self, helper: asyncio.Task[None]) -> None:
        """Better no service than one that takes no files."""
        if not helper.cancelled() and self._main is not None:
            self._fault = helper.exception()
            if self._fault is not None:
                self._main.cancel()

    async def _clean(self) -> None:
        """Remove the drafts that a crash left in the targets."""
        try:
            await self._transfer.in_thread(self._delivery.clean, self._began)
        except OSError as error:
            _log.info("drafts of an earlier run were not looked for: %s", error)

    # -- looking -------------------------------------------------------------------------------

    async def _look(self) -> tuple[float, float]:
        """Look once; in how many seconds to look again, at the soonest and at the latest."""
        begin = time.monotonic()
        try:
            await self._sweeper.sweep()
            seen = await self._transfer.in_thread(
                self._sight.look, begin, self._feeder.wants, self._sweeper.may_have
            )
        except OSError as error:
            where = error.filename if isinstance(error, ClaimError) else self.folder.input
            trouble = f"{where} cannot be read: {error.strerror}"
            self._troubles.begins(_INPUT, trouble)
            self._outages.input_is(trouble)
            self._sweeper.hurry()  # what lies there when it is back is looked through
            return self.folder.rescan, self.folder.rescan
        self._troubles.ends(_INPUT)
        self._outages.input_is("")
        self._say_left_out(seen)
        for case_id in seen.saved:
            await self._core.confirm(case_id)
        await self._handler.forget_gone(seen.files)
        await self._handler.remove_delivered()
        self._feeder.offer(seen.due)
        self._tell_outages(seen)
        least = pause_after(time.monotonic() - begin)
        wanted = self.folder.rescan
        if seen.next_settled is not None:
            wanted = min(wanted, seen.next_settled)
        return least, max(least, wanted)

    def _tell_outages(self, seen: Seen) -> None:
        busy = self._feeder.is_busy or self._handler.held or seen.next_settled is not None
        self._outages.files_have(self._handler.target_troubles, idle=not (busy or seen.due))

    def _say_left_out(self, seen: Seen) -> None:
        troubles = {
            path: (f"the folder {path} in the input {why}", f"a folder in the input {why}")
            for path, why in seen.left_out.items()
        }
        troubles |= self._sweeper.troubles
        self._troubles.keep_only(troubles)
        for path, sentences in troubles.items():
            self._troubles.begins(path, *sentences)
