"""Deadlines for looks at what may hang: a share that is away, a pipe in the place of a file."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ParamSpec, TypeVar

from bridge.commands.checking.running import TooSlowError, begin, result_within

STEP_SECONDS = 15.0
LOOK_SECONDS = 5.0

P = ParamSpec("P")
T = TypeVar("T")


def patiently(seconds: float, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Its result; OSError, with a sentence, where it is not there in time."""
    try:
        return result_within(seconds, begin(work, *args, **named))
    except TooSlowError:
        raise OSError(_sentence(seconds)) from None


def looks(
    work: Callable[[Path], T], paths: Mapping[str, Path]
) -> Iterator[tuple[str, T | Exception]]:
    """By key the result for each path, or what it raised. All are begun at once, with one deadline.

    OSError, with a sentence, for what is not there in time.
    """
    end = time.monotonic() + LOOK_SECONDS
    begun = {key: begin(work, path) for key, path in paths.items()}
    for key, future in begun.items():
        try:
            yield key, result_within(end - time.monotonic(), future)
        except TooSlowError:
            yield key, OSError(_sentence(LOOK_SECONDS))
        except (OSError, ValueError) as error:
            yield key, error


def read_start(path: Path, most: int) -> bytes:
    """What a regular file begins with. Nothing else is waited for: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(most)


def _sentence(seconds: float) -> str:
    return f"did not answer within {seconds:.0f} s"
