"""What `log-events.log` says of outages, of all processes that write it. Blocks: disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from bridge.core.events.alive import last_sign
from bridge.core.events.line import EVENTS, Event, Outage, Subject, parse_event
from bridge.core.events.settle import HOLD_SECONDS
from bridge.core.rotation import rotated_files

_MOST_BYTES = 16 << 20  # of the log and its rotated files, from the end: 60,000 events
_TRIES = 3


class _Version(NamedTuple):
    """A file as it is now; a rotated one stays so."""

    path: Path
    inode: int
    size: int
    changed: int


def outages(logs_dir: Path, since: float) -> list[Outage]:
    """All that lasted at `since` (epoch) or later, newest first; one outage of several processes
    is one.

    What a process left open that does not run any more ends with its last sign of life. OSError
    where the log cannot be read; one that is not there has none.
    """
    spans = _spans(_events(logs_dir / EVENTS), lambda instance: last_sign(logs_dir, instance))
    wanted = [each for each in _merged(spans) if each.end is None or each.end >= since]
    return sorted(wanted, key=attrgetter("begin"), reverse=True)


def left_open(logs_dir: Path, instance: str) -> list[Outage]:
    """What the log has no end of, for one process."""
    events = (each for each in _events(logs_dir / EVENTS) if each.instance == instance)
    return [each for each in _spans(events, lambda _: None) if each.end is None]


def _spans(events: Iterable[Event], last: Callable[[str], float | None]) -> list[Outage]:
    """Each outage of each process. `last`: when an instance was last there, if it is not."""
    spans = []
    begun: dict[tuple[str, Subject], Event] = {}
    for event in events:
        before = begun.pop((event.instance, event.subject), None)
        if event.begins:
            begun[event.instance, event.subject] = event
            if before is not None:  # the line of its end is lost
                spans.append(_outage(before, event.time))
        else:
            spans.append(_outage(event, event.time))
    for (instance, _), event in begun.items():
        end = last(instance)
        spans.append(_outage(event, None if end is None else max(end, event.since)))
    return spans


def _outage(event: Event, end: float | None) -> Outage:
    return Outage(*event.subject, event.since, end, event.detail)


def _merged(spans: list[Outage]) -> Iterator[Outage]:
    """What overlaps, or nearly does, as one: processes notice the same thing one after another."""
    current: Outage | None = None
    for each in sorted(spans, key=attrgetter("kind", "subject", "begin")):
        if current is not None and _is_same(current, each):
            current = current._replace(end=_later(current.end, each.end))
            continue
        if current is not None:
            yield current
        current = each
    if current is not None:
        yield current


def _is_same(one: Outage, later: Outage) -> bool:
    same = one.kind == later.kind and one.subject == later.subject
    return same and (one.end is None or later.begin <= one.end + HOLD_SECONDS)


def _later(one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None else max(one, two)


def _events(path: Path) -> list[Event]:
    """All events, oldest first."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):  # rotated while we looked
            files = reversed(list(_windows(path)))
            return [event for version, most in files for event in _events_of(version, most)]
    return []


def _windows(path: Path) -> Iterator[tuple[_Version, int]]:
    """The log and its rotated files, newest first, each with the bytes that count, at its end."""
    seen, left = set(), _MOST_BYTES
    for each in _newest_first(path):
        with contextlib.suppress(FileNotFoundError):
            status = each.stat()
            if status.st_ino in seen:  # rotated while we looked
                continue
            seen.add(status.st_ino)
            version = _Version(each, status.st_ino, status.st_size, status.st_mtime_ns)
            yield version, min(left, version.size)
            left -= version.size
            if left <= 0:
                return


def _newest_first(path: Path) -> Iterator[Path]:
    yield path
    with contextlib.suppress(FileNotFoundError):
        yield from reversed(rotated_files(path))


@lru_cache(maxsize=128)  # a page asks again and again, and rotated files stay as they are
def _events_of(version: _Version, most: int) -> tuple[Event, ...]:
    """The events in the last `most` bytes of a file; FileNotFoundError where it is another one."""
    with version.path.open("rb") as file:
        if os.fstat(file.fileno()).st_ino != version.inode:
            raise FileNotFoundError(version.path)
        file.seek(version.size - most)
        lines = file.read(most).split(b"\n")
    parsed = (parse_event(line) for line in lines if line)
    return tuple(event for event in parsed if event is not None)
