"""A search of a log in pages, which shows people how far it is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.core import HistoryFilter, search_log

_AT_A_TIME = 500  # records of a page
_QUIET_SECONDS = 1.0  # a search that takes longer shows how far it is
_LOOK_SECONDS = 0.3  # between two looks at that; and how long is looked for one more


class Search:
    """A search that goes on until enough is found, and shows how far it is."""

    def __init__(self, path: Path, wanted: HistoryFilter, limit: int) -> None:
        """`limit` 0: all."""
        self.path = path
        self._wanted = wanted
        self._limit = limit
        self._cursor: str | None = None
        self._progress = _Progress()

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        """What is found, newest first, in pages that are not empty. OSError. Blocks: disk."""
        left, seconds = self._limit or sys.maxsize, _QUIET_SECONDS
        gathered: list[dict[str, Any]] = []
        with self._progress:
            while left:
                at_once = min(left, _AT_A_TIME - len(gathered))
                found = search_log(
                    self.path, self._wanted, cursor=self._cursor, limit=at_once, seconds=seconds
                )
                gathered += found.records
                left -= len(found.records)
                self._cursor = found.cursor
                if gathered and (len(gathered) == _AT_A_TIME or found.cursor is None or not left):
                    yield gathered
                    gathered = []
                if found.cursor is None:
                    return
                if not found.complete:
                    seconds = _LOOK_SECONDS
                    self._progress.show(found.searched_to)

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Nothing is shown of the progress meanwhile."""
        return self._progress.paused()

    @property
    def has_more(self) -> bool:
        """Whether more would be found, as far as a short look tells. OSError. Blocks: disk."""
        if self._cursor is None:
            return False
        found = search_log(
            self.path, self._wanted, cursor=self._cursor, limit=1, seconds=_LOOK_SECONDS
        )
        return bool(found.records) or found.cursor is not None


class _Progress:
    """How far back a search is, on stderr where that is a terminal."""

    def __init__(self) -> None:
        self._status: Any = None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, searched_to: str | None) -> None:
        """The time of the oldest record that was looked at."""
        if not sys.stderr.isatty():
            return
        text = f"searching, back to {searched_to or 'the newest record'} so far"
        if self._status is None:
            from rich.console import Console  # noqa: PLC0415 - only where it is shown
            from rich.status import Status  # noqa: PLC0415

            self._status = Status(text, console=Console(stderr=True))
            self._status.start()
        else:
            self._status.update(text)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Take it off the terminal for a moment."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        yield
