"""Prints how much a crowd of slow clients costs the others: latencies with it and without.

Two doors run side by side and are asked by turns; the crowd is at one of them. Asserts no time.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bridge.emulator import Emulator, Memory
from icapd.client import IcapClient
from tests.support.crowd import SIZE, allow_descriptors, stay
from tests.support.katabridge import Site
from tests.support.processes import wait_until

_GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\n\r\n"
_BODY = b"x" * 10_000
_ROUNDS = 20
_REQUESTS = 200  # in a round
_PATIENCE = dict.fromkeys(("idle", "head", "body", "body_lifetime"), "1h")


def main() -> int:
    """Run it and print its table."""
    allow_descriptors()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        kata = running.enter_context(Emulator(Memory(Path(name, "kata"))))
        alone = running.enter_context(_door(Path(name, "alone"), kata))
        crowded = running.enter_context(_door(Path(name, "crowded"), kata))
        running.enter_context(_crowd_at(crowded))
        seconds: dict[int, list[float]] = {alone: [], crowded: []}
        for _ in range(_ROUNDS):
            for port in (alone, crowded):
                seconds[port] += _ask(port)
    print(f"{_ROUNDS * _REQUESTS} requests of 10 kB with a known verdict at each door")
    print(f"{'':10}{'alone':>10}{f'{SIZE} slow':>12}{'ratio':>8}")
    for label, figure in (("median", statistics.median), ("p99", _p99)):
        one, two = figure(seconds[alone]), figure(seconds[crowded])
        print(f"{label:10}{one * 1000:>7.2f} ms{two * 1000:>9.2f} ms{two / one:>8.2f}")
    return 0


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


@contextlib.contextmanager
def _door(directory: Path, kata: Emulator) -> Iterator[int]:
    site = Site(directory, kata.url, kata.certificate)
    site.changes = {"icap": {"max_connections": 2 * SIZE, "times": _PATIENCE}}
    program = site.start_icapd()
    try:
        yield site.icap_port
    finally:
        program.stop()


@contextlib.contextmanager
def _crowd_at(port: int) -> Iterator[None]:
    crowd = multiprocessing.get_context("spawn").Process(target=_run_crowd, args=(port,))
    crowd.start()
    try:
        wait_until(lambda: _established(port) >= SIZE, "the crowd is here", 60)
        yield
    finally:
        crowd.terminate()
        crowd.join()


def _run_crowd(port: int) -> None:
    allow_descriptors()
    asyncio.run(stay(port))


def _established(port: int) -> int:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "01" for row in rows)


def _ask(port: int) -> list[float]:
    found = []
    with IcapClient("127.0.0.1", port) as client:
        for _ in range(_REQUESTS):
            begin = time.perf_counter()
            answer = client.respmod("av/respmod", _GET, _OK, _BODY, preview=1024)
            found.append(time.perf_counter() - begin)
            assert answer.status == 204, answer
    return found


if __name__ == "__main__":
    sys.exit(main())
