"""Which processes have been silent for too long. Pure: the clock is given.

A worker whose loop does not turn keeps its share of the connections and serves none of them, so it
must not live. Silence is counted only while we listen ourselves: after a machine has stood still
all of them would seem to have been silent.
"""

from __future__ import annotations

_STOOD_STILL = 2.0  # seconds between two looks; we look each second


class Hearing:
    """How long each process has said nothing."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds of silence that are too many."""
        self._patience = patience
        self._silent: dict[int, float] = {}
        self._looked: float | None = None

    def heard(self, pid: int) -> None:
        """It has begun, or said something."""
        self._silent[pid] = 0.0

    def forget(self, pid: int) -> None:
        """It is looked after no longer."""
        self._silent.pop(pid, None)

    def look(self, now: float) -> list[int]:
        """Who has been silent for too long; each is told once, until it is heard again."""
        passed = now - self._looked if self._looked is not None else 0.0
        self._looked = now
        if passed < _STOOD_STILL:
            for pid in self._silent:
                self._silent[pid] += passed
        late = [pid for pid, seconds in self._silent.items() if seconds >= self._patience]
        for pid in late:
            del self._silent[pid]
        return late
