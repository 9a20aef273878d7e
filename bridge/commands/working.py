"""What the commands share that judge many files: workers, progress, and the core's complaints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import traceback
from collections.abc import AsyncIterator, Callable

from bridge.commands.terminal import complain
from bridge.core import Core

_STOP_SECONDS = 0.2
_EVERY = 10.0


class Complaints(logging.Handler):
    """What the core logs of faults, as lines of a command."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        complain(self._command, record.getMessage())
        if record.exc_info:
            traceback.print_exception(*record.exc_info)


async def run_workers(core: Core, workers: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Wait for the workers; after a stop each still ends the case it has, with its record."""
    stopping = asyncio.create_task(stop.wait())
    running: set[asyncio.Task[None]] = set(workers)
    while running and not stop.is_set():
        await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
        running = {task for task in running if not task.done()}
    stopping.cancel()
    while running:
        await core.stop_judging()
        _, running = await asyncio.wait(running, timeout=_STOP_SECONDS)
    await asyncio.gather(*workers)


@contextlib.asynccontextmanager
async def progress(command: str, total: int) -> AsyncIterator[Callable[[], None]]:
    """A bar on stderr where that is a terminal, else a line every 10 s; call it for each file."""
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - only where it is shown
        from rich.progress import Progress  # noqa: PLC0415

        # stdout stays what it is: it may be a file
        shown = Progress(console=Console(stderr=True), transient=True, redirect_stdout=False)
        with shown as bar:
            task = bar.add_task("KATA", total=total)
            yield lambda: bar.advance(task)
        return
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1

    async def tell() -> None:
        while True:
            await asyncio.sleep(_EVERY)
            complain(command, f"{done} of {total} files")

    telling = asyncio.create_task(tell())
    try:
        yield advance
    finally:
        telling.cancel()
