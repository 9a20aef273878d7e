"""What lasts of one process, in a file beside the log: however much the log says after it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.core.events.line import Event, format_event, parse_event

_log = logging.getLogger(__name__)

_MODE = 0o640
_MOST_BYTES = 16 << 20  # of a file: more than all that may last


class KeptOpen:
    """`.log-events.<instance>.open`: the beginnings of what lasts, as the log has them.

    Never fails: what could not be written is said once, and tried again with the next `keep`.
    """

    def __init__(self, logs_dir: Path, instance: str) -> None:
        self._path = logs_dir / f".log-events.{instance}.open"
        self._complained = False
        self._kept: Sequence[Event] | None = None  # what the file has; None: nobody knows

    def keep(self, events: Sequence[Event]) -> None:
        """These last, and no others. Blocks: disk."""
        if events == self._kept:
            return
        try:
            self._replace(b"".join(format_event(each) + b"\n" for each in events))
        except OSError as error:
            if not self._complained:
                _log.error("%s cannot be written: %s", self._path, error.strerror)
            self._complained = True
            return
        self._kept, self._complained = events, False

    def _replace(self, data: bytes) -> None:
        if not data:
            self._path.unlink(missing_ok=True)
            return
        draft = self._path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        draft.replace(self._path)


def kept_open(logs_dir: Path) -> list[Event]:
    """What each process says that lasts. Damaged lines are passed over. OSError. Blocks: disk."""
    return [
        event for path in sorted(_files(logs_dir)) for event in _events_of(path) if event.begins
    ]


def _files(logs_dir: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        for each in logs_dir.iterdir():
            if each.name.startswith(".log-events.") and each.name.endswith(".open"):
                yield each


def _events_of(path: Path) -> Iterator[Event]:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for line in file.read(_MOST_BYTES).split(b"\n"):
            event = parse_event(line) if line else None
            if event is not None:
                yield event
