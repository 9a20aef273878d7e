"""Where a soak is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_EVERY = 30.0


@contextlib.contextmanager
def progress(seconds: float) -> Iterator[Callable[[str, float], None]]:
    """Call it with what happens and how much has passed (0 to 1) of about `seconds`."""
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task("start", total=1.0)
            yield lambda what, part: bar.update(task, description=what, completed=part)
        return
    began = time.monotonic()
    due = began + _EVERY

    def tell(what: str, part: float) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due += _EVERY
            passed, total = (timedelta(seconds=round(each)) for each in (seconds * part, seconds))
            sys.stderr.write(f"make soak: {passed} of about {total}: {what}\n")
            sys.stderr.flush()

    yield tell


def _bar() -> Progress:
    columns = TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn()
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
