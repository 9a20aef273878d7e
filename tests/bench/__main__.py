"""Prints one table of ratios; pyicap = 1. Nothing here asserts a time."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench import load, servers

ROUNDS = 5
SECONDS = 2.0
WORKS = [
    load.respmod("500 B, ieof", b"x" * 500, 4096),
    load.respmod("10 kB, preview, 100", b"x" * 10_000, 1024),
    load.respmod("10 kB, no preview", b"x" * 10_000, None),
]


def main() -> int:
    """Run the benchmark and print its table."""
    if (os.cpu_count() or 1) < 2:
        sys.stderr.write("make bench: needs two cores, one for the load.\n")
        return 1
    os.sched_setaffinity(0, {1})
    print(f"{ROUNDS} interleaved rounds of {SECONDS:.0f} s, medians, pyicap = 1", flush=True)
    print(f"{'work (204)':24}{'icapd':>8}{'c-icap echo':>14}{'pyicap':>8}   icapd answers/s")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        directory = Path(folder)
        ports = {
            "icapd": running.enter_context(servers.icapd(directory)),
            "c-icap": running.enter_context(servers.c_icap(directory)),
            "pyicap": running.enter_context(servers.pyicap(directory)),
        }
        for work in WORKS:
            _row(work, ports)
    return 0


def _row(work: load.Work, ports: dict[str, int | None]) -> None:
    present = {name: port for name, port in ports.items() if port is not None}
    rates: dict[str, list[float]] = {name: [] for name in present}
    for number in range(ROUNDS + 1):
        for name, port in present.items():
            rate = load.run(port, work, SECONDS)
            if number:  # the first round warms up
                rates[name].append(rate)
    median = {name: statistics.median(values) for name, values in rates.items()}
    cells = [
        f"{median[name] / median['pyicap']:.1f}" if name in median else "-"
        for name in ("icapd", "c-icap", "pyicap")
    ]
    print(
        f"{work.name:24}{cells[0]:>8}{cells[1]:>14}{cells[2]:>8}   {median['icapd']:.0f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
