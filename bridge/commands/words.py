"""Numbers and lists as people read them. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size_words(size: float) -> str:
    """Bytes as `1.5 GiB`."""
    for unit in _UNITS[:-1]:
        if round(abs(size), 1) < 1024:  # as it is shown
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"


def time_words(seconds: float) -> str:
    """How long something is: `45 s`, `3 min`, `2 h`, `5 days`."""
    seconds = abs(seconds)
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def clock_words(moment: float) -> str:
    """A moment (epoch) as local time: `2026-11-29 03:12:00`; what is none as it is."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    except (ValueError, OverflowError, OSError):
        return str(moment)


def first_words(names: Sequence[str]) -> str:
    """Many names as `log.1.gz and 30 more`."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
