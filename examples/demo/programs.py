"""The programs of the demonstration: started, waited for, and ended together."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_START_SECONDS = 20.0


class DemoError(Exception):
    """The demonstration cannot go on; the text is one sentence."""


@contextlib.contextmanager
def started(
    command: list[object], output: Path, ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; DemoError with its last words where it does not become ready."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            process_group=0,  # Ctrl-C is ours to pass on, in order
        )
    try:
        end = time.monotonic() + _START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                lines = output.read_text().splitlines()
                raise DemoError(lines[-1] if lines else f"{command[0]} did not start.")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
