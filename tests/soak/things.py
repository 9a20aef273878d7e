"""What is fetched, sent and dropped: clean and bad contents, small and large, known and new."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bridge.emulator import EICAR

_SIZES = (90, 5_000, 5_000, 60_000, 60_000, 400_000)
_LARGE = 2_000_000
_ONE_IN_LARGE = 60
_ONE_IN_BAD = 5
_ONE_IN_NEW = 4
_KNOWN = 40


@dataclass(frozen=True, slots=True)
class Thing:
    """One content. `bad`: KATA finds EICAR in it."""

    body: bytes
    bad: bool


class Supply:
    """An endless supply for one user; the same seed gives the same contents in the same order.

    Three of four come again and again; `made` counts the others.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._known = [self._make() for _ in range(_KNOWN)]
        self.made = 0

    def next(self) -> Thing:
        """The next one."""
        if self._random.randrange(_ONE_IN_NEW):
            return self._random.choice(self._known)
        self.made += 1
        return self._make()

    def _make(self) -> Thing:
        is_large = self._random.randrange(_ONE_IN_LARGE) == 0
        size = _LARGE if is_large else self._random.choice(_SIZES)
        bad = self._random.randrange(_ONE_IN_BAD) == 0
        head = EICAR + b"\n" if bad else b""
        return Thing(head + self._random.randbytes(size - len(head)), bad)


def new_clean(number: int) -> Thing:
    """A clean content that nobody has seen."""
    return Thing(b"soak probe %d " % number + random.randbytes(24), bad=False)
