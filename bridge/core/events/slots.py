"""How many subjects of a kind may be out, and how long an end waits for those that come again."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from bridge.core.events.line import OutageKind, Subject

HOLD_SECONDS = 3.0  # what comes back sooner has not been gone
LONGEST_HOLD = 300.0
CALM_SECONDS = 600.0  # what has been gone for so long is forgotten
MOST = 1000  # of a kind
# whoever may connect can be one: a network of them must fill neither memory nor log
_MOST_OF: dict[str, int] = {OutageKind.BODIES_WITHHELD: 50}


class _Past(NamedTuple):
    hold: float
    ended: float


class Slots:
    """A place for each subject that is out or was lately: bounded for each kind by itself."""

    def __init__(self) -> None:
        self._past: dict[Subject, _Past] = {}
        self._taken: Counter[str] = Counter()
        self.full: set[str] = set()  # kinds of which one found no place

    def take(self, subject: Subject) -> float | None:
        """For how many seconds an end of it is to wait; None where there is no place left."""
        past = self._past.pop(subject, None)
        if past is not None:
            return min(2 * past.hold, LONGEST_HOLD)
        if self._taken[subject.kind] >= most_of(subject.kind):
            self.full.add(subject.kind)
            return None
        return self.force(subject)

    def force(self, subject: Subject) -> float:
        """As `take`, for one that had its place in an earlier process."""
        self._taken[subject.kind] += 1
        return HOLD_SECONDS

    def ended(self, subject: Subject, hold: float, now: float) -> None:
        """It is over; its place is kept for a while."""
        self._past[subject] = _Past(hold, now)

    def forget(self, now: float) -> None:
        """Give up the places of those that have not come back."""
        for subject, past in list(self._past.items()):
            if not 0 <= now - past.ended < CALM_SECONDS:
                del self._past[subject]
                self._taken[subject.kind] -= 1
                self.full.discard(subject.kind)


def most_of(kind: str) -> int:
    """How many of a kind there may be."""
    return _MOST_OF.get(kind, MOST)
