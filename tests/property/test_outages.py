"""However the levels of several processes go: what is told is in order, and read back as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import outages
from bridge.core.events.line import EVENTS, Event, Subject, format_event
from bridge.core.events.settle import Settling
from bridge.core.events.slots import HOLD_SECONDS, LONGEST_HOLD

NOON = 1_764_417_600.0
ABOUT = Subject("share_gone", "x")
STEPS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=40)


def told(steps: list[tuple[int, bool]], instance: str) -> list[Event]:
    """The events of a process that looks after so many tenths of a second each, and then well."""
    settling, now, events = Settling(), NOON, []
    for tenths, active in [*steps, (10, False), (int(10 * LONGEST_HOLD), False)]:
        now += tenths / 10
        settling.set(ABOUT, active, "", "", now)
        for change in settling.take_changes(now):
            at = change.begin if change.end is None else change.end
            events.append(Event(at, ABOUT, change.end is None, instance, "", change.begin))
    return events


@given(STEPS)
def test_beginnings_and_ends_take_turns_and_keep_their_distance(
    steps: list[tuple[int, bool]],
) -> None:
    events = told(steps, "gw.icap.0")
    assert [event.begins for event in events] == [True, False] * (len(events) // 2)
    times = [event.time for event in events]
    assert times == sorted(times)
    for end, begin in zip(times[1::2], times[2::2], strict=False):
        assert begin - end >= HOLD_SECONDS
    assert bool(events) == any(active for _, active in steps)


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=3), st.integers(1, 5))
def test_what_is_read_covers_what_each_process_told(
    processes: list[list[tuple[int, bool]]], files: int
) -> None:
    events = [event for i, steps in enumerate(processes) for event in told(steps, f"gw.icap.{i}")]
    events.sort(key=lambda event: event.time)
    with tempfile.TemporaryDirectory() as name:
        logs = Path(name)
        for number in range(files):
            part = events[number * len(events) // files : (number + 1) * len(events) // files]
            last = number == files - 1
            path = logs / (EVENTS if last else f"log-events-20261129-00000{number}.log")
            path.write_bytes(b"".join(format_event(event) + b"\n" for event in part))
        found = outages(logs, 0.0)
    for one, later in zip(found[1:], found, strict=False):
        assert one.end is not None
        assert later.begin - one.end > HOLD_SECONDS - 0.002
    for event in events:
        assert any(
            each.end is not None and each.begin - 0.002 <= event.time <= each.end + 0.002
            for each in found
        )
    assert {round(each.begin - NOON, 1) for each in found} <= {
        round(event.time - NOON, 1) for event in events if event.begins
    }
