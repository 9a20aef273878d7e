"""Whoever listens on the port of a status page, asking it ends, with a sentence."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from bridge.core import Address
from bridge.status import ask

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def answering(at_once: bytes, drops: bytes = b"") -> Iterator[Address]:
    """A program that says something at once, and more of it byte by byte."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer, contextlib.suppress(OSError):
                peer.recv(1 << 16)
                peer.sendall(at_once)
                for drop in drops:
                    if ended.wait(0.05):
                        return
                    peer.sendall(bytes([drop]))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address("127.0.0.1", server.getsockname()[1])
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize(
    ("at_once", "drops"),
    [
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x" * 60),
        (HEAD + b"\r\n", b"x" * 60),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", b"x" * 60),
        (HEAD, b"X-Long: head" * 5),
        (b"", HEAD * 4),
    ],
)
def test_an_answer_that_drips_is_not_waited_for(at_once: bytes, drops: bytes) -> None:
    with answering(at_once, drops) as address, pytest.raises(OSError) as error:
        ask(address, "/metrics", timeout=0.4)
    assert str(error.value) == f"{address} did not answer within 0 s"


def test_what_else_may_listen_there() -> None:
    with answering(HEAD + b"Content-Length: 2\r\n\r\nok") as address:
        assert ask(address, "/metrics") == b"ok"
    with answering(HEAD + b"\r\nall of it") as address:
        assert ask(address, "/metrics") == b"all of it"
    for said, sentence in (
        (HEAD + b"Content-Length: 9\r\n\r\nok", "does not answer as a status page does: it ends"),
        (b"SSH-2.0-OpenSSH_9\r\n", "does not answer as a status page does: SSH-2.0"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n", "HTTP status 302"),
        (b"HTTP/1.1 503 No\r\n\r\n", "/metrics answers with HTTP status 503"),
    ):
        with answering(said) as address, pytest.raises(OSError, match=f"{address}.*{sentence}"):
            ask(address, "/metrics")
    with pytest.raises(OSError, match=f"nothing answers at {address}: Connection refused"):
        ask(address, "/metrics")
