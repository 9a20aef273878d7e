"""Log lines about peers that are refused: so few that nobody can fill a disk with them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bridge.core import printable

_log = logging.getLogger(__name__)

WINDOW_SECONDS = 60.0
MOST_LINES = 5  # for an address within the window
MOST_ADDRESSES = 20  # with lines of their own; all others share one
_MOST_CHARACTERS = 500
_OTHERS = "other addresses"


class _Window:
    def __init__(self, end: float) -> None:
        self.end = end
        self.lines = 0
        self.more = 0


class Complaints:
    """Says what is wrong with whom; `look` must be called now and then, `close` at the end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def say(self, peer: str, sentence: str) -> None:
        """A line about `peer`, or one more that is only counted."""
        known = peer in self._windows or len(self._windows) < MOST_ADDRESSES
        name = peer if known else _OTHERS
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = _Window(self._clock() + WINDOW_SECONDS)
        if window.lines >= MOST_LINES:
            window.more += 1
            return
        window.lines += 1
        _log.warning("proxy %s: %s", peer, printable(sentence[:_MOST_CHARACTERS]))

    def look(self, now: float) -> None:
        """Say how many were not said in the windows that are over."""
        for name, window in list(self._windows.items()):
            if window.end <= now:
                self._end(name, window)

    def close(self) -> None:
        """Say how many were not said."""
        for name, window in list(self._windows.items()):
            self._end(name, window)

    def _end(self, name: str, window: _Window) -> None:
        del self._windows[name]
        if window.more:
            who = name if name == _OTHERS else f"proxy {name}"
            _log.warning("%s: %d more such lines within a minute, left out", who, window.more)
