"""A daemon in which a thread hangs ends all the same, and what it had to say is said."""

from __future__ import annotations

import subprocess
import sys

import pytest

HANGS = """
import asyncio, sys, threading
import bridge.core.ending
from bridge.core import StartError, run_daemon

bridge.core.ending.PATIENCE_SECONDS = 0.2

async def serve(stop: asyncio.Event, hangup: asyncio.Event) -> None:
    began = threading.Event()
    def hang():
        began.set()
        threading.Event().wait()

    asyncio.get_running_loop().run_in_executor(None, hang)
    await asyncio.to_thread(began.wait)
    print("it has served")
    if {fails}:
        raise StartError("a key is wrong (key).")

sys.exit(run_daemon("daemon", serve))
"""


@pytest.mark.parametrize(("fails", "code"), [(False, 0), (True, 1)])
def test_a_thread_that_hangs_keeps_no_daemon_from_ending(fails: bool, code: int) -> None:
    command = [sys.executable, "-c", HANGS.format(fails=fails)]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stdout == "it has served\n"  # no terminal: it lay in a buffer
    said = done.stderr.splitlines()
    assert said[0] == "ends without waiting for threads that hang: asyncio_0"
    assert said[1:] == ["daemon: a key is wrong (key)."] * fails
