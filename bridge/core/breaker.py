"""When a Central Node that fails is left alone, and how long. Pure: the clock is an argument."""

from __future__ import annotations

import random

UNREACHABLE_IN_A_ROW = 3
FAULTS_IN_A_ROW = 10  # a 5xx may speak of one file; so many speak of KATA
FIRST_PAUSE = 1.0
MAX_PAUSE = 15.0


class Breaker:
    """One node's. Times in seconds of any clock that does not jump.

    Open: no file goes there. It closes when the node answers a knock; until then knocks are due
    at growing distances.
    """

    def __init__(self) -> None:
        self.opened_at: float | None = None
        self._in_a_row = 0.0
        self._pauses = 0
        self._knock_at = 0.0
        self._busy_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether no file goes there."""
        return self.opened_at is not None

    def failed(self, now: float, *, unreachable: bool) -> None:
        """A call failed."""
        self._in_a_row += 1 / (UNREACHABLE_IN_A_ROW if unreachable else FAULTS_IN_A_ROW)
        if self._in_a_row > 1 - 1e-9:
            self.open(now)

    def open(self, now: float) -> None:
        """Leave it alone: it failed often enough, or has not accepted us."""
        if self.opened_at is None:
            self.opened_at = now
        pause = min(FIRST_PAUSE * 2.0**self._pauses, MAX_PAUSE)
        self._pauses = min(self._pauses + 1, 10)
        self._knock_at = now + pause * random.uniform(0.75, 1)  # noqa: S311 - spreads load

    def worked(self) -> None:
        """A call was answered as it should be."""
        self.opened_at = None
        self._in_a_row = 0.0
        self._pauses = 0

    def knock_due(self, now: float) -> bool:
        """Whether it is time to ask an open node whether it works again."""
        return self.is_open and now >= self._knock_at

    def hurry(self) -> None:
        """Have it asked now: what kept it from working may be mended."""
        self._knock_at, self._pauses = 0.0, 0

    def busy(self, now: float, seconds: float) -> None:
        """The node asked not to be sent anything for a while (429)."""
        self._busy_until = max(self._busy_until, now + seconds)

    def busy_for(self, now: float) -> float:
        """Seconds for which it is still to be left in peace."""
        return max(self._busy_until - now, 0.0)
