"""What this user may do with files and folders. All of it blocks: disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bridge.core import account_name

_USE = os.R_OK | os.W_OK | os.X_OK
_MISSING = "does not exist"
_NO_FOLDER = "is no folder"
_NO_FILE = "is no file"
_DANGLING = "is a link that leads nowhere"
_READ_ONLY = "lies on a file system that is read-only"
_UNSEEN = "cannot be looked at: {}"
_NOT_EVEN = "even by him"
_MENDS = {
    _MISSING: "make it",
    _NO_FOLDER: "remove what is there, and make it",
    _NO_FILE: "move away what is there",
    _DANGLING: "remove what is there, and make it",
    _NOT_EVEN: "let him (chmod u+rwX), or see what else forbids it (an ACL, SELinux)",
    _READ_ONLY: "mount it writable",
}


def user_name() -> str:
    """Who runs this."""
    return account_name(os.geteuid())


def folder_fault(path: Path) -> str | None:
    """Why this user cannot work in a folder that is there; None: nothing is in the way."""
    if not path.is_dir():
        if path.exists():
            return _NO_FOLDER
        return _DANGLING if path.is_symlink() else _MISSING
    if not os.access(path, _USE):
        return _denied(path, "read and written")
    return None


def mend(fault: str, rights: str) -> str:
    """What to do about a fault of these; `rights`: where they are another user's. Pure."""
    return next((what for words, what in _MENDS.items() if fault.endswith(words)), rights)


def own_folder_fault(path: Path) -> str | None:
    """The same for a folder that a daemon makes itself where it is missing."""
    try:
        if path.exists() or path.is_symlink():
            return folder_fault(path)
        above = next(each for each in path.parents if each.exists())
        fault = folder_fault(above)
    except OSError as error:
        return _UNSEEN.format(error.strerror)
    return None if fault is None else f"does not exist, and cannot be made: {above} {fault}"


def file_fault(path: Path) -> str | None:
    """Why this user cannot go on writing a file that may be there; None: he can."""
    try:
        if path.is_dir():
            return _NO_FILE
        if not path.exists() or os.access(path, os.R_OK | os.W_OK):
            return None
        return _denied(path, "written")
    except OSError as error:
        return _UNSEEN.format(error.strerror)


def log_fault(path: Path) -> str | None:
    """The same for a file that is made where it is missing, in a folder that must be there."""
    fault = file_fault(path)
    if fault is not None or path.exists():
        return fault
    above = folder_fault(path.parent)
    return None if above is None else f"does not exist, and cannot be made: {path.parent} {above}"


def _denied(path: Path, what: str) -> str:
    """Why `what` may not be done to what is there."""
    state, user = path.stat(), user_name()
    if _is_read_only(path):
        return _READ_ONLY
    if state.st_uid == os.geteuid():
        mode = stat.S_IMODE(state.st_mode)
        return f"belongs to {user} with mode {mode:03o}, and may not be {what} {_NOT_EVEN}"
    return f"belongs to {account_name(state.st_uid)}, and may not be {what} by the user {user}"


def others_may_read(path: Path) -> bool:
    """Whether every user of this machine may: the file, and each folder on the way."""
    there = path.resolve()
    way = all(above.stat().st_mode & stat.S_IXOTH for above in there.parents)
    return way and bool(there.stat().st_mode & stat.S_IROTH)


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
