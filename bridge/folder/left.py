"""Which files stay in input for good although their case has its record: oversize, excluded.

Kept over restarts, so that none is recorded twice; under other rules they are forgotten.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from bridge.folder.settle import Absences, Lasting

_log = logging.getLogger(__name__)


class LeftFiles:
    """The files that are done with but still there. From any thread."""

    def __init__(self, path: Path, rules: str, grace: float) -> None:
        """Read what was kept under the same `rules`; else files are recorded once more.

        `grace`: seconds after which a file that is not seen is forgotten.
        """
        self._path = path
        self._rules = rules
        self._absences = Absences(grace)
        self._lock = threading.Lock()  # entries change on the loop while a thread saves
        self._saving = threading.Lock()
        self._changed = False
        self._failing = False
        self._files: set[Lasting] = set()
        try:
            kept = json.loads(path.read_text())
            if kept["rules"] == rules:
                self._files = {Lasting(*each) for each in kept["files"]}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning(
                "%s cannot be read (%s): files left in input are recorded anew", path, error
            )

    def __contains__(self, lasting: Lasting) -> bool:
        return lasting in self._files

    def add(self, lasting: Lasting) -> None:
        """Remember a file; `save` makes it last."""
        with self._lock:
            self._files.add(lasting)
            self._changed = True

    def forget_gone(self, present: Callable[[Lasting], bool], now: float) -> None:
        """Forget what has not been there for long. `now` in seconds."""
        with self._lock:
            known: Iterable[Lasting] = list(self._files)
        gone = self._absences.gone(known, present, now)
        with self._lock:
            self._files.difference_update(gone)
            self._changed |= bool(gone)

    def save(self) -> bool:
        """Write down what changed: whether the disk has it. A fault is said once. Blocks."""
        with self._saving:
            return self._save()

    def _save(self) -> bool:
        with self._lock:
            if not self._changed:
                return True
            kept = {"rules": self._rules, "files": sorted(self._files)}
            self._changed = False
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(kept))
            draft.replace(self._path)
        except OSError as error:
            if not self._failing:
                _log.error("%s cannot be written: %s", self._path, error.strerror)
            self._failing = self._changed = True
            return False
        self._failing = False
        return True
