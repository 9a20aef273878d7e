"""How many unknown objects a second go through to KATA and back."""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench import load, servers
from tests.bench.costs.cost import Cost
from tests.bench.results import percentile
from tests.bench.table import Table
from tests.bench.work import Requests, Work

_CONNECTIONS = 200  # as many as kata.max_in_flight
_OBJECTS = 3000
_SIZES = (500, 10_000, 100_000)


def measure(directory: Path) -> Table:
    """A row for each size."""
    rows: Table = [["size", "objects/s", "answer, p50", "icapd CPU each", "emulator CPU each"]]
    with servers.kata(directory / "kata") as kata:
        site = servers.make_site(directory, kata)
        with servers.configured(site) as server:
            for size in _SIZES:
                rows.append(_row(size, site.icap_port, server, kata))
    return rows


def _row(size: int, port: int, server: servers.Server, kata: servers.Kata) -> list[str]:
    work = Work("through", size, 1024)
    objects = min(_OBJECTS, 100_000_000 // size)
    requests = Requests(work, [os.urandom(size) for _ in range(objects)])
    before = server.cpu, kata.cpu
    found = load.run(port, work, 600, connections=_CONNECTIONS, requests=requests, limit=objects)
    spent = server.cpu - before[0], kata.cpu - before[1]
    return [
        f"{size:,} B",
        f"{found.rate:,.0f}",
        f"{percentile(sorted(found.latencies), 50):.2f} s",
        *(f"{each / objects * 1e3:.2f} ms" for each in spent),
    ]


COST = Cost(
    "through",
    "Unknown objects, through to KATA and back",
    f"A closed loop of {_CONNECTIONS} connections with objects that nobody knows, and a KATA that "
    "has judged as soon as it is asked. As many are at KATA as `kata.max_in_flight` allows, and "
    "each is there until KATA is asked next (see above): that bounds objects a second, and the "
    "processor does not.",
    measure,
)
