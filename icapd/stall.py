"""When a held response that stopped arriving is to be freed, and how little is given for it.

Squid 5.7 stops a response of more than 64 KiB until it is sent something: the answer's head frees
it, and one body byte at each further stop (its bug 5352). An origin that is merely silent looks
the same, so a byte is given only after a good deal of progress: it was not judged yet. Pure: no
clock, no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto

SILENCE = 0.1  # seconds without a byte that count as a stop
MIN_RECEIVED = 32 * 1024  # below this Squid does not stop
MIN_PROGRESS = 32 * 1024  # Squid sends more than this between two stops
_NEVER_STOPPED = 65_535
_FREED_AT_ONCE = 0.03  # seconds: a round trip to the proxy, and some
_PROVEN = 2
_REMEMBERED = 600.0
_MOST_PROXIES = 1000


class Gift(Enum):
    """What frees the body."""

    HEAD = auto()
    BYTE = auto()


class StallGuard:
    """Decides for one body. Sizes in bytes of the body."""

    def __init__(self) -> None:
        self._at_last_gift: int | None = None  # received then; None: nothing was given

    def due(self, received: int) -> Gift | None:
        """What to give if the body is silent now; None: nothing, however long it stays silent."""
        if received < MIN_RECEIVED:
            return None
        if self._at_last_gift is None:
            return Gift.HEAD
        return Gift.BYTE if received - self._at_last_gift >= MIN_PROGRESS else None

    def gave(self, received: int) -> None:
        """Note that it was given."""
        self._at_last_gift = received


class Stallers:
    """Which proxies stop: their next large bodies are freed without waiting for a silence.

    An origin that pauses looks the same once, hardly ever twice: it does not go on at once when
    its proxy is given something. Times are seconds of any clock.
    """

    def __init__(self) -> None:
        self._freed: OrderedDict[str, tuple[int, float]] = OrderedDict()  # times in a row, the last

    def freed(self, proxy: str, after: float, now: float) -> None:
        """A silent body went on `after` seconds after a gift."""
        if after > _FREED_AT_ONCE:
            return
        times, at = self._freed.pop(proxy, (0, now))
        self._freed[proxy] = (times + 1 if now - at < _REMEMBERED else 1, now)
        while len(self._freed) > _MOST_PROXIES:
            self._freed.popitem(last=False)

    def knows(self, proxy: str, now: float) -> bool:
        """Whether it was seen to stop."""
        times, at = self._freed.get(proxy, (0, 0.0))
        return times >= _PROVEN and now - at < _REMEMBERED


def is_large(length: int | None) -> bool:
    """Whether a body of that Content-Length (None: not known) is one that Squid stops."""
    return length is None or length > _NEVER_STOPPED
