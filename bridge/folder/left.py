"""Which files stay in input although their case has its record, so that none is recorded twice.

Kept over restarts. `LEFT`: on purpose (oversize). `DELIVERED`: it could not be removed yet.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import astuple
from enum import StrEnum
from pathlib import Path

from bridge.folder.settle import Look

_log = logging.getLogger(__name__)


class Why(StrEnum):
    """Why a file stays."""

    LEFT = "left"
    DELIVERED = "delivered"


def format_note(folder: str, look: Look, why: Why) -> str:
    """What is to be remembered of a file after the record of its case."""
    return json.dumps([folder, *astuple(look), why.value])


def parse_note(note: str) -> tuple[str, Look, Why]:
    """The folder's name, the file and why it stays."""
    folder, *look, why = json.loads(note)
    return folder, Look(*look), Why(why)


class LeftFiles:
    """The looks of files that are done with but still there."""

    def __init__(self, path: Path) -> None:
        """Read what was kept; what cannot be read is forgotten, so a file is recorded once more."""
        self._path = path
        self._lock = threading.Lock()  # entries change on the loop while a thread saves
        self._saving = threading.Lock()
        self._changed = False
        self._failing = False
        self._files: dict[Look, Why] = {}
        try:
            for *look, why in json.loads(path.read_text()):
                self._files[Look(*look)] = Why(why)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            _log.warning(
                "%s cannot be read (%s): files left in input are recorded anew", path, error
            )

    def __contains__(self, look: Look) -> bool:
        return look in self._files

    def add(self, look: Look, why: Why) -> None:
        """Remember a file; `save` makes it last."""
        with self._lock:
            self._files[look] = why
            self._changed = True

    def discard(self, look: Look) -> None:
        """Forget a file."""
        with self._lock:
            self._changed |= self._files.pop(look, None) is not None

    def delivered(self) -> list[Look]:
        """The files that are still to be removed."""
        return [look for look, why in self._files.items() if why is Why.DELIVERED]

    def keep_only(self, looks: Iterable[Look]) -> None:
        """Forget what lies in input no longer."""
        present = set(looks)
        for look in [look for look in self._files if look not in present]:
            self.discard(look)

    def save(self) -> bool:
        """Write down what changed: whether the disk has it. A fault is said once. Blocks."""
        with self._saving:
            return self._save()

    def _save(self) -> bool:
        with self._lock:
            if not self._changed:
                return True
            entries = sorted((*astuple(look), why.value) for look, why in self._files.items())
            self._changed = False
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(entries))
            draft.replace(self._path)
        except OSError as error:
            if not self._failing:
                _log.error("%s cannot be written: %s", self._path, error.strerror)
            self._failing = self._changed = True
            return False
        self._failing = False
        return True
