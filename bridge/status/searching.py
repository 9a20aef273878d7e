"""Searches of the records' logs, a few at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bridge.core import Found, HistoryFilter, Settings, search_log

_SEARCHES = 2  # at a time
_SECONDS = 5.0  # of one search


class UnreadableError(Exception):
    """A log cannot be read; the text is a sentence without its full stop."""


class LogSearch:
    """What is searched for in `logs.dir`."""

    def __init__(self, settings: Settings) -> None:
        self._logs = settings.logs.dir
        self._searching = asyncio.Semaphore(_SEARCHES)

    async def search(
        self, log: str, wanted: HistoryFilter, cursor: str | None = None, *, limit: int
    ) -> Found:
        """See `search_log`; it ends after five seconds. ValueError, UnreadableError."""
        path = self._logs / log
        async with self._searching:
            try:
                return await asyncio.to_thread(
                    search_log, path, wanted, cursor=cursor, limit=limit, seconds=_SECONDS
                )
            except OSError as error:
                raise UnreadableError(unreadable(path, error)) from None


def unreadable(path: Path, error: OSError) -> str:
    """A sentence, without its full stop."""
    return f"{error.filename or path} cannot be read: {error.strerror}"
