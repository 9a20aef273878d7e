"""The folder door as a program under test, and what became of the files that were dropped."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bridge.core import WATCH_LOG
from bridge.testing.doors import DoorProgram
from bridge.testing.processes import Program, wait_until
from bridge.testing.site import Record, Records, Site


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a dropped file: its record, the place, and where it lies now."""

    record: Record
    place: Literal["output", "quarantine", "input"]
    path: Path


class FolderBridge(DoorProgram):
    """The folder door, watching one folder."""

    name = "kata-bridge watch"
    _log_name = WATCH_LOG

    def __init__(self, site: Site) -> None:
        """Start it. `input`, `output` and `quarantine` are those of its first folder now."""
        self._dropped: dict[str, tuple[Path, int]] = {}  # where, and its records until then
        self._places: dict[Path, Literal["output", "quarantine"]] = {}  # a reload adds more
        super().__init__(site)

    def _started(self) -> Program:
        program = self.site.start_watch()
        self._note_folders()
        return program

    def reload(self, changes: Mapping[str, Any]) -> None:
        """See DoorProgram; what is dropped before is still waited for."""
        super().reload(changes)
        self._note_folders()

    def _note_folders(self) -> None:
        folder = self.site.settings().folders[0]
        self.input, self.output = folder.input, folder.output
        self.quarantine = folder.quarantine
        self._places |= {self.output: "output", self.quarantine: "quarantine"}

    def drop(self, name: str, data: bytes) -> Path:
        """Put a file into the input, whole at once; `name` may have sub-folders (`recursive`).

        Several threads may drop at a time.
        """
        path = self.input / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._dropped[name] = path, len(self._records_of(path))
        draft = self.input / f".katabridge-drop-{uuid.uuid4()}"  # such names are never taken
        draft.write_bytes(data)
        draft.rename(path)
        return path

    def wait_for_delivery(self, name: str, seconds: float = 30.0) -> Delivery:
        """What became of the file dropped last under this name, once its record is there.

        A file that is held (KATA is away) has none until it is judged.
        """
        path, before = self._dropped.get(name, (self.input / name, 0))

        def new() -> Records:
            return self._records_of(path)[before:]

        wait_until(new, f"a record of {path}, which was dropped", seconds)
        return self._delivery(new()[-1])

    def _records_of(self, path: Path) -> Records:
        return self.records(door="FOLDER", path=str(path))

    def _delivery(self, record: Record) -> Delivery:
        path = Path(record["context"]["moved_to"] or record["context"]["path"])
        found = (place for folder, place in self._places.items() if path.is_relative_to(folder))
        return Delivery(record, next(found, "input"), path)
