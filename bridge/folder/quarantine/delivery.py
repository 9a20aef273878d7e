"""The way out of quarantine: into the output of the folder that a file came through.

Blocks: disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path

from bridge.core import FolderSettings
from bridge.folder.conflict import Conflict, Content, numbered
from bridge.folder.metadata import Metadata, read_metadata
from bridge.folder.mounts import SamePlace
from bridge.folder.opened import NotStillError, open_regular, open_still
from bridge.folder.places import folder
from bridge.folder.publish import Parcel, Target, publish
from bridge.folder.quarantine.entries import Entry
from bridge.folder.sidecar import Sidecar

_MOST_NAMES = 1000


def digest_of(entry: Entry) -> str:
    """The sha256 of a file in quarantine (lower hex). NotStillError, OSError."""
    if entry.look is None:
        raise NotStillError
    with (
        folder(entry.quarantine.place, entry.look.parts) as above,
        open_still(above, entry.look) as file,
    ):
        return digest(file)


def digest(file: FileIO) -> str:
    """The sha256 of an open file (lower hex)."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def deliver(
    file: FileIO, note: Sidecar, content: Content, target: FolderSettings, draft: str
) -> Path:
    """Publish the open file under the path that it came from; where it lies. OSError."""
    kept = _metadata(note, read_metadata(file.fileno()))
    rule = Conflict(target.on_conflict)
    parcel = Parcel(file, content, kept)
    place = SamePlace(target.output)
    return target.output / publish(parcel, Target(place, note.path, rule), draft).path


def _metadata(note: Sidecar, own: Metadata) -> Metadata:
    """What it had in input, but never setuid and the like: a stranger may have written that."""
    harmless = own.private(note.uid, note.gid)
    return replace(harmless, mode=note.mode & 0o777, mtime_ns=note.mtime_ns)


def delivered(note: Sidecar, content: Content, target: FolderSettings) -> Path | None:
    """Where `deliver` has put this content already, if it has. OSError where nobody can say."""
    *parts, name = note.path.split("/")
    try:
        with folder(SamePlace(target.output), parts) as above:
            for candidate in _names(name, Conflict(target.on_conflict)):
                if _holds(above, candidate, content):
                    return target.output.joinpath(*parts, candidate)
    except FileNotFoundError:  # no further name is taken
        pass
    return None


def _names(name: str, rule: Conflict) -> Iterator[str]:
    last = _MOST_NAMES if rule is Conflict.RENAME else 1
    return (numbered(name, number) for number in range(1, last + 1))


def _holds(above: int, name: str, content: Content) -> bool:
    """Whether that file has this content; FileNotFoundError where there is none."""
    os.lstat(name, dir_fd=above)
    try:
        with open_regular(above, name) as file:
            size = os.fstat(file.fileno()).st_size
            return size == content.size and digest(file) == content.sha256
    except NotStillError:
        return False
