"""When a file is complete: it has not changed for a while. Pure: the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """A file as it was seen: another value means another content. `size` in bytes."""

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


class Settler:
    """Remembers since when each file looks the same."""

    def __init__(self, settle: float) -> None:
        """`settle`: seconds without a change after which a file counts as complete."""
        self._settle = settle
        self._since: dict[str, tuple[Look, float]] = {}

    def settled(self, looks: Iterable[Look], now: float) -> list[Look]:
        """The files that are complete at `now` (seconds), longest first; the rest is remembered."""
        seen: dict[str, tuple[Look, float]] = {}
        for look in looks:
            before = self._since.get(look.name)
            unchanged = before is not None and before[0] == look
            seen[look.name] = before if before is not None and unchanged else (look, now)
        self._since = seen
        done = [(since, look) for look, since in seen.values() if now - since >= self._settle]
        return [look for _, look in sorted(done, key=lambda pair: pair[0])]
