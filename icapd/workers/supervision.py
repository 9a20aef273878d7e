"""When a worker is started, replaced, or given up. Pure: the clock is given.

Until all workers have listened once, any of them that ends means that the service cannot start.
After that a worker that ends is replaced, the first time at once, then after pauses that double
while its successors die young. What drains an orphan may end when it is done, and never keeps the
service from starting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

_YOUNG = 60.0  # seconds from the start; who dies older starts with a clean slate
_FIRST_PAUSE = 1.0
_MAX_PAUSE = 60.0


class State(Enum):
    """Where a member is: `DUE` is to be started at `Member.at`."""

    DUE = auto()
    STARTING = auto()
    SERVING = auto()
    DONE = auto()


@dataclass(slots=True, eq=False)
class Member:
    """A worker, or what drains the orphan of that number. `at`: seconds of the clock."""

    number: int
    drains: bool = False
    state: State = State.DUE
    at: float = 0.0
    starts: int = 0
    deaths: int = 0  # one soon after the other

    @property
    def name(self) -> str:
        """For the log."""
        return f"drain {self.number}" if self.drains else f"worker {self.number}"


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: its exit code, minus a signal's number, and why, if it said so."""

    code: int
    sentence: str | None = None


class Next(Enum):
    """What follows from an end."""

    REPLACED = auto()
    DONE = auto()
    SERVICE_FAILS = auto()


class Supervision:
    """What is to be done about the members of one service."""

    def __init__(self, workers: int, orphans: Sequence[int]) -> None:
        self.members = [Member(number) for number in range(workers)]
        self.members += [Member(number, drains=True) for number in orphans]
        self.up = False  # all workers have listened
        self.replacements = 0
        self.hangs = 0  # processes that were killed since they said nothing

    @property
    def serving(self) -> int:
        """How many workers listen."""
        return sum(m.state is State.SERVING for m in self.members if not m.drains)

    def due(self, now: float) -> list[Member]:
        """Who is to be started; orphans wait until the workers are up."""
        return [member for member in self._waiting() if member.at <= now]

    def next_at(self) -> float | None:
        """When somebody is due; None: nobody waits."""
        return min((member.at for member in self._waiting()), default=None)

    def _waiting(self) -> list[Member]:
        return [m for m in self.members if m.state is State.DUE and (self.up or not m.drains)]

    def started(self, member: Member, now: float) -> None:
        """A process was started for it."""
        member.state, member.at = State.STARTING, now
        if member.starts and not member.drains:
            self.replacements += 1
        member.starts += 1

    def listens(self, member: Member) -> bool:
        """It serves. True for the one that completes the service."""
        member.state = State.SERVING
        if self.up or any(m.state is not State.SERVING for m in self.members if not m.drains):
            return False
        self.up = True
        return True

    def ended(self, member: Member, end: End, now: float) -> Next:
        """Its process has ended; where it is replaced, `Member.at` says when."""
        if member.drains and end.code == 0:
            member.state = State.DONE
            return Next.DONE
        if not self.up:
            member.state = State.DONE
            return Next.SERVICE_FAILS
        if now - member.at >= _YOUNG:
            member.deaths = 0
        member.state, member.at = State.DUE, now + _pause(member.deaths)
        member.deaths += 1
        return Next.REPLACED


def _pause(deaths: int) -> float:
    """Seconds before the next start after so many other deaths."""
    return min(_MAX_PAUSE, _FIRST_PAUSE * 2.0 ** min(deaths - 1, 10)) if deaths else 0.0
