"""How much memory a connection takes that waits for its next request."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

from tests.bench import load, servers
from tests.bench.answers import AnswerReader
from tests.bench.costs.cost import Cost, allow_connections, memory
from tests.bench.table import Table
from tests.bench.work import CONTENTS, QUICK, Requests, Work

_COUNTS = (2000, 10_000)
_WORK = QUICK[0]
_SETTLED = 1.0  # seconds for what is given back after the last answer


def measure(directory: Path) -> Table:
    """A row for each number of connections."""
    rows: Table = [["connections", "RSS", "PSS", "each, of PSS"]]
    most = allow_connections(_COUNTS[-1])
    with servers.kata(directory / "kata") as kata, contextlib.ExitStack() as held:
        icap = {"max_connections": 2 * _COUNTS[-1]}
        site = servers.make_site(directory, kata, icap=icap)
        server = held.enter_context(servers.configured(site))
        warm_up(site.icap_port, _WORK)
        base = _settled(server)
        rows.append(_row(0, base, base))
        open_now = 0
        for count in (min(each, most) for each in _COUNTS):
            for _ in range(count - open_now):
                held.enter_context(answered(site.icap_port, _WORK))
            open_now = count
            rows.append(_row(count, _settled(server), base))
    return rows


def warm_up(port: int, work: Work) -> None:
    """Have each content judged, and let the server be at work for a moment."""
    load.run(port, work, 0.3, connections=CONTENTS)
    load.run(port, work, 1.0)


def answered(port: int, work: Work) -> socket.socket:
    """A connection that has had one answer."""
    requests = Requests(work) if work not in _REQUESTS else _REQUESTS[work]
    _REQUESTS[work] = requests
    sock = socket.create_connection(("127.0.0.1", port), 20)
    reader = AnswerReader()
    reader.expect(work.first_statuses, work.size)
    sock.sendall(requests.head(0) + requests.first[0])
    while not reader.feed(sock.recv(65536)):
        pass
    return sock


_REQUESTS: dict[Work, Requests] = {}


def _settled(server: servers.Server) -> dict[str, int]:
    time.sleep(_SETTLED)
    return memory(server)


def _row(count: int, now: dict[str, int], base: dict[str, int]) -> list[str]:
    each = f"{(now['Pss'] - base['Pss']) / count / 1000:.1f} kB" if count else "-"
    return [f"{count:,}", *(f"{now[key] / 2**20:.1f} MiB" for key in ("Rss", "Pss")), each]


COST = Cost(
    "idle",
    "Memory of connections that wait",
    "Each has had one answer (500 B, 204) and is kept open. The memory of the process; what "
    "the kernel keeps for a socket comes on top, in any server.",
    measure,
)
