"""Two workers beside one."""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path

from tests.bench import cores, load, servers
from tests.bench.costs.cost import Cost, NotHereError
from tests.bench.costs.idle import warm_up
from tests.bench.table import Table
from tests.bench.work import QUICK, Work

_ROUNDS = 5
_SECONDS = 1.5
_CONNECTIONS = 32
_WORKERS = (1, 2)


def measure(directory: Path) -> Table:
    """A row for each work. NotHereError where this icapd has one worker only."""
    with servers.kata(directory / "kata") as kata, contextlib.ExitStack() as running:
        doors = {}
        for count in _WORKERS:
            folder = directory / f"{count}"
            folder.mkdir()
            site = servers.make_site(folder, kata, icap={"workers": count})
            try:
                on = (cores.SERVER, cores.LOAD)[:count]
                doors[count] = running.enter_context(servers.configured(site, *on))
            except AssertionError as error:
                raise NotHereError(f"icap.workers: {count} is not built: {error}") from None
        rows = [["work", "one worker", "two workers", "ratio", "CPU each, one", "CPU each, two"]]
        return rows + [_row(work, doors) for work in QUICK]


def _row(work: Work, doors: dict[int, servers.Server]) -> list[str]:
    rates: dict[int, list[float]] = {count: [] for count in doors}
    cpu: dict[int, list[float]] = {count: [] for count in doors}
    for server in doors.values():
        warm_up(server.ports[work], work)
    for _ in range(_ROUNDS):
        for count, server in doors.items():
            before = server.cpu
            found = load.run(server.ports[work], work, _SECONDS, connections=_CONNECTIONS)
            rates[count].append(found.rate)
            cpu[count].append((server.cpu - before) / found.served)
    one, two = (statistics.median(rates[count]) for count in _WORKERS)
    return [
        work.name,
        f"{one:,.0f}/s",
        f"{two:,.0f}/s",
        f"{two / one:.2f}",
        *(f"{statistics.median(cpu[count]) * 1e6:.0f} µs" for count in _WORKERS),
    ]


COST = Cost(
    "workers",
    "Two workers beside one",
    f"`icap.workers: 2` on both cores, one worker on one of them, {_CONNECTIONS} connections. The "
    "load takes its part of the second core, so less than twice as much comes out: two cores give "
    "`2 / (CPU each, two + load)` answers a second at most.",
    measure,
    by_itself=False,
)
