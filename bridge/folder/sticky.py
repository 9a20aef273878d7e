"""Folders out of which nobody moves another's files: with the sticky bit, as /tmp has it.

By inode(7) and capabilities(7). Blocks: disk.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bridge.core import account_name

_STATUS = Path("/proc/self/status")
_CAP_FOWNER = 1 << 3


def keeps_files_of_others(folder: os.stat_result) -> bool:
    """Whether this process cannot move files that are not its own out of a folder."""
    is_sticky = bool(folder.st_mode & stat.S_ISVTX)
    return is_sticky and folder.st_uid != os.geteuid() and not _may_move_all()


def sticky_words(folder: os.stat_result) -> str:
    """That it is so, after the name of the folder."""
    owner, mode = account_name(folder.st_uid), stat.S_IMODE(folder.st_mode)
    return f"belongs to {owner} and is sticky (mode {mode:o}): nobody else may move files of others"


def fault_of_move(folder: int) -> str | None:
    """Why nothing could be moved out of an open folder, after its name; None: not for its sake."""
    state = os.fstat(folder)
    if keeps_files_of_others(state):
        return sticky_words(state)
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
        return f"belongs to {account_name(state.st_uid)}, and nothing may be moved out of it"
    return None


def _may_move_all() -> bool:
    try:
        lines = _STATUS.read_text().splitlines()
        (mask,) = (line.split()[1] for line in lines if line.startswith("CapEff:"))
        return bool(int(mask, 16) & _CAP_FOWNER)
    except (OSError, ValueError, IndexError):
        return os.geteuid() == 0
