"""Times as people give them: how long ago, a local time, or a day."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, date, datetime, timedelta

from bridge.core import parse_duration

_AGO = re.compile(r"[0-9.]+[a-z]+")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def moment(option: str, text: str | None, *, ends: bool) -> float | None:
    """Seconds since the epoch; None where nothing is given. ValueError, one sentence.

    `ends`: a day means its end, not its beginning. A time without a zone is local.
    """
    if text is None:
        return None
    try:
        if _AGO.fullmatch(text):
            return time.time() - parse_duration(text)
        if _DAY.fullmatch(text):
            return _of_day(date.fromisoformat(text), ends=ends)
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{option} {text!r} is no time; write 2h, 2026-11-24 or 2026-11-24T10:00"
        ) from None


def _of_day(day: date, *, ends: bool) -> float:
    # the days first, then the zone: a day may have 23 hours
    with contextlib.suppress(OverflowError, ValueError):
        day += timedelta(days=1 if ends else 0)
        return datetime(day.year, day.month, day.day).astimezone().timestamp()
    # the first or the last there is, in some zone outside of them: nothing was recorded then
    return (_FIRST if day.year == date.min.year else _LAST).timestamp()
