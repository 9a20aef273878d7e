"""Outages, their kinds, and the lines of `log-events.log` that tell of them: pure."""

from __future__ import annotations

import json
import math
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

EVENTS = "log-events.log"

_MOST_SECONDS = 4e9  # the year 2096: what can be said in any zone
_STATES = {True: "begins", False: "ends"}


class OutageKind(StrEnum):
    """What does not work; docs/outages.md says what each means."""

    KATA_UNREACHABLE = "kata_unreachable"
    KATA_NOT_ACCEPTED = "kata_not_accepted"
    SHARE_GONE = "share_gone"
    TARGET_FAILING = "target_failing"
    DISK_FULL = "disk_full"
    OUT_OF_DESCRIPTORS = "out_of_descriptors"
    SYSLOG_AWAY = "syslog_away"
    WEBHOOK_AWAY = "webhook_away"
    STORE_FAILING = "store_failing"
    BYPASS_ON = "bypass_on"
    BODIES_WITHHELD = "bodies_withheld"


class Subject(NamedTuple):
    """What is out, and whom or what it is about: URL, folder's name, path, host or process."""

    kind: str
    name: str


class Event(NamedTuple):
    """An outage begins, or ends, for one process. Times are seconds since the epoch."""

    time: float
    subject: Subject
    begins: bool
    instance: str
    detail: str
    since: float  # the beginning


class Outage(NamedTuple):
    """From `begin` to `end` (seconds since the epoch); None: it lasts.

    `instances`: the processes for which it ended last, or lasts.
    """

    kind: str
    subject: str
    begin: float
    end: float | None
    detail: str
    instances: tuple[str, ...] = ()

    def until(self, other: Outage) -> Outage:
        """The same, and as long as `other`: it lasts if one of them does."""
        ends = [math.inf if each.end is None else each.end for each in (self, other)]
        if ends[0] == ends[1]:
            return self._replace(instances=tuple(sorted({*self.instances, *other.instances})))
        last = self if ends[0] > ends[1] else other
        return self._replace(end=last.end, instances=last.instances)


def format_event(event: Event) -> bytes:
    """An event as a line, ASCII only."""
    return json.dumps(
        {
            "time": _text(event.time),
            "event": event.subject.kind,
            "state": _STATES[event.begins],
            "subject": event.subject.name,
            "instance": event.instance,
            "detail": event.detail,
            "since": _text(event.since),
            "lasted_s": None if event.begins else round(max(0.0, event.time - event.since), 3),
        },
        separators=(",", ":"),
    ).encode("ascii")


def parse_event(line: bytes) -> Event | None:
    """An event of a line; None for a line that is damaged or none of ours."""
    try:
        found = json.loads(line)
        kind, name, instance, detail = (
            _string(found[key]) for key in ("event", "subject", "instance", "detail")
        )
        begins = {"begins": True, "ends": False}[found["state"]]
        time, since = _seconds(found["time"]), _seconds(found["since"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    # a clock that was set back makes no outage that ends before it begins
    return Event(time, Subject(kind, name), begins, instance, detail, min(since, time))


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _seconds(value: Any) -> float:
    time = datetime.fromisoformat(_string(value))
    if time.tzinfo is None or not 0 <= (seconds := time.timestamp()) < _MOST_SECONDS:
        raise ValueError
    return seconds
