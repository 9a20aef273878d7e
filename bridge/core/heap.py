"""Gives memory that was needed for a while back to the system: the C library keeps it else."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _find() -> Callable[[int], object]:
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library than glibc
        return lambda _: None
    return trim


_trim = _find()


def give_back() -> None:
    """See above. Takes milliseconds, without the interpreter's lock."""
    _trim(0)
