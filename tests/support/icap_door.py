"""The messages that the tests of the ICAP door send by hand, and what comes back."""

from __future__ import annotations

import socket

from tests.support.katabridge import Site

GET = b"GET http://files.example/a.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"
PUT = b"PUT http://files.example/a.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nX-Origin: yes\r\nETag: e\r\n\r\n"


def ok(length: int) -> bytes:
    """The head of a response that announces so many bytes."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length


def connect(site: Site) -> socket.socket:
    """A connection to the door; a wait of 20 s is TimeoutError."""
    return socket.create_connection(("127.0.0.1", site.icap_port), 20)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def respmod_head(*fields: bytes, head: bytes = OK) -> bytes:
    """A RESPMOD up to where its body begins."""
    lines = [b"RESPMOD icap://h/av/respmod ICAP/1.0", b"Host: h", *fields]
    lines.append(b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % (len(GET), len(GET + head)))
    return b"\r\n".join(lines) + b"\r\n\r\n" + GET + head


def dechunk(data: bytes) -> bytes:
    """The body that came in these chunks."""
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return body
        body, data = body + data[:size], data[size + 2 :]
