"""The supervisor's /metrics: a few requests at a time, none of which holds it up."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator

import pytest

from bridge.core import Address, StartError
from icapd.workers.status import StatusPort
from tests.support.processes import free_port

BODY = b"katabridge_workers 2\n" * 400_000  # more than a socket takes at once


class Port:
    """A status port whose loop is turned by hand."""

    def __init__(self) -> None:
        self.address = Address("127.0.0.1", free_port())
        self.selector = selectors.DefaultSelector()
        self.asked: list[str] = []
        self.port = StatusPort(self.address, self.selector, self._render)

    def _render(self, accept: str) -> tuple[bytes, str]:
        self.asked.append(accept)
        return BODY, "text/plain; version=0.0.4"

    def turn(self) -> None:
        for key, _ in self.selector.select(0.001):
            key.data()

    def ask(self, request: bytes) -> bytes:
        """The whole answer."""
        answer = bytearray()
        with socket.create_connection(self.address, 10) as client:
            client.sendall(request)
            client.setblocking(False)
            while True:
                self.turn()
                try:
                    data = client.recv(1 << 16)
                except BlockingIOError:
                    continue
                if not data:
                    return bytes(answer)
                answer += data

    @property
    def conversations(self) -> int:
        return len(self.selector.get_map()) - 1


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.port.close()
    port.selector.close()


def test_a_scrape_gets_all_of_it(port: Port) -> None:
    answer = port.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;q=0.5\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(BODY)}".encode() in head
    assert body == BODY
    assert port.asked == ["text/plain;q=0.5"]
    assert port.conversations == 0


@pytest.mark.parametrize(
    ("request_line", "start"),
    [
        (b"POST /metrics HTTP/1.1", b"HTTP/1.1 405 "),
        (b"GET /secret HTTP/1.1", b"HTTP/1.1 404 "),
        (b"GET /metrics?name[]=x HTTP/1.1", b"HTTP/1.1 200 "),
        (b"GET", b"HTTP/1.1 404 "),
        (b"", b"HTTP/1.1 405 "),
    ],
)
def test_other_requests(port: Port, request_line: bytes, start: bytes) -> None:
    assert port.ask(request_line + b"\r\n\r\n").startswith(start)


def test_head_has_no_body(port: Port) -> None:
    answer = port.ask(b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(BODY)}".encode() in answer


def test_who_is_silent_or_reads_nothing_is_ended_and_holds_up_nobody(
    port: Port,
) -> None:
    with (
        socket.create_connection(port.address, 10),
        socket.socket() as deaf,
    ):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(port.address)
        deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        while not port.asked:
            port.turn()
        assert port.ask(b"GET /metrics HTTP/1.1\r\n\r\n").endswith(BODY[-100:])
        assert port.conversations == 2
        now = time.monotonic()
        port.port.look(now)
        assert port.conversations == 2
        port.port.look(now + 11)
        assert port.conversations == 0


def test_a_head_without_end_is_cut(port: Port) -> None:
    with socket.create_connection(port.address, 10) as client:
        client.sendall(b"GET /" + b"a" * 20_000)
        for _ in range(20):
            port.turn()
        assert port.conversations == 0


def test_only_so_many_at_a_time(port: Port) -> None:
    clients = [socket.create_connection(port.address, 10) for _ in range(60)]
    for _ in range(200):
        port.turn()
    assert port.conversations == 50
    for client in clients:
        client.close()
    for _ in range(200):
        port.turn()
    assert port.conversations == 0


def test_an_address_that_is_taken(port: Port) -> None:
    with pytest.raises(StartError, match=r"\(status\): it is taken by another program"):
        StatusPort(port.address, port.selector, lambda _: (b"", ""))
