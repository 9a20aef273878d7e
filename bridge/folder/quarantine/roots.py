"""The quarantines of a configuration: several folders may share one. Blocks: disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.core import FolderSettings, Settings
from bridge.folder.mounts import SamePlace


@dataclass(frozen=True, slots=True)
class Quarantine:
    """One quarantine. `folders`: those that use it, by name; `foreign`: what lies below it and is
    another folder's input, output or quarantine, relative to it."""

    root: Path
    folders: Mapping[str, FolderSettings]
    place: SamePlace
    foreign: frozenset[str]

    @property
    def only_folder(self) -> str | None:
        """The folder that everything here belongs to, where there is but one."""
        return next(iter(self.folders)) if len(self.folders) == 1 else None


def quarantines(settings: Settings) -> list[Quarantine]:
    """All quarantines, in the order of their first folder."""
    by_place: dict[Path, dict[str, FolderSettings]] = {}
    for each in settings.folders:
        by_place.setdefault(Path(os.path.realpath(each.quarantine)), {})[each.name] = each
    found = []
    for place, folders in by_place.items():
        root = next(iter(folders.values())).quarantine
        found.append(Quarantine(root, folders, SamePlace(root), _below(place, settings)))
    return found


def _below(place: Path, settings: Settings) -> frozenset[str]:
    all_places = {
        Path(os.path.realpath(each))
        for folder in settings.folders
        for each in (folder.input, folder.output, folder.quarantine)
    }
    return frozenset(str(each.relative_to(place)) for each in all_places if place in each.parents)
