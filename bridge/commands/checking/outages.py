"""What was broken in the last day, and what still is. Blocks: disk, network."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bridge.commands.checking.disk import LEAST_LOG_ROOM
from bridge.commands.checking.line import Line, ok, skipped, warning
from bridge.commands.checking.pages import Page, Pages
from bridge.commands.checking.room import room
from bridge.commands.words import clock_words, time_words
from bridge.core import EVENTS, Outage, OutageKind, Settings, outages

_DAY = 86400.0
_MOST = 10
_AREA = "outages"
_FORETOLD = {OutageKind.BYPASS_ON}  # whose detail says until when it was to last
_ADVICE = "log-events.log in logs.dir has each with its beginning and its end"


def look_at_outages(settings: Settings, pages: Pages) -> Iterator[Line]:
    """By log-events.log, and by what running daemons tell, who may not be able to write it."""
    now, asked = time.time(), pages.all()
    try:
        found = known_outages(settings, asked, now)
    except OSError as error:
        yield skipped(_AREA, f"log-events.log cannot be read: {error.strerror or error}")
        return
    unknown = list(_unknown(settings, asked))
    if found or not unknown:
        yield from describe(found, now)
    yield from unknown


def known_outages(settings: Settings, asked: Iterable[Page], now: float) -> list[Outage]:
    """Those of the day until `now` (epoch), as `join` has them. Blocks: disk.

    OSError where the log cannot be read, and no daemon lives that tells.
    """
    living = [page for page in asked if page.lives]
    told = [each for page in living for each in told_outages(page.told)]
    try:
        return join(outages(settings.logs.dir, now - _DAY), told)
    except OSError:
        if not living:
            raise
        return join([], told)


def _unknown(settings: Settings, asked: Iterable[Page]) -> Iterator[Line]:
    """What the log would not say, to this user or for want of room, and nobody else does."""
    silent = [page.program for page in asked if not page.lives and not page.is_away]
    if not silent:
        return
    try:
        if not room(settings.logs.dir).lacks(LEAST_LOG_ROOM):
            with contextlib.suppress(FileNotFoundError):
                (settings.logs.dir / EVENTS).open("rb").close()
            return
        why, advice = "has no room", "make room (logs.dir)"
    except OSError as error:
        why = f"cannot be read ({error.strerror or error})"
        advice = "run this check as the service's user"
    yield warning(
        _AREA,
        f"log-events.log {why}, and {' and '.join(silent)} cannot be asked: there may be outages "
        "that are not known",
        f"{advice}, or see the status page (status.icapd, status.watch)",
    )


def told_outages(told: Mapping[str, Any]) -> list[Outage]:
    """From what /api/live tells; what it never says is left out. Pure."""
    entries = told.get("outages")
    found = [_outage(entry) for entry in (entries if isinstance(entries, list) else ())]
    return [each for each in found if each is not None]


def _outage(entry: object) -> Outage | None:
    if not isinstance(entry, dict):
        return None
    try:
        kind, subject, detail = (str(entry[name]) for name in ("kind", "subject", "detail"))
        begin = float(entry["begin"])
        end = None if entry["end"] is None else float(entry["end"])
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
    if not math.isfinite(begin) or not (end is None or math.isfinite(end)):
        return None
    told = entry.get("instances")
    instances = tuple(str(each) for each in told) if isinstance(told, list | tuple) else ()
    return Outage(kind, subject, begin, end, detail, instances)


def join(logged: Iterable[Outage], told: Iterable[Outage]) -> list[Outage]:
    """All, what lasts first, then the newest, each once. Pure.

    A daemon knows better than the log whether one lasts.
    """
    found: list[Outage] = []
    for each in told:
        same = next((other for other in found if _is_same(each, other)), None)
        if same is None:
            found.append(each)
            continue
        begin = min(same.begin, each.begin)
        found[found.index(same)] = same.until(each)._replace(begin=begin)
    found += [each for each in logged if not any(_is_same(each, other) for other in found)]
    return sorted(found, key=lambda each: (each.end is None, each.begin), reverse=True)


def _is_same(one: Outage, other: Outage) -> bool:
    if (one.kind, one.subject) != (other.kind, other.subject):
        return False
    return one.begin <= (other.end or math.inf) and other.begin <= (one.end or math.inf)


def describe(found: Sequence[Outage], now: float) -> Iterator[Line]:
    """Outages as `join` has them, at `now` (epoch). Pure."""
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
