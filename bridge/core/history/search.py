"""Searching the records of `log-history.log` and `log-detects.log`, newest first, without an index.

The files are read backwards in blocks; only lines whose bytes may fit are parsed.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bridge.core.history.files import (
    Block,
    LogFile,
    Place,
    blocks_before,
    cursor_of,
    log_files,
    place_of,
)
from bridge.core.history.filter import HistoryFilter, seconds_of
from bridge.core.history.raw import conditions_of, lines_that_may_fit

_TIME = re.compile(rb'\{"time":"([^"]{20,40})"')
# what was recorded after a crash, waited for the disk (up to 64 MiB of each process) or came before
# the clock was set back stands among younger lines: only so many bytes of older ones in a row say
# that what is wanted has been passed. A line without a time says nothing
_ENOUGH = 64 << 20


class Found(NamedTuple):
    """What a search found: records as they stand in the log, newest first.

    `cursor`: where to go on, None at the end. `searched_to`: the time of the oldest record that
    was looked at, None where there was none. `complete` is False where the time was up first.
    """

    records: list[dict[str, Any]]
    cursor: str | None
    searched_to: str | None
    complete: bool


def search_log(
    path: Path,
    wanted: HistoryFilter,
    *,
    cursor: str | None = None,
    limit: int = 50,
    seconds: float = 5.0,
) -> Found:
    """Up to `limit` records of a log and its rotated files, the last written first. Blocks: disk.

    `cursor` goes on where an earlier search ended, whatever was written or rotated since; where
    its file is gone nothing older is left, and that is the end. A line that is no record is passed
    over. At least one block is searched, however few `seconds` there are. ValueError: the cursor
    is none of this log, or the limit is below 1; OSError: a file cannot be read.
    """
    if limit < 1:
        raise ValueError(f"a search for {limit} records finds nothing")
    place = None if cursor is None else place_of(cursor, path.name)
    search = _Search(wanted, limit, 0 if place is None else place.older)
    ends = time.monotonic() + seconds
    with contextlib.closing(log_files(path)) as files:
        for file, end in _sections(files, place):
            for block in blocks_before(file.descriptor, end):
                offset = search.look(block)
                if search.is_past:
                    break
                is_up = time.monotonic() >= ends
                if search.is_full or is_up:
                    place = Place(file.inode, offset, file.mark(offset), search.older)
                    is_last = search.is_full and not offset and next(files, None) is None
                    follows = None if is_last else cursor_of(place, path.name)
                    return search.found(follows, complete=search.is_full)
            if search.is_past:
                break
    return search.found(None, complete=True)


def _sections(files: Iterator[LogFile], place: Place | None) -> Iterator[tuple[LogFile, int]]:
    """The files to search, each with the end of what is to be searched there."""
    if place is not None:
        for file in files:
            if file.inode == place.inode:
                break
        else:
            return
        if not place.is_in(file):
            return
        yield file, place.offset
    for file in files:
        yield file, file.size


class _Search:
    """What was found so far. `is_past`: older lines need not be looked at.

    `older`: so many bytes in a row were of lines from before `since`.
    """

    def __init__(self, wanted: HistoryFilter, limit: int, older: int) -> None:
        self._wanted = wanted
        self._limit = limit
        self._conditions = conditions_of(wanted)
        self._is_timed = wanted.since is not None or wanted.until is not None
        self._records: list[dict[str, Any]] = []
        self._searched_to: str | None = None
        self.older = older
        self.is_past = False

    @property
    def is_full(self) -> bool:
        """Whether as many were found as are wanted."""
        return len(self._records) >= self._limit

    def found(self, cursor: str | None, *, complete: bool) -> Found:
        """The end of the search."""
        return Found(self._records, cursor, self._searched_to, complete)

    def look(self, block: Block) -> int:
        """Search a block; where the oldest line begins, in the file, that was looked at."""
        if self._wanted.since is not None:
            self.older = _older_bytes(block, self._wanted.since, self.older)
            self.is_past = self.older >= _ENOUGH
        for start, end in lines_that_may_fit(block.data, self._conditions):
            record = self._record(block.data[start:end])
            if record is not None:
                self._records.append(record)
                if self.is_full:
                    self._searched_to = record["time"]
                    return block.start + start
        for each in _times(block):
            self._searched_to = each.text
            break
        return block.start

    def _record(self, line: bytes) -> dict[str, Any] | None:
        """The record of a line, if it is one, and wanted."""
        if not line.startswith(b"{"):  # a log may have millions of empty ones
            return None
        if self._is_timed:
            match = _TIME.match(line)
            if match is not None and not self._wanted.fits_time(match[1].decode(errors="replace")):
                return None
        try:
            record = json.loads(line.decode())
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict) or not isinstance(record.get("case"), str):
            return None
        is_record = seconds_of(record.get("time")) is not None
        return record if is_record and self._wanted.fits(record) else None


def _older_bytes(block: Block, since: float, before: int) -> int:
    """The bytes of lines from before `since`, in a row up to the beginning of the block.

    `before`: those that follow the block.
    """
    count = 0
    for each in _times(block):
        if each.seconds >= since:
            return 0
        count += each.size
    return before + count


class _Time(NamedTuple):
    """When a line was written, as epoch and text, and its bytes."""

    seconds: float
    text: str
    size: int


def _times(block: Block) -> Iterator[_Time]:
    """The times of its lines, in their order; lines without one are left out."""
    start = 0
    while start < len(block.data):
        match = _TIME.match(block.data, start)
        text = match[1].decode(errors="replace") if match is not None else ""
        seconds = seconds_of(text)
        end = block.data.find(b"\n", start) + 1
        if seconds is not None:
            yield _Time(seconds, text, end - start)
        start = end
