"""What a daemon keeps on disk, looked at before it is opened: whether this user may use it.

What was once run as another user (root, mostly) leaves files that are his, and a service that
meets one of them later would end, or lose what it is to keep, in the middle of its work.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from bridge.core.process import account_name

_FOLDERS = ("", ".kept", ".syslog", ".notify", ".quarantine")  # of an instance, beside its files
_FILES = (".lock", ".journal", ".journal-wal", ".journal-shm", ".owner")
_LEFT = ".left.json"  # one for each folder
_QUEUE, _QUEUES = "queue.db", (".syslog", ".notify")
_USE = os.R_OK | os.W_OK | os.X_OK


def fault_of_folder(path: Path) -> str | None:
    """Why a folder cannot be kept there, and what to do; None: it can, or can be made. Blocks."""
    return _fault(path, is_folder=True)


def fault_of_file(path: Path) -> str | None:
    """The same for a file."""
    return _fault(path, is_folder=False)


def fault_of_spool(directory: Path, instance: str) -> str | None:
    """The first fault in what an instance keeps in and beside its spool; None: there is none."""
    fault = fault_of_folder(directory)
    if fault is not None or not directory.exists():
        return fault
    faults = (_fault(path, is_folder=what) for path, what in _belongings(directory, instance))
    return next(filter(None, faults), None)


def belongings_of_node(directory: Path, node: str) -> Iterator[tuple[Path, bool]]:
    """What all instances of a node keep in a spool, there or not; whether it is a folder. Blocks:
    disk."""
    pattern = re.compile(rf"({re.escape(node)}\.[a-z]+\.\d+)(\..+)?")
    matches = [pattern.fullmatch(path.name) for path in directory.iterdir()]
    for instance in sorted({match[1] for match in matches if match}):
        yield from _belongings(directory, instance)


def _belongings(directory: Path, instance: str) -> Iterator[tuple[Path, bool]]:
    """A folder comes before what lies in it."""
    folders = {directory / f"{instance}{suffix}" for suffix in _FOLDERS}
    files = {directory / f"{instance}{suffix}" for suffix in _FILES}
    files |= {path / _QUEUE for path in folders if path.suffix in _QUEUES}
    files |= {
        each
        for each in directory.iterdir()
        if each.name.startswith(f"{instance}.") and each.name.endswith(_LEFT)
    }
    for path in sorted(files | folders):
        yield path, path in folders


def _fault(path: Path, *, is_folder: bool) -> str | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return _fault_above(path)
    except OSError as error:
        return _fault_above(path) or f"{path}: {error.strerror}"
    if stat.S_ISDIR(status.st_mode) != is_folder:
        kind, wanted = ("file", "folder") if is_folder else ("folder", "file")
        return f"{path} is a {kind} where a {wanted} belongs: move it away"
    need = _USE if is_folder else os.R_OK | os.W_OK
    if os.access(path, need, effective_ids=True):
        return None
    return f"{path} may not be used by {_user()}: {_mend(path, status)}"


def _fault_above(path: Path) -> str | None:
    """What of the way to it keeps it from being reached, or made."""
    for above in reversed(path.absolute().parents):
        if not os.path.lexists(above):
            return _fault_of_maker(above.parent)
        if not above.is_dir():
            return f"{above} is a file where a folder belongs: move it away"
        if not os.access(above, os.X_OK, effective_ids=True):
            return f"{above} may not be entered by {_user()}: {_mend(above, above.stat())}"
    return _fault_of_maker(path.absolute().parent)


def _fault_of_maker(folder: Path) -> str | None:
    if os.access(folder, _USE & ~os.R_OK, effective_ids=True):
        return None
    return f"{folder} may not be written by {_user()}: {_mend(folder, folder.stat())}"


def _user() -> str:
    return f"the user {account_name(os.geteuid())}"


def _mend(path: Path, status: os.stat_result) -> str:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "it lies on a file system that is mounted read-only, at least for this service"
    if status.st_uid == os.geteuid():
        return f"give its owner his rights (chmod u+rwX {path})"
    return "have him own it (chown), or run this as its owner"
