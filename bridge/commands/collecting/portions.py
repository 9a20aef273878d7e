"""Which part of each log is taken: the newest lines of a period that fit. Pure but for reading."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import BinaryIO

_TIME = re.compile(rb'(?:\{"time":")?(\d{4}-\d{2}-\d{2}T[0-9:.]{8,15}(?:Z|[+-]\d{2}:\d{2}))')
_LONGEST = 1 << 20
_TRIES = 200  # lines that are looked at for a time
_CLOSE = 1 << 12

LONG_LINE = b"[a line of more than 1 MiB was left out]\n"


def shares(sizes: Mapping[str, int], budget: int) -> dict[str, int]:
    """How many bytes each may have, so that the small are whole and the large get the same."""
    given: dict[str, int] = {}
    for number, name in enumerate(sorted(sizes, key=lambda each: sizes[each])):
        part = max(0, budget) // (len(sizes) - number)
        given[name] = min(sizes[name], part)
        budget -= given[name]
    return given


def time_of(line: bytes) -> float | None:
    """When a line of ours was written (epoch); None where it does not say so."""
    match = _TIME.match(line)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[1].decode("ascii")).timestamp()
    except (ValueError, OverflowError):
        return None


def begin_of(file: BinaryIO, since: float) -> tuple[int, int]:
    """(where the first line from that time on begins, where the last whole line ends). Blocks."""
    end = os.fstat(file.fileno()).st_size
    low, high = 0, end  # a line that begins before low is too old, one from high on is not
    while high - low > _CLOSE:
        middle = (low + high) // 2
        start, moment = _first_time(file, middle, high)
        if moment is None or moment >= since:
            high = middle
        else:
            low = start
    return _first_line(file, low, end, since), end


def _first_time(file: BinaryIO, at: int, end: int) -> tuple[int, float | None]:
    """The first line behind `at` that has a time: where it begins, and its time."""
    file.seek(at)
    file.readline(_LONGEST)
    for _ in range(_TRIES):
        start = file.tell()
        if start >= end:
            break
        moment = time_of(file.readline(_LONGEST))
        if moment is not None:
            return start, moment
    return at, None


def _first_line(file: BinaryIO, at: int, end: int, since: float) -> int:
    """The first line from `at` that is not too old. Undated ones go with the one before them."""
    file.seek(at)
    dated = False
    while (start := file.tell()) < end:
        moment = time_of(file.readline(_LONGEST))
        if moment is not None and moment >= since:
            return start if dated else at
        dated = dated or moment is not None
    return end if dated else at


def lines_between(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """The lines there. One that `start` cuts is left out, and so is what is too long. Blocks."""
    file.seek(max(0, start - 1))
    if start:
        _skip(file)
    while file.tell() < end:
        line = file.readline(_LONGEST)
        if not line:
            return
        if len(line) == _LONGEST and not line.endswith(b"\n"):
            _skip(file)
            yield LONG_LINE
        else:
            yield line


def _skip(file: BinaryIO) -> None:
    """Go to where the next line begins."""
    while (piece := file.readline(_LONGEST)) and not piece.endswith(b"\n"):
        pass
