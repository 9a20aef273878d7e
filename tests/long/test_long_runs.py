"""What takes minutes: many large downloads at once, many connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.emulator import EICAR
from icapd.client import IcapClient
from tests.conftest import need
from tests.support.katabridge import Site
from tests.support.origin import Origin, content
from tests.support.processes import Program, wait_until
from tests.support.squid import Fetched, Squid

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


def test_a_hundred_large_downloads_four_at_a_time(
    site: Site, started: Keep, origin: Origin
) -> None:
    icapd = started(site.start_icapd())
    squid = Squid(need("squid"), site.icap_port)
    try:

        def fetch(seed: int) -> Fetched:
            return squid.curl(origin.url(f"/plain/12000000/{seed}"))

        with ThreadPoolExecutor(4) as clients:
            fetched = list(clients.map(fetch, range(100)))
        bad = [each for n, each in enumerate(fetched) if each.body != content(12_000_000, n)]
        assert bad == []
        assert not [line for line in squid.icap_log() if line.startswith("ICAP_ERR")]
    finally:
        squid.stop()
    spool = site.directory / "spool" / "test.icap.0"
    wait_until(lambda: not list(spool.iterdir()), "the spool is empty")
    assert icapd.process.poll() is None


def test_twenty_thousand_requests_leave_descriptors_and_memory_flat(
    site: Site, started: Keep
) -> None:
    icapd = started(site.start_icapd())

    def run(count: int) -> None:
        for number in range(count):
            with IcapClient("127.0.0.1", site.icap_port) as client:
                for body in (b"%d" % (number % 50), EICAR, content(5000, number % 50)):
                    client.respmod("av/respmod", GET, OK, body, preview=1024)
                client.reqmod("av/reqmod", GET, None)

    run(500)
    before = icapd.descriptors(), icapd.resident_kib()
    run(5000)
    wait_until(lambda: icapd.descriptors() <= before[0], "the descriptors are given back")
    assert icapd.resident_kib() < before[1] + 20 * 1024
    assert len(site.records()) == 5500 * 3
