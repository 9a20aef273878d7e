"""Thousands of slow clients: the others are served, and each slow one ends in its time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.emulator import EICAR
from icapd.client import IcapClient
from tests.e2e.test_icap_access import Counted
from tests.support.crowd import KINDS, SIZE, Crowd, allow_descriptors
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
CLIENTS = 4


def serve_until(port: int, ends: threading.Event, seed: int) -> int:
    """How many ordinary requests were served until `ends`; fails where one was not."""
    served = 0
    with IcapClient("127.0.0.1", port) as client:
        while not ends.is_set():
            body = content(300_000, seed * 1000 + served % 10)
            assert client.respmod("av/respmod", GET, OK, body, preview=1024).status == 204
            assert client.respmod("av/respmod", GET, OK, EICAR).http_head.status == 403
            back = client.reqmod("av/reqmod", GET, b"up", allow_204=False)
            assert back.body == b"up"
            served += 3
    return served


def test_a_crowd_of_slow_clients_costs_the_others_nothing_but_time(
    site: Site, started: Keep
) -> None:
    allow_descriptors()
    times = {"idle": "20s", "head": "5s", "body": "5s", "body_lifetime": "8s"}
    door = Counted(site, started, times=times, max_connections=2 * SIZE)
    before = door.program.descriptors()
    ends = threading.Event()

    async def come_and_go(crowd: Crowd) -> None:
        await crowd.open()
        # connected is not accepted yet; each stays for icap.times.idle without a word
        begun = time.monotonic()
        while door.figures("katabridge_icap_connections").get("", 0) < SIZE:
            assert time.monotonic() - begun < 10, "all are here at once"
            await asyncio.sleep(0.05)
        print(f"all were here after {time.monotonic() - begun:.2f} s")
        async with asyncio.timeout(90):
            await crowd.behave()

    crowd = Crowd(site.icap_port)
    with ThreadPoolExecutor(CLIENTS) as clients:
        counts = [clients.submit(serve_until, site.icap_port, ends, n) for n in range(CLIENTS)]
        try:
            asyncio.run(come_and_go(crowd))
        finally:
            ends.set()
        assert all(count.result() >= 3 for count in counts)

    assert {name: len(said) for name, said in crowd.said.items()} == {
        kind.name: kind.count for kind in KINDS
    }
    assert set(crowd.said["idle"]) == {b""}
    assert statuses(crowd.said["drips in a head"]) == {b"ICAP/1.0 408"}
    assert statuses(crowd.said["a head without its body"]) == {b"ICAP/1.0 408"}
    pages = crowd.said["drips in a body"]
    assert statuses(pages) == {b"ICAP/1.0 200"}
    assert all(b"HTTP/1.1 403 " in page for page in pages)

    wait_until(lambda: not door.figures("katabridge_icap_connections"), "all have left")
    most = before + site.settings().kata.connections  # they stay open
    wait_until(lambda: door.program.descriptors() <= most, "descriptors are given back")
    spool = site.directory / "spool" / "test.icap.0"
    assert door.program.open_below(spool) == []
    assert list(spool.iterdir()) == []


def statuses(answers: list[bytes]) -> set[bytes]:
    return {answer[:12] for answer in answers}
