"""Places for files under way, shared fairly between folders."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable


class FairSlots:
    """At most `total` places. A free one goes to the folder that waits and has the fewest.

    Half of them is kept for whoever comes: each folder leaves an equal part of that half to every
    other, so that a backlog in one lets the next file of another begin at once.
    """

    def __init__(self, total: int, folders: int) -> None:
        self._total = self._free = self._most = 0
        self._taken: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, tuple[asyncio.Future[None], int | None]] = {}
        self.resize(total, folders)

    def resize(self, total: int, folders: int) -> None:
        """Have so many places for so many folders from now on; what is taken stays taken."""
        self._free += total - self._total
        self._total = total
        reserve = (folders - 1) * max(1, total // (2 * folders))
        self._most = max(1, total - reserve, total // 2)
        self._hand_out()

    async def take(self, folder: Hashable, most: int | None = None) -> None:
        """Wait for a place; `give` it back. One wait a folder at a time.

        `most`: how many the folder wants at once, where it wants few.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting[folder] = (future, most)
        self._hand_out()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give(folder)
            raise
        finally:
            if self._waiting.get(folder, (None, 0))[0] is future:
                del self._waiting[folder]

    def give(self, folder: Hashable) -> None:
        """Give a place back."""
        if folder not in self._taken:
            return  # it was dropped, with all that it had
        self._free += 1
        self._taken[folder] -= 1
        self._hand_out()

    def drop(self, folder: Hashable) -> None:
        """A folder is watched no longer: what it has is free."""
        self._free += self._taken.pop(folder, 0)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free > 0:  # below that there are fewer places than were taken before
            open_to = [
                name
                for name, (future, most) in self._waiting.items()
                if not future.done()
                and self._taken.get(name, 0) < min(most or self._most, self._most)
            ]
            if not open_to:
                return
            name = min(open_to, key=lambda each: self._taken.get(each, 0))
            self._free -= 1
            self._taken[name] = self._taken.get(name, 0) + 1
            self._waiting[name][0].set_result(None)
