"""File work of the folder door. Everything here blocks: it runs in threads."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridge.folder.settle import Look

OWN_PREFIX = ".katabridge-"
_COPY_BLOCK = 1 << 20


class NotStillError(Exception):
    """The file is not, or no longer, the one that was looked at, or is being written."""


class BeingWrittenError(NotStillError):
    """The file still is what it was, but a process has it open for writing."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is kept of a file beside its content."""

    mode: int
    atime_ns: int
    mtime_ns: int


def list_files(directory: Path) -> list[Look]:
    """The regular files lying directly in a folder; links, devices and our own are left out."""
    looks = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(OWN_PREFIX):
                continue
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    looks.append(_look(entry.name, entry.stat(follow_symlinks=False)))
    return looks


def _look(name: str, state: os.stat_result) -> Look:
    times = (state.st_mtime_ns, state.st_ctime_ns)
    return Look(name, state.st_size, *times, state.st_ino, state.st_dev)


def open_still(directory: Path, look: Look) -> BinaryIO:
    """Open exactly the file that was looked at; NotStillError where it is another by now."""
    path = directory / look.name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            raise NotStillError from None
        raise
    file = os.fdopen(descriptor, "rb", buffering=0)
    try:
        check_still(file, look)
        if _is_open_for_writing(descriptor):
            raise BeingWrittenError
    except BaseException:
        file.close()
        raise
    return file


def check_still(file: BinaryIO, look: Look) -> None:
    """NotStillError where the open file no longer looks as it did."""
    state = os.fstat(file.fileno())
    if not stat.S_ISREG(state.st_mode) or _look(look.name, state) != look:
        raise NotStillError


def _is_open_for_writing(descriptor: int) -> bool:
    """Whether a process of this host writes the file; False where that cannot be known."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def metadata(file: BinaryIO) -> Metadata:
    """What is to be kept of an open file."""
    state = os.fstat(file.fileno())
    # never setuid and the like: what is delivered belongs to this service
    return Metadata(state.st_mode & 0o777, state.st_atime_ns, state.st_mtime_ns)


def draft_name(instance: str, case_id: str) -> str:
    """The hidden name of a file that is being delivered."""
    return f"{OWN_PREFIX}{instance}-{case_id}.part"


def publish(content: BinaryIO, sha256: str, target: Path, draft: Path, kept: Metadata) -> None:
    """Write `content` so that `target` has all of it or is not touched.

    `draft`: a hidden name in the same folder; then fsync, rename. What had the name is replaced.
    OSError where the bytes are not those of `sha256`: the snapshot was damaged.
    """
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            digest = hashlib.sha256()
            while block := content.read(_COPY_BLOCK):
                digest.update(block)
                file.write(block)
            if digest.hexdigest() != sha256:
                raise OSError(errno.EIO, "the snapshot in the spool is not what was judged")
            file.flush()
            os.fchmod(descriptor, kept.mode)
            os.utime(descriptor, ns=(kept.atime_ns, kept.mtime_ns))
            os.fsync(descriptor)
        draft.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def remove_still(directory: Path, look: Look) -> bool:
    """Remove the file if it still is what was copied; False: it is new content, left alone.

    BeingWrittenError where it is open for writing, and may yet become new content.
    """
    try:
        with open_still(directory, look):
            (directory / look.name).unlink(missing_ok=True)
    except BeingWrittenError:
        raise
    except NotStillError:
        return False
    return True


def remove_drafts(directory: Path, instance: str) -> None:
    """Remove what an interrupted `publish` of this instance left; others may share the folder."""
    for draft in directory.glob(draft_name(instance, "*")):
        if draft.is_file():
            draft.unlink(missing_ok=True)
