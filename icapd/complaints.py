"""Log lines about peers that are refused: so few that nobody can fill a disk with them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from bridge.core import printable

_log = logging.getLogger(__name__)

WINDOW_SECONDS = 60.0
MOST_LINES = 5  # with the same beginning for an address within the window
MOST_WINDOWS = 200  # kept at a time for addresses that may connect
MOST_STRANGERS = 20  # with lines of their own; all others share one
_MOST_CHARACTERS = 500
_KIND = 24  # characters that tell one kind of sentence from another
_OTHERS = "other addresses"


_Key = tuple[str, str]  # an address, and the beginning of what is said of it


class _Window:
    def __init__(self, end: float) -> None:
        self.end = end
        self.lines = 0
        self.more = 0


class Complaints:
    """Says what is wrong with whom; `look` must be called now and then, `close` at the end.

    Who may not connect at all shares no room with the proxies: a flood hides no line of theirs.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._proxies: dict[_Key, _Window] = {}
        self._strangers: dict[_Key, _Window] = {}

    def say(self, peer: str, sentence: str) -> None:
        """A line about a proxy, or one more that is only counted."""
        self._say(self._proxies, MOST_WINDOWS, (peer, sentence[:_KIND]), peer, sentence)

    def say_of_stranger(self, peer: str, sentence: str) -> None:
        """The same about somebody who may not connect."""
        self._say(self._strangers, MOST_STRANGERS, (peer, ""), peer, sentence)

    def _say(
        self, windows: dict[_Key, _Window], most: int, key: _Key, peer: str, sentence: str
    ) -> None:
        if key not in windows and len(windows) >= most:
            key = (_OTHERS, "")
        window = windows.get(key)
        if window is None:
            window = windows[key] = _Window(self._clock() + WINDOW_SECONDS)
        if window.lines >= MOST_LINES:
            window.more += 1
            return
        window.lines += 1
        _log.warning("proxy %s: %s", peer, printable(sentence[:_MOST_CHARACTERS]))

    def look(self, now: float) -> None:
        """Say how many were not said in the windows that are over."""
        for windows in (self._proxies, self._strangers):
            for key in [key for key, window in windows.items() if window.end <= now]:
                _end(key, windows.pop(key))

    def close(self) -> None:
        """Say how many were not said."""
        self.look(math.inf)


def _end(key: _Key, window: _Window) -> None:
    if window.more:
        name, kind = key
        who = name if name == _OTHERS else f"proxy {name}"
        what = f"such lines ({printable(kind)}…)" if kind else "such lines"
        _log.warning("%s: %d more %s within a minute, left out", who, window.more, what)
