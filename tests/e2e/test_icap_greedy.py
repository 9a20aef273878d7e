"""Strange, greedy and many clients of the ICAP door: they keep nobody else waiting."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from bridge.emulator import EICAR
from icapd.client import IcapClient
from tests.support.icap_door import GET, OK, connect, ok, respmod_head
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program, wait_until
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]


def test_who_is_not_allowed_gets_403_and_is_logged(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"allow_from": ["10.0.0.0/8"]}}
    icapd = started(site.start_icapd())
    with IcapClient("127.0.0.1", site.icap_port) as client:
        answer = client.respmod("av/respmod", GET, ok(68), EICAR)
    assert answer.status == 403
    assert site.records() == []
    line = "proxy 127.0.0.1: refused: its address is not in icap.allow_from"
    assert line in icapd.output()


def test_strangers_take_no_place_and_are_not_kept(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"allow_from": ["127.0.0.1/32"], "max_connections": 3}}
    icapd = started(site.start_icapd())
    with contextlib.ExitStack() as open_sockets:
        for _ in range(150):
            stranger = open_sockets.enter_context(socket.socket())
            stranger.bind(("127.0.0.2", 0))
            stranger.connect(("127.0.0.1", site.icap_port))
        assert _options(site) == 200
        assert icapd.connections(site.icap_port) > 0, "nothing is counted"
        wait_until(lambda: not icapd.connections(site.icap_port), "the strangers are gone", 15)


def test_many_requests_at_once_do_not_keep_others_waiting(doors: SharedDoors) -> None:
    site = doors()
    with connect(site) as greedy, IcapClient("127.0.0.1", site.icap_port) as client:
        greedy.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n" * 30_000)
        client.options("")
        greedy.settimeout(5)
        served = len(greedy.recv(1 << 20))
        assert served < 30_000 * 100, "all of the many were answered before the one"


def test_a_body_of_tiny_chunks_does_not_hold_up_others(doors: SharedDoors) -> None:
    site = doors()
    with connect(site) as greedy, IcapClient("127.0.0.1", site.icap_port) as client:
        sender = threading.Thread(
            target=greedy.sendall, args=(respmod_head() + b"1\r\nx\r\n" * 2_000_000,)
        )
        sender.start()
        waits = []
        while sender.is_alive():
            begin = time.monotonic()
            client.options("")
            waits.append(time.monotonic() - begin)
        sender.join()
    assert len(waits) > 20, "others were served a few times only"


def test_strangers_that_drip_are_not_kept(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"allow_from": ["10.0.0.0/8"]}}
    started(site.start_icapd())
    with connect(site) as sock:
        sock.settimeout(0.3)
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begin < 20:
                sock.sendall(b"O")
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(1):
                        break
        assert time.monotonic() - begin < 10


def test_one_slow_reader_leaves_room_in_the_spool_for_the_others(site: Site, started: Keep) -> None:
    site.changes = {
        "kata": {"max_object_size": "1MiB"},
        "spool": {"max_bytes": "20MiB"},
    }
    started(site.start_icapd())
    big = content(60_000_000, 2)
    with connect(site) as slow:
        sender = threading.Thread(target=_send_quietly, args=(slow, respmod_head(), big))
        sender.start()
        time.sleep(1.5)  # by now it has taken all it is given
        with IcapClient("127.0.0.1", site.icap_port) as client:
            for number in range(4):
                body = content(900_000, number)
                assert client.respmod("av/respmod", GET, OK, body).status == 204
        slow.shutdown(socket.SHUT_RDWR)
        sender.join()


def _send_quietly(sock: socket.socket, head: bytes, body: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


def test_past_max_connections_503(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"max_connections": 2}}
    icapd = started(site.start_icapd())
    with contextlib.ExitStack() as clients:
        kept: list[IcapClient] = []

        def admitted() -> bool:
            client = clients.enter_context(IcapClient("127.0.0.1", site.icap_port))
            if client.options("").status == 200:
                kept.append(client)
            return len(kept) == 2

        wait_until(admitted, "both places are taken")
        assert _options(site) == 503
        kept[0].close()
        wait_until(lambda: _options(site) == 200, "a place is free again")
    assert "icap.max_connections" in icapd.output()


def _options(site: Site) -> int:
    with IcapClient("127.0.0.1", site.icap_port) as client:
        return client.options("").status
