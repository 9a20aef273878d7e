"""Files that only this user may read, from their first moment on."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_private(path: Path) -> None:
    """Make an empty file of mode 0600 where none is: a database, whose other files take its mode.

    OSError where it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
