"""When what failed is tried again, and what is said about it. Pure but for the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)

FIRST_SECONDS = 2.0
MAX_SECONDS = 30.0


class Retries:
    """Failures by name, each with a longer pause until the next try. Times are loop seconds."""

    def __init__(self) -> None:
        self._next: dict[str, tuple[int, float]] = {}

    def failures(self, name: str) -> int:
        """How often in a row it failed."""
        return self._next.get(name, (0, 0.0))[0]

    def is_due(self, name: str, now: float) -> bool:
        """Whether it may be tried now."""
        return self._next.get(name, (0, 0.0))[1] <= now

    def failed(self, name: str, now: float) -> None:
        """One failure more."""
        failures = self.failures(name) + 1
        pause = min(FIRST_SECONDS * 2.0 ** min(failures - 1, 10), MAX_SECONDS)
        self._next[name] = (failures, now + pause)

    def succeeded(self, name: str) -> None:
        """It works again."""
        self._next.pop(name, None)

    def hurry(self) -> None:
        """What they failed by has ended: all may be tried now."""
        self._next = {name: (failures, 0.0) for name, (failures, _) in self._next.items()}

    def keep_only(self, known: Callable[[str], bool]) -> None:
        """Forget all others."""
        self._next = {name: entry for name, entry in self._next.items() if known(name)}


class Troubles:
    """Says each trouble of a folder once when it begins and once when it has ended."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: set[str] = set()

    def begins(self, about: str, sentence: str) -> None:
        """Log a trouble, unless it is known."""
        if about not in self._known:
            _log.error("folder %s: %s", self._folder, sentence)
            self._known.add(about)

    def ends(self, about: str) -> bool:
        """Log that it is over, if it had begun; whether it had."""
        begun = about in self._known
        if begun:
            _log.warning("folder %s: %s works again", self._folder, about)
        self.forget(about)
        return begun

    def keep_only(self, known: Callable[[str], bool]) -> None:
        """Forget all others: they went away."""
        self._known = {about for about in self._known if known(about)}

    @property
    def any(self) -> bool:
        """Whether there is one now."""
        return bool(self._known)

    def forget(self, about: str) -> None:
        """It is over, and another line says so."""
        self._known.discard(about)
