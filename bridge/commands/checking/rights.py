"""What this user may do with files and folders. All of it blocks: disk."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

_USE = os.R_OK | os.W_OK | os.X_OK
_MISSING = "does not exist"
_NO_FOLDER = "is no folder"
_DANGLING = "is a link that leads nowhere"
_READ_ONLY = "lies on a file system that is read-only"
_MENDS = {
    _MISSING: "make it",
    _NO_FOLDER: "remove what is there, and make it",
    _DANGLING: "remove what is there, and make it",
    _READ_ONLY: "mount it writable",
}


def user_name() -> str:
    """Who runs this."""
    return name_of(os.geteuid())


def name_of(uid: int) -> str:
    """A user's name, or number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def folder_fault(path: Path) -> str | None:
    """Why this user cannot work in a folder that is there; None: nothing is in the way."""
    if not path.is_dir():
        if path.exists():
            return _NO_FOLDER
        return _DANGLING if path.is_symlink() else _MISSING
    if not os.access(path, _USE):
        if _is_read_only(path):
            return _READ_ONLY
        return f"may not be read and written by the user {user_name()}"
    return None


def mend_folder(fault: str, rights: str) -> str:
    """What to do about the fault of a folder; `rights`: where it is one of rights. Pure."""
    return next((mend for words, mend in _MENDS.items() if fault.endswith(words)), rights)


def own_folder_fault(path: Path) -> str | None:
    """The same for a folder that a daemon makes itself where it is missing."""
    if path.exists() or path.is_symlink():
        return folder_fault(path)
    above = next(each for each in path.parents if each.exists())
    fault = folder_fault(above)
    return None if fault is None else f"does not exist, and cannot be made: {above} {fault}"


def file_fault(path: Path) -> str | None:
    """Why this user cannot go on writing something that may be there; None: he can."""
    try:
        kind = _USE if path.is_dir() else os.R_OK | os.W_OK
        if not path.exists() or os.access(path, kind):
            return None
        owner = name_of(path.stat().st_uid)
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    return f"belongs to {owner}, and may not be written by the user {user_name()}"


def others_may_read(path: Path) -> bool:
    """Whether every user of this machine may: the file, and each folder on the way."""
    there = path.resolve()
    way = all(above.stat().st_mode & stat.S_IXOTH for above in there.parents)
    return way and bool(there.stat().st_mode & stat.S_IROTH)


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
