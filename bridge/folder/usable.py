"""Whether a configured folder can be used at all. Blocks: disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from bridge.core import FolderSettings, StartError
from bridge.folder.mounts import SamePlace


def check_usable(folder: FolderSettings) -> None:
    """StartError where one of the three folders cannot be used.

    A share that is not mounted yet, or does not answer, is waited for.
    """
    for key in ("input", "output", "quarantine"):
        _check_folder(getattr(folder, key), f"(folders, {folder.name}: {key})")


def _check_folder(path: Path, where: str) -> None:
    try:
        SamePlace(path).check()
        usable = os.access(path, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise StartError(f"{path} is no folder {where}.") from None
        if error.errno != errno.EACCES:
            return  # its first look says why
        usable = False
    if not usable:
        raise StartError(f"{path} must be readable and writable for this service {where}.")
