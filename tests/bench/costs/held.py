"""How much memory bodies take that wait for a verdict."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path

from tests.bench import servers
from tests.bench.costs.cost import MIB, Cost, NotHereError, memory, metric
from tests.bench.costs.idle import warm_up
from tests.bench.table import Table
from tests.bench.work import QUICK, Requests, Work
from tests.support.katabridge import Site

_BODIES = 200
_SIZE = 10_000_000
_WORK = Work("held", _SIZE, None)
_ROOM = 3 * _BODIES * _SIZE  # bytes on disk
_PATIENCE = 300.0


def measure(directory: Path) -> Table:
    """One row. NotHereError where the disk has no room."""
    disk = os.statvfs(directory)
    if disk.f_bavail * disk.f_frsize < _ROOM:
        raise NotHereError(f"{directory} has no room for {_ROOM / 1e9:.0f} GB")
    service = {"method": "RESPMOD", "mode": "advanced", "hold": "1h"}
    with servers.kata(directory / "kata") as kata, contextlib.ExitStack() as held:
        site = servers.make_site(directory, kata, icap={"services": {"bench": service}})
        with servers.configured(site) as server:
            warm_up(site.icap_port, QUICK[0])
            base, begin = memory(server), time.perf_counter()
            _send_all([held.enter_context(_connected(site)) for _ in range(_BODIES)])
            sent = time.perf_counter() - begin
            _wait_for_kata(site)
            brought = time.perf_counter() - begin
            now = memory(server)
            held.close()
    return [
        ["bodies", "sent after", "all at KATA after", "before", "with them", "at most over before"],
        [
            f"{_BODIES} × 10 MB",
            f"{sent:.0f} s",
            f"{brought:.0f} s",
            f"{base['Rss'] / MIB:.0f} MiB",
            f"{now['Rss'] / MIB:.0f} MiB",
            f"{(now['VmHWM'] - base['Rss']) / MIB:.0f} MiB",
        ],
    ]


def _connected(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.icap_port), 20)


def _send_all(sockets: list[socket.socket]) -> None:
    """Send a body of its own on each, all at the same time; what is answered is left unread."""
    requests = Requests(_WORK, [b"\0" * _SIZE])
    wire = memoryview(requests.first[0])
    mark_at = wire.tobytes().index(b"\n") + 1
    with select.epoll() as poll:
        unsent: dict[int, tuple[socket.socket, list[memoryview]]] = {}
        for number, sock in enumerate(sockets):
            sock.setblocking(False)
            mark = b"#kata state=not_detected delay=86000\n%06d" % number
            begin = requests.head(number) + wire[:mark_at].tobytes() + mark
            unsent[sock.fileno()] = sock, [memoryview(begin), wire[mark_at + len(mark) :]]
            poll.register(sock, select.EPOLLOUT)
        while unsent:
            for descriptor, _ in poll.poll(_PATIENCE) or _nothing():
                sock, pieces = unsent[descriptor]
                _send_some(sock, pieces)
                if not pieces:
                    del unsent[descriptor]
                    poll.unregister(descriptor)


def _nothing() -> list[tuple[int, int]]:
    raise TimeoutError(f"icapd took nothing for {_PATIENCE:.0f} s")


def _send_some(sock: socket.socket, pieces: list[memoryview]) -> None:
    with contextlib.suppress(BlockingIOError):
        sent = sock.send(pieces[0])
        pieces[0] = pieces[0][sent:]
        if not pieces[0]:
            del pieces[0]


def _wait_for_kata(site: Site) -> None:
    """Until KATA has all of them."""
    before = metric(site, "katabridge_in_flight")
    end = time.monotonic() + _PATIENCE
    taken = 0.0
    while taken < _BODIES or before < _BODIES:
        taken = metric(site, "katabridge_kata_requests_total", 'call="submit"')
        before = metric(site, "katabridge_in_flight")
        if time.monotonic() > end:
            raise TimeoutError(f"KATA has {taken:.0f} of {_BODIES} after {_PATIENCE:.0f} s")
        time.sleep(0.5)


COST = Cost(
    "held",
    "Memory with bodies that wait for KATA",
    f"{_BODIES} different bodies of 10 MB arrive at the same time, are brought to a KATA that "
    "does not answer, and are held. `at most` is the most that the process had at any time "
    "since its start, the uploads among it.",
    measure,
)
