"""Which files stay in input for good although their case has its record: oversize, excluded.

Kept over restarts, so that none is recorded twice; under other rules they are forgotten.
"""

from __future__ import annotations

import json
import logging
import os
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
        self._absences: Absences[Lasting] = Absences(grace)
        self._unsaved: list[str] = []
        self._lock = threading.Lock()  # entries change on the loop while a thread saves
        self._saving = threading.Lock()
        self._changed = False
        self._failing = False
        self._files: set[Lasting] = set()
        try:
            head, *lines = path.read_text().splitlines()
            if json.loads(head) == rules:
                self._files = {Lasting(*json.loads(line)) for line in lines}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning(
                "%s cannot be read (%s): files left in input are recorded anew", path, error
            )

    def __contains__(self, lasting: Lasting) -> bool:
        return lasting in self._files

    @property
    def rules(self) -> str:
        """Those in force."""
        return self._rules

    def go_by(self, rules: str) -> bool:
        """Forget all that was left by other rules; whether these are others."""
        with self._lock:
            if rules == self._rules:
                return False
            self._rules, self._files, self._changed = rules, set(), True
            return True

    def add(self, lasting: Lasting, case_id: str, rules: str | None = None) -> None:
        """Remember a file; `save` makes it last, and says so of its case.

        `rules`: those by which it is left, if not those in force: then it is looked at again.
        """
        with self._lock:
            if rules in (None, self._rules):
                self._files.add(lasting)
            self._unsaved.append(case_id)
            self._changed = True

    def forget_gone(self, present: Callable[[Lasting], bool], now: float) -> None:
        """Forget what has not been there for long. `now` in seconds."""
        with self._lock:
            known: Iterable[Lasting] = list(self._files)
        gone = self._absences.gone(known, present, now)
        with self._lock:
            self._files.difference_update(gone)
            self._changed |= bool(gone)

    def save(self) -> list[str]:
        """Write down what changed: the cases that the disk has now. Blocks; says a fault once."""
        with self._saving:
            return self._save()

    def _save(self) -> list[str]:
        with self._lock:
            if not self._changed:
                return []
            rules, files, cases = self._rules, list(self._files), self._unsaved
            self._changed, self._unsaved = False, []
        draft = self._path.with_suffix(".new")
        try:
            with draft.open("w") as file:
                file.write(json.dumps(rules) + "\n")
                file.writelines(json.dumps(each) + "\n" for each in files)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            if not self._failing:
                _log.error("%s cannot be written: %s", self._path, error.strerror)
            self._failing = True
            with self._lock:
                self._changed, self._unsaved = True, cases + self._unsaved
            return []
        self._failing = False
        return cases
