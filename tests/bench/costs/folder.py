"""What the folder door does in a second, beside a plain loop and beside `cp` and `sha256sum`."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.bench import backlog, cores
from tests.bench.costs.cost import Cost
from tests.bench.table import Table

_FILES = 2000
_SIZES = (10_240, 1_048_576)
_BYTES = 500 << 20  # at most, of all files
_DELAYS = (0.0, 1.0)  # seconds to each verdict


def measure(directory: Path) -> Table:
    """A row for each size of file and time to a verdict."""
    rows: Table = [
        ["files", "verdict after", "folder door", "one at a time", "ratio", "cp + sha256sum"]
    ]
    for size in _SIZES:
        for delay in _DELAYS:
            rows.append(_row(directory / f"{size}-{delay}", size, delay))
    return rows


def _row(directory: Path, size: int, delay: float) -> list[str]:
    files = min(_FILES, _BYTES // size)
    with backlog.site(directory, delay) as site:
        backlog.fill(site, files, size)
        with cores.on(cores.SERVER):  # the emulated KATA keeps to the other one
            copied = _copy(site.directory / "in", directory / "copies")
            found = backlog.measure(site, size)
    return [
        f"{files:,} × {size // 1024:,} KiB",
        f"{delay:g} s",
        f"{files / found.together:,.0f}/s",
        f"{files / found.scaled:,.1f}/s",
        f"{found.scaled / found.together:,.1f}",
        f"{files / copied:,.0f}/s",
    ]


def _copy(source: Path, target: Path) -> float:
    """Seconds to hash and copy all files by the system's own commands."""
    begin = time.perf_counter()
    names = sorted(source.iterdir())
    subprocess.run(["sha256sum", *names], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cp", "-r", source, target], check=True)
    return time.perf_counter() - begin


COST = Cost(
    "folder",
    "A backlog through the folder door",
    "Files of different contents, from start to end of `kata-bridge watch --once`, its start, "
    "the wait for `settle` and the last verdict among it. One at a time is a plain loop on "
    f"the same core package: submit, wait, move, next ({backlog.SAMPLE} files). `cp` and "
    "`sha256sum` are given all files at once, and neither ask anybody nor leave a record nor "
    "wait for the disk.",
    measure,
)
