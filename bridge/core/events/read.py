"""What `log-events.log` says of outages, of all processes that write it. Blocks: disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from heapq import nlargest
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from bridge.core.events.alive import last_sign
from bridge.core.events.kept import kept_open
from bridge.core.events.line import EVENTS, Event, Outage, Subject, parse_event
from bridge.core.events.slots import HOLD_SECONDS
from bridge.core.rotation import rotated_files

_MOST_BYTES = 16 << 20  # of the log and its rotated files, from the end: 60,000 events
_MOST_OVER = 500

_About: TypeAlias = tuple[str, Subject]  # an instance, and what is out there


class _Window(NamedTuple):
    """What counts of a file as it is now, its last `most` bytes; a rotated one stays so."""

    inode: int
    size: int
    changed: int
    most: int


# log -> what it said last: a page asks again and again, and rotated files stay as they are
_known: dict[Path, dict[_Window, tuple[Event, ...]]] = {}


def outages(logs_dir: Path, since: float) -> list[Outage]:
    """What lasted at `since` (epoch) or later, newest first; one outage of several processes is
    one. All that last, and of the rest the 500 that ended last.

    What a process left open that does not run any more ends with its last sign of life. OSError
    where the log cannot be read; one that is not there has none.
    """
    kept = kept_open(logs_dir)  # first: what ends meanwhile has its end in the log
    events = _events(logs_dir / EVENTS)
    spans = _spans(events, kept, lambda instance: last_sign(logs_dir, instance))
    found = list(_merged(spans))
    wanted = [each for each in found if each.end is None]
    over = (each for each in found if each.end is not None and each.end >= since)
    wanted += nlargest(_MOST_OVER, over, key=attrgetter("end"))
    return sorted(wanted, key=attrgetter("begin"), reverse=True)


def left_open(logs_dir: Path, instance: str, *, by_log: bool = True) -> list[Outage]:
    """What has no end, for one process; without `by_log` as its file beside the log has it.

    OSError.
    """
    kept = [each for each in kept_open(logs_dir) if each.instance == instance]
    found = _events(logs_dir / EVENTS) if by_log else ()
    events = (each for each in found if each.instance == instance)
    return [each for each in _spans(events, kept, lambda _: None) if each.end is None]


def _spans(
    events: Iterable[Event], kept: Iterable[Event], last: Callable[[str], float | None]
) -> list[Outage]:
    """Each outage of each process. `kept`: what lasts, as far as `events` has no end of it.

    `last`: when an instance was last there, if it is not.
    """
    spans = []
    begun: dict[_About, Event] = {}
    ended: set[tuple[_About, float]] = set()
    for event in events:
        about = (event.instance, event.subject)
        before = begun.pop(about, None)
        if event.begins:
            begun[about] = event
            if before is not None:  # the line of its end is lost
                spans.append(_outage(before, event.time))
        else:
            ended.add((about, event.since))
            spans.append(_outage(event, event.time))
    for event in kept:
        about = (event.instance, event.subject)
        if (about, event.since) not in ended:
            begun.setdefault(about, event)
    for (instance, _), event in begun.items():
        end = last(instance)
        spans.append(_outage(event, None if end is None else max(end, event.since)))
    return spans


def _outage(event: Event, end: float | None) -> Outage:
    return Outage(*event.subject, event.since, end, event.detail, (event.instance,))


def _merged(spans: list[Outage]) -> Iterator[Outage]:
    """What overlaps, or nearly does, as one: processes notice the same thing one after another."""
    current: Outage | None = None
    for each in sorted(spans, key=attrgetter("kind", "subject", "begin")):
        if current is not None and _is_same(current, each):
            current = current.until(each)
            continue
        if current is not None:
            yield current
        current = each
    if current is not None:
        yield current


def _is_same(one: Outage, later: Outage) -> bool:
    same = one.kind == later.kind and one.subject == later.subject
    return same and (one.end is None or later.begin <= one.end + HOLD_SECONDS)


def _events(path: Path) -> list[Event]:
    """All events in the last 16 MiB, oldest first."""
    known, found, left = _known.get(path, {}), {}, _MOST_BYTES
    with contextlib.closing(_newest_first(path)) as files:
        for file in files:
            status = os.fstat(file.fileno())
            most = min(left, status.st_size)
            window = _Window(status.st_ino, status.st_size, status.st_mtime_ns, most)
            if (events := known.get(window)) is None:
                events = _events_of(file, window)
            found[window] = events
            left -= most
            if left <= 0:
                break
    _known[path] = found
    return [event for events in reversed(found.values()) for event in events]


def _newest_first(path: Path) -> Generator[BinaryIO, None, None]:
    """The log and its rotated files, each open until the next is asked for."""
    seen = set()
    for each in _paths(path):
        with contextlib.suppress(FileNotFoundError), each.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode not in seen:  # rotated while we looked
                seen.add(inode)
                yield file


def _paths(path: Path) -> Iterator[Path]:
    yield path  # opened before the folder is listed: a rotation in between hides nothing
    with contextlib.suppress(FileNotFoundError):
        yield from reversed(rotated_files(path))


def _events_of(file: BinaryIO, window: _Window) -> tuple[Event, ...]:
    file.seek(window.size - window.most)
    lines = file.read(window.most).split(b"\n")
    parsed = (parse_event(line) for line in lines if line)
    return tuple(event for event in parsed if event is not None)
