"""What an input holds, look after look. Blocks: disk. Used by one thread at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.core import FolderSettings
from bridge.folder.left import LeftFiles
from bridge.folder.listing import ignoring, list_input
from bridge.folder.mounts import SamePlace
from bridge.folder.settle import Look, Settler


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: what is complete and wanted, and in how many seconds more may be (None: nothing).

    `files` answers what was there. `left_out`: by path why a folder cannot be read. `saved`: the
    cases whose files are by now remembered as left.
    """

    due: list[Look]
    next_settled: float | None
    files: Settler
    left_out: dict[str, str]
    saved: list[str]


class Sight:
    """Looks at one input. All of a large listing is dealt with here, away from the loop."""

    def __init__(self, folder: FolderSettings, place: SamePlace, left: LeftFiles) -> None:
        self._folder = folder
        self._place = place
        self._left = left
        self._ignored = ignoring(folder.ignore)
        self._settler = Settler(folder.settle)
        self._only: frozenset[str] | None = None

    def look(
        self, now: float, wanted: Callable[[Look], bool], claimed: Callable[[str], bool]
    ) -> Seen:
        """Look now (seconds); OSError where the input cannot be read, or is not what it was.

        `claimed`: whether a file of that path may be, and has not gone.
        """
        mounted = self._place.inner_mounts() if self._folder.recursive else ()
        listing = list_input(
            self._place,
            recursive=self._folder.recursive,
            ignored=self._ignored,
            mounted=mounted,
        )
        self._settler.see(self._counted(listing.looks), now)
        present = self._settler.present
        self._left.forget_gone(lambda file: present(file) or claimed(file.path), now)
        saved = self._left.save()
        due = self._settler.settled(
            now, lambda look: wanted(look) and look.lasting not in self._left
        )
        soon = self._settler.next_settled(now)
        return Seen(due, soon, self._settler, listing.left_out, saved)

    def _counted(self, looks: list[Look]) -> list[Look]:
        return looks if self._only is None else [look for look in looks if look.path in self._only]

    def only_these(self) -> None:
        """From now on count only what was there at the last look."""
        self._only = self._settler.paths()
