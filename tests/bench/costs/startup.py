"""How long a start takes."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from icapd.client import IcapClient
from tests.bench import cores, servers
from tests.bench.costs.cost import Cost
from tests.bench.table import Table
from tests.support.processes import accepts, module

_STARTS = 5
_LOOK = 0.002  # seconds
_PATIENCE = 20.0


def measure(directory: Path) -> Table:
    """One row: medians."""
    with servers.kata(directory / "kata") as kata:
        site = servers.make_site(directory, kata)
        command = [*module("icapd.cli"), "--config", str(site.config)]
        found = [_start(command, site.icap_port, directory) for _ in range(_STARTS)]
    return [
        ["", "accepts", "answers OPTIONS", "CPU", "stops"],
        ["icapd", *(_median(column) for column in zip(*found, strict=True))],
    ]


def _start(command: Sequence[str], port: int, directory: Path) -> tuple[float, float, float, float]:
    """Seconds to the first connection, to the first answer, of processor time, and of its end."""
    with (directory / "icapd.out").open("ab") as output, cores.on(cores.SERVER):
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        accepted = _until(lambda: accepts(port), process) - begin
        with IcapClient("127.0.0.1", port) as client:
            client.options("bench")
        answered = time.perf_counter() - begin
        spent = cores.cpu_seconds(process.pid)
    finally:
        stop = time.perf_counter()
        process.terminate()
        process.wait(_PATIENCE)
    return accepted, answered, spent, time.perf_counter() - stop


def _until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> float:
    end = time.perf_counter() + _PATIENCE
    while not condition():
        if process.poll() is not None or time.perf_counter() > end:
            raise RuntimeError(f"icapd did not start, or not within {_PATIENCE:.0f} s")
        time.sleep(_LOOK)
    return time.perf_counter()


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} s"


COST = Cost(
    "startup",
    "Start and stop",
    f"Medians of {_STARTS}: from the start of the process to the first connection that is "
    "accepted, and to the answer to OPTIONS; its processor time until then; and from SIGTERM "
    "to its end.",
    measure,
)
