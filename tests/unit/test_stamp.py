"""The time in logs: local, with zone, to the millisecond, whatever was remembered of it."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from bridge.core import stamp

NOW = 1_764_441_234.0


@pytest.mark.parametrize("zone", ["UTC", "Europe/Moscow", "America/St_Johns"])
def test_each_millisecond_is_said_as_it_is(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        # forth, back, over a second, and over the change to winter time of 2025-10-26
        for step in (0, 0.001, 0.0019, 0.999, 1.0, 1.001, -5, 60, 1_761_440_399.5 - NOW, 3600.25):
            now = NOW + step
            monkeypatch.setattr(time, "time", lambda now=now: now)
            expected = datetime.fromtimestamp(int(now * 1000) / 1000).astimezone()
            assert stamp() == expected.isoformat(timespec="milliseconds")
    finally:
        monkeypatch.undo()
        time.tzset()
