"""When a Central Node that fails is left alone, and how long. Pure: the clock is an argument."""

from __future__ import annotations

import random

UNREACHABLE_IN_A_ROW = 3
FAULTS_IN_A_ROW = 10  # a 5xx may speak of one file; so many speak of KATA
FIRST_PAUSE = 1.0
MAX_PAUSE = 15.0


class Breaker:
    """One node's. Times in seconds of any clock that does not jump.

    Open: no file goes there. It closes when the node answers a knock, and where files failed, takes
    one of ours; until then knocks are due at growing distances.

    Files are counted whatever else was answered between, and each content once: KATA may fail at
    one that it is sent again and again.
    """

    def __init__(self) -> None:
        self.opened_at: float | None = None
        self._in_a_row = 0.0
        self._files_in_a_row = 0.0
        self._contents: set[str] = set()  # of those
        self._pauses = 0
        self._knock_at = 0.0
        self._busy_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether no file goes there."""
        return self.opened_at is not None

    @property
    def wants_file(self) -> bool:
        """Whether files failed there so often that it is to take one before it closes."""
        return self.is_open and self._files_in_a_row > 1 - 1e-9

    def failed(
        self, now: float, *, unreachable: bool, content: str | None, ours: bool = False
    ) -> None:
        """A call failed; `content`: what tells the bytes of its file from others, if it had one.

        `ours`: the file is a trial. Another that was under way when it opened puts off no knock.
        """
        is_late = self.is_open and content is not None and not ours
        share = 1 / (UNREACHABLE_IN_A_ROW if unreachable else FAULTS_IN_A_ROW)
        self._in_a_row += share
        if content is not None and content not in self._contents and self._files_in_a_row < 1:
            self._files_in_a_row += share
            self._contents.add(content)
        if not is_late and max(self._in_a_row, self._files_in_a_row) > 1 - 1e-9:
            self.open(now)

    def refused(self, now: float, *, of_file: bool) -> None:
        """It has not accepted us."""
        if of_file:
            self._files_in_a_row = 1.0
        self.open(now)

    def open(self, now: float) -> None:
        """Leave it alone: it failed often enough, or has not accepted us."""
        if self.opened_at is None:
            self.opened_at = now
        pause = min(FIRST_PAUSE * 2.0**self._pauses, MAX_PAUSE)
        self._pauses = min(self._pauses + 1, 10)
        self._knock_at = now + pause * random.uniform(0.75, 1)  # noqa: S311 - spreads load

    def answered(self) -> None:
        """A call that is no file's was answered as it should be."""
        self._in_a_row = 0.0
        if self.is_open and not self.wants_file:
            self.opened_at = None
            self._pauses = 0

    def took_file(self, *, ours: bool) -> None:
        """A file was answered as it should be. Where only larger ones than ours fail, distances
        go on growing."""
        pauses = self._pauses
        self._files_in_a_row = 0.0
        self._contents.clear()
        self.answered()
        self._pauses = pauses if ours else 0

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
