"""The time as all logs have it: local, with zone, to the millisecond (RFC 3339)."""

from __future__ import annotations

import time
from datetime import datetime

_ENDS = len("2026-11-24T10:15:00")  # of what is the same for a second; the zone stands behind
_last = (-1, "")  # a millisecond, and its text: a loaded door asks thousands of times a second


def stamp() -> str:
    """The time now."""
    global _last  # noqa: PLW0603 - one for all; whoever replaces it puts a whole one there
    now = int(time.time() * 1000)
    if (last := _last)[0] == now:
        return last[1]
    seconds, milliseconds = divmod(now, 1000)
    if last[0] // 1000 == seconds:
        text = last[1]
        text = f"{text[:_ENDS]}.{milliseconds:03d}{text[_ENDS + 4 :]}"
    else:
        text = datetime.fromtimestamp(now / 1000).astimezone().isoformat(timespec="milliseconds")
    _last = now, text
    return text
