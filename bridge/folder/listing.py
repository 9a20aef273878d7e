"""What lies in an input. Links, devices, sockets and pipes are not seen. Blocks: disk."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from bridge.folder.places import OWN_PREFIX, Root, folder
from bridge.folder.settle import Look

DEEPEST = 100  # each folder is opened from the root on: a tree without end would take all our time


@dataclass(slots=True)
class Listing:
    """The files of an input, and by path why a folder in it was left out."""

    looks: list[Look] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def ignoring(masks: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name fits one of the masks; capitals do not count, since Windows writes here."""
    if not masks:
        return lambda _: False
    pattern = re.compile("|".join(map(_expression, masks)), re.DOTALL)
    return lambda name: pattern.fullmatch(name.lower()) is not None


def _expression(mask: str) -> str:
    words = {"*": ".*", "?": "."}
    return "".join(words.get(sign) or re.escape(sign) for sign in mask.lower())


def list_input(
    root: Root,
    *,
    recursive: bool,
    ignored: Callable[[str], bool],
    mounted: Collection[str] = (),
) -> Listing:
    """All files that are somebody's to be judged; OSError where the input itself cannot be read.

    `mounted`: folders below it that are file systems of their own.
    """
    listing = Listing()
    with folder(root) as top:
        device = os.fstat(top).st_dev
        pending = _list_one(top, "", ignored, listing)
    while recursive and pending:
        path = pending.pop()
        if path.count("/") >= DEEPEST:
            listing.left_out[path] = f"lies more than {DEEPEST} folders deep"
            continue
        try:
            with folder(root, path.split("/")) as inner:
                if os.fstat(inner).st_dev != device or path in mounted:
                    listing.left_out[path] = "is another file system: give it a folder of its own"
                    continue
                pending += _list_one(inner, f"{path}/", ignored, listing)
        except FileNotFoundError:
            continue
        except OSError as error:
            listing.left_out[path] = f"cannot be read: {error.strerror}"
    return listing


def _list_one(
    descriptor: int, prefix: str, ignored: Callable[[str], bool], listing: Listing
) -> list[str]:
    """Add the files of one folder; its own folders."""
    folders = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.name.lower().startswith(OWN_PREFIX):  # shares of Windows know no capitals
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(prefix + entry.name)
            elif entry.is_file(follow_symlinks=False) and not ignored(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    state = entry.stat(follow_symlinks=False)
                    listing.looks.append(look_of(prefix + entry.name, state))
    return folders


def look_of(path: str, state: os.stat_result) -> Look:
    """A file as it looks now."""
    return Look(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
