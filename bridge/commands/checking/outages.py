"""What was broken in the last day, and what still is. Blocks: disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from bridge.commands.checking.line import Line, ok, warning
from bridge.commands.checking.words import clock_words, time_words
from bridge.core import Outage, OutageKind, Settings, outages

_DAY = 86400.0
_MOST = 10
_AREA = "outages"
_FORETOLD = {OutageKind.BYPASS_ON}  # whose detail says until when it was to last
_ADVICE = "log-events.log in logs.dir has each with its beginning and its end"


def look_at_outages(settings: Settings) -> Iterator[Line]:
    """By log-events.log."""
    now = time.time()
    try:
        found = outages(settings.logs.dir, now - _DAY)
    except OSError as error:
        yield warning(_AREA, f"log-events.log cannot be read: {error.strerror}", "see logs")
        return
    yield from describe(found, now)


def describe(found: Sequence[Outage], now: float) -> Iterator[Line]:
    """Outages, newest first, at `now` (epoch). Pure."""
    for each in found[:_MOST]:
        yield warning(_AREA, f"{each.kind} {each.subject}: {_span(each, now)}", _ADVICE)
    if len(found) > _MOST:
        yield warning(_AREA, f"{len(found) - _MOST} more in the last 24 hours", _ADVICE)
    if not found:
        yield ok(_AREA, "none lasts, and there was none in the last 24 hours")


def _span(outage: Outage, now: float) -> str:
    """When it was, and why. The detail is of the beginning, and reads as if it lasted."""
    begin, detail = clock_words(outage.begin), outage.detail
    if outage.end is None:
        since = f"since {begin} ({time_words(now - outage.begin)})"
        return f"{since}: {detail}" if detail else since
    over = f"on {begin}, for {time_words(outage.end - outage.begin)}; it is over"
    return f"{over} (then: {detail})" if detail and outage.kind not in _FORETOLD else over
