"""What running daemons and `kata-bridge check` say."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import bridge
from bridge.core import Address
from bridge.status import ask

_COMMAND = ["-m", "bridge.cli", "check", "--json", "--no-self-test"]
_CHECK_SECONDS = 90.0
_END_SECONDS = 5.0
_MOST = 4 << 20
_ROOT = Path(bridge.__path__[0]).parent  # -m takes modules from here, not from anybody's folder


def said_by(address: Address, path: str) -> str:
    """An answer of a status page; OSError where there is none, with a sentence."""
    return ask(address, path)[:_MOST].decode("utf-8", "backslashreplace")


def check(named: Sequence[str], tick: float = 0.2) -> Iterator[tuple[str, str] | None]:
    """Run `kata-bridge check` with these options: None while it goes on, at the end what it wrote
    and how it ended."""
    process = subprocess.Popen(
        [sys.executable, *_COMMAND, *named],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=_ROOT,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + _CHECK_SECONDS
        while (output := _output(process, tick)) is None and time.monotonic() < end:
            yield None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        rest = _output(process, _END_SECONDS)  # one that waits for a dead disk does not end
    ended = f"exit code {process.returncode}"
    if output is None:
        output, ended = rest or b"", f"it was ended after {_CHECK_SECONDS:.0f} s"
    yield output[:_MOST].decode("utf-8", "backslashreplace"), ended


def _output(process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """What it wrote, once it has ended; None where it goes on."""
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        return None
