"""How far it is: a bar on stderr where that is a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from bridge.commands.terminal import complain

_EVERY = 10.0

Begin = Callable[[str, int | None], None]
Advance = Callable[[int], None]


@contextlib.contextmanager
def showing(command: str) -> Iterator[tuple[Begin, Advance]]:
    """Two functions: one begins a step of so many units (None: unknown), one says what is done."""
    if not sys.stderr.isatty():
        lines = _Lines(command)
        yield lines.begin, lines.advance
        return
    from rich.console import Console  # noqa: PLC0415 - only where it is shown
    from rich.progress import Progress  # noqa: PLC0415

    # stdout stays what it is: it may be a file
    shown = Progress(console=Console(stderr=True), transient=True, redirect_stdout=False)
    with shown as bar:
        task = bar.add_task("", total=None)

        def begin(what: str, total: int | None) -> None:
            bar.reset(task, description=what, total=total)

        yield begin, lambda amount: bar.advance(task, amount)


class _Lines:
    def __init__(self, command: str) -> None:
        self._command = command
        self._what = ""
        self._total: int | None = None
        self._done = 0
        self._next = time.monotonic() + _EVERY

    def begin(self, what: str, total: int | None) -> None:
        self._what, self._total, self._done = what, total, 0

    def advance(self, amount: int) -> None:
        self._done += amount
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            part = f": {100 * self._done // self._total} %" if self._total else ""
            complain(self._command, f"{self._what}{part}")
