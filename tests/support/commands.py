"""Commands called in the tests' own process: starting a program costs a second of CPU."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from bridge.cli import main

Done = subprocess.CompletedProcess[str]
_PATCHED = "{patch}\nimport sys, bridge.cli\nsys.exit(bridge.cli.main(sys.argv[1:]))"


def patched(patch: str, *words: object) -> list[str]:
    """The command line of `kata-bridge WORDS` as a program in which something is replaced."""
    return [sys.executable, "-c", _PATCHED.format(patch=patch), *map(str, words)]


def call(*words: object, **environment: str) -> Done:
    """`kata-bridge WORDS` with nobody at the keyboard: its exit code, and what it wrote where.

    An exception that it lets out is the test's, where a program would show a traceback.
    """
    arguments = [str(word) for word in words]
    written, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(written, "utf-8")  # some write bytes
    with (
        _as_before(),
        Path(os.devnull).open() as nobody,
        mock.patch("sys.stdin", nobody),
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse ends so
            code = end.code if isinstance(end.code, int) else 1
    out.flush()
    return Done(arguments, code, written.getvalue().decode(), err.getvalue())


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Take back what a command sets for a process that is its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGIO, signal.SIGTERM)}
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for number, handler in signals.items():
            signal.signal(number, handler)
