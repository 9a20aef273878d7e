"""Lines of log-events.log, a process that writes them, and what is read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from bridge.core import Events, LineLog, OutageKind, outages
from bridge.core.events.line import EVENTS, Event, Subject, format_event

KATA = Subject(OutageKind.KATA_UNREACHABLE, "https://cn.example")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()


def begins(at: float, name: str = "x", who: str = "gw.icap.0", why: str = "why") -> Event:
    """The line of an outage that begins, `at` seconds after noon."""
    return Event(NOON + at, Subject("kata_unreachable", name), True, who, why, NOON + at)


def ends(since: float, at: float, name: str = "x", who: str = "gw.icap.0") -> Event:
    """The line of its end."""
    return Event(NOON + at, Subject("kata_unreachable", name), False, who, "why", NOON + since)


def put(path: Path, *events: Event) -> None:
    """Append lines."""
    with path.open("ab") as file:
        file.writelines(format_event(each) + b"\n" for each in events)


def read(logs: Path, since: float = 0.0) -> list[tuple[str, float, float | None]]:
    """(name, begin, end) of each outage since then, in seconds since noon."""
    return [
        (each.subject, each.begin - NOON, None if each.end is None else each.end - NOON)
        for each in outages(logs, NOON + since)
    ]


class Process:
    """Events of one instance in a folder, by a clock of the test's."""

    def __init__(self, logs: Path, instance: str = "gw.icap.0", now: float = NOON) -> None:
        self.now = now
        self.log = LineLog(logs / EVENTS)
        self.events = Events(instance, self.log, lambda: self.now)
        self.events.restore()

    def see(self, at: float, **active: bool) -> None:
        """Levels by kind, and what follows from them."""
        self.now = NOON + at
        for kind, is_active in active.items():
            self.events.set(kind, "x", is_active, "why\n")
        self.events.write()

    def kill(self) -> None:
        """As `kill -9` does it: nothing more is written."""
        sign = self.events._sign
        assert sign is not None
        sign.close()
        self.log.close()


def lines(logs: Path) -> list[tuple[str, str, float]]:
    """(event, state, seconds since noon)"""
    return [
        (line["event"], line["state"], datetime.fromisoformat(line["time"]).timestamp() - NOON)
        for line in map(json.loads, (logs / EVENTS).read_text().splitlines())
    ]


def read_all(logs: Path) -> set[tuple[str, float, float | None]]:
    """(kind, begin, end) of all, in seconds since noon."""
    return {
        (each.kind, each.begin - NOON, None if each.end is None else each.end - NOON)
        for each in outages(logs, 0.0)
    }
