"""What more new objects than KATA can judge do: `python -m tests.bench.sizing`.

A core (its own queue, limits and client) gets new objects at a steady rate; an emulated KATA in a
process of its own takes its time for each. Prints what waits and what users get, second by second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bridge.core import Case, Core, Door, Mode
from bridge.emulator import Memory
from tests.support.judging import make_item
from tests.support.katabridge import Site, emulated_site
from tests.support.processes import Program, accepts, free_port, module

_EVERY = 10  # seconds between two lines


@contextlib.contextmanager
def kata(directory: Path, seconds: float) -> Iterator[tuple[str, Path]]:
    """An emulated KATA that takes so long for each object: its address and certificate."""
    port = free_port()
    command = [*module("bridge.cli"), "emulate", "--state", directory]
    command += ["--listen", f"127.0.0.1:{port}", "--delay", str(seconds)]
    program = Program(command, directory.with_suffix(".out"))
    try:
        program.wait_for(lambda: accepts(port), "the emulated KATA")
        yield f"https://127.0.0.1:{port}", directory / "server.pem"
    finally:
        program.stop()


class Run:
    """One run, with what it has counted so far."""

    def __init__(self, core: Core, hold: float) -> None:
        self._core = core
        self._hold = hold
        self._given: Counter[str] = Counter()
        self._at_last: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _one(self, number: int) -> None:
        item = await make_item(self._core, b"a new object, number %d" % number)
        context: dict[str, str | None] = {"client_ip": f"10.0.0.{number % 250}"}
        case = Case(Door.ICAP, Mode.ADVANCED, "object", context)
        outcome = await self._core.judge(case, item, wait=self._hold)
        decision = self._core.decide(case, outcome)
        await self._core.finish(case, item, outcome, decision)
        item.body.release()
        self._given[outcome.kind] += 1

    async def load(self, rate: int, seconds: int) -> None:
        """`rate` new objects a second."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number in range(rate * seconds):
            await asyncio.sleep(max(begin + number / rate - loop.time(), 0))
            task = asyncio.create_task(self._one(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if (number + 1) % (rate * _EVERY) == 0:
                self._line((number + 1) // rate)

    def _line(self, second: int) -> None:
        gate = self._core.gate
        new = self._given - self._at_last
        self._at_last = self._given.copy()
        kinds = ("not_detected", "pending", "unavailable", "timeout")
        given = "".join(f"{new[kind]:>14}" for kind in kinds)
        print(f"{second:>6}{gate.inside:>10}{gate.waiting:>10}{given}", flush=True)


async def measure(site: Site, rate: int, seconds: int, hold: float) -> None:
    """Print a line every ten seconds."""
    print("second   at KATA    queued  not_detected       pending   unavailable       timeout")
    async with Core(site.settings(), Door.ICAP) as core:
        await Run(core, hold).load(rate, seconds)


def main() -> int:
    """Measure; 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sizing")
    parser.add_argument("--rate", type=int, default=300, help="new objects a second")
    parser.add_argument("--kata", type=float, default=60, help="seconds KATA takes for each")
    parser.add_argument("--hold", type=float, default=20, help="seconds a user is held")
    parser.add_argument("--seconds", type=int, default=90, help="length of the run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        site, _ = emulated_site(directory / "site", Memory(directory / "unused"))
        with kata(directory / "kata", options.kata) as (site.url, site.server_certificate):
            print(
                f"{options.rate} new objects a second, KATA takes {options.kata:g} s for each, "
                f"users are held for {options.hold:g} s; outcomes given in the ten seconds before:"
            )
            asyncio.run(measure(site, options.rate, options.seconds, options.hold))
    return 0


if __name__ == "__main__":
    sys.exit(main())
