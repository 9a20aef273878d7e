"""What happens when: pure, from minutes and a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from tests.soak.kata import Outage

BEAT = 1.5  # seconds of load between two steps, at least
MOST_BEAT = 6.0
REST = 4.0  # what a half takes to come to rest, about
QUIET = 0.4  # of each half, at the end of which nothing is left over of any trouble,
MOST_QUIET = 20.0  # and seconds of that, at most


class Door(StrEnum):
    """The two daemons."""

    ICAP = "icapd"
    FOLDER = "kata-bridge watch"


@dataclass(frozen=True, slots=True)
class Restart:
    """SIGTERM and a start."""

    door: Door
    kind: ClassVar[str] = "restarts"


@dataclass(frozen=True, slots=True)
class Reload:
    """A changed configuration, and SIGHUP to both. `number`: of the change."""

    number: int
    kind: ClassVar[str] = "reloads"


@dataclass(frozen=True, slots=True)
class Broken:
    """KATA is away for so many seconds."""

    outage: Outage
    seconds: float
    kind: ClassVar[str] = "outages"


Step = Restart | Reload | Broken


@dataclass(frozen=True, slots=True)
class Plan:
    """Two halves of `half` seconds: one with restarts, and one without, in which growth shows.

    `beat`: seconds of load between two steps.
    """

    half: float
    beat: float
    first: Sequence[Step]
    second: Sequence[Step]

    @property
    def trouble(self) -> float:
        """For how many seconds of a half steps are begun; the last ones of it are quiet."""
        return self.half - min(self.half * QUIET, MOST_QUIET)


def make_plan(minutes: float, seed: str, *, reloads: bool = True) -> Plan:
    """More steps than either half has time for; the runner takes what it can."""
    half = minutes * 30 - REST
    chance = random.Random(seed)
    beat = min(MOST_BEAT, max(BEAT, half / 40))
    numbers = iter(range(1, 1 << 30))
    count = int(half / beat) + 4
    both = [_steps(chance, beat, half, numbers, restarts=r, reloads=reloads) for r in (True, False)]
    first, second = ([next(steps) for _ in range(count)] for steps in both)
    return Plan(half, beat, first, second)


def _steps(
    chance: random.Random,
    beat: float,
    half: float,
    numbers: Iterator[int],
    *,
    restarts: bool,
    reloads: bool,
) -> Iterator[Step]:
    """Restarts of both, reloads before and after them, and an outage, again and again."""
    outages, doors = list(Outage), list(Door)
    longest = min(8.0, half / 8)
    while True:
        chance.shuffle(outages)
        for outage in outages:
            for door in doors:
                if restarts:
                    yield Restart(door)
                if reloads:
                    yield Reload(next(numbers))
            yield Broken(outage, round(chance.uniform(beat, max(beat, longest)), 1))
            yield from (Reload(next(numbers)) for _ in range(2 if reloads else 0))
