"""What a large upload costs: bytes on their way to KATA are not held in memory."""

from __future__ import annotations

import subprocess
import sys

from bridge.emulator import Emulator
from tests.support.katabridge import Site

LIMIT_KIB = 8 * 1024

UPLOAD = """
import asyncio, sys
from pathlib import Path
from bridge.core import Case, Core, Decision, Door, Item, Mode, load_config

def kib(name):
    return int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0])

async def judge(core, writer, name):
    item = Item(name, await writer.finish())
    case = Case(Door.ICAP, Mode.ADVANCED, name, {})
    outcome = await core.judge(case, item)
    await core.finish(case, item, outcome, Decision.PASS)
    item.body.release()
    return outcome

async def main(config):
    async with Core(load_config(Path(config)), Door.ICAP) as core:
        small = core.spool.writer()
        await small.write(b"warm up")
        await judge(core, small, "small")
        large = core.spool.writer()
        for number in range(400):
            await large.write(number.to_bytes(4, "big") * 65536)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = kib("VmRSS")
        outcome = await judge(core, large, "large")
        print(outcome.kind, kib("VmHWM") - before, flush=True)

asyncio.run(main(sys.argv[1]))
"""


def test_a_hundred_mebibytes_add_less_than_eight(kata: Emulator, site: Site) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, str(site.config)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kind, more = done.stdout.split()
    assert kind == "not_detected"
    assert kata.memory.submitted[-1].size == 100 << 20
    assert int(more) < LIMIT_KIB, f"the process grew by {more} KiB"
