"""What was broken in the last day, and what still is. Blocks: disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bridge.core
from bridge.commands.checking.line import Line, ok, warning
from bridge.commands.checking.words import clock_words, time_words
from bridge.core import Settings

_DAY = 86400.0
_MOST = 10
_AREA = "outages"
_ADVICE = "log-events.log in logs.dir has each with its beginning and its end"

Reader = Callable[[Path, float], Sequence[Any]]


def look_at_outages(settings: Settings) -> Iterator[Line]:
    """By log-events.log."""
    read: Reader | None = getattr(bridge.core, "outages", None)
    if read is None:
        return
    now = time.time()
    try:
        found = read(settings.logs.dir, now - _DAY)
    except OSError as error:
        yield warning(_AREA, f"log-events.log cannot be read: {error.strerror}", "see logs")
        return
    yield from describe(found, now)


def describe(outages: Sequence[Any], now: float) -> Iterator[Line]:
    """`Outage`s (kind, subject, begin, end, detail), newest first, at `now` (epoch). Pure."""
    for each in outages[:_MOST]:
        begin = clock_words(each.begin)
        what = f"{each.kind} {each.subject}"
        if each.end is None:
            sentence = f"{what}: since {begin} ({time_words(now - each.begin)}): {each.detail}"
        else:
            lasted = time_words(each.end - each.begin)
            sentence = f"{what}: on {begin}, for {lasted}; it is over: {each.detail}"
        yield warning(_AREA, sentence, _ADVICE)
    if len(outages) > _MOST:
        yield warning(_AREA, f"{len(outages) - _MOST} more in the last 24 hours", _ADVICE)
    if not outages:
        yield ok(_AREA, "none lasts, and there was none in the last 24 hours")
