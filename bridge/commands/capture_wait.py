"""The wait for a capture: a running clock with what was caught, until something ends it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands.terminal import reason, say
from bridge.commands.words import size_words
from bridge.core import CaptureError, CaptureState, CaptureSwitch, capture_states, captured_bytes

if TYPE_CHECKING:
    from rich.text import Text

PICK_UP_SECONDS = 5.0  # an icapd looks once a second
_END_SECONDS = 5.0
_SUCCESSOR_SECONDS = 3.0  # a worker that ended is replaced at once
_PAUSE = 0.2
_EVERY = 10.0  # seconds between lines, where there is no terminal


class Waiting:
    """`wait`; then `caught`, `reason` (why it ended) and `is_fault` (it was not to) are for people.

    CaptureError where no icapd does what is asked.
    """

    def __init__(self, directory: Path, switch: CaptureSwitch, seconds: float) -> None:
        self._directory = directory
        self._switch = switch
        self._seconds = seconds
        self._began = time.monotonic()
        self._states: list[CaptureState] = []
        self._bytes = 0
        self._all_gone_at: float | None = None
        self.reason = ""
        self.is_fault = False

    def wait(self) -> None:
        """Until the time is over, an icapd ends it, or Ctrl-C; all have ended it then."""
        try:
            try:
                self._until_the_end()
            except KeyboardInterrupt:
                if not self._states:
                    raise
                self.reason = "stopped by hand"
            self._switch.end()
            self._until_all_have_ended()
        except OSError as error:
            raise CaptureError(f"{self._directory} (spool.dir) fails: {reason(error)}.") from None

    @property
    def caught(self) -> str:
        """What there is so far, in words."""
        conversations = sum(state.conversations for state in self._states)
        processes = len(self._states)
        what = "1 conversation" if conversations == 1 else f"{conversations} conversations"
        return what if processes == 1 else f"{what} in {processes} processes"

    def _until_the_end(self) -> None:
        self._until_it_begins()
        self._began, next_line = time.monotonic(), _EVERY
        while self._passed < self._seconds:
            if self._has_ended():
                return
            if self._passed >= next_line and not sys.stdout.isatty():
                say(self._line())
                next_line += _EVERY
            time.sleep(_PAUSE)
            self._look()
        self.reason = "its time is over"
        if self._are_all_gone:
            self.reason, self.is_fault = self._states[-1].ended, True

    def _has_ended(self) -> bool:
        """Whether processes have ended it: any of them for all, or each of them with itself."""
        for state in self._states:
            if state.ended and not state.is_gone:
                self.reason, self.is_fault = state.ended, state.is_fault
                return True
        if not self._are_all_gone:
            self._all_gone_at = None
            return False
        now = time.monotonic()
        self._all_gone_at = self._all_gone_at or now
        if now - self._all_gone_at < _SUCCESSOR_SECONDS:
            return False
        self.reason, self.is_fault = self._states[-1].ended, True
        return True

    @property
    def _are_all_gone(self) -> bool:
        return all(state.ended and state.is_gone for state in self._states)

    def _until_it_begins(self) -> None:
        self._look()
        while not self._states:
            if self._passed > PICK_UP_SECONDS:
                raise CaptureError(
                    f"no icapd has begun within {PICK_UP_SECONDS:.0f} s: none is running, or it "
                    f"has another spool.dir than {self._directory}, or its user may not read there "
                    "what this user writes; its log says why where it tried."
                )
            time.sleep(_PAUSE)
            self._look()

    def _until_all_have_ended(self) -> None:
        """One that hangs never says so."""
        end = time.monotonic() + _END_SECONDS
        while time.monotonic() < end:
            self._look()
            if all(state.ended for state in self._states):
                return
            time.sleep(_PAUSE)

    def _look(self) -> None:
        number = self._switch.request.id
        self._states = capture_states(self._directory, number) or self._states
        self._bytes = captured_bytes(self._directory, number)

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._began

    def _line(self) -> str:
        if not self._states:
            return "waiting for icapd to begin"
        if self.reason:
            return f"puts the file together: {self.caught}, {size_words(self._bytes)}"
        passed, whole = (timedelta(seconds=round(s)) for s in (self._passed, self._seconds))
        return f"{passed} of {whole}: {self.caught}, {size_words(self._bytes)}"

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        """Show how it goes while the block runs, which may put the file together, too."""
        if sys.stdout.isatty():
            from rich.live import Live  # noqa: PLC0415 - only where it is shown

            with Live(get_renderable=self._text, refresh_per_second=4, transient=True):
                yield
            return
        say(f"Captures for {timedelta(seconds=round(self._seconds))}; Ctrl-C ends it sooner.")
        yield

    def _text(self) -> Text:
        from rich.text import Text  # noqa: PLC0415 - only where it is shown

        hint = "" if self.reason else " (Ctrl-C ends it)"
        return Text(f"{self._line()}{hint}", style="bold")
