"""A wait that people can watch: a running clock on a terminal, else a line every 30 seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.commands.terminal import say

if TYPE_CHECKING:
    from rich.text import Text

_EVERY = 30.0


class Clock:
    """Runs from now on, for at most so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._what = ""
        self._next_line = float("inf")

    @property
    def left(self) -> float:
        """Seconds until the end, at least 0."""
        return max(0.0, self._began + self._seconds - time.monotonic())

    @contextlib.contextmanager
    def showing(self, what: str) -> Iterator[None]:
        """Show the time while the block waits for `what`."""
        self._what = what
        if sys.stdout.isatty():
            from rich.live import Live  # noqa: PLC0415 - only where it is shown

            with Live(get_renderable=self._text, refresh_per_second=2, transient=True):
                yield
            return
        say(f"{what}, for at most {_time(self._seconds)}.")
        self._next_line = time.monotonic() + _EVERY
        try:
            yield
        finally:
            self._next_line = float("inf")

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end."""
        time.sleep(min(seconds, self.left))
        if time.monotonic() >= self._next_line:
            say(self._line())
            self._next_line += _EVERY

    def _line(self) -> str:
        passed = self._seconds - self.left
        return f"{self._what}: {_time(passed)} of {_time(self._seconds)}"

    def _text(self) -> Text:
        from rich.text import Text  # noqa: PLC0415 - only where it is shown

        return Text(self._line(), style="bold")


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
