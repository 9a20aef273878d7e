"""One file in quarantine with its note, which is data that strangers may have written.

Blocks: disk.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bridge.core import OutcomeKind
from bridge.folder.listing import look_of
from bridge.folder.opened import NotStillError, open_still
from bridge.folder.places import OWN_PREFIX, folder
from bridge.folder.quarantine.roots import Quarantine
from bridge.folder.quarantine.walk import Found
from bridge.folder.settle import Look
from bridge.folder.sidecar import Sidecar, parse_sidecar, sidecar_name

CASE = re.compile(r"[0-9a-z]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 64 << 10  # of a note; two names of 4 KiB each are all that is long in it
_MOST_ID = (1 << 32) - 2  # the highest number means: as it is
_MOST_SECONDS = 1 << 63  # more is no time for any file system; the years of a file may be wild


class State(StrEnum):
    """What an entry consists of; only a `whole` one can be released."""

    WHOLE = "whole"
    NO_NOTE = "no note"
    DAMAGED = "damaged note"
    NO_FILE = "no file"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file (`look`) and the note beside it (`note_look`); one of the two may be missing.

    `path`: the file's, relative to the quarantine; of a note without file the one that it had, or
    the note's own. `note` is None where it is missing or, with `fault`, cannot be trusted.
    `since`: see `Found`.
    """

    quarantine: Quarantine
    path: str
    since: int
    look: Look | None
    note_look: Look | None
    note: Sidecar | None
    fault: str = ""

    @property
    def state(self) -> State:
        """Whether something is missing or damaged."""
        if self.look is None:
            return State.NO_FILE
        if self.note_look is None:
            return State.NO_NOTE
        return State.WHOLE if self.note is not None else State.DAMAGED

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.quarantine.root / self.path

    @property
    def folder(self) -> str | None:
        """The folder that it came through, where that is known."""
        return self.note.folder if self.note is not None else self.quarantine.only_folder

    @property
    def size(self) -> int | None:
        """Bytes."""
        if self.look is not None:
            return self.look.size
        return self.note.size if self.note is not None else None


def read_entry(quarantine: Quarantine, found: Found) -> Entry | None:
    """The entry as it is now; None where it has gone. OSError where it cannot be read."""
    *parts, name = found.path.split("/")
    beside = name if found.is_note else sidecar_name(name)
    above = "/".join([*parts, ""])
    try:
        with folder(quarantine.place, parts) as descriptor:
            look = None if found.is_note else _look(descriptor, found.path)
            note_look = _look(descriptor, above + beside)
            note, fault = _read_note(descriptor, note_look)
    except FileNotFoundError:
        return None
    if look is None and note_look is None:
        return None
    path = found.path
    if note is not None:
        fault = _fault(quarantine, note, beside)
        if fault:
            note = None
        elif look is None:
            path = above + note.file
    return Entry(quarantine, path, found.since, look, note_look, note, fault)


def _look(descriptor: int, path: str) -> Look | None:
    try:
        state = os.lstat(path.rpartition("/")[2], dir_fd=descriptor)
    except FileNotFoundError:
        return None
    return look_of(path, state) if stat.S_ISREG(state.st_mode) else None


def _read_note(descriptor: int, look: Look | None) -> tuple[Sidecar | None, str]:
    if look is None:
        return None, ""
    try:
        with open_still(descriptor, look) as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            return None, "it is too large"
        return parse_sidecar(data), ""
    except NotStillError:
        return None, "it changes just now"
    except ValueError as error:
        return None, str(error)


def _fault(quarantine: Quarantine, note: Sidecar, beside: str) -> str:
    """Why a note that can be read is not to be trusted; empty: it is."""
    if sidecar_name(note.file) != beside:
        return "it is about another file"
    if note.folder not in quarantine.folders:
        return f"it names the folder {note.folder!r}, whose quarantine this is not"
    if any(part.startswith(OWN_PREFIX) for part in note.path.split("/")):
        return "its path is one of katabridge's own"
    good = (
        CASE.fullmatch(note.case)
        and _SHA256.fullmatch(note.sha256)
        and note.outcome in set(OutcomeKind)
        and 0 <= note.uid <= _MOST_ID
        and 0 <= note.gid <= _MOST_ID
        and -_MOST_SECONDS <= note.mtime_ns // 10**9 < _MOST_SECONDS
    )
    return "" if good else "it holds what katabridge never writes"
