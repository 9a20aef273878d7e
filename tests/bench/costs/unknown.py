"""How much later than KATA's verdict an answer comes, for what nobody knew."""

from __future__ import annotations

import random
from pathlib import Path

from tests.bench import load, servers
from tests.bench.costs.cost import Cost
from tests.bench.results import percentile
from tests.bench.table import Table
from tests.bench.work import Requests, Work

_DELAYS = (0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)  # seconds that KATA takes
_OBJECTS = 48  # for each of them
_CONNECTIONS = 24
_SIZE = 10_000
_WORK = Work("unknown", _SIZE, 1024)


def measure(directory: Path) -> Table:
    """A row for each time that KATA takes, and one for all."""
    rows: Table = [["KATA takes", "objects", "added, p50", "added, p95", "at most"]]
    everything: list[float] = []
    with servers.kata(directory / "kata") as kata:
        site = servers.make_site(directory, kata)
        with servers.configured(site):
            for delay in _DELAYS:
                added = _added(site.icap_port, delay)
                everything += added
                rows.append(_row(f"{delay:g} s", added))
    return [*rows, _row("all", everything)]


def _added(port: int, delay: float) -> list[float]:
    requests = Requests(_WORK, _contents(delay))
    found = load.run(port, _WORK, 600, connections=_CONNECTIONS, requests=requests, limit=_OBJECTS)
    return [latency - delay for latency in found.latencies]


def _contents(delay: float) -> list[bytes]:
    begin = b"#kata state=not_detected delay=%d.%d\n" % (delay, delay * 10 % 10)
    noise = random.Random()  # its bytes are no secret, and new in each run
    return [begin + noise.randbytes(_SIZE - len(begin)) for _ in range(_OBJECTS)]


def _row(name: str, added: list[float]) -> list[str]:
    ordered = sorted(added)
    shares = (50, 95, 100)
    return [name, str(len(added)), *(f"{percentile(ordered, each):.2f} s" for each in shares)]


COST = Cost(
    "unknown",
    "An unknown object: time beyond KATA's own",
    f"{_OBJECTS} objects of 10 kB that nobody knows, on {_CONNECTIONS} connections, for each "
    "time that the emulated KATA takes. What an answer takes longer is mostly the wait for "
    "the next question: KATA is asked for states 300 ms after an object was brought, and then "
    "every `kata.poll_interval_waiting` (2 s, as shipped), for all objects together.",
    measure,
)
