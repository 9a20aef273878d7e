"""Who in this process waits for news of some bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator


class LocalWatch:
    """A Watch that `Waiters` wake; `longest()` is how many seconds it may rely on that."""

    def __init__(self, longest: Callable[[], float]) -> None:
        self._longest = longest
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There may be news."""
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """See Watch."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, self._longest())):
                await self._news.wait()
        self._news.clear()


class Waiters:
    """The watches of one store object, by sha256. Not for several event loops."""

    def __init__(self, longest: Callable[[], float]) -> None:
        """`longest`: see LocalWatch."""
        self._longest = longest
        self._watches: dict[str, set[LocalWatch]] = {}

    @contextlib.contextmanager
    def watch(self, sha256: str) -> Iterator[LocalWatch]:
        """A watch that hears all news of these bytes until the block ends."""
        watch = LocalWatch(self._longest)
        watches = self._watches.setdefault(sha256, set())
        watches.add(watch)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches and self._watches.get(sha256) is watches:
                del self._watches[sha256]

    def wake(self, sha256: str) -> None:
        """There is news of these bytes."""
        for watch in self._watches.get(sha256, ()):
            watch.wake()

    def wake_all(self) -> None:
        """There may be news of anything."""
        for sha256 in self._watches:
            self.wake(sha256)
