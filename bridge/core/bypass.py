"""The emergency switch: doors that an administrator has opened for a while.

It lies in a file beside the spool, so that all processes see it and it survives a restart. A file
that cannot be read opens nothing.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from bridge.core.model import Door
from bridge.core.saying import OF_ALL_WORKERS

_log = logging.getLogger(__name__)

RULE = "bypass"
_FILE = "bypass.json"
_REMIND_SECONDS = 600.0
_MAX_SECONDS = 30 * 86400.0  # longer ones are a policy, and belong into the configuration


class BypassError(Exception):
    """The switch cannot be read or set; the text is one sentence, and the cause the OSError."""


class Bypass:
    """What one process knows of the switch. `refresh` looks at the file, `active` does not."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _FILE
        self._until: dict[Door, float] = {}
        self._announced: dict[Door, float] = {}
        self._faulty = False

    def active(self, door: Door) -> bool:
        """Whether the door passes everything now."""
        return bool(self._until) and self._until.get(door, 0.0) > time.time()

    def until(self, door: Door) -> float | None:
        """When the bypass of the door ends (epoch); None where there is none. From any thread."""
        until = self._until.get(door, 0.0)
        return until if until > time.time() else None

    def ended(self, door: Door) -> float | None:
        """When the last bypass of the door was over (epoch), also while no process ran; None
        where one is on, was ended by hand, or nobody knows. From any thread."""
        until = self._until.get(door)
        return until if until is not None and until <= time.time() else None

    def refresh(self, door: Door) -> None:
        """Look at the file, and say what changed for this door. Blocks: disk."""
        self._until = self._read()
        if self.active(door):
            self._announce(door)
        elif self._announced.pop(door, None) is not None:
            _log.warning(
                "the bypass of the %s door has ended: objects are judged again",
                door,
                extra=OF_ALL_WORKERS,
            )

    def _announce(self, door: Door) -> None:
        now = time.monotonic()
        if now >= self._announced.get(door, float("-inf")):
            _log.error(
                "BYPASS: the %s door passes everything UNJUDGED until %s "
                "(kata-bridge bypass --off ends it)",
                door,
                local_time(self._until[door]),
                extra=OF_ALL_WORKERS,
            )
            self._announced[door] = now + _REMIND_SECONDS

    def _read(self) -> dict[Door, float]:
        try:
            until = read_bypass(self._path.parent)
        except BypassError as error:
            if not self._faulty:
                _log.error("%s It opens nothing.", error, extra=OF_ALL_WORKERS)
            self._faulty = True
            return {}
        self._faulty = False
        return until


def read_bypass(directory: Path) -> dict[Door, float]:
    """door -> seconds since the epoch until which it is, or was, open.

    BypassError for a damaged file, and for one that cannot be read.
    """
    path = directory / _FILE
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BypassError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not all(_is_end(*entry) for entry in data.items()):
        raise BypassError(f"{path} is damaged; `kata-bridge bypass --off` mends it.")
    return {Door(door): float(until) for door, until in data.items()}


def _is_end(door: object, until: object) -> bool:
    """Whether it is a door, and a time at most 30 days ahead (and a day: clocks are set)."""
    if door not in set(Door) or isinstance(until, bool) or not isinstance(until, int | float):
        return False
    return until < time.time() + _MAX_SECONDS + 86400


def set_bypass(directory: Path, until: Mapping[Door, float]) -> None:
    """Open doors until then (seconds since the epoch), and close all others.

    BypassError where the folder cannot be written or a time is too far away.
    """
    now = time.time()
    if any(end > now + _MAX_SECONDS for end in until.values()):
        raise BypassError("a bypass lasts 30 days at most; write a policy for more.")
    path = directory / _FILE
    draft = path.with_suffix(".new")
    # one that is closed is not there at all: no clock that is set back may open it again
    text = json.dumps({door.value: end for door, end in until.items() if end > now})
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise BypassError(f"{path} cannot be written: {error.strerror}.") from error


def local_time(seconds: float) -> str:
    """A time for people."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
