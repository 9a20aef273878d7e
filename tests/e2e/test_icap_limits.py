"""The limits of messages, connections and memory, on the running door."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from icapd.client import IcapClient
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


def respmod(*fields: bytes, get: bytes = GET, body: bytes = b"1\r\nx\r\n0\r\n\r\n") -> bytes:
    """A request with a body of one byte."""
    lines = [b"RESPMOD icap://h/av/respmod ICAP/1.0", b"Connection: close", *fields]
    lines.append(b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % (len(get), len(get + OK)))
    return b"\r\n".join(lines) + b"\r\n\r\n" + get + OK + body


def ask(site: Site, message: bytes) -> bytes:
    """Everything that the door says to it until it closes."""
    with socket.create_connection(("127.0.0.1", site.icap_port), 20) as sock:
        sock.sendall(message)
        data = b""
        while piece := sock.recv(65536):
            data += piece
        return data


TOO_MUCH = {  # the limit, what is more than that, and what is said of it
    "head": ("1KiB", respmod(b"X: " + b"a" * 1500), b"The ICAP head exceeds 1024 bytes."),
    "fields": (
        20,
        respmod(*[b"X-%d: a" % n for n in range(20)]),
        b"There are more than 20 header lines.",
    ),
    "encapsulated_heads": (
        "8KiB",
        respmod(get=GET[:-2] + b"X: " + b"a" * 9000 + b"\r\n\r\n"),
        b"The encapsulated heads exceed 8192 bytes.",
    ),
    "chunk_line": (
        "64B",
        respmod(body=b"1;" + b"a" * 80 + b"\r\nx\r\n0\r\n\r\n"),
        b"A chunk line is too long.",
    ),
    "trailers": (
        "256B",
        respmod(body=b"1\r\nx\r\n0\r\nX: " + b"a" * 300 + b"\r\n\r\n"),
        b"The trailers are too long.",
    ),
}
LIMITS = {key: limit for key, (limit, *_) in TOO_MUCH.items()}


@pytest.mark.parametrize("key", TOO_MUCH)
def test_each_limit_of_a_message_is_configured(doors: SharedDoors, key: str) -> None:
    site = doors({"icap": {"limits": LIMITS}})
    _, message, sentence = TOO_MUCH[key]
    answer = ask(site, message)
    assert answer.startswith(b"ICAP/1.0 400 ")
    assert b"\r\nX-Response-Info: %b\r\n" % sentence in answer
    assert ask(site, respmod()).startswith(b"ICAP/1.0 200 ")


def test_what_the_limits_forbid_is_taken_as_shipped(doors: SharedDoors) -> None:
    for _, message, _ in TOO_MUCH.values():
        assert ask(doors(), message).startswith(b"ICAP/1.0 200 ")


def test_a_flood_behind_a_held_request_is_not_taken_into_memory(site: Site, started: Keep) -> None:
    flood, most = 300_000_000, 16 * 1024
    icapd = started(site.start_icapd())
    with IcapClient("127.0.0.1", site.icap_port) as client:
        client.respmod("av/respmod", GET, OK, content(400_000, 1))  # it has grown to its size
    before = icapd.resident_kib()
    held = b"#kata delay=3\n"
    with socket.create_connection(("127.0.0.1", site.icap_port), 20) as sock:
        sock.sendall(respmod(body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(held), held)))
        sock.settimeout(1)
        sent, piece = 0, b"\0" * 1_000_000
        with pytest.raises(TimeoutError):
            while sent < flood:
                sent += sock.send(piece)
        assert sent < flood
        assert icapd.resident_kib() < before + most
