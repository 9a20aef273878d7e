"""Which entries a person means: by case id, or by path in a quarantine. Blocks: disk."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from bridge.folder.places import OWN_PREFIX, folder
from bridge.folder.quarantine.entries import CASE, Entry, read_entry
from bridge.folder.quarantine.roots import Quarantine
from bridge.folder.quarantine.walk import Found, find_all
from bridge.folder.sidecar import SUFFIX, is_sidecar


def pick(quarantines: Sequence[Quarantine], words: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """The entries that are named, each once, and a sentence for each word that names none."""
    by_case = _by_case(quarantines, {word for word in words if CASE.fullmatch(word)})
    entries: dict[tuple[str, str], Entry] = {}
    faults = []
    for word in words:
        meant = [*by_case.get(word, ()), *_by_path(quarantines, word)]
        if len(meant) == 1:
            entries.setdefault((str(meant[0].quarantine.root), meant[0].path), meant[0])
        elif meant:
            places = ", ".join(str(each.file) for each in meant)
            faults.append(f"{word} is ambiguous: name one of these by its path: {places}.")
        else:
            faults.append(f"{word} is not in quarantine.")
    return list(entries.values()), faults


def _by_case(quarantines: Iterable[Quarantine], wanted: Collection[str]) -> dict[str, list[Entry]]:
    matches: dict[str, list[Entry]] = defaultdict(list)
    if not wanted:
        return matches
    for quarantine in quarantines:
        with contextlib.suppress(OSError):  # away: the caller has said so
            for found in find_all(quarantine).found:
                with contextlib.suppress(OSError):
                    entry = read_entry(quarantine, found)
                    if entry is not None and entry.note is not None and entry.note.case in wanted:
                        matches[entry.note.case].append(entry)
    return matches


def _by_path(quarantines: Iterable[Quarantine], word: str) -> list[Entry]:
    meant = []
    for quarantine in quarantines:
        path = _relative(quarantine, word)
        if path is not None:
            with contextlib.suppress(OSError, ValueError):  # too long, or with a NUL: none is there
                quarantine.place.check()
                entry = read_entry(quarantine, _found(quarantine, path))
                if entry is not None:
                    meant.append(entry)
    return meant


def _relative(quarantine: Quarantine, word: str) -> str | None:
    """The path in this quarantine that the word names, if it names one."""
    path = PurePosixPath(word)
    if path.is_absolute():
        roots = (quarantine.root.absolute(), Path(os.path.realpath(quarantine.root)))
        below = next((root for root in roots if path.is_relative_to(root)), None)
        if below is None:
            return None
        path = path.relative_to(below)
    if not path.parts or any(p == ".." or p.startswith(OWN_PREFIX) for p in path.parts):
        return None
    if any(path.is_relative_to(foreign) for foreign in quarantine.foreign):
        return None
    return "/".join(path.parts)


def _found(quarantine: Quarantine, path: str) -> Found:
    """A file by its path; a note by its own, or by that of the file that is not there."""
    *parts, name = path.split("/")
    with folder(quarantine.place, parts) as descriptor:
        if is_sidecar(name):
            file = name.removesuffix(SUFFIX)
            if _is_there(descriptor, file):
                return Found(0, "/".join([*parts, file]), is_note=False)
            return Found(0, path, is_note=True)
        if not _is_there(descriptor, name):
            return Found(0, path + SUFFIX, is_note=True)
    return Found(0, path, is_note=False)


def _is_there(descriptor: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=descriptor)
    except OSError:
        return False
    return True
