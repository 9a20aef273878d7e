"""Which files stay in input on purpose, so that each is recorded once, over restarts too."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

from bridge.folder.settle import Look


class LeftFiles:
    """The looks of files that were recorded and left. Blocks: disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._looks = {Look(*entry) for entry in json.loads(path.read_text())}
        except (FileNotFoundError, ValueError, TypeError):
            self._looks = set()  # at worst a file is recorded once more

    def __contains__(self, look: Look) -> bool:
        return look in self._looks

    def add(self, look: Look) -> None:
        """Remember a file."""
        self._looks.add(look)
        self._save()

    def keep_only(self, looks: Iterable[Look]) -> None:
        """Forget what lies in input no longer."""
        remaining = self._looks.intersection(looks)
        if remaining != self._looks:
            self._looks = remaining
            self._save()

    def _save(self) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(sorted(astuple(look) for look in self._looks)))
        draft.replace(self._path)
