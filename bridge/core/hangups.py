"""SIGHUP while a door starts: it ends nothing, and is not forgotten."""

from __future__ import annotations

import signal
from types import FrameType

_came = False


def _remember(number: int, frame: FrameType | None) -> None:
    global _came  # noqa: PLW0603 - a signal's handler has nowhere else to put it
    _came = True


def keep_hangups() -> None:
    """Remember SIGHUP from now on, until a door has its own handler. Main thread only.

    A handler, not SIG_IGN: programs that we start would inherit that one.
    """
    signal.signal(signal.SIGHUP, _remember)


def take_hangup() -> bool:
    """Whether one has come since the last look: to be called once one's own handler is there."""
    global _came
    came, _came = _came, False
    return came
