"""When a held response that stopped arriving is to be freed, and how little is given for it.

Squid 5.7 stops a response of more than 64 KiB until it is sent something: the answer's head frees
it, and one body byte at each further stop (its bug 5352). An origin that is merely silent looks
the same, so a byte is given only after a good deal of progress: it was not judged yet. Pure: no
clock, no I/O.
"""

from __future__ import annotations

from enum import Enum, auto

SILENCE = 0.1  # seconds without a byte that count as a stop
MIN_RECEIVED = 32 * 1024  # below this Squid does not stop
MIN_PROGRESS = 32 * 1024  # Squid sends more than this between two stops


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
