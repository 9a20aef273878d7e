"""What open connections cost those that are at work."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from tests.bench import load, servers
from tests.bench.costs.cost import Cost, allow_connections
from tests.bench.costs.idle import answered, warm_up
from tests.bench.load import Round
from tests.bench.results import percentile
from tests.bench.table import Table
from tests.bench.work import QUICK

_COUNTS = (1, 8, 100, 1000, 10_000)
_ACTIVE = 8
_ROUNDS = 3
_SECONDS = 1.5
_MANY = 1000  # from here on it is requests that are counted, and not seconds
_WORK = QUICK[0]


def measure(directory: Path) -> Table:
    """A row for each number of connections."""
    rows: Table = [
        [
            "open",
            "8 of them at work",
            "p50",
            "p99",
            "CPU each",
            "all at work",
            "p50",
            "p99",
            "CPU each",
        ]
    ]
    most = allow_connections(_COUNTS[-1])
    with servers.kata(directory / "kata") as kata:
        site = servers.make_site(directory, kata, icap={"max_connections": 2 * _COUNTS[-1]})
        with servers.configured(site) as server, contextlib.ExitStack() as idle:
            warm_up(site.icap_port, _WORK)
            resting: list[socket.socket] = []
            for count in (each for each in _COUNTS if each <= most):
                while len(resting) < count - _ACTIVE:
                    resting.append(idle.enter_context(answered(site.icap_port, _WORK)))
                rows.append([f"{count:,}", *_figures(server, min(count, _ACTIVE))])
            idle.close()
            for row, count in zip(rows[1:], _COUNTS, strict=False):
                row.extend(_figures(server, count))
    return rows


def _figures(server: servers.Server, connections: int) -> list[str]:
    before = server.cpu
    port = server.ports[_WORK]
    rounds = [_round(port, connections) for _ in range(_ROUNDS)]
    answers = sum(each.answers for each in rounds)
    served = sum(each.served for each in rounds)
    latencies = sorted(latency for each in rounds for latency in each.latencies)
    return [
        f"{answers / sum(each.seconds for each in rounds):,.0f}/s",
        *(f"{percentile(latencies, share) * 1e3:.2f} ms" for share in (50, 99)),
        f"{(server.cpu - before) / served * 1e6:.0f} µs",
    ]


def _round(port: int, connections: int) -> Round:
    if connections < _MANY:
        return load.run(port, _WORK, _SECONDS, connections=connections)
    # the first answer may take longer than a round
    return load.run(port, _WORK, 600, connections=connections, limit=2 * connections)


COST = Cost(
    "connections",
    "1 to 10,000 connections",
    "500 B, 204, known verdicts. Left: the others have had one answer and wait. Right: a "
    "closed loop on all of them, whose latency is the queue in front of one core.",
    measure,
)
