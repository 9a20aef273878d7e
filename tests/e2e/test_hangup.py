"""SIGHUP, which init systems and log rotation send to daemons, drops nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
SENTENCE = "SIGHUP: the configuration is read at the start only; restart to apply a change"


def hang_up(program: Program) -> None:
    program.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: program.output().count(SENTENCE) == 1 or program.process.poll() is not None,
        "it says what it does",
    )
    assert program.process.poll() is None, "it has ended"


def test_the_folder_door_goes_on(site: Site, started: Keep) -> None:
    watch = started(site.start_watch())
    hang_up(watch)
    (site.directory / "in" / "a.txt").write_bytes(b"harmless")
    wait_until((site.directory / "out" / "a.txt").exists, "the file is delivered")


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
