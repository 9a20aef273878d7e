"""What Wireshark's dissector says of our conversations: nothing is malformed, none is missing."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.emulator import EICAR
from icapd.client import IcapClient
from tests.conftest import need
from tests.support.capture import Capture
from tests.support.katabridge import Site
from tests.support.processes import Program
from tests.support.raw_icap import RawIcap

GET = b"GET http://files.example/a HTTP/1.1\r\nHost: files.example\r\n\r\n"
PUT = b"PUT http://files.example/a HTTP/1.1\r\nHost: files.example\r\n\r\n"
LARGE = b"A" * 200_000  # tshark takes packets inside a body for HTTP heads, if they may be some
SMALL = b"B" * 500


def ok(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: %d\r\n\r\n" % length


def our_client(port: int) -> list[int]:
    """Everything over one connection; the statuses."""
    whole = ok(len(LARGE))
    with IcapClient("127.0.0.1", port, timeout=20) as client:
        answers = [
            client.options("av/respmod"),
            client.options("av/reqmod"),
            client.respmod("av/respmod", GET, whole, LARGE, preview=1024),
            client.respmod("av/respmod", GET, ok(500), SMALL, preview=1024),  # ieof
            client.respmod("av/respmod", GET, whole, LARGE, allow_204=False),
            client.respmod("av/respmod", GET, ok(68), EICAR),
            client.reqmod("av/reqmod", PUT, LARGE, preview=0, allow_204=False),
            client.reqmod("av/reqmod", PUT, EICAR),
            client.reqmod("av/reqmod", GET, None, preview=0),
            client.reqmod("av/reqmod", GET, None, allow_204=False),
        ]
    continued = [100 for answer in answers if answer.continued]
    return continued + [answer.status for answer in answers]


def refused(port: int) -> list[int]:
    """What is refused, each on a connection of its own; the statuses."""
    statuses = []
    for line in (
        b"OPTIONS icap://h/nothing ICAP/1.0\r\n",
        b"RESPMOD icap://h/av/respmod ICAP/1.0\r\n",
    ):
        with RawIcap(port) as icap:
            icap.send(line, b"Host: h\r\n\r\n")
            statuses.append(icap.answer().status)
    return statuses


def c_icap_client(port: int, folder: Path) -> None:
    """Two runs, each OPTIONS and a RESPMOD: with preview, 100 and 204, and whole with 200."""
    file = folder / "large"
    file.write_bytes(LARGE)
    command: list[object] = [need("c-icap-client"), "-i", "127.0.0.1", "-p", port]
    command += ["-s", "av/respmod", "-f", file, "-o", folder / "out"]
    for way in ([], ["-nopreview", "-no204"]):
        subprocess.run([str(part) for part in command + way], check=True, timeout=60)


def test_every_message_is_dissected_and_none_is_malformed(
    site: Site, icapd: Program, tmp_path: Path
) -> None:
    del icapd
    with Capture(site.icap_port, tmp_path) as capture:
        statuses = our_client(site.icap_port) + refused(site.icap_port)
        c_icap_client(site.icap_port, tmp_path)
    assert sorted(statuses) == [100, 100, *[200] * 7, 204, 204, 204, 400, 404]
    assert capture.faulty() == []
    found = {name: capture.count(f"icap.{name}") for name in ("options", "respmod", "reqmod")}
    assert found == {"options": 2 + 1 + 2, "respmod": 4 + 1 + 2, "reqmod": 4}
    # c-icap-client got 200 twice for OPTIONS, then 100 and 204, then 200
    assert capture.count("icap.response") == len(statuses) + 5
    assert capture.count("icap.response && http.response.code == 403") == 2


BROKEN = {
    "a chunk of -1 bytes": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
    "a field name with a space": b"Content Type: text/html\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}


@contextlib.contextmanager
def scripted(answer: bytes) -> Iterator[int]:
    """A server that gives everybody the same answer; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if connection.recv(65536):
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("inside", BROKEN.values(), ids=BROKEN.keys())
def test_the_same_look_finds_a_broken_answer(tmp_path: Path, inside: bytes) -> None:
    start = b'ICAP/1.0 200 OK\r\nISTag: "x"\r\nEncapsulated: res-hdr=0, res-body=9\r\n\r\n'
    answer = start + b"HTTP/1.1 200 OK\r\n" + inside
    with scripted(answer) as port, Capture(port, tmp_path) as capture, RawIcap(port) as icap:
        icap.send(b"OPTIONS icap://h/ ICAP/1.0\r\nHost: h\r\n\r\n")
        assert icap.rest() == answer
    assert capture.count("icap.response") == 1
    assert len(capture.faulty()) == 1
