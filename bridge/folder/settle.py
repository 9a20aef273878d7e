"""When a file is complete: it has not changed for a while. Pure: the clock is an argument."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

MOST_AT_ONCE = 5000  # given out by one look; more come with the next


@dataclass(frozen=True, slots=True)
class Look:
    """A file as it was seen: another value means another content.

    `path`: relative to the input, `/` between folders. `size` in bytes, times in nanoseconds.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]

    @property
    def parts(self) -> list[str]:
        """The folders it lies in, from the input on."""
        return self.path.split("/")[:-1]

    @property
    def lasting(self) -> Lasting:
        """What stays the same when the file is claimed and put back: a rename moves ctime, and
        some shares give numbers anew."""
        return Lasting(self.path, self.size, self.mtime_ns)


class Lasting(NamedTuple):
    """A file as it is remembered over claims, remounts and restarts."""

    path: str
    size: int
    mtime_ns: int


class Settler:
    """Remembers since when each file looks the same."""

    def __init__(self, settle: float) -> None:
        """`settle`: seconds without a change after which a file counts as complete."""
        self._settle = settle
        self._since: dict[str, tuple[Look, float]] = {}

    def see(self, looks: Iterable[Look], now: float) -> None:
        """Remember what is there at `now` (seconds), and forget the rest."""
        seen: dict[str, tuple[Look, float]] = {}
        for look in looks:
            before = self._since.get(look.path)
            unchanged = before is not None and before[0] == look
            seen[look.path] = before if before is not None and unchanged else (look, now)
        self._since = seen

    def settled(self, now: float, wanted: Callable[[Look], bool]) -> list[Look]:
        """The complete files that are `wanted`, longest complete first; of many the first."""
        latest = now - self._settle
        done = (pair for pair in self._since.values() if pair[1] <= latest and wanted(pair[0]))
        # a sort of all would hold up the other threads for as long as it takes
        return [look for look, _ in heapq.nsmallest(MOST_AT_ONCE, done, key=itemgetter(1))]

    def next_settled(self, now: float) -> float | None:
        """In how many seconds the next file may be complete; None where none is on its way."""
        latest = now - self._settle
        waits = [since - latest for _, since in self._since.values() if since > latest]
        return min(waits, default=None)

    def present(self, lasting: Lasting) -> bool:
        """Whether that file was there when `see` was last called."""
        seen = self._since.get(lasting.path)
        return seen is not None and seen[0].lasting == lasting

    def has(self, path: str) -> bool:
        """Whether a file of that path was there."""
        return path in self._since

    def paths(self) -> frozenset[str]:
        """All that were there."""
        return frozenset(self._since)


T = TypeVar("T", bound=Hashable)


class Absences(Generic[T]):
    """What has been away for long: a share that is empty by mistake loses nothing."""

    def __init__(self, grace: float) -> None:
        """`grace`: seconds after which something counts as gone."""
        self._grace = grace
        self._since: dict[T, float] = {}

    def gone(self, known: Iterable[T], present: Callable[[T], bool], now: float) -> list[T]:
        """Those of the known that have not been there for `grace`."""
        away = [each for each in known if not present(each)]
        self._since = {each: self._since.get(each, now) for each in away}
        return [each for each, since in self._since.items() if now - since >= self._grace]
