"""Prints how long a backlog takes: all through the folder door, and one file at a time.

Both run in the same process's life against one emulated KATA with a fixed time to each verdict.
One at a time is what a plain loop does, with this very core: submit, wait, move, and only then the
next. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.core import Case, Core, Decision, Door, Item, Mode
from bridge.emulator import Emulator, Memory
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.processes import Program, module

SAMPLE = 10  # files that are measured one at a time
_PATIENCE = 3600.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds for all `files` through the door, and for `sample` of such files one at a time."""

    files: int
    together: float
    sample: int
    one_by_one: float

    @property
    def scaled(self) -> float:
        """Seconds that all would take one at a time."""
        return self.one_by_one * self.files / self.sample


def main(arguments: list[str] | None = None) -> int:
    """Run it and print its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.backlog", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=10_240, help="bytes of each")
    parser.add_argument("--delay", type=float, default=1.0, help="seconds to each verdict")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, site(Path(folder), options.delay) as where:
        fill(where, options.files, options.size)
        figures = measure(where, options.size)
    settings = f"{options.files} files of {options.size} bytes, verdict after {options.delay:g} s"
    print(f"{settings}, {os.cpu_count()} cores, KATA emulated on the same ones")
    print(f"{'the folder door':44}{figures.together:>10.1f} s")
    sample = f"one at a time ({figures.sample} files in {figures.one_by_one:.1f} s, scaled)"
    print(f"{sample:44}{figures.scaled:>10.1f} s")
    print(f"{'ratio':44}{figures.scaled / figures.together:>10.1f}")
    return 0


@contextlib.contextmanager
def site(directory: Path, delay: float) -> Iterator[Site]:
    """A katabridge with an emulated KATA, which is asked for verdicts every 300 ms.

    The rest is as shipped, `kata.max_in_flight` above all. The quick look favours one at a time.
    """
    kata = directory / "kata"
    put_certificate(kata / "server.pem", kata / "server.key", "kata")
    with Emulator(Memory(kata, delay=delay)) as emulator:
        yield Site(directory / "site", emulator.url, emulator.certificate)


def fill(where: Site, files: int, size: int) -> None:
    """Put the backlog into input: each file with a content of its own."""
    for number in range(files):
        (where.directory / "in" / f"{number:06d}").write_bytes(content(number, size))


def content(number: int, size: int) -> bytes:
    """The bytes of one file."""
    return b"%010d" % number + b"x" * (size - 10)


def measure(where: Site, size: int) -> Figures:
    """Bring what lies in input through the door, and then a sample one at a time."""
    files = len(list((where.directory / "in").iterdir()))
    begin = time.perf_counter()
    command = [*module("bridge.cli"), "watch", "--once", "--config", where.config]
    door = Program(command, where.directory / "watch.out")
    code = door.process.wait(_PATIENCE)
    together = time.perf_counter() - begin
    if code:
        raise RuntimeError(f"it ended with {code}:\n{door.output()}")
    return Figures(files, together, SAMPLE, asyncio.run(_one_by_one(where, size)))


async def _one_by_one(where: Site, size: int) -> float:
    """Seconds for a sample, from file to file, by the core that the door uses."""
    folder = where.directory / "one by one"
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    for number in range(SAMPLE):
        (folder / "in" / f"{number}").write_bytes(content(-1 - number, size))
    paths = sorted((folder / "in").iterdir())
    async with Core(where.settings(), Door.FOLDER) as core:
        begin = time.perf_counter()
        for path in paths:
            await _judge_and_move(core, path, folder / "out")
        return time.perf_counter() - begin


async def _judge_and_move(core: Core, path: Path, target: Path) -> None:
    writer = core.spool.writer()
    await writer.write(await asyncio.to_thread(path.read_bytes))
    item = Item(path.name, await writer.finish())
    case = Case(Door.FOLDER, Mode.ADVANCED, path.name, {"folder": "", "path": "", "moved_to": ""})
    try:
        outcome = await core.judge(case, item)
        decision = core.decide(case, outcome)
        if decision is not Decision.PASS:
            raise RuntimeError(f"{path.name}: {outcome}")
        await asyncio.to_thread(path.rename, target / path.name)
        await core.finish(case, item, outcome, decision)
    finally:
        item.body.release()


if __name__ == "__main__":
    sys.exit(main())
