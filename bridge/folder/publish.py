"""Brings a snapshot to where it belongs: all of it, or nothing. Blocks: disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridge.folder.conflict import Conflict, Content, settle_name
from bridge.folder.metadata import Metadata, write_metadata
from bridge.folder.places import OWN_PREFIX, folder, sync_folder
from bridge.folder.sidecar import sidecar_name

_BLOCK = 1 << 20
_PART = ".part"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file goes: `path` below `root`, by a rule; folders that are missing get `make`."""

    root: Path
    path: str
    rule: Conflict
    make: int = 0o777


def draft_name(owner: str, case_id: str) -> str:
    """The hidden name of a file that is being delivered."""
    return f"{OWN_PREFIX}-{owner}-{case_id}{_PART}"


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is delivered: the bytes of `file`, which must be those of `content`."""

    file: BinaryIO
    content: Content
    kept: Metadata


def publish(parcel: Parcel, target: Target, draft: str) -> str:
    """Write the parcel so that `target` has all of it or is not touched; the path it got.

    `draft`: a hidden name in the same folder; then fsync, rename. OSError where a folder fails,
    or where the bytes are not what was judged: the snapshot was damaged.
    """
    *parts, name = target.path.split("/")
    with folder(target.root, parts, make=target.make) as descriptor:
        with _drafted(descriptor, draft) as file:
            _copy(parcel, file)
            write_metadata(file.fileno(), parcel.kept)
            os.fsync(file.fileno())
            name = settle_name(descriptor, draft, name, target.rule, parcel.content)
        sync_folder(descriptor)
    return "/".join([*parts, name])


def write_sidecar(root: Path, path: str, data: bytes, draft: str) -> None:
    """Put what is known of a quarantined file beside it; what was there is replaced."""
    *parts, name = path.split("/")
    beside = sidecar_name(name)
    with folder(root, parts) as descriptor:
        with _drafted(descriptor, draft) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.rename(draft, beside, src_dir_fd=descriptor, dst_dir_fd=descriptor)
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


def remove_drafts(root: Path, owner: str, before: str, recursive: bool) -> None:
    """Remove what an interrupted `publish` of this owner left, of cases older than `before`.

    Links are not followed; what cannot be read is left.
    """
    beginning, end = draft_name(owner, ""), draft_name(owner, before)
    beginning = beginning.removesuffix(_PART)
    for _, folders, names, descriptor in os.fwalk(os.path.realpath(root), follow_symlinks=False):
        for name in names:
            if name.startswith(beginning) and name < end:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=descriptor)
        if not recursive:
            folders.clear()
