"""A daemon that is told to end twice ends as if it were told once."""

from __future__ import annotations

import subprocess
import sys

TOLD_TWICE = """
import asyncio, os, signal, sys
from bridge.core import run_until_stopped

async def serve(stop: asyncio.Event, hangup: asyncio.Event) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()

code = run_until_stopped(serve)
# Python gives signals back to the system before its end, but for those that are ignored
ignored = all(signal.getsignal(n) is signal.SIG_IGN for n in (signal.SIGTERM, signal.SIGINT))
sys.exit(code if ignored else 70)
"""


def test_to_be_told_twice_is_to_be_told_once() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD_TWICE], check=False, timeout=60)
    assert done.returncode == 0
