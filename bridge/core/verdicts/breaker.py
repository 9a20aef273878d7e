"""Spares everybody the wait for a store that does not answer."""

from __future__ import annotations

import random
import time

from bridge.core.verdicts.store import StoreError

_FIRST_SECONDS = 2.0
_LONGEST_SECONDS = 30.0


class Breaker:
    """After a failure refuses calls at once for a while; then one caller tries.

    The while is 2 s, doubled with each trial that fails up to 30 s, and jittered by half.
    """

    def __init__(self, name: str) -> None:
        """`name`: what is refused, for the error's text."""
        self._name = name
        self._reason = ""
        self._pause = 0.0
        self._until = 0.0

    def check(self) -> None:
        """StoreError while it refuses; the first caller after that is the one who tries."""
        if not self._pause:
            return
        now = time.monotonic()
        if now < self._until:
            raise StoreError(f"{self._name} is left alone for a moment: {self._reason}")
        self._pause = min(self._pause * 2, _LONGEST_SECONDS)
        self._refuse(now)

    def failed(self, reason: str) -> None:
        """A call failed. Calls that failed beside it do not lengthen the while."""
        self._reason = reason
        if not self._pause:
            self._pause = _FIRST_SECONDS
            self._refuse(time.monotonic())

    def worked(self) -> None:
        """A call came back: no more refusing."""
        self._pause = 0.0

    def _refuse(self, now: float) -> None:
        self._until = now + self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
