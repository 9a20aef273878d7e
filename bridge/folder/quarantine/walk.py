"""Finds what lies in a quarantine, without reading any of it. Blocks: disk."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.folder.places import OWN_PREFIX, folder
from bridge.folder.quarantine.roots import Quarantine
from bridge.folder.sidecar import is_sidecar, sidecar_name


class Found(NamedTuple):
    """A file, or (`is_note`) a note without its file.

    `path`: relative to the quarantine. `since`: nanoseconds since the epoch when the note was
    written or, without one, the file came here.
    """

    since: int
    path: str
    is_note: bool


@dataclass(slots=True)
class Listing:
    """What was found. `left_out`: by folder why it could not be looked into. `claimed`: files
    that somebody is at, or that a crash left."""

    found: list[Found] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    claimed: int = 0


def find_all(quarantine: Quarantine) -> Listing:
    """Everything in a quarantine, sub-folders too; links are not followed.

    OSError where the quarantine itself cannot be read.
    """
    listing = Listing()
    quarantine.place.check()
    pending = _look_into(quarantine, "", listing)
    while pending:
        path = pending.pop()
        try:
            pending += _look_into(quarantine, path, listing)
        except FileNotFoundError:  # emptied and removed meanwhile
            continue
        except OSError as error:
            listing.left_out[path] = error.strerror or str(error)
    listing.claimed = _count_claimed(quarantine)
    return listing


def _look_into(quarantine: Quarantine, path: str, listing: Listing) -> list[str]:
    """Add the files of one folder; its own folders."""
    files: set[str] = set()
    times: dict[str, int] = {}  # of notes
    folders = []
    prefix = f"{path}/" if path else ""
    with folder(quarantine.place, path.split("/") if path else []) as descriptor:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.name.startswith(OWN_PREFIX):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(prefix + entry.name)
                elif entry.is_file(follow_symlinks=False):
                    if is_sidecar(entry.name):
                        times[entry.name] = _time(descriptor, entry.name, note=True)
                    else:
                        files.add(entry.name)
        for name in files:
            since = times.pop(sidecar_name(name), None)
            if since is None:
                since = _time(descriptor, name, note=False)
            listing.found.append(Found(since, prefix + name, is_note=False))
    for name, since in times.items():
        listing.found.append(Found(since, prefix + name, is_note=True))
    return [each for each in folders if each not in quarantine.foreign]


def _time(descriptor: int, name: str, *, note: bool) -> int:
    with contextlib.suppress(FileNotFoundError):
        state = os.lstat(name, dir_fd=descriptor)
        # a file keeps the mtime that it had in input; its ctime tells when it came here
        return state.st_mtime_ns if note else state.st_ctime_ns
    return 0


def _count_claimed(quarantine: Quarantine) -> int:
    count = 0
    pending = [[OWN_PREFIX]]
    while pending:
        parts = pending.pop()
        with (
            contextlib.suppress(OSError),
            folder(quarantine.place, parts) as descriptor,
            os.scandir(descriptor) as entries,
        ):
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append([*parts, entry.name])
                elif len(parts) > 2 and not is_sidecar(entry.name):  # below OWNER/CASE
                    count += 1
    return count
