"""A closed loop of ICAP requests on a few connections; every answer is checked."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass

CONNECTIONS = 8
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request. `request` goes out first, `rest` after 100 Continue."""

    name: str
    request: bytes
    rest: bytes = b""


def run(port: int, work: Work, seconds: float) -> float:
    """Answers a second; AssertionError for an answer that is neither 204 nor a whole 200."""
    with selectors.DefaultSelector() as selector:
        sockets = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CONNECTIONS)]
        for sock in sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(sock, selectors.EVENT_READ)
            sock.sendall(work.request)
        begin, answers = time.perf_counter(), 0
        end = begin + seconds
        while time.perf_counter() < end:
            for key, _ in selector.select(1):
                assert isinstance(key.fileobj, socket.socket)
                answers += _serve(key.fileobj, work)
        rate = answers / (time.perf_counter() - begin)
        for sock in sockets:
            sock.close()
        return rate


def _serve(sock: socket.socket, work: Work) -> int:
    data = sock.recv(65536)
    # c-icap's echo gives a body of known length back as 200 even where 204 is allowed
    while not data.endswith(b"0\r\n\r\n" if data[9:12] == b"200" else _HEAD_END):
        piece = sock.recv(65536)
        assert piece, "the server closed the connection"
        data += piece
    status = int(data[9:12])
    if status == 100:
        sock.sendall(work.rest)
        return 0
    assert status in (200, 204), data[:200]
    sock.sendall(work.request)
    return 1


def respmod(name: str, body: bytes, preview: int | None) -> Work:
    """A RESPMOD of `body`, with Allow: 204; `preview` bytes go ahead."""
    get = b"GET http://files.example/a.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    lines = [b"RESPMOD icap://127.0.0.1/bench ICAP/1.0", b"Host: 127.0.0.1", b"Allow: 204"]
    if preview is not None:
        lines.append(b"Preview: %d" % preview)
    lines.append(b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % (len(get), len(get + head)))
    start = b"\r\n".join(lines) + _HEAD_END + get + head
    if preview is None:
        return Work(name, start + _chunk(body) + b"0\r\n\r\n")
    first, rest = body[:preview], body[preview:]
    if not rest:
        return Work(name, start + _chunk(first) + b"0; ieof\r\n\r\n")
    return Work(name, start + _chunk(first) + b"0\r\n\r\n", _chunk(rest) + b"0\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
