"""When what failed is tried again, and what is said about it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable

_log = logging.getLogger(__name__)

FIRST_SECONDS = 2.0
MAX_SECONDS = 30.0
_MOST_LINES = 20  # in each such time:
_LINES_SECONDS = 60.0


class Retries:
    """Failures by name, each with a longer pause until the next try. Times are seconds."""

    def __init__(self, most: float = MAX_SECONDS) -> None:
        """`most`: the longest pause."""
        self._most = most
        self._next: dict[str, tuple[int, float]] = {}

    def failures(self, name: str) -> int:
        """How often in a row it failed."""
        return self._next.get(name, (0, 0.0))[0]

    def is_due(self, name: str, now: float) -> bool:
        """Whether it may be tried now. From any thread."""
        return self._next.get(name, (0, 0.0))[1] <= now

    def failed(self, name: str, now: float) -> None:
        """One failure more."""
        failures = self.failures(name) + 1
        pause = min(FIRST_SECONDS * 2.0 ** min(failures - 1, 10), self._most)
        self._next[name] = (failures, now + pause)

    def succeeded(self, name: str) -> None:
        """It works again."""
        self._next.pop(name, None)

    def hurry(self) -> None:
        """What they failed by has ended: all may be tried now."""
        self._next = {name: (failures, 0.0) for name, (failures, _) in self._next.items()}

    @property
    def names(self) -> list[str]:
        """All that failed."""
        return list(self._next)

    def forget(self, names: Iterable[str]) -> None:
        """They went away."""
        for name in names:
            self._next.pop(name, None)


class Troubles:
    """Says each trouble of a folder once when it begins and once when it has ended.

    Of many that begin together it says how many there are besides.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}  # about -> what is said of it where all may read
        self._lines = 0
        self._unsaid = 0
        self._window = 0.0

    def begins(self, about: str, sentence: str, unnamed: str = "") -> None:
        """Log a trouble, unless it is known. `unnamed`: the same without the name of a file."""
        if about in self._known:
            return
        self._known[about] = unnamed or sentence
        self.catch_up()
        if self._lines < _MOST_LINES:
            self._lines += 1
            _log.error("folder %s: %s", self._folder, sentence)
        else:
            self._unsaid += 1

    def catch_up(self) -> None:
        """Say how many were left unsaid, when their time is over."""
        now = time.monotonic()
        if now < self._window + _LINES_SECONDS:
            return
        if self._unsaid:
            _log.error("folder %s: and %d files more", self._folder, self._unsaid)
        self._lines = self._unsaid = 0
        self._window = now

    def ends(self, about: str) -> bool:
        """Log that it is over, if it had begun; whether it had."""
        begun = about in self._known
        if begun:
            _log.warning("folder %s: %s works again", self._folder, about)
        self.forget([about])
        return begun

    def keep_only(self, about: Iterable[str]) -> None:
        """Forget all others."""
        kept = set(about)
        self._known = {name: said for name, said in self._known.items() if name in kept}

    def forget(self, about: Iterable[str]) -> None:
        """They are over, and another line says so, or none is needed."""
        for name in about:
            self._known.pop(name, None)

    @property
    def names(self) -> list[str]:
        """All that are known now."""
        return list(self._known)

    @property
    def unnamed(self) -> dict[str, str]:
        """All that are known now, with what may be said of them without naming a file."""
        return dict(self._known)

    @property
    def counted(self) -> list[str]:
        """The same, each sentence once, and how many files or folders it is about."""
        counts = Counter(self._known.values())
        return [f"{said} ({count})" if count > 1 else said for said, count in counts.items()]

    @property
    def any(self) -> bool:
        """Whether there is one now."""
        return bool(self._known)
