"""Who is let in, what is counted of it, and what the log says of those who are not."""

from __future__ import annotations

import contextlib
import re
import socket
import urllib.request
from collections.abc import Callable
from typing import Any

from bridge.emulator import EICAR
from icapd.client import IcapClient
from tests.support.katabridge import Site, deep_merge
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
OPTIONS = b"OPTIONS icap://h/%b ICAP/1.0\r\n\r\n"


class Counted:
    """An ICAP door and its figures."""

    def __init__(self, site: Site, started: Keep, **icap: Any) -> None:
        self.port = free_port()
        self.site = site
        more = {"icap": icap, "status": {"icapd": f"127.0.0.1:{self.port}"}}
        site.changes = deep_merge(site.changes, more)
        self.program = started(site.start_icapd())
        with self.connect() as last:  # whoever looked for the port was before this one
            last.shutdown(socket.SHUT_WR)
            assert last.recv(1) == b""
        wait_until(lambda: not self.figures("katabridge_icap_connections"), "nobody is connected")

    def figures(self, name: str) -> dict[str, float]:
        """The samples of one metric: labels to value, without what is 0."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.M)
        return {labels: float(value) for labels, value in found if float(value)}

    def ask(self, message: bytes, source: str = "127.0.0.1") -> bytes:
        """The first line of the answer; b"" where the connection is closed without one."""
        with self.connect(source) as sock, contextlib.suppress(ConnectionResetError):
            sock.sendall(message)
            return sock.recv(65536).partition(b"\r\n")[0]
        return b""

    def connect(self, source: str = "127.0.0.1", port: int | None = None) -> socket.socket:
        """A connection from an address of this machine; `port`: another than the plain one."""
        where = ("127.0.0.1", port or self.site.icap_port)
        return socket.create_connection(where, 20, source_address=(source, 0))


def test_one_client_cannot_take_all_places(site: Site, started: Keep) -> None:
    door = Counted(site, started, max_connections_per_client=2, max_connections=3)
    with door.connect() as one, door.connect() as two:
        for sock in (one, two):
            sock.sendall(OPTIONS % b"")
            assert sock.recv(65536).startswith(b"ICAP/1.0 200 ")
        assert door.ask(OPTIONS % b"") == b"ICAP/1.0 503 Service Overloaded"
        assert door.figures("katabridge_icap_connections") == {"": 2}
        with door.connect("127.0.0.2") as third:
            third.sendall(OPTIONS % b"")
            assert third.recv(65536).startswith(b"ICAP/1.0 200 ")
            assert door.ask(OPTIONS % b"", "127.0.0.3").startswith(b"ICAP/1.0 503 ")
    wait_until(lambda: door.ask(OPTIONS % b"").startswith(b"ICAP/1.0 200 "), "a place is free")
    assert "icap.max_connections_per_client is reached" in door.program.output()
    wait_until(lambda: not door.figures("katabridge_icap_connections"), "all have left")


def test_strangers_are_counted_and_fill_no_log(site: Site, started: Keep) -> None:
    door = Counted(site, started, allow_from=["127.0.0.1/32"])
    for _ in range(300):
        with door.connect("127.0.0.9"):
            pass
    wait_until(
        lambda: door.figures("katabridge_icap_refused_total") == {'reason="address"': 300},
        "all are counted",
    )
    assert door.ask(OPTIONS % b"", "127.0.0.9").startswith(b"ICAP/1.0 403 ")
    door.program.stop()
    lines = [line for line in door.program.output().splitlines() if "127.0.0.9" in line]
    assert 2 <= len(lines) <= 6
    assert "its address is not in icap.allow_from" in lines[0]
    assert "more such lines" in lines[-1]


def test_broken_requests_fill_no_log_either(site: Site, started: Keep) -> None:
    door = Counted(site, started)
    for _ in range(60):
        assert door.ask(b"nonsense\r\n\r\n").startswith(b"ICAP/1.0 400 ")
        assert door.ask(OPTIONS % (b"x" * 5000)).startswith(b"ICAP/1.0 404 ")
    assert len(door.program.output()) < 10_000
    assert door.figures("katabridge_icap_requests_total") == {
        'service="",status="400"': 60,
        'service="",status="404"': 60,
    }


def test_every_answer_is_counted_by_service_and_status(site: Site, started: Keep) -> None:
    door = Counted(site, started, times={"head": "500ms"})
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        client.options("av/respmod")
        client.options("")
        client.respmod("av/respmod", GET, OK, b"x")
        client.respmod("av/respmod", GET, OK, EICAR, preview=10)
        client.reqmod("av/reqmod", GET, None)
        client.reqmod("", GET, None, allow_204=False)
    odd = {
        b"OPTIONS icap://h/ ICAP/2.0\r\n\r\n": b"505",
        b"DELETE icap://h/av/respmod ICAP/1.0\r\n\r\n": b"501",
        b"REQMOD icap://h/av/respmod ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n": b"405",
        b"OPTIONS icap://h/": b"408",
    }
    for message, status in odd.items():
        assert door.ask(message).startswith(b"ICAP/1.0 " + status)
    assert door.figures("katabridge_icap_requests_total") == {
        'service="av/respmod",status="200"': 2,
        'service="av/reqmod",status="200"': 2,  # the empty path is the first service
        'service="av/respmod",status="204"': 1,
        'service="av/reqmod",status="204"': 1,
        'service="",status="505"': 1,
        'service="",status="501"': 1,
        'service="",status="405"': 1,
        'service="",status="408"': 1,
    }
