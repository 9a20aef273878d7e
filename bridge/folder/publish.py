"""Brings a snapshot to where it belongs: all of it, or nothing. Blocks: disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from bridge.folder.conflict import Conflict, Content, settle_name
from bridge.folder.listing import DEEPEST
from bridge.folder.metadata import Metadata, write_metadata
from bridge.folder.places import LIKE_ABOVE, OWN_PREFIX, Root, folder, sync_folder
from bridge.folder.sidecar import sidecar_name

_BLOCK = 1 << 20
_PART = ".part"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file goes: `path` below `root`, by a rule; missing folders are made like the root."""

    root: Root
    path: str
    rule: Conflict


def draft_name(owner: str, case_id: str) -> str:
    """The hidden name of a file that is being delivered."""
    return f"{OWN_PREFIX}-{owner}-{case_id}{_PART}"


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is delivered: the bytes of `file`, which must be those of `content`."""

    file: BinaryIO
    content: Content
    kept: Metadata


@dataclass(frozen=True, slots=True)
class Published:
    """The path that a file got, and whether it is a new one: a crash may have come after it."""

    path: str
    is_new: bool


def publish(
    parcel: Parcel, target: Target, draft: str, still: Callable[[], None] = lambda: None
) -> Published:
    """Write the parcel so that `target` has all of it or is not touched.

    `draft`: a hidden name in the same folder; then fsync, and rename, right after `still` has
    raised nothing. OSError where a folder fails, or where the bytes are not what was judged: the
    snapshot was damaged.
    """
    *parts, name = target.path.split("/")
    with folder(target.root, parts, make=LIKE_ABOVE) as descriptor:
        with _drafted(descriptor, draft) as file:
            _copy(parcel, file)
            write_metadata(file.fileno(), parcel.kept)
            os.fsync(file.fileno())
            still()
            name, is_new = settle_name(descriptor, draft, name, target.rule, parcel.content)
        with contextlib.suppress(OSError):  # it is there: what comes next must come
            sync_folder(descriptor)
    return Published("/".join([*parts, name]), is_new)


def withdraw(root: Root, path: str) -> None:
    """Remove a file that was published just now."""
    *parts, name = path.split("/")
    with folder(root, parts) as descriptor:
        os.unlink(name, dir_fd=descriptor)


def write_sidecar(root: Root, path: str, data: bytes, draft: str) -> None:
    """Put what is known of a quarantined file beside it; what was there is replaced."""
    *parts, name = path.split("/")
    beside = sidecar_name(name)
    with folder(root, parts) as descriptor:
        with _drafted(descriptor, draft) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.rename(draft, beside, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        with contextlib.suppress(OSError):
            sync_folder(descriptor)


@contextlib.contextmanager
def _drafted(descriptor: int, draft: str) -> Iterator[BinaryIO]:
    """A new hidden file, removed where what is done with it fails."""
    with contextlib.suppress(FileNotFoundError):  # of an earlier try
        os.unlink(draft, dir_fd=descriptor)
    try:
        with os.fdopen(os.open(draft, _WRITE, 0o600, dir_fd=descriptor), "wb") as file:
            yield file
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=descriptor)
        raise


def _copy(parcel: Parcel, file: BinaryIO) -> None:
    digest = hashlib.sha256()
    while block := parcel.file.read(_BLOCK):
        digest.update(block)
        file.write(block)
    if digest.hexdigest() != parcel.content.sha256:
        raise OSError(errno.EIO, "the snapshot in the spool is not what was judged")
    file.flush()


def remove_drafts(root: Root, owner: str, before: str, recursive: bool) -> None:
    """Remove what an interrupted `publish` of this owner left, of cases older than `before`.

    Links are not followed; what cannot be read is left.
    """
    beginning, end = draft_name(owner, "").removesuffix(_PART), draft_name(owner, before)
    pending: list[list[str]] = [[]]
    while pending:
        parts = pending.pop()
        with (
            contextlib.suppress(OSError),
            folder(root, parts) as descriptor,
            os.scandir(descriptor) as entries,
        ):
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if recursive and len(parts) < DEEPEST:
                        pending.append([*parts, entry.name])
                elif beginning < entry.name < end:
                    os.unlink(entry.name, dir_fd=descriptor)
