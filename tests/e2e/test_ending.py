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


RELOADS = """
import asyncio, sys, threading, time
from typing import Annotated
from pydantic import AfterValidator, BaseModel
from bridge.core import Configuration, Reloader, run_daemon

began = threading.Event()

def slow(value: int) -> int:
    began.set()
    for _ in range(300):
        time.sleep(0.001)
    return value

class Model(BaseModel):
    key: Annotated[int, AfterValidator(slow)]

async def serve(stop: asyncio.Event, hangup: asyncio.Event) -> None:
    hangup.set()
    source = Configuration("k.yaml", lambda: Model(key=1))
    async with Reloader(None).at_each(hangup, source):
        await asyncio.to_thread(began.wait)

sys.exit(run_daemon("daemon", serve))
"""


def test_a_daemon_that_ends_while_it_reads_its_configuration_does_not_crash() -> None:
    """As one does with a thread in pydantic that nobody waits for."""
    command = [sys.executable, "-c", RELOADS]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is not reloaded: the program stops" in done.stderr
