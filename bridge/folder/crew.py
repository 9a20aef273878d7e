"""Who watches: those that are wanted begin, the others end, each by itself.

No two ever have the same input: the one before ends first, however long that takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from bridge.core import FolderSettings, service_manager
from bridge.folder.notes import Note

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0  # until one that hangs at its end keeps nothing but its input


class Wanted(NamedTuple):
    """A folder that is to be watched. `input`: where that really is, links followed."""

    folder: FolderSettings
    input: str

    def has_input_of(self, other: Wanted) -> bool:
        """Whether both have one input: by name as well, since a link that does not answer, or
        whose share is not mounted, leads elsewhere just now."""
        return self.input == other.input or self.folder.input == other.folder.input


def say_watches(wanted: Wanted) -> None:
    """Log that it begins."""
    _log.warning("watches %s as folder %s", wanted.folder.input, wanted.folder.name)


def say_hangs(folder: FolderSettings, seconds: float, then: str) -> None:
    """Log that its end takes longer than `seconds`; `then`: what becomes of it, a sentence."""
    _log.error(
        "folder %s: what was under way for %s has not ended within %.0f s; does a share not "
        "answer? %s",
        folder.name,
        folder.input,
        seconds,
        then,
    )


class Watcher(Protocol):
    """What watches one folder."""

    async def run(self) -> None:
        """Watch until cancelled; then end in order."""

    async def quiet(self) -> None:
        """After `run`: return when nothing of it touches its folders any more."""

    def let_go(self) -> None:
        """It hangs at its end: free what others may have."""

    def look_soon(self) -> None:
        """Look before the clock says so."""

    def facts(self) -> dict[str, object]:
        """What the status page says of it."""

    @property
    def is_ending(self) -> bool:
        """Whether `run` ends, for whatever reason: to cancel it now would cut that off."""

    @property
    def undone(self) -> dict[str, Note]:
        """By case id, what is left to do after records: for who watches that input next."""


class Yard(Protocol):
    """Makes watchers, and keeps what outlasts them."""

    def make(self, wanted: Wanted) -> Watcher:
        """One that has not begun."""

    def keep(self, wanted: Wanted, undone: dict[str, Note]) -> None:
        """A watcher has ended and could not do this."""

    def forget(self, names: Sequence[str], name: str) -> None:
        """No folder of that name is watched; `names`: those that are, or will be."""


class _Post:
    """A watcher that runs, or (`ending`) is about to end."""

    def __init__(self, wanted: Wanted, watcher: Watcher) -> None:
        self.wanted = wanted
        self.watcher = watcher
        self.run = asyncio.create_task(watcher.run(), name=f"watch-{self.name}")
        self.ending: asyncio.Task[None] | None = None
        self.until = 0.0  # loop seconds: when it counts as hanging
        self.hangs = False
        self.is_said = False  # that it is no longer watched

    @property
    def name(self) -> str:
        return self.wanted.folder.name

    def cancel(self) -> None:
        if not self.watcher.is_ending:
            self.run.cancel()

    def end(self, until: float) -> None:
        self.cancel()
        self.until = until
        self.ending = asyncio.create_task(self._end(), name=f"end-{self.name}")

    async def _end(self) -> None:
        await asyncio.wait({self.run})
        await self.watcher.quiet()

    def blocks(self, wanted: Wanted) -> bool:
        """Whether that folder cannot be watched before this one has ended."""
        if self.ending is None:
            return False
        same_name = self.name == wanted.folder.name and not self.hangs
        return same_name or self.wanted.has_input_of(wanted)

    def is_for(self, wanted: Wanted) -> bool:
        return self.ending is None and self.wanted == wanted


class Crew:
    """All watchers of a process."""

    def __init__(self, yard: Yard, patience: float = PATIENCE_SECONDS) -> None:
        """`patience`: seconds that an end may take before it is said."""
        self._yard = yard
        self._patience = patience
        self._posts: list[_Post] = []
        self._news = asyncio.Event()
        self._stops = False
        self.wanted: tuple[Wanted, ...] = ()

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Have these watched, and no others; never waits."""
        self.wanted = tuple(wanted)
        if self._stops:
            return  # all of them end already
        until = asyncio.get_running_loop().time() + self._patience
        for post in self._posts:
            if post.ending is None and post.wanted not in self.wanted:
                post.end(until)
                assert post.ending is not None  # noqa: S101 - it has just begun
                post.ending.add_done_callback(self._tell)
        self._news.set()

    def _tell(self, _: asyncio.Task[None]) -> None:
        self._news.set()

    def look_soon(self, name: str) -> None:
        """Have the folder of that name looked at before the clock says so."""
        for post in self._posts:
            if post.name == name:
                post.watcher.look_soon()

    def facts(self) -> list[dict[str, object]]:
        """What the status page says of each wanted folder."""
        return [self._facts_of(wanted) for wanted in self.wanted]

    def _facts_of(self, wanted: Wanted) -> dict[str, object]:
        for post in self._posts:
            if post.is_for(wanted):
                return post.watcher.facts()
        return {
            "name": wanted.folder.name,
            "input": str(wanted.folder.input),
            "waiting": 0,
            "held": 0,
            "under_way": 0,
            "troubles": ["it is watched as soon as what was under way before has ended"],
        }

    # -- running -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until cancelled, or until a watcher fails: then with its fault."""
        try:
            while True:
                self._news.clear()
                self._clear_away()
                self._begin()
                names = ", ".join(each.folder.name for each in self.wanted)
                service_manager.ready(f"watches {names}")
                await self._wait()
        finally:
            await self._stop()

    def _clear_away(self) -> None:
        for post in list(self._posts):
            if post.run.done() and not post.run.cancelled():
                post.run.result()  # better no service than one that does not look
            if post.ending is None:
                continue
            if post.ending.done():
                post.ending.result()
                self._posts.remove(post)
                self._yard.keep(post.wanted, post.watcher.undone)
                self._leave(post)
            elif not post.hangs and self._now() >= post.until:
                post.hangs = True
                post.watcher.let_go()
                then = "Until it has, that input is not watched again"
                say_hangs(post.wanted.folder, self._patience, then)
                self._leave(post)

    def _leave(self, post: _Post) -> None:
        """What nobody wants any longer is gone for everybody to see."""
        name, place = post.name, post.wanted.folder.input
        still = [(each.folder.name, each.folder.input) for each in self.wanted]
        if (name, place) not in still and not post.is_said:
            post.is_said = True
            _log.warning("no longer watches %s as folder %s", place, name)
        names = [each.folder.name for each in self.wanted]
        if name not in names:
            self._yard.forget(names, post.name)

    def _begin(self) -> None:
        for wanted in self.wanted:
            if any(post.is_for(wanted) or post.blocks(wanted) for post in self._posts):
                continue
            post = _Post(wanted, self._yard.make(wanted))
            post.run.add_done_callback(self._tell)
            self._posts.append(post)
            say_watches(wanted)

    async def _wait(self) -> None:
        """Until there is news, or an end takes too long."""
        ends = [post.until for post in self._posts if post.ending is not None and not post.hangs]
        pause = max(0.0, min(ends) - self._now()) if ends else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._news.wait()

    async def _stop(self) -> None:
        """End all; a watcher that ends already is not told so twice: that would cut it off."""
        self._stops = True
        for post in self._posts:
            if post.ending is None:
                post.cancel()
            else:
                post.ending.cancel()
        endings = [post.ending for post in self._posts if post.ending is not None]
        runs = [post.run for post in self._posts]
        await all_end([*endings, *runs])
        for run in runs:
            if not run.cancelled():
                run.result()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def all_end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for all; where we are cancelled once more meanwhile, that cuts off none of them."""
    while not all(task.done() for task in tasks):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)  # unlike gather, it passes no cancel on
    for task in tasks:
        if not task.cancelled():
            task.exception()  # of several one is raised, and asyncio need not complain of the rest
